"""Reads the files of a dump back into an empty database of any of the three kinds."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, text, update
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from cairn.base.errors import CairnError
from cairn.db.database import Dialect
from cairn.db.failures import is_away
from cairn.ops.backup.dump import TableFile
from cairn.ops.backup.tables import DumpedTable, decoders, light_table

ROWS_AT_ONCE = 500
IDS_SKIPPED = 1_000_000
"""Ids go on so far above the highest that is known: what was handed out after the backup is never handed out again, so
that nothing kept outside the database under such an id (objects in the bucket, cached answers, links) is mistaken."""

Row = dict[str, Any]


class ValueNotKept(CairnError):
    """A value of the backup cannot be kept by the database it is restored to; another kind of database can."""


async def load(
    engine: AsyncEngine, dialect: Dialect, files: Sequence[TableFile], folder: Path, *, tell: Callable[[str], None]
) -> None:
    """Fill the tables, which exist and are emptied first, from the files below ``folder``, and count ids on from there.

    One transaction a table. Errors: ValueNotKept, and the database's own.
    """
    async with engine.begin() as connection:
        for item in files:
            late = {found.name: None for found in item.table.columns if found.is_late}
            if late:  # or a row could not go before the one that refers to it
                await connection.execute(light_table(item.table).update().values(late))
        for item in reversed(files):
            await connection.execute(light_table(item.table).delete())
    for item in files:
        tell(f"loading {item.table.name}")
        async with engine.begin() as connection:
            statement = light_table(item.table).insert()
            async for rows in _batches(item, folder):
                with _told(item.table.name):
                    await connection.execute(statement, [_without_late(row, item.table) for row in rows])
    for item in files:
        await _fill_late(engine, item, folder)
    async with engine.begin() as connection:
        for item in files:
            if item.table.numbered:
                await _count_on(connection, dialect, item.table)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Say which table has what the database cannot keep, such as text with NUL, instead of showing the statement."""
    try:
        yield
    except (DataError, IntegrityError) as error:
        raise ValueNotKept(f"{name} has a value that this database does not take: {error.orig}") from error
    except OperationalError as error:
        if is_away(error):
            raise
        raise ValueNotKept(f"{name} has a value that this database does not take: {error.orig}") from error


def _without_late(row: Row, description: DumpedTable) -> Row:
    return row | {item.name: None for item in description.columns if item.is_late}


async def _fill_late(engine: AsyncEngine, item: TableFile, folder: Path) -> None:
    """Write the columns that refer to rows which were not there when their own was."""
    late = [found.name for found in item.table.columns if found.is_late]
    if not late:
        return
    target = light_table(item.table)
    statement = (
        update(target)
        .where(*(target.columns[name] == bindparam(f"at_{name}") for name in item.table.key))
        .values({name: bindparam(f"to_{name}") for name in late})
    )
    async with engine.begin() as connection:
        async for rows in _batches(item, folder):
            changes = [
                {f"at_{name}": row[name] for name in item.table.key} | {f"to_{name}": row[name] for name in late}
                for row in rows
                if any(row[name] is not None for name in late)
            ]
            if changes:
                await connection.execute(statement, changes)


async def _count_on(connection: AsyncConnection, dialect: Dialect, description: DumpedTable) -> None:
    """Make the table's next id lie IDS_SKIPPED above its highest."""
    name, counted = description.name, description.numbered
    highest = await connection.scalar(text(f"SELECT MAX({counted}) FROM {name}"))  # noqa: S608 (names of our tables)
    following = (highest or 0) + IDS_SKIPPED + 1
    match dialect:
        case "postgresql":
            statements = [f"SELECT setval(pg_get_serial_sequence('{name}', '{counted}'), {following}, false)"]
        case "mysql":
            statements = [f"ALTER TABLE {name} AUTO_INCREMENT = {following}"]
        case "sqlite":
            statements = [
                f"DELETE FROM sqlite_sequence WHERE name = '{name}'",  # noqa: S608
                f"INSERT INTO sqlite_sequence (name, seq) VALUES ('{name}', {following - 1})",  # noqa: S608
            ]
    for statement in statements:
        await connection.execute(text(statement))


async def _batches(item: TableFile, folder: Path) -> AsyncIterator[list[Row]]:
    rows = _read_rows(folder / item.file.name, item.table)
    while batch := await asyncio.to_thread(lambda: list(islice(rows, ROWS_AT_ONCE))):
        yield batch


def _read_rows(path: Path, description: DumpedTable) -> Iterator[Row]:
    names = [found.name for found in description.columns]
    decode = decoders(description)
    with gzip.open(path, "rb") as file:
        for line in file:
            values = json.loads(line)
            yield {name: read(value) for name, read, value in zip(names, decode, values, strict=True)}
