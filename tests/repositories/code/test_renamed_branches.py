"""Pages and the API under a branch's old name: sent on with the rest of the address; strangers learn nothing."""

from urllib.parse import quote

import pytest
from tests.factories.forge import Forge
from tests.web.support import ORIGIN

from cairn.access.roles import Visibility

RENAMED = "/repos/ada/engine/branches/main/rename"


async def rename_default(forge: Forge, *, visibility: Visibility = Visibility.PUBLIC) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine", files={"src/a c.py": b"x = 1\n"}, visibility=visibility)
    answer = await forge.api(ada).call("POST", RENAMED, json={"new_name": "new/trunk"})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        *(("tree", ""), ("tree", "/src"), ("blob", "/src/a%20c.py?plain=1"), ("raw", "/src/a%20c.py")),
        *(("blame", "/src/a%20c.py"), ("commits", ""), ("commits", "/src"), ("find", "")),
    ],
)
async def test_a_page_under_the_old_name_sends_on(forge: Forge, verb: str, path: str) -> None:
    await rename_default(forge)
    browser = forge.browser()
    answer = await browser.get(f"/ada/engine/{verb}/main{path}")
    # Not for good: a new branch may take the name.
    assert answer.status_code == 302
    assert answer.headers["location"] == f"/ada/engine/{verb}/new/trunk{path}"
    assert (await browser.get(answer.headers["location"])).status_code == 200


@pytest.mark.parametrize("address", ["new/main", "edit/main/src/a%20c.py", "delete/main/src/a%20c.py", "upload/main"])
async def test_a_form_under_the_old_name_sends_on(forge: Forge, address: str) -> None:
    await rename_default(forge)
    browser = forge.browser(forge.people["ada"])
    answer = await browser.get(f"/ada/engine/{address}")
    assert (answer.status_code, answer.headers.get("location")) == (
        302,
        "/ada/engine/" + address.replace("/main", "/new/trunk"),
    )
    assert (await browser.get(answer.headers["location"])).status_code == 200


async def test_the_api_answers_301_with_the_new_address(forge: Forge) -> None:
    await rename_default(forge)
    api = forge.api(forge.people["ada"])
    moved = await api.get("/repos/ada/engine/branches/main")
    assert (moved.status_code, moved.json()["message"]) == (301, "Moved Permanently")
    new = f"{ORIGIN}/api/v3/repos/ada/engine/branches/new/trunk"
    assert moved.headers["location"] == moved.json()["url"] == new
    assert (await api.client.get(new)).json()["name"] == "new/trunk"
    protection = await api.get("/repos/ada/engine/branches/main/protection")
    assert (protection.status_code, protection.headers["location"]) == (301, f"{new}/protection")
    assert (await api.get("/repos/ada/engine/branches/never")).status_code == 404


@pytest.mark.parametrize("path", ["contents", "contents/src/a%20c.py", "readme"])
@pytest.mark.parametrize("prefix", ["", "heads/", "refs/heads/"])
async def test_what_names_the_old_branch_as_ref_is_answered_with_the_new_address(
    forge: Forge, path: str, prefix: str
) -> None:
    await rename_default(forge)
    api = forge.api(forge.people["ada"])
    moved = await api.get(f"/repos/ada/engine/{path}?ref={prefix}main&x=1")
    assert moved.status_code == 301, moved.text
    new = f"{ORIGIN}/api/v3/repos/ada/engine/{path}?x=1&ref={quote(prefix, safe='')}new%2Ftrunk"
    assert moved.headers["location"] == new
    assert (await api.client.get(new)).status_code == (404 if path == "readme" else 200)
    assert (await api.get(f"/repos/ada/engine/{path}?ref=never")).status_code == 404
    assert (await api.get(f"/repos/ada/engine/{path}?ref=main/never")).status_code == 404


@pytest.mark.parametrize(("old", "new"), [("main", "new/trunk"), ("refs/heads/main", "refs/heads/new/trunk")])
async def test_an_archive_of_the_old_name_sends_on(forge: Forge, old: str, new: str) -> None:
    await rename_default(forge)
    browser = forge.browser()
    answer = await browser.get(f"/ada/engine/archive/{old}.tar.gz")
    assert (answer.status_code, answer.headers["location"]) == (302, f"/ada/engine/archive/{new}.tar.gz")
    assert (await browser.get(answer.headers["location"])).status_code == 200
    assert (await browser.get("/ada/engine/archive/main/x.zip")).status_code == 404
    asked = await forge.api().get(f"/repos/ada/engine/zipball/{old}")
    assert asked.headers["location"] == f"{ORIGIN}/ada/engine/archive/refs/heads/new/trunk.zip"


async def test_a_new_branch_of_the_old_name_is_shown(forge: Forge) -> None:
    await rename_default(forge)
    ada, browser = forge.people["ada"], forge.browser()
    assert (await browser.get("/ada/engine/tree/main")).status_code == 302
    sha = (await forge.api(ada).get("/repos/ada/engine/branches/new/trunk")).json()["commit"]["sha"]
    made = await forge.api(ada).call("POST", "/repos/ada/engine/git/refs", json={"ref": "refs/heads/main", "sha": sha})
    assert made.status_code == 201
    assert (await browser.get("/ada/engine/tree/main")).status_code == 200
    assert (await forge.api(ada).get("/repos/ada/engine/branches/main")).json()["name"] == "main"
    gone = await forge.api(ada).call("DELETE", "/repos/ada/engine/git/refs/heads/main")
    assert gone.status_code == 204
    assert (await browser.get("/ada/engine/tree/main")).status_code == 404


async def test_a_stranger_is_sent_nowhere(forge: Forge) -> None:
    """Attack: old names of a private repository's branches tell its new ones."""
    await rename_default(forge, visibility=Visibility.PRIVATE)
    for browser in (forge.browser(), forge.browser(await forge.person("eve"))):
        assert (await browser.get("/ada/engine/tree/main")).status_code == 404
        assert (await browser.get("/ada/engine/archive/main.zip")).status_code == 404
    eve = forge.api(forge.people["eve"])
    for path in ("branches/main", "contents?ref=main", "zipball/main"):
        assert (await eve.get(f"/repos/ada/engine/{path}")).status_code == 404
