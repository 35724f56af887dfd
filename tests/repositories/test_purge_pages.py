"""A purge by page and over REST: it says first what it would do, and only administrators of the site find it."""

from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select, update
from tests.factories.forge import PACKAGES, Forge, Person, open_forge
from tests.factories.pushes import EMPTY_PACK, push
from tests.factories.work import do_what_is_due

from cairn.access.roles import Role, Visibility
from cairn.audit.models import AuditEntry
from cairn.base.clock import utc_now
from cairn.git.store_sizes import mend_sizes
from cairn.git.types import ZERO_OID, Oid
from cairn.identity.models import Session
from cairn.repositories import fork_jobs
from cairn.repositories.purge import PURGED
from cairn.repositories.queries import RepositoryView

assert fork_jobs, "importing them registers them"
LEAK = b"refs/heads/leak"
SECRET = b"AKIA-not-for-everybody\n"
PAGE = "/ada/engine/settings/purge"
API = "/api/cairn/v1/repos/ada/engine/purge"


class Leak(NamedTuple):
    """A repository with a secret on a branch of its own, and who may do something about it."""

    root: Person
    ada: Person
    repository: RepositoryView
    commit: Oid
    blob: Oid


@pytest.fixture
async def leak(forge: Forge) -> Leak:
    return await make_leak(forge)


async def make_leak(forge: Forge) -> Leak:
    root, ada = await forge.person("root", is_site_admin=True), await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"README.md": b"# Engine"}, visibility=Visibility.PRIVATE)
    commit = Oid(await forge.commit(ada, repository, {"key.txt": SECRET}, branch=LEAK))
    answer = await forge.api(ada).get(f"/repos/ada/engine/contents/key.txt?ref={commit}")
    return Leak(root, ada, repository, commit, Oid(answer.json()["sha"]))


async def delete_branch(forge: Forge, leak: Leak) -> None:
    assert (await push(forge.engine, leak.repository.store_id, [(LEAK, leak.commit, ZERO_OID)], EMPTY_PACK)).is_ok


async def purges_in_log(forge: Forge) -> list[AuditEntry]:
    async with forge.database.read() as session:
        return list(await session.scalars(select(AuditEntry).where(AuditEntry.action == PURGED)))


async def ask(forge: Forge, person: Person | None, objects: list[str], *, dry_run: bool) -> tuple[int, dict[str, Any]]:
    token = await forge.token(person.account, "site_admin", "repo") if person else None
    answer = await forge.api(token).client.post(API, json={"objects": objects, "dry_run": dry_run})
    return answer.status_code, answer.json()


async def test_a_dry_run_names_what_prevents_the_purge_and_changes_nothing(forge: Forge, leak: Leak) -> None:
    absent = "0" * 39 + "1"
    for _ in ("once", "and again: nothing has changed"):
        status, said = await ask(forge, leak.root, [leak.blob, absent], dry_run=True)
        assert status == 200
        assert (said["dry_run"], said["possible"]) == (True, False)
        assert said["refs"] == [{"repository": "ada/engine", "ref": "refs/heads/leak"}]
        assert said["objects"] == [
            {"sha": absent, "type": None, "size": None, "repositories": []},
            {"sha": leak.blob, "type": "blob", "size": len(SECRET), "repositories": ["ada/engine"]},
        ], "in the order of the ids"
        assert said["packs"] == 1
    status, said = await ask(forge, leak.root, [leak.blob], dry_run=False)
    assert (status, "refs/heads/leak of ada/engine" in str(said["message"])) == (409, True)
    assert await purges_in_log(forge) == []


async def test_a_purge_over_rest_does_what_its_dry_run_said(forge: Forge, leak: Leak) -> None:
    await delete_branch(forge, leak)
    _, foreseen = await ask(forge, leak.root, [leak.blob], dry_run=True)
    assert (foreseen["possible"], foreseen["refs"]) == (True, [])
    status, done = await ask(forge, leak.root, [leak.blob], dry_run=False)
    assert status == 200
    assert (done["dry_run"], done["packs"], done["repositories"]) == (False, foreseen["packs"], ["ada/engine"])
    _, after = await ask(forge, leak.root, [leak.blob], dry_run=True)
    assert (after["packs"], after["objects"][0]["type"]) == (0, None)
    [entry] = await purges_in_log(forge)
    assert (entry.details["objects"], entry.actor) == (leak.blob, "root")
    assert (await forge.api(leak.ada).get(f"/repos/ada/engine/git/blobs/{leak.blob}")).status_code == 404


async def test_a_dry_run_names_forks_and_the_refs_of_theirs(forge: Forge, leak: Leak) -> None:
    ben = await forge.person("ben")
    await forge.grant(leak.repository, ben, Role.READ)
    made = await forge.api(ben).call("POST", "/repos/ada/engine/forks", json={})
    assert made.status_code == 202
    await do_what_is_due(forge.engine)
    assert await mend_sizes(forge.database) == 0, "the sizes of both follow the packs they share"
    await delete_branch(forge, leak)
    status, said = await ask(forge, leak.root, [leak.blob], dry_run=True)
    assert status == 200
    assert said["repositories"] == ["ada/engine", "ben/engine"]
    assert said["refs"] == [{"repository": "ben/engine", "ref": "refs/heads/leak"}]
    status, refused = await ask(forge, leak.root, [leak.blob], dry_run=False)
    assert (status, "refs/heads/leak of ben/engine" in str(refused["message"])) == (409, True)


