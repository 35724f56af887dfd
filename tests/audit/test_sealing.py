"""Entries become links of a chain once nothing can come between them any more."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, IntegrityError
from tests.audit.log_support import NO_WINDOW, anybody, findings, make_organization, seal, write
from tests.factories.databases import Shelf

from cairn.audit.chain import FIRST_PREVIOUS
from cairn.audit.models import AuditEntry, AuditSeal, SealKind
from cairn.audit.record import record
from cairn.audit.sealing import SAFE_WINDOW, append_seal, seal_entries
from cairn.base.actor import SYSTEM
from cairn.base.errors import Conflict
from cairn.db.database import Database, DatabaseAway, open_database


@pytest.fixture
async def postgresql_database(postgresql_shelf: Shelf) -> AsyncIterator[Database]:
    """A database on which two transactions write at once."""
    for url in postgresql_shelf.lend():
        database = open_database(url, pool_size=3)
        try:
            yield database
        finally:
            await database.close()


async def _seals(database: Database) -> list[AuditSeal]:
    async with database.read() as session:
        return list(await session.scalars(select(AuditSeal).order_by(AuditSeal.log_id, AuditSeal.number)))


async def test_each_log_has_a_chain_of_its_own(any_database: Database) -> None:
    async with any_database.write() as session:
        organization = await make_organization(session, "stones")
    await write(any_database, 3)
    await write(any_database, 2, account_id=organization.id)
    assert await seal(any_database) == 5
    await write(any_database, 1)
    assert await seal(any_database) == 1
    first, second, theirs = await _seals(any_database)
    assert [(s.log_id, s.number, s.entries) for s in (first, second, theirs)] == [
        (0, 1, 3), (0, 2, 1), (organization.id, 1, 2),
    ]  # fmt: skip
    assert first.previous_sha256 == theirs.previous_sha256 == FIRST_PREVIOUS
    assert second.previous_sha256 == first.sha256
    assert {s.kind for s in (first, second, theirs)} == {SealKind.ENTRIES}
    assert await findings(any_database) == []


async def test_what_is_young_waits_for_transactions_that_began_before(any_database: Database) -> None:
    await write(any_database, 2)
    assert await seal_entries(any_database, within=anybody, window=SAFE_WINDOW) == 0
    assert await seal_entries(any_database, within=anybody, window=NO_WINDOW) == 2
    assert await seal_entries(any_database, within=anybody, window=NO_WINDOW) == 0


async def test_an_entry_that_commits_after_its_range_was_sealed_stays_visible_as_unsealed(
    postgresql_database: Database,
) -> None:
    """A transaction takes id 1, another id 2; the second is sealed before the first commits."""
    late = postgresql_database.begin()
    async with late:
        record(late, SYSTEM, "test.late", "late")
        await late.flush()
        await write(postgresql_database, 1)
        assert await seal(postgresql_database) == 1
        await late.commit()
    [sentence] = await findings(postgresql_database)
    assert "put into the range of seal 1 later; no seal covers it" in sentence
    assert await seal(postgresql_database) == 0


async def test_many_entries_become_several_links(any_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cairn.audit.sealing.SEALED_AT_ONCE", 4)
    await write(any_database, 10)
    assert await seal(any_database) == 10
    assert [s.entries for s in await _seals(any_database)] == [4, 4, 2]
    assert await findings(any_database) == []


async def test_a_worker_that_lost_its_lease_seals_nothing(any_database: Database) -> None:
    async def lost(_: object) -> None:
        raise Conflict("Another worker has this.")

    await write(any_database, 1)
    with pytest.raises(Conflict):
        await seal_entries(any_database, within=lost, window=NO_WINDOW)
    assert await _seals(any_database) == []


async def test_of_two_that_add_the_same_link_one_fails(any_database: Database) -> None:
    await write(any_database, 1)
    await seal(any_database)
    [first] = await _seals(any_database)
    with pytest.raises(IntegrityError):
        await _add(any_database, _copy(first))
    async with any_database.write() as session:
        assert (await append_seal(session, _copy(first))).number == 2


async def _add(database: Database, seal: AuditSeal) -> None:
    async with database.write() as session:
        session.add(seal)


def _copy(seal: AuditSeal) -> AuditSeal:
    return AuditSeal(**{column.key: getattr(seal, column.key) for column in AuditSeal.__table__.columns})


async def test_the_database_itself_refuses_to_change_or_delete_what_was_written(any_database: Database) -> None:
    await write(any_database, 1)
    await seal(any_database)
    for statement in (
        "UPDATE audit_entry SET actor = 'nobody'",
        "DELETE FROM audit_entry",
        "UPDATE audit_seal SET entries = 7",
        "DELETE FROM audit_seal",
    ):
        with pytest.raises((DBAPIError, DatabaseAway), match="append-only"):
            async with any_database.write() as session:
                await (await session.connection()).exec_driver_sql(statement)
    async with any_database.read() as session:
        assert (await session.scalars(select(AuditEntry.actor))).all() == ["system"]


def test_the_window_outlives_every_transaction() -> None:
    """Statements and idle transactions end within 30 seconds each."""
    assert timedelta(minutes=5) <= SAFE_WINDOW
