"""The database's clock: the only one that leases, expiry and grace periods use."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from cairn.db.base import UtcDateTime


class now(FunctionElement[datetime]):  # noqa: N801 (reads as the SQL function it is)
    """The database's current UTC time as an expression; it moves on within a transaction."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(now, "postgresql")
def _postgresql(element: now, compiler: Any, **kw: Any) -> str:  # noqa: ANN401 (SQLAlchemy's own signature)
    return "clock_timestamp()"


@compiles(now, "mysql")
@compiles(now, "mariadb")
def _mysql(element: now, compiler: Any, **kw: Any) -> str:  # noqa: ANN401
    return "UTC_TIMESTAMP(6)"


@compiles(now, "sqlite")
def _sqlite(element: now, compiler: Any, **kw: Any) -> str:  # noqa: ANN401
    # The text form SQLAlchemy writes: six digits of fraction, so that comparison of text is comparison of time.
    return "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"


async def database_now(session: AsyncSession, *, plus: timedelta = timedelta()) -> datetime:
    """Return the database's time, shifted by ``plus``."""
    moment = (await session.execute(select(now()))).scalar_one()
    return moment + plus


NOW_SQL = {
    "postgresql": "SELECT clock_timestamp() AS moment",
    "mysql": "SELECT UTC_TIMESTAMP(6) AS moment",
    "sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now') || '000' AS moment",
}
"""The same clock as a statement of its own, for ``Database.now``."""


def as_utc(value: object) -> datetime:
    """Return the aware UTC time that a point query gave for a time column, whatever form the driver uses."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    assert isinstance(moment, datetime), f"{value!r} is no time"
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
