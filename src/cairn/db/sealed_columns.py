"""Sealing anew: what an old key sealed is opened and sealed with the current one, in every table, in small batches.

A column says ``info=SEALED``; its values are sealed for its table, its name and the row's primary key. A walk may stop
anywhere and start again: what carries the current key already is passed over.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, select, update

from cairn.base.secret_box import SecretBox, SecretUnreadable
from cairn.db.base import Base
from cairn.db.changes import count_changed
from cairn.db.database import Database

ROWS_AT_ONCE = 100
"""Rows of one transaction."""


@dataclass(slots=True)
class Resealed:
    """One column so far: rows looked at, sealed anew, and those nobody here can open."""

    name: str
    seen: int = 0
    changed: int = 0
    unreadable: list[str] = field(default_factory=list)


def sealed_columns() -> list[Column[Any]]:
    """Return every sealed column of the tables that this program has loaded, in order of their names."""
    found = [column for table in Base.metadata.tables.values() for column in table.columns if column.info.get("sealed")]
    for column in found:
        assert len(column.table.primary_key.columns) == 1, f"{column} is sealed for one primary key"
    return sorted(found, key=str)


async def reseal(database: Database, box: SecretBox, column: Column[Any]) -> AsyncIterator[Resealed]:
    """Seal a column's values anew with the box's first key; yield how far it is after each batch."""
    told = Resealed(str(column))
    [key] = column.table.primary_key.columns
    after: Any = None
    while True:
        async with database.write() as session:
            query = select(key, column).where(column.is_not(None)).order_by(key).limit(ROWS_AT_ONCE)
            rows = (await session.execute(query if after is None else query.where(key > after))).all()
            for row_id, sealed in rows:
                told.seen += 1
                if box.is_current(sealed):
                    continue
                place = {"table": column.table.name, "column": column.name, "row": row_id}
                try:
                    fresh = box.seal(box.open(sealed, **place), **place)
                except SecretUnreadable as error:
                    told.unreadable.append(error.message)
                    continue
                # Somebody may have written it meanwhile: then it carries the current key already.
                change = update(column.table).where(key == row_id, column == sealed).values({column: fresh})
                told.changed += await count_changed(session, change)
        if rows:
            yield told
        if len(rows) < ROWS_AT_ONCE:
            return
        after = rows[-1][0]


async def find_unreadable(database: Database, box: SecretBox) -> list[str]:
    """Return a sentence for each sealed value that the box cannot open or that another than its first key sealed."""
    found: list[str] = []
    for column in sealed_columns():
        [key] = column.table.primary_key.columns
        after: Any = None
        while True:
            async with database.read() as session:
                query = select(key, column).where(column.is_not(None)).order_by(key).limit(ROWS_AT_ONCE)
                rows = (await session.execute(query if after is None else query.where(key > after))).all()
            for row_id, sealed in rows:
                try:
                    box.open(sealed, table=column.table.name, column=column.name, row=row_id)
                except SecretUnreadable as error:
                    found.append(error.message)
                else:
                    if not box.is_current(sealed):
                        found.append(f"{column} of row {row_id} still carries an old key.")
            if len(rows) < ROWS_AT_ONCE:
                break
            after = rows[-1][0]
    return found
