"""Changing rows by a condition, and learning how many there were: the compare-and-set of every database."""

from typing import Any

from sqlalchemy import CursorResult
from sqlalchemy.ext.asyncio import AsyncSession


async def count_changed(session: AsyncSession, statement: Any) -> int:  # noqa: ANN401 (an UPDATE or DELETE)
    """Run an UPDATE or DELETE and return how many rows matched.

    Objects that the session already holds are not brought up to date.
    """
    result = await session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)
    return int(result.rowcount)
