"""Offers of repositories that nobody answered in time go away by themselves."""

from datetime import timedelta

from cairn.jobs.context import JobContext
from cairn.jobs.registry import scheduled
from cairn.repositories.transfer_offers import delete_expired_offers


@scheduled("repositories.expired_transfers", every=timedelta(hours=1))
async def delete_expired(context: JobContext) -> None:
    """Delete every offer past its time; nobody can accept them any more."""
    while True:
        async with context.database.write() as session:
            if not await delete_expired_offers(session):
                return
