"""Every edit of the server lands on each database, by the rules of a push."""

import asyncio

import pytest
from sqlalchemy import select
from tests.factories.accounts import actor_of, make_account

from cairn.audit.models import AuditEntry
from cairn.base.actor import Actor
from cairn.base.ids import random_id
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.models import Ref, RefLog
from cairn.git.ref_names import KEPT_OBJECTS, RefNameInvalid
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID, Oid
from cairn.repositories.create import NewRepository, create_repository
from cairn.repositories.editing.change_refs import RefKeptMoving, create_ref, delete_ref, merge_branch, rename_branch
from cairn.repositories.editing.changes import PutFile
from cairn.repositories.editing.commit_changes import commit_changes
from cairn.repositories.editing.landing import RefRefused, RefReserved, land_change, require_writable, short_ref
from cairn.repositories.editing.new_objects import make_blob
from cairn.repositories.editing.proving import kinds_of
from cairn.repositories.queries import RepositoryView

MAIN, TOPIC = b"refs/heads/main", b"refs/heads/topic"


async def make(database: Database, engine: Engine) -> tuple[Actor, RepositoryView]:
    async with database.write() as session:
        alice = actor_of(await make_account(session, "alice"))
    made = await create_repository(database, engine, alice, NewRepository(name="engine", with_readme=True))
    return alice, made


async def refs(database: Database, repository: RepositoryView) -> dict[bytes, str]:
    async with database.read() as session:
        rows = await session.execute(select(Ref.name, Ref.oid).where(Ref.store_id == repository.store_id))
        return {bytes(name): oid for name, oid in rows}


async def test_edits_land_one_on_another_and_leave_their_traces(database: Database, engine: Engine) -> None:
    alice, repository = await make(database, engine)
    done = await asyncio.gather(
        *(
            commit_changes(
                engine, alice, repository, branch=MAIN, changes=[PutFile(b"f%d" % n, b"%d" % n)], message=f"m{n}"
            )
            for n in range(5)
        )
    )
    tip = (await refs(database, repository))[MAIN]
    assert len({one.parent for one in done}) == 5
    assert tip in {one.oid for one in done}
    side = await commit_changes(
        engine, alice, repository, branch=MAIN, new_branch=TOPIC, changes=[PutFile(b"t", b"t")], message="t"
    )
    merged = await merge_branch(engine, alice, repository, base=MAIN, head=side.oid, head_label="topic")
    assert merged is not None
    renamed = await rename_branch(engine, alice, repository, TOPIC, b"refs/heads/done")
    assert await refs(database, repository) == {MAIN: merged.oid, b"refs/heads/done": renamed.oid}
    async with database.read() as session:
        actions = list(await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
    assert actions.count("repository.push") >= 8
    assert "repository.rename_branch" in actions


async def test_a_kept_object_is_a_root_and_no_ref(database: Database, engine: Engine) -> None:
    alice, repository = await make(database, engine)
    before = await refs(database, repository)
    blob = await make_blob(engine, alice, repository, b"kept\n")
    assert await make_blob(engine, alice, repository, b"kept\n") == blob
    assert await refs(database, repository) == before
    assert set(await kinds_of(engine, repository, [blob, Oid("1" * 40)])) == {blob}
    async with database.read() as session:
        lines = await session.execute(
            select(RefLog.old_oid, RefLog.new_oid, RefLog.is_rewind)
            .where(RefLog.store_id == repository.store_id, RefLog.name == KEPT_OBJECTS)
            .order_by(RefLog.ref_version, RefLog.position)
        )
        assert [tuple(line) for line in lines] == [(ZERO_OID, blob, False), (blob, ZERO_OID, True)] * 2


async def test_a_plan_that_came_too_late_is_told_from_one_that_a_rule_refuses(
    database: Database, engine: Engine
) -> None:
    alice, repository = await make(database, engine)
    head = Oid((await refs(database, repository))[MAIN])
    state = await engine.state(repository.store_id)
    await create_ref(engine, alice, repository, TOPIC, head)
    late = await engine.stager.stage_deletions(state, [RefUpdate(TOPIC, Oid("1" * 40), ZERO_OID)], is_atomic=True)
    assert await land_change(engine, late, alice, repository.id, push_id=random_id()) is None
    both = [RefUpdate(TOPIC, head, ZERO_OID), RefUpdate(MAIN, head, ZERO_OID)]
    refused = await engine.stager.stage_deletions(state, both, is_atomic=True)
    with pytest.raises(RefRefused, match="main was not changed: main is the default branch") as caught:
        await land_change(engine, refused, alice, repository.id, push_id=random_id())
    assert caught.value.name == MAIN
    with pytest.raises(RefKeptMoving):
        await delete_ref(engine, alice, repository, TOPIC, expected=Oid("1" * 40))
    assert await refs(database, repository) == {MAIN: head, TOPIC: head}


async def test_only_names_that_people_may_have_are_written(engine: Engine) -> None:
    require_writable(engine, b"refs/renovate/branches/x")
    for name in (b"refs/pull/1/head", b"refs/cairn/kept", b"refs/for/main", b"refs/heads/gh-readonly-queue/x"):
        with pytest.raises(RefReserved):
            require_writable(engine, name)
    with pytest.raises(RefNameInvalid):
        require_writable(engine, b"refs/heads/a..b")
    assert (short_ref(MAIN), short_ref(b"refs/tags/v1")) == ("main", "refs/tags/v1")
