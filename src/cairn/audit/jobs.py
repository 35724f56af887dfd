"""Recurring work on the audit log: seal what is old enough, let go what is older than the operator wants to keep."""

from datetime import timedelta

from cairn.audit.retention import expire_entries
from cairn.audit.sealing import seal_entries
from cairn.base.log import get_logger
from cairn.base.settings import Settings
from cairn.jobs.context import JobContext
from cairn.jobs.registry import scheduled

_log = get_logger(__name__)


@scheduled("audit.seal", every=timedelta(minutes=5))
async def seal_audit_log(context: JobContext) -> None:
    """Seal the entries that can no longer change places."""
    await seal_entries(context.database, within=context.still_mine)


@scheduled("audit.expire", every=timedelta(days=1))
async def expire_audit_log(context: JobContext) -> None:
    """Delete the sealed entries older than ``CAIRN_AUDIT_RETENTION_DAYS``; their seals stay."""
    days = context.service(Settings).audit_retention_days
    if days:
        deleted = await expire_entries(context.database, keep=timedelta(days=days), within=context.still_mine)
        _log.info("audit_entries_expired", deleted=deleted)
