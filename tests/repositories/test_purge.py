"""G4: after a purge nobody reads the secret by its id, in no fork; only site administrators may, and it is audited."""

from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories.accounts import actor_of, make_account
from tests.factories.forge import Forge, Person
from tests.factories.forking import fork, view_of
from tests.factories.passing_time import let_pass
from tests.factories.pushes import EMPTY_PACK, push, refs_of
from tests.factories.work import do_what_is_due
from tests.repositories.wiki.support import commit_files_to_wiki

from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS, SYSTEM, Actor
from cairn.base.errors import Invalid, NotFound
from cairn.db.database import Database
from cairn.git.collection import collect
from cairn.git.engine import Engine
from cairn.git.purge import StillReachable
from cairn.git.purged_objects import ObjectPurged
from cairn.git.ref_queries import ROOTS_KEPT
from cairn.git.types import ZERO_OID, Oid
from cairn.git.undo_packs import NothingToRestore
from cairn.repositories import fork_jobs
from cairn.repositories.create import NewRepository, create_repository
from cairn.repositories.delete import delete_repository
from cairn.repositories.fork import NewFork, fork_repository
from cairn.repositories.life.deleted import erase_repository, restore_repository
from cairn.repositories.purge import PURGED, RESTORED, purge_objects, restore_objects

assert fork_jobs, "importing them registers them"
MAIN = b"refs/heads/main"
SECRET = b"AKIA-not-for-everybody\n"


async def reads(forge: Forge, person: Person, full_name: str, oid: Oid, commit: Oid) -> dict[str, int]:
    """Return what each way in by id answers."""
    api, browser = forge.api(person), forge.browser(person)
    ways = {
        "blob": api.get(f"/repos/{full_name}/git/blobs/{oid}"),
        "commit": api.get(f"/repos/{full_name}/commits/{commit}"),
        "git commit": api.get(f"/repos/{full_name}/git/commits/{commit}"),
        "contents": api.get(f"/repos/{full_name}/contents/key.txt?ref={commit}"),
        "page": browser.get(f"/{full_name}/blob/{commit}/key.txt"),
        "raw": browser.get(f"/{full_name}/raw/{commit}/key.txt"),
        "commit page": browser.get(f"/{full_name}/commit/{commit}"),
    }
    return {name: (await answer).status_code for name, answer in ways.items()}


async def test_by_id_routes_answer_404_after_a_purge(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"README.md": b"# Engine"})
    state = await forge.engine.state(repository.store_id)
    first = (await forge.engine.snapshot(state)).refs[0].oid
    await forge.commit(ada, repository, {"key.txt": SECRET})
    leaked = (await refs_of(forge.engine, repository.store_id))[MAIN]
    answer = await forge.api(ada).get(f"/repos/{repository.full_name}/contents/key.txt")
    blob = Oid(answer.json()["sha"])
    before = await reads(forge, ada, repository.full_name, blob, leaked)
    assert set(before.values()) == {200}, before
    assert (await push(forge.engine, repository.store_id, [(MAIN, leaked, first)], EMPTY_PACK)).is_ok
    assert (await refs_of(forge.engine, repository.store_id))[MAIN] == first
    await purge_objects(forge.engine, SYSTEM, "ada", "engine", [blob])
    after = await reads(forge, ada, repository.full_name, blob, leaked)
    assert set(after.values()) == {404}, after


async def test_a_fork_made_after_a_purge_takes_the_object_from_nobody(forge: Forge) -> None:
    """Attack: somebody who kept a leaked key forks the repository it was purged from and pushes it there, so that it is
    in the network again. Before the fork is filled, too.
    """
    ada, ben = await forge.person("ada"), await forge.person("ben")
    repository = await forge.repository(ada, "engine", files={"README.md": b"# Engine"})
    first = (await refs_of(forge.engine, repository.store_id))[MAIN]
    leaked = await forge.commit(ada, repository, {"key.txt": SECRET})
    answer = await forge.api(ada).get(f"/repos/{repository.full_name}/contents/key.txt")
    assert (await push(forge.engine, repository.store_id, [(MAIN, Oid(leaked), first)], EMPTY_PACK)).is_ok
    await purge_objects(forge.engine, SYSTEM, "ada", "engine", [Oid(answer.json()["sha"])])
    begun = await fork_repository(forge.database, forge.engine, ben.actor, repository, NewFork())
    assert not begun.is_ready
    for _ in ("before it is filled", "after"):
        with pytest.raises(ObjectPurged):
            await forge.commit(ben, begun.repository, {"key.txt": SECRET}, branch=b"refs/heads/mine")
        await do_what_is_due(forge.engine)
    assert set(await refs_of(forge.engine, begun.repository.store_id)) == {MAIN}


async def test_a_purge_in_a_fork_reaches_what_is_deleted_and_may_come_back(forge: Forge) -> None:
    """Attack: the repository with the leaked key is deleted while it is purged from a fork, and restored afterwards."""
    ada, ben = await forge.person("ada"), await forge.person("ben")
    repository = await forge.repository(ada, "engine", files={"README.md": b"# Engine"})
    first = (await refs_of(forge.engine, repository.store_id))[MAIN]
    leaked = Oid(await forge.commit(ada, repository, {"key.txt": SECRET}))
    blob = Oid((await forge.api(ada).get("/repos/ada/engine/contents/key.txt")).json()["sha"])
    mine = await fork(forge, ben, repository)
    for store_id in (repository.store_id, mine.store_id):
        assert (await push(forge.engine, store_id, [(MAIN, leaked, first)], EMPTY_PACK)).is_ok
    async with forge.database.write() as session:
        await delete_repository(session, forge.engine, ada.actor, repository.id)
    assert (await view_of(forge, ben, mine)).parent_id is None
    await purge_objects(forge.engine, SYSTEM, "ben", "engine", [blob])
    async with forge.database.write() as session:
        await restore_repository(session, ada.actor, repository.id)
    after = await reads(forge, ada, repository.full_name, blob, leaked)
    assert set(after.values()) == {404}, after
    with pytest.raises(ObjectPurged):
        await forge.commit(ada, repository, {"key.txt": SECRET})


