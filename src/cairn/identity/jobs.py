"""Work of accounts that outlives a request: sessions that ended, pictures nobody shows, links for new passwords,
invitations nobody answered.
"""

from datetime import timedelta

from cairn.base.settings import Settings
from cairn.identity.avatars import DISCARD_KIND, DiscardPicture, delete_if_unused
from cairn.identity.invitations import delete_unanswered
from cairn.identity.password_reset import RESET_KIND, ResetWanted, send_reset
from cairn.identity.sessions import delete_expired
from cairn.jobs.context import JobContext
from cairn.jobs.registry import handler, scheduled
from cairn.mail.outbox import Outbox
from cairn.storage.storage import Storage


@scheduled("identity.expired_sessions", every=timedelta(days=1))
async def delete_expired_sessions(context: JobContext) -> None:
    """Delete the sessions whose time is over; nobody can use them any more."""
    async with context.database.write() as session:
        await delete_expired(session)


@scheduled("identity.unanswered_invitations", every=timedelta(days=1))
async def delete_unanswered_invitations(context: JobContext) -> None:
    """Delete the invitations into organizations that nobody answered for a month."""
    async with context.database.write() as session:
        await delete_unanswered(session)


@handler(DISCARD_KIND)
async def discard_picture(context: JobContext, payload: DiscardPicture) -> None:
    """Delete the objects of a picture unless an account shows it."""
    await delete_if_unused(context.database, context.service(Storage), payload.avatar_id)


@handler(RESET_KIND)
async def reset_password(context: JobContext, payload: ResetWanted) -> None:
    """Send a link for a new password to whoever the name belongs to, if anybody."""
    outbox, settings = context.service(Outbox), context.service(Settings)
    async with context.database.write() as session:
        await context.still_mine(session)
        await send_reset(session, outbox, settings, payload.name)
