"""The forms that write releases, without JavaScript: nothing typed is lost, what is wrong stands at its field."""

import re
from pathlib import Path

from tests.factories.forge import Forge, open_forge
from tests.repositories.releases.support import publish
from tests.stories.browser import forms_of
from tests.web.support import csrf_token_of

from cairn.repositories.queries import RepositoryView


async def test_notes_and_preview_come_into_the_form_with_what_was_typed(
    forge: Forge, repository: RepositoryView
) -> None:
    ada = forge.browser(forge.people["ada"])
    address = "/ada/engine/releases/new"
    noted = await ada.submit(address, {"tag": "v1.0", "name": "Kept", "notes": "Mine.", "do": "notes"})
    assert noted.status_code == 200
    assert "Kept" in noted.text
    assert "Mine." in noted.text
    assert "What&#39;s Changed" in noted.text
    shown = await ada.submit(address, {"tag": "v1.0", "notes": "It *grinds*.", "do": "preview"})
    assert "<em>grinds</em>" in shown.text
    assert "It *grinds*." in shown.text
    assert "No releases yet" in (await ada.get("/ada/engine/releases")).text


async def test_what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost(
    forge: Forge, repository: RepositoryView
) -> None:
    await publish(forge)
    ada = forge.browser(forge.people["ada"])
    for fields, said in (
        ({"tag": "v1.0"}, "published under this tag already"),
        ({"tag": ""}, "Name a tag."),
        ({"tag": "v2", "target": "none"}, "no such branch or commit"),
        ({"tag": "-x"}, "is not a valid ref name"),
    ):
        refused = await ada.submit("/ada/engine/releases/new", {**fields, "notes": "Long notes", "do": "publish"})
        assert refused.status_code == 422
        assert said in refused.text
        assert "Long notes" in refused.text


async def test_files_are_added_had_and_deleted_with_plain_forms(forge: Forge, repository: RepositoryView) -> None:
    await publish(forge)
    ada = forge.browser(forge.people["ada"])
    (number,) = set(re.findall(r"releases/(\d+)/edit", (await ada.get("/ada/engine/releases")).text))
    edit = f"/ada/engine/releases/{number}/edit"
    form = await ada.get(edit)
    token = re.search(r'name="csrf_token" value="([^"]+)"', form.text)
    assert token is not None
    sent = await ada.client.post(
        f"/ada/engine/releases/{number}/assets",
        data={"csrf_token": token[1]},
        files={"files": ("tool.html", b"<b>x</b>" * 10, "text/html")},
    )
    assert (sent.status_code, sent.headers["location"]) == (303, f"{edit}#files")
    had = await forge.browser().get("/ada/engine/releases/download/v1.0/tool.html")
    assert had.content == b"<b>x</b>" * 10
    assert had.headers["content-disposition"].startswith("attachment")
    led = await forge.browser().get("/ada/engine/releases/latest/download/tool.html")
    assert led.headers["location"] == "/ada/engine/releases/download/v1.0/tool.html"
    page = await ada.get(edit)
    chosen = re.search(r'name="asset" value="(\d+)"', page.text)
    assert chosen is not None
    gone = await ada.submit(f"/ada/engine/releases/{number}/assets/delete", {"asset": chosen[1]}, page=edit)
    assert gone.status_code == 303
    assert (await forge.browser().get("/ada/engine/releases/download/v1.0/tool.html")).status_code == 404


async def test_a_release_is_deleted_and_its_tag_if_that_is_wanted(forge: Forge, repository: RepositoryView) -> None:
    await publish(forge)
    ada = forge.browser(forge.people["ada"])
    (number,) = set(re.findall(r"releases/(\d+)/edit", (await ada.get("/ada/engine/releases")).text))
    page = "/ada/engine/releases/tag/v1.0"
    gone = await ada.submit(f"/ada/engine/releases/{number}/delete", {"with_tag": "true"}, page=page)
    assert gone.headers["location"] == "/ada/engine/releases"
    assert (await ada.get(page)).status_code == 404
    assert "v1.0" not in (await forge.browser().get("/ada/engine/tags")).text


async def test_who_may_not_push_gets_no_form(forge: Forge, repository: RepositoryView) -> None:
    eve = await forge.person("eve")
    assert (await forge.browser(eve).get("/ada/engine/releases/new")).status_code == 403
    assert (await forge.browser().get("/ada/engine/releases/new")).status_code == 303