async def test_what_a_deleted_repository_still_reaches_is_named_and_not_purged(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    repository = await forge.repository(ada, "engine", files={"README.md": b"# Engine"})
    first = (await refs_of(forge.engine, repository.store_id))[MAIN]
    leaked = Oid(await forge.commit(ada, repository, {"key.txt": SECRET}))
    blob = Oid((await forge.api(ada).get("/repos/ada/engine/contents/key.txt")).json()["sha"])
    mine = await fork(forge, ben, repository)
    assert (await push(forge.engine, mine.store_id, [(MAIN, leaked, first)], EMPTY_PACK)).is_ok
    async with forge.database.write() as session:
        await delete_repository(session, forge.engine, ada.actor, repository.id)
    with pytest.raises(StillReachable, match=r"ada/engine \(deleted, not erased yet\)"):
        await purge_objects(forge.engine, SYSTEM, "ben", "engine", [blob])
    async with forge.database.write() as session:
        await erase_repository(session, forge.engine, ada.actor, repository.id, typed="ada/engine")
    await purge_objects(forge.engine, SYSTEM, "ben", "engine", [blob])
    after = await reads(forge, ben, mine.full_name, blob, leaked)
    assert set(after.values()) == {404}, after


async def test_the_wiki_of_a_deleted_repository_counts_though_it_shares_no_pack(forge: Forge) -> None:
    """What slipped into one place was often pasted into the other, and only the network leads from the fork there."""
    ada, ben = await forge.person("ada"), await forge.person("ben")
    repository = await forge.repository(ada, "engine", files={"README.md": b"# Engine"})
    mine = await fork(forge, ben, repository)
    first = (await refs_of(forge.engine, mine.store_id))[MAIN]
    leaked = Oid(await forge.commit(ben, mine, {"key.txt": SECRET}))
    blob = Oid((await forge.api(ben).get("/repos/ben/engine/contents/key.txt")).json()["sha"])
    assert (await push(forge.engine, mine.store_id, [(MAIN, leaked, first)], EMPTY_PACK)).is_ok
    await commit_files_to_wiki(forge, ada, repository, {b"Keys.md": SECRET})
    async with forge.database.write() as session:
        await delete_repository(session, forge.engine, ada.actor, repository.id)
    with pytest.raises(StillReachable, match=r"ada/engine\.wiki \(deleted, not erased yet\)"):
        await purge_objects(forge.engine, SYSTEM, "ben", "engine", [blob])


async def make(database: Database, engine: Engine) -> tuple[Actor, int]:
    async with database.write() as session:
        ada = actor_of(await make_account(session, "ada"))
    made = await create_repository(database, engine, ada, NewRepository(name="engine", with_readme=True))
    return ada, made.store_id


async def test_only_site_administrators_purge_and_restore(database: Database, engine: Engine) -> None:
    ada, store = await make(database, engine)
    tip = (await refs_of(engine, store))[MAIN]
    for actor in (ANONYMOUS, ada):
        with pytest.raises(NotFound):
            await purge_objects(engine, actor, "ada", "engine", [tip])
        with pytest.raises(NotFound):
            await restore_objects(engine, actor, "ada", "engine", tip, branch="back")
    with pytest.raises(NotFound):
        await purge_objects(engine, SYSTEM, "ada", "absent", [tip])
    with pytest.raises(Invalid):
        await purge_objects(engine, SYSTEM, "ada", "engine", [])
    with pytest.raises(StillReachable):
        await purge_objects(engine, SYSTEM, "ada", "engine", [tip])
    async with database.read() as session:
        written = set(await session.scalars(select(AuditEntry.action)))
    assert not written & {PURGED, RESTORED}, "what did not happen is not in the log"


async def test_restored_objects_are_a_new_branch_in_the_log(database: Database, engine: Engine, tmp_path: Path) -> None:
    _, store = await make(database, engine)
    lost = (await refs_of(engine, store))[MAIN]
    assert (await push(engine, store, [(MAIN, lost, ZERO_OID)])).is_ok
    with pytest.raises(NothingToRestore):
        await restore_objects(engine, SYSTEM, "ada", "engine", lost, branch="back")
    await let_pass(database, ROOTS_KEPT * 2)
    assert (await collect(engine, store)).dropped
    ref = await restore_objects(engine, SYSTEM, "Ada", "Engine", lost, branch="back")
    assert await refs_of(engine, store) == {ref: lost}
    with pytest.raises(Invalid, match="was not created"):
        await restore_objects(engine, SYSTEM, "ada", "engine", lost, branch="back")
    async with database.read() as session:
        entry = (await session.scalars(select(AuditEntry).where(AuditEntry.action == RESTORED))).one()
    assert entry.details == {"object": lost, "branch": "back"}
    assert (await push(engine, store, [(ref, lost, ZERO_OID)])).is_ok
    await purge_objects(engine, SYSTEM, "ada", "engine", [lost])
    async with database.read() as session:
        entry = (await session.scalars(select(AuditEntry).where(AuditEntry.action == PURGED))).one()
    assert entry.details["objects"] == lost
