"""Which columns name objects in the object store, so that a backup copies what its rows speak of.

A feature that keeps objects adds one line to ``SOURCES``; a test finds the table that should have one and has none.
"""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass

import msgspec
from sqlalchemy import MetaData, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cairn.identity.avatar_images import SIZES
from cairn.ops.backup.tables import rows_kept

ROWS_AT_ONCE = 2000


class StoredKey(msgspec.Struct, frozen=True, array_like=True):
    """An object of the object store. Size and SHA-256 are what the row says of it; None where it says nothing."""

    key: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One object a row names: the column of its key, what stands around it, the columns of size and SHA-256, if any."""

    key: str
    ending: str = ""
    prefix: str = ""
    size: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A table whose rows name objects. ``is_pinned``: a pin keeps what they name while a backup is made."""

    table: str
    files: tuple[StoredFile, ...]
    is_pinned: bool = False


SOURCES: tuple[Source, ...] = (
    Source(
        "git_pack",
        (
            StoredFile("key", ".pack", size="pack_bytes", sha256="pack_sha256"),
            StoredFile("key", ".idx", size="index_bytes", sha256="index_sha256"),
        ),
        is_pinned=True,
    ),
    Source("lfs_blob", (StoredFile("key", size="size", sha256="sha256"),), is_pinned=True),
    Source("release_file", (StoredFile("key", size="size", sha256="sha256"),), is_pinned=True),
    Source("account", tuple(StoredFile("avatar_id", f"/{size}.webp", prefix="avatars/") for size in SIZES)),
)


async def given_up(connection: AsyncConnection, metadata: MetaData, keys: Collection[str]) -> set[str]:
    """Return those of the keys that went, as they may, while a backup was made: no row names them any more.

    A pinned object never does: one that is missing was lost, whatever its row says by now, so keep those out of here.
    """
    still = set[str]()
    async for page in stored_keys(connection, metadata):
        still |= {item.key for item in page} & set(keys)
    return set(keys) - still


def is_pinned(key: str) -> bool:
    """Tell whether a pin keeps an object with this key."""
    prefixes = [file.prefix for source in SOURCES if not source.is_pinned for file in source.files]
    return not key.startswith(tuple(prefixes))


async def stored_keys(connection: AsyncConnection, metadata: MetaData) -> AsyncIterator[list[StoredKey]]:
    """Yield the keys that the rows of a backup name, as the connection's snapshot has them, in batches."""
    for source in SOURCES:
        found = metadata.tables[source.table]
        names = sorted({name for file in source.files for name in (file.key, file.size, file.sha256) if name})
        statement = select(*(found.columns[name] for name in names)).where(rows_kept(found))
        async with connection.stream(statement, execution_options={"yield_per": ROWS_AT_ONCE}) as result:
            async for rows in result.mappings().partitions():
                yield [
                    StoredKey(
                        f"{file.prefix}{row[file.key]}{file.ending}",
                        row[file.size] if file.size else None,
                        row[file.sha256] if file.sha256 else None,
                    )
                    for row in rows
                    for file in source.files
                    if row[file.key] is not None
                ]
