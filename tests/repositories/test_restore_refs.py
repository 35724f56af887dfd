"""A repository's refs go back to a moment, all or none, and what is gone is told."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from tests.factories.forge import Forge, Person
from tests.factories.pushes import push

from cairn.audit.models import AuditEntry
from cairn.base.actor import SYSTEM
from cairn.base.errors import Forbidden
from cairn.git.models import PurgedRoot, RefLog
from cairn.git.types import ZERO_OID, Oid
from cairn.repositories.queries import RepositoryView
from cairn.repositories.restore_refs import MomentOutOfReach, RefsKeptMoving, plan_ref_restore, restore_refs

pytest_plugins = ["tests.factories.forge"]
MAIN, SIDE = b"refs/heads/main", b"refs/heads/side"


async def _refs(forge: Forge, repository: RepositoryView) -> dict[bytes, Oid]:
    snapshot = await forge.engine.snapshot(await forge.engine.state(repository.store_id))
    return {ref.name: ref.oid for ref in snapshot.refs}


async def _past(forge: Forge) -> None:
    """Move everything logged so far an hour back, so that now is after it and the past has room."""
    async with forge.database.write() as session:
        for line in await session.scalars(select(RefLog)):
            line.at -= timedelta(hours=1)


async def _story(forge: Forge) -> tuple[Person, RepositoryView, dict[bytes, Oid]]:
    """A repository with two branches; an hour later one was moved, one deleted, one created."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"a": b"1"})
    await forge.commit(ada, repository, {"b": b"2"}, branch=SIDE)
    before = await _refs(forge, repository)
    await _past(forge)
    await forge.commit(ada, repository, {"a": b"broken"}, "Oops")
    await forge.commit(ada, repository, {"c": b"3"}, branch=b"refs/heads/new")
    await _delete(forge, repository, SIDE)
    return ada, repository, before


async def _delete(forge: Forge, repository: RepositoryView, name: bytes) -> None:
    refs = await _refs(forge, repository)
    assert (await push(forge.engine, repository.store_id, [(name, refs[name], ZERO_OID)])).is_ok


async def test_everything_goes_back_and_comes_forward_again(forge: Forge) -> None:
    ada, repository, before = await _story(forge)
    after = await _refs(forge, repository)
    now = await forge.database.now()
    then = now - timedelta(minutes=30)
    changes = await plan_ref_restore(forge.engine, repository.store_id, then)
    assert {change.name: (change.now, change.then) for change in changes} == {
        MAIN: (after[MAIN], before[MAIN]),
        SIDE: (ZERO_OID, before[SIDE]),
        b"refs/heads/new": (after[b"refs/heads/new"], ZERO_OID),
    }
    assert all(change.is_available for change in changes)
    assert await _refs(forge, repository) == after, "a plan changes nothing"
    outcomes = await restore_refs(forge.engine, repository.store_id, repository.id, SYSTEM, changes)
    assert all(outcome.moved for outcome in outcomes)
    assert await _refs(forge, repository) == before
    assert await plan_ref_restore(forge.engine, repository.store_id, then) == []
    async with forge.database.read() as session:
        entries = await session.scalars(select(AuditEntry).where(AuditEntry.actor == SYSTEM.label))
        assert any(MAIN.decode() in entry.details for entry in entries)
    again = await plan_ref_restore(forge.engine, repository.store_id, now)
    await restore_refs(forge.engine, repository.store_id, repository.id, ada.actor, again)
    assert await _refs(forge, repository) == after


async def test_only_the_refs_that_are_named_go_back(forge: Forge) -> None:
    _, repository, before = await _story(forge)
    then = await forge.database.now() - timedelta(minutes=30)
    changes = await plan_ref_restore(forge.engine, repository.store_id, then, names=[SIDE])
    assert [(change.name, change.then) for change in changes] == [(SIDE, before[SIDE])]


async def test_a_moment_before_the_log_or_ahead_is_refused(forge: Forge) -> None:
    _, repository, _ = await _story(forge)
    now = await forge.database.now()
    for moment in (now - timedelta(days=91), now + timedelta(hours=1)):
        with pytest.raises(MomentOutOfReach, match="goes back to"):
            await plan_ref_restore(forge.engine, repository.store_id, moment)


async def test_what_is_gone_or_purged_is_told_and_left_as_it_is(forge: Forge) -> None:
    _, repository, before = await _story(forge)
    async with forge.database.write() as session:
        await session.execute(
            update(RefLog).where(RefLog.name == SIDE, RefLog.new_oid == before[SIDE]).values(new_oid="9" * 40)
        )
        session.add(PurgedRoot(store_id=repository.store_id, oid=before[MAIN]))
    then = await forge.database.now() - timedelta(minutes=30)
    changes = await plan_ref_restore(forge.engine, repository.store_id, then, names=[MAIN, SIDE])
    assert [(change.name, change.is_available) for change in changes] == [(MAIN, False), (SIDE, False)]
    assert await restore_refs(forge.engine, repository.store_id, repository.id, SYSTEM, changes) == []


async def test_a_push_that_comes_between_plan_and_restore_wins(forge: Forge) -> None:
    ada, repository, _ = await _story(forge)
    then = await forge.database.now() - timedelta(minutes=30)
    changes = await plan_ref_restore(forge.engine, repository.store_id, then)
    await forge.commit(ada, repository, {"a": b"mended"}, "Mend")
    after = await _refs(forge, repository)
    with pytest.raises(RefsKeptMoving, match="stale info"):
        await restore_refs(forge.engine, repository.store_id, repository.id, SYSTEM, changes)
    assert await _refs(forge, repository) == after


async def test_somebody_who_may_not_push_may_not_restore(forge: Forge) -> None:
    _, repository, _ = await _story(forge)
    stranger = await forge.person("mallory")
    changes = await plan_ref_restore(
        forge.engine, repository.store_id, await forge.database.now() - timedelta(minutes=30)
    )
    with pytest.raises(Forbidden):
        await restore_refs(forge.engine, repository.store_id, repository.id, stranger.actor, changes)
