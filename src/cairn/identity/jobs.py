"""Recurring work of accounts: sessions that ended go."""

from datetime import timedelta

from cairn.identity.sessions import delete_expired
from cairn.jobs.context import JobContext
from cairn.jobs.registry import scheduled


@scheduled("identity.expired_sessions", every=timedelta(days=1))
async def delete_expired_sessions(context: JobContext) -> None:
    """Delete the sessions whose time is over; nobody can use them any more."""
    async with context.database.write() as session:
        await delete_expired(session)
