"""Files of releases over REST: sent as they are, had as JSON or bytes, never shown by a browser, never another's."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

from tests.factories.forge import Forge
from tests.repositories.releases.support import CONTENT, OCTETS, RELEASES, upload
from tests.web.support import ORIGIN

from cairn.access.roles import Visibility
from cairn.repositories.queries import RepositoryView
from cairn.web.ends import REST_BYTES_MAX


async def test_a_file_is_kept_whole_and_had_again(forge: Forge, released: tuple[RepositoryView, Any]) -> None:
    _, release = released
    sent = await upload(forge, release, "my tool.html", label="The tool")
    assert sent.status_code == 201, sent.text
    asset = sent.json()
    assert (asset["name"], asset["label"], asset["state"]) == ("my.tool.html", "The tool", "uploaded")
    assert (asset["size"], asset["content_type"]) == (len(CONTENT), "text/html")
    assert asset["digest"] == f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    assert asset["browser_download_url"] == f"{ORIGIN}/ada/engine/releases/download/v1.0/my.tool.html"
    shown = (await forge.api().get(f"{RELEASES}/{release['id']}")).json()
    assert [each["id"] for each in shown["assets"]] == [asset["id"]]
    had = await forge.api().get(f"{RELEASES}/assets/{asset['id']}", headers=OCTETS)
    assert had.content == CONTENT
    assert had.headers["content-disposition"].startswith('attachment; filename="my.tool.html"')
    assert had.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in had.headers["content-security-policy"]
    part = await forge.api().get(f"{RELEASES}/assets/{asset['id']}", headers={**OCTETS, "range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, CONTENT[5:10])
    again = {**OCTETS, "if-none-match": had.headers["etag"]}
    assert (await forge.api().get(f"{RELEASES}/assets/{asset['id']}", headers=again)).status_code == 304


async def test_the_files_of_a_draft_are_absent_for_readers_by_every_address(
    forge: Forge, released: tuple[RepositoryView, Any]
) -> None:
    ada = forge.api(forge.people["ada"])
    draft = (await ada.call("POST", RELEASES, json={"tag_name": "v2.0", "draft": True})).json()
    asset = (await upload(forge, draft, "secret.bin")).json()
    eve = await forge.person("eve")
    for api in (forge.api(), forge.api(eve)):
        for headers in (OCTETS, {}):
            assert (await api.get(f"{RELEASES}/assets/{asset['id']}", headers=headers)).status_code == 404
        assert (await api.get(f"{RELEASES}/{draft['id']}/assets")).status_code == 404
    assert (await ada.get(f"{RELEASES}/assets/{asset['id']}", headers=OCTETS)).content == CONTENT


async def test_a_file_of_another_repository_is_not_found_by_its_number(
    forge: Forge, released: tuple[RepositoryView, Any]
) -> None:
    asset = (await upload(forge, released[1], "a.bin")).json()
    ada = forge.people["ada"]
    await forge.repository(ada, "other", files={"a": b"a"})
    address = f"/repos/ada/other/releases/assets/{asset['id']}"
    api = forge.api(ada)
    assert (await api.get(address)).status_code == 404
    assert (await api.call("PATCH", address, json={"name": "x"})).status_code == 404
    assert (await api.call("DELETE", address)).status_code == 404
    other = released[1]["upload_url"].partition("{")[0].replace("/engine/", "/other/")
    refused = await api.client.post(other, params={"name": "x"}, content=b"x")
    assert refused.status_code == 404


async def test_who_may_not_push_adds_no_file(forge: Forge, released: tuple[RepositoryView, Any]) -> None:
    eve = await forge.person("eve")
    assert (await upload(forge, released[1], "x", person=eve)).status_code == 403
    assert (await upload(forge, released[1], "x", person=None)).status_code == 401


async def test_a_file_is_renamed_and_deleted(forge: Forge, released: tuple[RepositoryView, Any]) -> None:
    asset = (await upload(forge, released[1], "a.bin")).json()
    api, address = forge.api(forge.people["ada"]), f"{RELEASES}/assets/{asset['id']}"
    renamed = await api.call("PATCH", address, json={"name": "b.bin", "label": "Tool"})
    assert (renamed.json()["name"], renamed.json()["label"]) == ("b.bin", "Tool")
    assert (await api.call("DELETE", address)).status_code == 204
    assert (await api.get(address)).status_code == 404


async def test_an_upload_under_an_old_name_is_sent_to_the_new_one(
    forge: Forge, released: tuple[RepositoryView, Any]
) -> None:
    ada = forge.api(forge.people["ada"])
    assert (await ada.call("PATCH", "/repos/ada/engine", json={"name": "mill"})).status_code == 200
    asked = await upload(forge, released[1], "a.bin", label="The tool")
    assert asked.status_code == 307
    new = released[1]["upload_url"].partition("{")[0].replace("/engine/", "/mill/")
    assert asked.headers["location"] == f"{new}?name=a.bin&label=The+tool"
    sent = await ada.client.post(asked.headers["location"], content=CONTENT, headers={"content-type": "text/html"})
    assert (sent.status_code, sent.json()["label"]) == (201, "The tool")


async def test_the_bytes_of_a_refused_upload_are_taken_before_the_answer(
    forge: Forge, released: tuple[RepositoryView, Any]
) -> None:
    """A server that answers before them says so in a header, or not, by chance: hidden and absent would differ."""
    ada = forge.people["ada"]
    await forge.repository(ada, "secret", visibility=Visibility.PRIVATE)
    eve = forge.api(await forge.person("eve"))
    for name in ("secret", "absent"):
        taken: list[int] = []

        async def body(taken: list[int] = taken) -> AsyncIterator[bytes]:
            for number in range(4):
                yield b"x" * 1000
                taken.append(number)

        address = released[1]["upload_url"].partition("{")[0].replace("/engine/", f"/{name}/")
        answer = await eve.client.post(address, params={"name": "a.bin"}, content=body())
        assert (answer.status_code, taken) == (404, [0, 1, 2, 3])


async def test_a_large_refused_upload_is_not_taken(forge: Forge, released: tuple[RepositoryView, Any]) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(64):
            sent += 1 << 18
            yield b"x" * (1 << 18)

    address = released[1]["upload_url"].partition("{")[0].replace("/engine/", "/absent/")
    answer = await forge.api(forge.people["ada"]).client.post(address, params={"name": "a.bin"}, content=body())
    assert answer.status_code == 404
    assert sent <= REST_BYTES_MAX + (2 << 18)


async def test_drafts_of_an_archived_repository_are_there_for_who_could_push_and_for_nobody_else(
    forge: Forge, released: tuple[RepositoryView, Any]
) -> None:
    ada = forge.api(forge.people["ada"])
    draft = (await ada.call("POST", RELEASES, json={"tag_name": "v2.0", "draft": True})).json()
    asset = (await upload(forge, draft, "plan.bin")).json()
    assert (await ada.call("PATCH", "/repos/ada/engine", json={"archived": True})).status_code == 200
    assert [one["tag_name"] for one in (await ada.get(RELEASES)).json()] == ["v2.0", "v1.0"]
    assert (await ada.get(f"{RELEASES}/assets/{asset['id']}", headers=OCTETS)).content == CONTENT
    page = await forge.browser(forge.people["ada"]).get("/ada/engine/releases")
    assert "v2.0" in page.text
    assert (await ada.call("PATCH", f"{RELEASES}/{draft['id']}", json={"draft": False})).status_code == 403
    eve = forge.api(await forge.person("eve"))
    assert [one["tag_name"] for one in (await eve.get(RELEASES)).json()] == ["v1.0"]
    assert (await eve.get(f"{RELEASES}/{draft['id']}")).status_code == 404
