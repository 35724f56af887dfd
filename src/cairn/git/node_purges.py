"""How a node hears of purges: it asks the database which packs are to be forgotten, and forgets its cached answers."""

import asyncio
from datetime import timedelta

from sqlalchemy import select

from cairn.base.errors import CairnError
from cairn.base.log import get_logger
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.fetch_cache import FetchCache
from cairn.git.models import PurgedPack
from cairn.git.node_cache import NodeCache

LISTEN_SECONDS = 30
"""How long a node may still have what was purged, where nobody uses it this moment."""

LOOK_BACK = timedelta(days=1)
"""How long a node goes on deleting its copies: a clone that began before may keep a view for hours."""

_log = get_logger(__name__)


class NodePurges:
    """What this program has heard of purges."""

    def __init__(self, database: Database, cache: NodeCache, answers: FetchCache) -> None:
        self._database = database
        self._cache = cache
        self._answers = answers
        self._heard: set[str] = set()

    async def hear(self) -> int:
        """The node has no pack that was purged lately, nor answers from before; return how many packs are new."""
        async with self._database.read() as session:
            since = await database_now(session, plus=-LOOK_BACK)
            # ix_git_purged_pack_at; nearly always empty.
            purged = set(await session.scalars(select(PurgedPack.pack_id).where(PurgedPack.at >= since)))
        new = purged - self._heard
        self._heard = purged
        if purged:
            await asyncio.to_thread(self._cache.forget, purged)
        if new:
            # Answers are named by what was asked, not by store: all of them go, and are made again when asked for.
            await asyncio.to_thread(self._answers.forget_all)
            _log.info("purge_heard", packs=len(new))
        return len(new)

    async def listen(self) -> None:
        """Hear again and again, whatever happens."""
        while True:
            await asyncio.sleep(LISTEN_SECONDS)
            try:
                await self.hear()
            except CairnError as error:
                _log.warning("purges_unheard", error=error.message)
            except Exception:
                # The outermost loop: an error here must not end the program.
                _log.exception("purges_unheard")