async def test_a_form_with_files_is_no_larger_than_a_file_may_be(tmp_path: Path, sqlite_template: Path) -> None:
    """Attack: whoever may make a repository sends forms that fill the disk of the node, where their files wait."""
    async with open_forge(tmp_path / "f", sqlite_template, settings={"max_release_asset_bytes": 12 << 20}) as forge:
        await forge.repository(await forge.person("ada"), "engine", files={"README.md": b"# Engine"})
        await publish(forge)
        ada = forge.browser(forge.people["ada"])
        (number,) = set(re.findall(r"releases/(\d+)/edit", (await ada.get("/ada/engine/releases")).text))
        sent = await ada.client.post(
            f"/ada/engine/releases/{number}/assets", files={"files": ("film.bin", b"x" * (14 << 20))}
        )
        assert sent.status_code == 413


async def test_what_somebody_else_wrote_meanwhile_is_not_written_over(forge: Forge, repository: RepositoryView) -> None:
    await publish(forge)
    ada = forge.browser(forge.people["ada"])
    (number,) = set(re.findall(r"releases/(\d+)/edit", (await ada.get("/ada/engine/releases")).text))
    edit, path = f"/ada/engine/releases/{number}/edit", f"/repos/ada/engine/releases/{number}"
    opened = (await ada.get(edit)).text
    token = re.search(r'name="csrf_token" value="([^"]+)"', opened)
    seen = re.search(r'name="seen" value="([^"]+)"', opened)
    assert token is not None
    assert seen is not None
    api = forge.api(forge.people["ada"])
    assert (await api.call("PATCH", path, json={"body": "Theirs."})).status_code == 200
    fields = {"csrf_token": token[1], "seen": seen[1], "tag": "v1.0", "notes": "Typed with care.", "do": "publish"}
    told = await ada.post(edit, fields)
    assert told.status_code == 409
    assert "Somebody else changed this release" in told.text
    assert "Typed with care." in told.text
    assert "Theirs." in told.text
    assert (await api.get(path)).json()["body"] == "Theirs."
    seen = re.search(r'name="seen" value="([^"]+)"', told.text)
    assert seen is not None
    assert (await ada.post(edit, fields | {"seen": seen[1]})).status_code == 303
    assert (await api.get(path)).json()["body"] == "Typed with care."


async def test_what_was_typed_survives_the_end_of_a_session_and_of_a_right(
    forge: Forge, repository: RepositoryView
) -> None:
    await publish(forge)
    care = {"notes": "typed with care"}  # what stands in a text area, which ``forms_of`` leaves out
    ada, ben = forge.people["ada"], await forge.person("ben")
    (number,) = set(re.findall(r"releases/(\d+)/edit", (await forge.browser(ada).get("/ada/engine/releases")).text))
    for path in ("/ada/engine/releases/new", f"/ada/engine/releases/{number}/edit"):
        page = (await forge.browser(ada).get(path)).text
        form = next(one for one in forms_of(page) if one.action == path)
        typed = form.fields | {"tag": "v1.0", "is_prerelease": "true"} | care
        ended = await forge.browser().post(path, typed)
        assert (ended.status_code, "typed with care" in ended.text) == (401, True)
        kept = next(one for one in forms_of(ended.text) if one.action == path)
        assert (kept.fields["tag"], kept.fields["is_prerelease"]) == ("v1.0", "true")
        back = await forge.browser(ada).post(path, kept.fields | care)
        assert (back.status_code, "save it now" in back.text, "typed with care" in back.text) == (403, True, True)
        token = {"csrf_token": csrf_token_of((await forge.browser(ben).get("/ada/engine/fork")).text)}
        refused = await forge.browser(ben).post(path, typed | token)
        assert (refused.status_code, "typed with care" in refused.text) == (403, True)
        assert "Fork instead" not in refused.text
    assert "typed with care" not in (await forge.browser().get("/ada/engine/releases")).text
    ready = next(one for one in forms_of(back.text) if one.action == path)
    assert (await forge.browser(ada).post(path, ready.fields | care | {"do": "publish"})).status_code == 303
    assert "typed with care" in (await forge.browser().get("/ada/engine/releases")).text
    lost = await forge.browser(ada).post("/ada/engine/releases/999/edit", ready.fields | care)
    assert (lost.status_code, "typed with care" in lost.text) == (404, True)
