"""Listing in the order of keys, whether or not the store lists in order."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from opendal import AsyncOperator
from opendal.types import Entry, Metadata

from cairn.storage.calls import Calls

PAGE_ENTRIES = 1000


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """An object as the store tells of it. ``modified_at`` is None where the store keeps no times."""

    key: str
    size: int
    modified_at: datetime | None


def stat_of(key: str, metadata: Metadata) -> ObjectStat:
    """Return what OpenDAL knows of an object in our words."""
    return ObjectStat(key, metadata.content_length, metadata.last_modified)


async def list_pages(
    operator: AsyncOperator, calls: Calls, folder: str, start_after: str | None
) -> AsyncIterator[ObjectStat]:
    """Yield from a store that lists in order and from any key on; each page is a call of its own."""
    while True:
        page = await calls.run("list", folder, partial(read_page, operator, folder, start_after, PAGE_ENTRIES))
        for entry in page:
            if not entry.path.endswith("/"):
                yield stat_of(entry.path, entry.metadata)
        if len(page) < PAGE_ENTRIES:
            return
        start_after = page[-1].path


async def list_folders(
    operator: AsyncOperator, calls: Calls, folder: str, start_after: str | None
) -> AsyncIterator[ObjectStat]:
    """Yield in order from a store that lists one folder in no order; each folder is a call of its own."""
    for entry in await calls.run("list", folder, partial(_read_folder, operator, folder)):
        path = entry.path
        is_after = start_after is None or path > start_after
        if path.endswith("/"):
            if is_after or (start_after is not None and start_after.startswith(path)):
                async for found in list_folders(operator, calls, path, start_after):
                    yield found
        elif is_after:
            yield stat_of(path, entry.metadata)


async def read_page(operator: AsyncOperator, folder: str, start_after: str | None, limit: int) -> list[Entry]:
    """Return the first ``limit`` entries below the folder after a key, in one request."""
    entries: list[Entry] = []
    async for entry in await operator.list(folder, recursive=True, start_after=start_after, limit=limit):
        entries.append(entry)
        if len(entries) == limit:
            break  # asking for one more would fetch the next page
    return entries


async def _read_folder(operator: AsyncOperator, folder: str) -> list[Entry]:
    entries = [entry async for entry in await operator.list(folder) if entry.path not in {folder, "/"}]
    return sorted(entries, key=lambda entry: entry.path)
