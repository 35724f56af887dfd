"""Making, renaming and deleting branches and tags on their pages."""

from tests.factories.forge import Forge, Person
from tests.factories.forking import heads

from cairn.access.roles import Role
from cairn.repositories.queries import RepositoryView

AT = "/ada/engine"


async def make(forge: Forge) -> tuple[Person, RepositoryView, str]:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"a": b"0\n"})
    return ada, repository, (await heads(forge, repository))["refs/heads/main"]


async def test_a_branch_is_made_renamed_and_deleted(forge: Forge) -> None:
    ada, repository, head = await make(forge)
    browser = forge.browser(ada)
    assert f"{AT}/branches/new" in (await browser.get(f"{AT}/branches")).text
    assert f"{AT}/branches/new?name=topic" in (await browser.get(f"{AT}/refs?q=topic")).text
    assert 'value="main"' in (await browser.get(f"{AT}/branches/new")).text
    answer = await browser.submit(f"{AT}/branches/new", {"name": "feature/x", "start": "main"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{AT}/tree/feature/x")
    assert f"{AT}/branches/edit?name=feature%2Fx" in (await browser.get(f"{AT}/branches")).text
    page = await browser.get(f"{AT}/branches/edit?name=feature%2Fx")
    assert "Rename branch" in page.text
    answer = await browser.submit(f"{AT}/branches/rename", {"branch": "feature/x", "name": "feature/y"})
    assert answer.status_code == 303, answer.text
    assert await heads(forge, repository) == {"refs/heads/main": head, "refs/heads/feature/y": head}
    moved = await forge.commit(ada, repository, {"a": b"1\n"}, branch=b"refs/heads/feature/y")
    answer = await browser.submit(f"{AT}/branches/delete", {"name": "feature/y", "oid": head})
    assert (answer.status_code, "moved while it was changed" in answer.text) == (422, True)
    answer = await browser.submit(f"{AT}/branches/delete", {"name": "feature/y", "oid": moved})
    assert answer.status_code == 303
    assert await heads(forge, repository) == {"refs/heads/main": head}


async def test_a_refusal_is_shown_beside_what_was_typed(forge: Forge) -> None:
    ada, repository, head = await make(forge)
    browser = forge.browser(ada)
    for name, start, words in (
        ("a b", "main", "is not a valid ref name"),
        ("main", "main", "already exists"),
        ("x", "nowhere", "no branch, tag or commit"),
        ("main/sub", "main", "name conflict"),
        ("gh-readonly-queue/x", "main", "reserved"),
    ):
        answer = await browser.submit(f"{AT}/branches/new", {"name": name, "start": start})
        assert (answer.status_code, words in answer.text, f'value="{name}"' in answer.text) == (422, True, True), name
    answer = await browser.submit(f"{AT}/branches/rename", {"branch": "main", "name": "a..b"})
    assert (answer.status_code, 'value="a..b"' in answer.text) == (422, True)
    answer = await browser.submit(f"{AT}/branches/delete", {"name": "main", "oid": head})
    assert (answer.status_code, "is the default branch" in answer.text) == (422, True)
    assert (await browser.get(f"{AT}/branches/edit?name=gone")).status_code == 404
    assert await heads(forge, repository) == {"refs/heads/main": head}


async def test_the_default_branch_is_renamed_and_stays_it(forge: Forge) -> None:
    ada, repository, head = await make(forge)
    answer = await forge.browser(ada).submit(f"{AT}/branches/rename", {"branch": "main", "name": "trunk"})
    assert answer.status_code == 303, answer.text
    assert await heads(forge, repository) == {"refs/heads/trunk": head}
    assert (await forge.api(ada).get("/repos/ada/engine")).json()["default_branch"] == "trunk"


async def test_a_tag_is_deleted_after_asking(forge: Forge) -> None:
    ada, repository, head = await make(forge)
    await forge.api(ada).call("POST", "/repos/ada/engine/git/refs", json={"ref": "refs/tags/v1", "sha": head})
    browser = forge.browser(ada)
    assert f"{AT}/tags/delete?name=v1" in (await browser.get(f"{AT}/tags")).text
    assert head in (await browser.get(f"{AT}/tags/delete?name=v1")).text
    answer = await browser.submit(f"{AT}/tags/delete", {"name": "v1", "oid": head})
    assert answer.status_code == 303, answer.text
    assert await heads(forge, repository) == {"refs/heads/main": head}
    assert (await browser.get(f"{AT}/tags/delete?name=v1")).status_code == 404


async def test_readers_see_no_way_and_have_none(forge: Forge) -> None:
    ada, repository, head = await make(forge)
    ben = await forge.person("ben")
    await forge.grant(repository, ben, Role.READ)
    await forge.api(ada).call("POST", "/repos/ada/engine/git/refs", json={"ref": "refs/tags/v1", "sha": head})
    browser = forge.browser(ben)
    for path in ("branches", "tags", "refs"):
        text = (await browser.get(f"{AT}/{path}")).text
        assert "/branches/new" not in text
        assert "/branches/edit" not in text
        assert "/tags/delete" not in text
    for path in ("branches/new", "branches/edit?name=main", "tags/delete?name=v1"):
        assert (await browser.get(f"{AT}/{path}")).status_code == 403
    for path, fields in (
        ("branches/new", {"name": "x", "start": "main"}),
        ("branches/rename", {"branch": "main", "name": "x"}),
        ("branches/delete", {"name": "main", "oid": head}),
        ("tags/delete", {"name": "v1", "oid": head}),
    ):
        assert (await browser.submit(f"{AT}/{path}", fields)).status_code == 403
    assert await heads(forge, repository) == {"refs/heads/main": head, "refs/tags/v1": head}
