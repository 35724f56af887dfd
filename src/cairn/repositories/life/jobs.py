"""What happens by itself: deleted repositories end when their time is over; whoever is gone stars nothing any more."""

from datetime import timedelta

from cairn.base.actor import SYSTEM
from cairn.events.subscribers import subscribe
from cairn.git.engine import Engine
from cairn.identity.events import AccountDeleted
from cairn.jobs.context import JobContext
from cairn.jobs.registry import scheduled
from cairn.repositories.life.deleted import erase_due
from cairn.repositories.life.pins import forget_pins
from cairn.repositories.life.stars import forget_stars
from cairn.repositories.life.watching import forget_watches

_AT_ONCE = 100


@scheduled("repositories.erase_deleted", every=timedelta(hours=1))
async def erase_deleted(context: JobContext) -> None:
    """Erase what was deleted and can be restored no longer."""
    await erase_due(context.database, context.service(Engine), SYSTEM)


@subscribe(AccountDeleted, name="repositories.forget_fan")
async def forget_fan(context: JobContext, event: AccountDeleted) -> None:
    """Stars, watching and pins of an account that is gone go; the counts follow."""
    for forget in (forget_stars, forget_watches):
        found = _AT_ONCE
        while found == _AT_ONCE:
            async with context.database.write() as session:
                found = await forget(session, event.account_id, limit=_AT_ONCE)
    async with context.database.write() as session:
        await forget_pins(session, event.account_id)
