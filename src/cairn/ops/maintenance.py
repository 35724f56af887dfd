"""Recurring housekeeping of the engine's data, done by one worker of many: cached answers expire by age.

Compaction, collection and the sweeper of expired uploads will stand here too.
"""

from datetime import timedelta

from cairn.base.log import get_logger
from cairn.git.engine import Engine
from cairn.git.fetch_cache import expire_shared_answers
from cairn.jobs.context import JobContext
from cairn.jobs.registry import scheduled

_log = get_logger(__name__)


@scheduled("ops.expire_answers", every=timedelta(hours=6))
async def expire_answers(context: JobContext) -> None:
    """Delete the answers in the object store that are older than ``CAIRN_FETCH_CACHE_MAX_AGE_SECONDS``."""
    engine = context.service(Engine)
    age = timedelta(seconds=engine.settings.fetch_cache_max_age_seconds)
    deleted = await expire_shared_answers(engine.storage, before=await context.database.now() - age)
    _log.info("answers_expired", deleted=deleted)
