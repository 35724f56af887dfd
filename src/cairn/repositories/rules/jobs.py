"""What a worker does with rules: old findings go."""

from datetime import timedelta

from cairn.base.log import get_logger
from cairn.jobs.context import JobContext
from cairn.jobs.registry import scheduled
from cairn.repositories.rules.suites import prune_suites

_log = get_logger(__name__)


@scheduled("repositories.prune_rule_suites", every=timedelta(hours=1))
async def prune_rule_suites(context: JobContext) -> None:
    """Keep what rulesets found within its time and number."""
    pruned = await prune_suites(context.database)
    if pruned:
        _log.info("rule_suites_pruned", number=pruned)
