"""G4: after a purge nobody reads the secret by its id, in no fork; only site administrators may, and it is audited."""

from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories.accounts import actor_of, make_account
from tests.factories.forge import Forge, Person
from tests.factories.passing_time import let_pass
from tests.factories.pushes import EMPTY_PACK, push, refs_of
from tests.factories.work import do_what_is_due

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
from cairn.repositories.fork import NewFork, fork_repository
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
