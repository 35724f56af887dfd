"""Old entries go, their seals stay, and the chain still tells what was taken away by whom."""

from datetime import timedelta

from sqlalchemy import func, select
from tests.audit.log_support import age, anybody, findings, make_organization, seal, tamper, write

from cairn.audit.models import AuditEntry, AuditSeal, SealKind
from cairn.audit.retention import expire_entries
from cairn.db.database import Database

YEAR = timedelta(days=365)


async def _expire(database: Database) -> int:
    return await expire_entries(database, keep=YEAR, within=anybody)


async def _targets(database: Database) -> list[str]:
    async with database.read() as session:
        return list(await session.scalars(select(AuditEntry.target).order_by(AuditEntry.id)))


async def test_old_ranges_go_and_the_chain_still_holds(any_database: Database) -> None:
    async with any_database.write() as session:
        organization = await make_organization(session, "stones")
    await write(any_database, 3, prefix="old")
    await write(any_database, 2, account_id=organization.id, prefix="theirs")
    await age(any_database, days=0)
    await seal(any_database)
    await write(any_database, 1, prefix="new")
    await seal(any_database)
    assert await _expire(any_database) == 5
    assert await findings(any_database) == []
    new, *said = await _targets(any_database)
    assert new == "new-0"
    assert [target.startswith("entries ") for target in said] == [True, True]
    async with any_database.read() as session:
        kinds = (await session.execute(select(AuditSeal.kind, func.count()).group_by(AuditSeal.kind))).all()
        whose = (
            await session.scalars(select(AuditEntry.organization_id).where(AuditEntry.action == "audit.expire"))
        ).all()
    assert {row[0]: row[1] for row in kinds} == {SealKind.ENTRIES: 3, SealKind.RETENTION: 2}
    assert set(whose) == {None, organization.id}
    assert await _expire(any_database) == 0
    await seal(any_database)
    assert await findings(any_database) == []


async def test_a_range_with_one_young_entry_stays_whole(any_database: Database) -> None:
    await write(any_database, 2, prefix="old")
    await age(any_database, days=0)
    await write(any_database, 1, prefix="new")
    await seal(any_database)
    assert await _expire(any_database) == 0
    assert await _targets(any_database) == ["old-0", "old-1", "new-0"]


async def test_what_is_not_sealed_is_never_deleted(any_database: Database) -> None:
    await write(any_database, 2)
    await age(any_database, days=0)
    assert await _expire(any_database) == 0
    assert len(await _targets(any_database)) == 2


async def test_what_is_put_where_retention_deleted_is_found(any_database: Database) -> None:
    await write(any_database, 2, prefix="old")
    await age(any_database, days=0)
    await seal(any_database)
    assert await _expire(any_database) == 2
    columns = "actor, action, target, address, user_agent, request_id, details, at"
    await tamper(any_database, f"INSERT INTO audit_entry (id, {columns}) SELECT id - 2, {columns} FROM audit_entry")
    [sentence] = await findings(any_database)
    assert sentence.endswith("was put among entries that were sealed or given up before; no seal covers it.")


async def test_entries_removed_without_the_chain_saying_so_are_missed(any_database: Database) -> None:
    """Whoever wants a trace to vanish cannot pass it off as retention."""
    await write(any_database, 2, prefix="old")
    await age(any_database, days=0)
    await seal(any_database)
    await tamper(any_database, "DELETE FROM audit_entry")
    [sentence] = await findings(any_database)
    assert "were removed after seal 1" in sentence
