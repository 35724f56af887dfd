"""Which licence a repository has: looked for at the root of its default branch, kept in its row."""

import asyncio
from collections.abc import Iterable
from contextlib import closing

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.git.engine import Engine
from cairn.git.reading import BlobTooLarge, ObjectReader
from cairn.git.store_state import StoreState
from cairn.git.types import ObjectKind, Oid
from cairn.repositories.life.licences import FILE_NAME, TEXT_BYTES_MAX, UNKNOWN, recognise
from cairn.repositories.models import Repository


def licence_name(names: Iterable[bytes]) -> bytes | None:
    """Return the file of a root folder that holds the licence; the shortest name of several, None without any."""
    return min((one for one in names if FILE_NAME.fullmatch(one)), key=lambda one: (len(one), one), default=None)


async def find_licence_in(engine: Engine, state: StoreState, tree: Oid) -> str:
    """Return SPDX's name of the licence in a tree's root; UNKNOWN for one nobody knows, empty without a file."""
    async with engine.view(state) as view:
        with closing(ObjectReader(view.path)) as reader:
            files = {one.name: one.oid for one in await reader.read_tree(tree) if one.kind is ObjectKind.BLOB}
            name = licence_name(files)
            if name is None:
                return ""
            try:
                data = await reader.read_blob(files[name], max_bytes=TEXT_BYTES_MAX)
            except BlobTooLarge:
                return UNKNOWN
    return await asyncio.to_thread(recognise, data.decode("utf-8", "replace"))


async def record_licence(session: AsyncSession, repository_id: int, spdx_id: str) -> None:
    """Keep what a repository's licence was recognised as."""
    # Not through the object: pages keep their validator by updated_at, which is for people's changes.
    await session.execute(
        update(Repository)
        .where(Repository.id == repository_id, Repository.license != spdx_id)
        .values(license=spdx_id)
        .execution_options(synchronize_session=False)
    )
