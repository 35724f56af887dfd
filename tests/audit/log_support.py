"""An audit log to be sealed, let go and tampered with."""

from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import LONG_AGO, make_account

from cairn.audit.record import record
from cairn.audit.sealing import seal_entries
from cairn.audit.verification import verify_logs
from cairn.base.actor import SYSTEM
from cairn.db.database import Database
from cairn.identity.models import Account, AccountKind

TRIGGERS = (
    ("audit_entry", "audit_entry_refuse_update"),
    ("audit_entry", "audit_entry_refuse_delete"),
    ("audit_seal", "audit_seal_refuse_update"),
    ("audit_seal", "audit_seal_refuse_delete"),
)
NO_WINDOW = timedelta(0)


async def anybody(session: AsyncSession) -> None:
    """Stand for a lease that holds."""
    assert session.is_active


async def make_organization(session: AsyncSession, login: str) -> Account:
    """Return an account that is an organization's."""
    account = await make_account(session, login)
    account.kind = AccountKind.ORGANIZATION
    await session.flush()
    return account


async def write(database: Database, count: int, *, account_id: int | None = None, prefix: str = "thing") -> None:
    """Record some decisions in one log."""
    async with database.write() as session:
        for number in range(count):
            record(
                session, SYSTEM, "test.change", f"{prefix}-{number}", account_id=account_id,
                details={"é": "ü"}, changes={"name": ("old", "new")},
            )  # fmt: skip


async def age(database: Database, days: int) -> None:
    """Make every entry look this much older; only before anything is sealed."""
    await tamper(database, "UPDATE audit_entry SET at = :at", at=LONG_AGO - timedelta(days=days))


async def seal(database: Database) -> int:
    """Seal everything there is."""
    return await seal_entries(database, within=anybody, window=NO_WINDOW)


async def tamper(database: Database, statement: str, **values: object) -> None:
    """Run a statement as somebody with the database's own password would: triggers dropped first, put back after."""
    async with database.write() as session:
        kept = [await _definition(database, session, name) for _, name in TRIGGERS]
        for table, name in TRIGGERS:
            on = f" ON {table}" if database.dialect == "postgresql" else ""
            await session.execute(text(f"DROP TRIGGER {name}{on}"))
        typed = text(statement)
        if "at" in values:
            from sqlalchemy import bindparam

            from cairn.db.base import UtcDateTime

            typed = typed.bindparams(bindparam("at", type_=UtcDateTime()))
        await session.execute(typed, values)
        connection = await session.connection()
        for definition in kept:
            await connection.exec_driver_sql(definition)


async def _definition(database: Database, session: AsyncSession, name: str) -> str:
    if database.dialect == "sqlite":
        return str(await session.scalar(text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": name}))
    if database.dialect == "postgresql":
        query = "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = :name"
        return str(await session.scalar(text(query), {"name": name}))
    row = (await session.execute(text(f"SHOW CREATE TRIGGER {name}"))).one()
    return str(row[2])


async def findings(database: Database) -> list[str]:
    """Return every sentence of the verification."""
    return [broken.sentence async for broken in verify_logs(database)]
