"""Writes every table into compressed files of JSON lines, all read in one snapshot, in bounded memory.

The files are written to this machine's disk, not to the target: the snapshot is open only for as long as the database
needs to be read, however slow the target is.
"""

import asyncio
import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import MetaData, inspect, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cairn.base.errors import CairnError
from cairn.base.secret_box import key_id_of
from cairn.db.database import Database
from cairn.db.migrate import head, schema_version
from cairn.ops.backup.tables import DumpedTable, describe_all, encoders, light_table, rows_kept

ROWS_AT_ONCE = 1000
_LEVEL = 5
_SCHEMA_TABLE = "alembic_version"


class SchemaUnknown(CairnError):
    """The database has tables or versions this program does not know, so its backup would lack something."""


class FileStat(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a backup: its name below the backup's folder, what it weighs, what it hashes to."""

    name: str
    size: int
    sha256: str


class TableFile(msgspec.Struct, frozen=True, kw_only=True):
    """A dumped table with its file and how many rows it has."""

    table: DumpedTable
    rows: int
    file: FileStat
    key_ids: tuple[str, ...] = ()
    """The ids of the secret keys that its sealed values want."""


async def require_known(database: Database, metadata: MetaData) -> int:
    """Return the schema's version if this program knows everything in the database; SchemaUnknown says what not."""
    version = await schema_version(database)
    if version != head():
        raise SchemaUnknown(
            f"The database is at schema version {version:04}, this program knows {head():04}: "
            "use the program that belongs to the database."
        )
    async with database.read() as session:
        found = await (await session.connection()).run_sync(lambda sync: set(inspect(sync).get_table_names()))
    unknown = sorted(found - set(metadata.tables) - {_SCHEMA_TABLE})
    if unknown:
        raise SchemaUnknown(f"The database has tables Cairn knows nothing of: {', '.join(unknown)}. Move them away.")
    return version


async def dump(
    connection: AsyncConnection, metadata: MetaData, folder: Path, *, tell: Callable[[str], None]
) -> list[TableFile]:
    """Write every table below ``folder``/tables and return the files, in the order they must be loaded.

    ``connection`` is in a snapshot (``Database.snapshot``): what is committed meanwhile is in no file.
    """
    (folder / "tables").mkdir(parents=True)
    files = []
    for description in describe_all(metadata):
        tell(f"reading {description.name}")
        files.append(await _dump_table(connection, description, folder))
    return files


async def _dump_table(connection: AsyncConnection, description: DumpedTable, folder: Path) -> TableFile:
    name = f"tables/{description.name}.jsonl.gz"
    source = light_table(description)
    statement = select(*source.columns).where(rows_kept(source))
    statement = statement.order_by(*(source.columns[part] for part in description.key))
    with await asyncio.to_thread(_RowFile, folder / name, description) as file:
        async with connection.stream(statement, execution_options={"yield_per": ROWS_AT_ONCE}) as result:
            async for rows in result.partitions():
                await asyncio.to_thread(file.write, rows)
    return TableFile(
        table=description,
        rows=file.rows,
        file=await asyncio.to_thread(stat_file, folder / name, name),
        key_ids=tuple(sorted(file.key_ids)),
    )


class _RowFile:
    """A compressed file of rows, one JSON array a line."""

    def __init__(self, path: Path, description: DumpedTable) -> None:
        self.rows = 0
        self.key_ids: set[str] = set()
        self._sealed = [place for place, item in enumerate(description.columns) if item.is_sealed]
        self._encoders = encoders(description)
        self._encoder = msgspec.json.Encoder()
        self._file: gzip.GzipFile = gzip.open(path, "wb", compresslevel=_LEVEL)  # noqa: SIM115 (closed by __exit__)

    def write(self, rows: Any) -> None:  # noqa: ANN401 (SQLAlchemy's rows)
        """Append rows."""
        lines = [
            self._encoder.encode([encode(value) for encode, value in zip(self._encoders, row, strict=True)])
            for row in rows
        ]
        self._file.write(b"\n".join(lines) + b"\n")
        self.rows += len(lines)
        self.key_ids |= {key_id_of(row[place]) for place in self._sealed for row in rows if row[place] is not None}

    def __enter__(self) -> "_RowFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def stat_file(path: Path, name: str) -> FileStat:
    """Return what a file weighs and hashes to. Blocks: call it in a thread."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileStat(name=name, size=path.stat().st_size, sha256=digest)
