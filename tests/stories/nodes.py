"""Nodes for stories: engines with caches of their own on one database and one object store."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from cairn.base.settings import Settings
from cairn.db.database import open_database
from cairn.git.engine import Engine, open_engine
from cairn.repositories.rules.examine import make_examine
from cairn.storage.storage import open_storage


@asynccontextmanager
async def open_node(folder: Path, *, database_url: str, storage_url: str, **settings: object) -> AsyncIterator[Engine]:
    """Yield an engine that shares nothing with another but database and object store."""
    chosen = Settings(data_dir=folder, database_url=database_url, storage_url=storage_url, **settings)  # type: ignore[arg-type]  # a test's shorthand
    async with AsyncExitStack() as stack:
        database = open_database(database_url, pool_size=10)
        stack.push_async_callback(database.close)
        yield await stack.enter_async_context(
            open_engine(chosen, database, open_storage(chosen), make_examine=make_examine)
        )
