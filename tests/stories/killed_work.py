"""Maintenance and backups in a process of its own, for a fail point to kill: ``python -m tests.stories.killed_work``.

The words are what to do, the store, and what the work needs further; settings come from the environment.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.settings import load_settings
from cairn.db.database import open_database
from cairn.git import fail_points
from cairn.git.collection import collect
from cairn.git.condemned_packs import delete_condemned
from cairn.git.engine import Engine, open_engine
from cairn.git.purge import purge
from cairn.git.types import Oid
from cairn.git.undo_packs import expire_undo_packs
from cairn.git.upload_sweeper import sweep_uploads
from cairn.ops.backup.create import Live, create_backup
from cairn.ops.backup.restore import Choices, Place, end_restore, restore_backup
from cairn.ops.backup.target import open_target
from cairn.programs.schema import metadata
from cairn.storage.storage import open_storage

ROOT = Path(__file__).resolve().parents[2]


async def _agree(session: AsyncSession) -> None:
    """Allow the purge."""


async def _purge(engine: Engine, store: int, words: list[str]) -> object:
    return await purge(engine, [store], [Oid(word) for word in words], within=_agree)


WORK: dict[str, Callable[[Engine, int, list[str]], Awaitable[object]]] = {
    "collect": lambda engine, store, words: collect(engine, store),
    "delete_condemned": lambda engine, store, words: delete_condemned(engine.database, engine.storage),
    "sweep_uploads": lambda engine, store, words: sweep_uploads(engine.database, engine.storage),
    "expire_undo_packs": lambda engine, store, words: expire_undo_packs(engine.database, engine.storage),
    "purge": _purge,
    "back_up": lambda engine, store, words: create_backup(
        Live(engine.settings, engine.database, engine.storage, metadata()),
        open_target(engine.settings, engine.settings.backup_url),
    ),
}


async def _restore(backup: str) -> None:
    """Restore into the installation of the environment, which no engine may open before."""
    settings = load_settings(os.environ)
    fail_points.configure(settings.fail_points)
    database = open_database(settings.effective_database_url, pool_size=2)
    try:
        target = open_target(settings, settings.backup_url)
        await restore_backup(target, backup, Place(settings, database, open_storage(settings), None), Choices())
        await end_restore(database)
    finally:
        await database.close()


async def _main(verb: str, store: str, *words: str) -> None:
    if verb == "restore":
        await _restore(store)
        return
    settings = load_settings(os.environ)
    database = open_database(settings.effective_database_url, pool_size=3)
    try:
        async with open_engine(settings, database, open_storage(settings)) as engine:
            await WORK[verb](engine, int(store), list(words))
    finally:
        await database.close()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
    os._exit(0)  # as the programs end: a thread of the object store's library may still call into the interpreter
