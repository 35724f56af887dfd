"""Entries are found by what was asked, page by page, on every database."""

from datetime import UTC, datetime

import pytest
from tests.audit.log_support import make_organization, seal, write
from tests.factories.accounts import make_account
from tests.factories.repositories import make_repository

from cairn.audit.queries import AuditFilter, iterate_entries, list_entries, seal_state
from cairn.audit.record import record
from cairn.base.actor import SYSTEM
from cairn.base.origin import Origin
from cairn.db.database import Database

EARLY, LATE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)


async def _targets(database: Database, wanted: AuditFilter, limit: int = 50, **page: int) -> list[str]:
    async with database.read() as session:
        return [row.target for row in await list_entries(session, wanted, limit=limit, **page)]


async def test_each_filter_selects_what_it_says(any_database: Database) -> None:
    async with any_database.write() as session:
        organization = await make_organization(session, "stones")
        repository = await make_repository(session, await make_account(session, "ada"))
        record(session, SYSTEM, "repository.create", "One_1", repository_id=repository.id, details={"é": "Übung"})
        record(session, SYSTEM, "repository.delete", "two%2", account_id=organization.id, changes={"a": ("old", "NEW")})
        record(session, SYSTEM, "session.create", "three", origin=Origin("192.0.2.7"))
    for wanted, found in (
        (AuditFilter(), ["three", "two%2", "One_1"]),
        (AuditFilter(organization_id=organization.id), ["two%2"]),
        (AuditFilter(repository_id=repository.id), ["One_1"]),
        (AuditFilter(actor="SYSTEM", action="repository."), ["two%2", "One_1"]),
        (AuditFilter(action="repository"), []),
        (AuditFilter(action="session.create"), ["three"]),
        (AuditFilter(address="192.0.2.7"), ["three"]),
        (AuditFilter(text="ONE_"), ["One_1"]),
        (AuditFilter(text="%"), ["two%2"]),
        (AuditFilter(text="bung"), ["One_1"]),
        (AuditFilter(text="Übung"), ["One_1"]),
        (AuditFilter(text="new"), ["two%2"]),
        (AuditFilter(since=EARLY, until=LATE), ["three", "two%2", "One_1"]),
        (AuditFilter(until=EARLY), []),
        (AuditFilter(since=LATE), []),
    ):
        assert await _targets(any_database, wanted) == found, wanted


async def test_pages_go_on_from_an_id_in_both_directions(any_database: Database) -> None:
    await write(any_database, 5)
    async with any_database.read() as session:
        ids = [row.id for row in await list_entries(session, AuditFilter(), limit=50)]
    assert await _targets(any_database, AuditFilter(), 2, before_id=ids[1]) == ["thing-2", "thing-1"]
    assert await _targets(any_database, AuditFilter(), 2, after_id=ids[4]) == ["thing-2", "thing-1"]


async def test_a_walk_over_all_entries_reads_some_at_a_time(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.audit.queries.EXPORTED_AT_ONCE", 2)
    await write(any_database, 5)
    found = [row.target async for row in iterate_entries(any_database, AuditFilter())]
    assert found == [f"thing-{number}" for number in (4, 3, 2, 1, 0)]


async def test_the_seal_state_says_how_far_a_log_is_sealed(any_database: Database) -> None:
    async with any_database.read() as session:
        assert (await seal_state(session, 0)).through == 0
    await write(any_database, 2)
    await seal(any_database)
    async with any_database.read() as session:
        state = await seal_state(session, 0)
        [newest, _] = await list_entries(session, AuditFilter(), limit=2)
    assert (state.through, state.number, len(state.sha256)) == (newest.id, 1, 64)