async def test_the_page_shows_first_and_purges_by_the_whole_name(forge: Forge, leak: Leak) -> None:
    browser = forge.browser(leak.root)
    assert f'href="{PAGE}"' in (await browser.get("/ada/engine/settings")).text
    assert f'href="{PAGE}"' not in (await forge.browser(leak.ada).get("/ada/engine/settings")).text
    shown = (await browser.get(f"{PAGE}?objects={leak.blob}")).text
    assert "these refs still reach it" in shown
    assert "refs/heads/leak" in shown
    assert 'name="full_name"' not in shown, "there is nothing to confirm yet"
    typed = {"objects": leak.blob, "full_name": "ada/engine"}
    refused = await browser.submit(PAGE, typed, page="/ada/engine/settings")
    assert (refused.status_code, "refs/heads/leak" in refused.text) == (422, True)
    await delete_branch(forge, leak)
    assert 'name="full_name"' in (await browser.get(f"{PAGE}?objects={leak.blob}")).text
    wrong = await browser.submit(PAGE, typed | {"full_name": "engine"}, page="/ada/engine/settings")
    assert (wrong.status_code, "Type ada/engine to purge them." in wrong.text) == (422, True)
    assert await purges_in_log(forge) == []
    done = await browser.submit(PAGE, typed, page="/ada/engine/settings")
    assert (done.status_code, done.headers["location"]) == (303, PAGE)
    assert "not here" in (await browser.get(f"{PAGE}?objects={leak.blob}")).text
    assert len(await purges_in_log(forge)) == 1


KINDS = ["name", "short", "many"]


@pytest.mark.parametrize("objects", ["main", "0" * 39, " ".join(f"{n:040x}" for n in range(101))], ids=KINDS)
async def test_what_is_no_list_of_objects_is_told_at_its_field(forge: Forge, leak: Leak, objects: str) -> None:
    shown = await forge.browser(leak.root).get(PAGE, params={"objects": objects})
    assert (shown.status_code, 'aria-invalid="true"' in shown.text) == (422, True)
    status, said = await ask(forge, leak.root, objects.split(), dry_run=True)
    assert (status, said["errors"][0]["field"]) == (422, "objects")


WHO = ["anonymous", "stranger", "reader", "triager", "writer", "maintainer", "administrator", "owner", "suspended"]


@pytest.mark.parametrize("who", WHO)
async def test_nobody_but_administrators_of_the_site_finds_it(forge: Forge, leak: Leak, who: str) -> None:
    """Attack: whoever administers a repository learns what private forks hold, or takes objects from them."""
    await delete_branch(forge, leak)
    roles = {"reader": Role.READ, "triager": Role.TRIAGE, "writer": Role.WRITE, "maintainer": Role.MAINTAIN}
    person = leak.ada if who == "owner" else None
    if who not in {"owner", "anonymous"}:
        person = await forge.person(who, suspended_at=utc_now() if who == "suspended" else None)
        if who != "stranger":
            await forge.grant(leak.repository, person, roles.get(who, Role.ADMIN))
    browser = forge.browser(person)
    typed = {"objects": leak.blob, "full_name": "ada/engine"}
    assert (await browser.get(f"{PAGE}?objects={leak.blob}")).status_code in NOT_THERE
    assert (await browser.submit(PAGE, typed, page="/-/appearance")).status_code in NOT_THERE
    for dry_run in (True, False):
        assert (await ask(forge, person, [leak.blob], dry_run=dry_run))[0] in NOT_THERE
    assert await purges_in_log(forge) == []


NOT_THERE = {401, 403, 404}


@pytest.mark.parametrize("kind", ["narrow", "expired"])
async def test_an_administrators_lesser_token_does_not_purge(forge: Forge, leak: Leak, kind: str) -> None:
    await delete_branch(forge, leak)
    scopes, ends = (("repo",), None) if kind == "narrow" else (("site_admin",), utc_now() - timedelta(hours=1))
    token = await forge.token(leak.root.account, *scopes, expires_at=ends)
    for dry_run in (True, False):
        answer = await forge.api(token).client.post(API, json={"objects": [leak.blob], "dry_run": dry_run})
        assert answer.status_code in {401, 403}
    assert await purges_in_log(forge) == []


async def test_who_did_not_prove_it_lately_is_asked_for_the_password_first(
    tmp_path: Path, sqlite_template: Path
) -> None:
    packages = (*PACKAGES, "cairn.identity")
    async with open_forge(tmp_path / "forge", sqlite_template, packages=packages) as forge:
        leak = await make_leak(forge)
        await delete_branch(forge, leak)
        async with forge.database.write() as session:
            await session.execute(update(Session).values(proved_at=utc_now() - timedelta(days=1)))
        typed = {"objects": leak.blob, "full_name": "ada/engine"}
        answer = await forge.browser(leak.root).submit(PAGE, typed, page="/ada/engine/settings")
        assert "sudo_password" in answer.text
        assert await purges_in_log(forge) == []
