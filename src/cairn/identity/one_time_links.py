"""Links that work once: made with a lifetime, found by the hash of their secret, used by exactly one caller."""

from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import NotFound
from cairn.base.ids import random_secret
from cairn.db.changes import count_changed
from cairn.db.clock import database_now, now
from cairn.identity.models import LinkPurpose, OneTimeLink
from cairn.identity.token_format import hash_secret


class LinkUnusable(NotFound):
    """The link is unknown, used or too old; which of them is nobody's business."""


async def make_link(
    session: AsyncSession, purpose: LinkPurpose, *, lifetime: timedelta, voids_others: bool = False
) -> str:
    """Return the secret of a new link; with ``voids_others`` it is the only one of its purpose that works."""
    if voids_others:
        await session.execute(delete(OneTimeLink).where(OneTimeLink.purpose == purpose))
    secret = random_secret()
    expires_at = await database_now(session, plus=lifetime)
    session.add(OneTimeLink(secret_sha256=hash_secret(secret), purpose=purpose, expires_at=expires_at))
    await session.flush()
    return secret


async def link_works(session: AsyncSession, purpose: LinkPurpose, secret: str) -> bool:
    """Tell whether a link could be used now, without using it: for the page that shows its form."""
    found = await session.scalars(
        select(OneTimeLink.secret_sha256).where(
            OneTimeLink.secret_sha256 == hash_secret(secret),
            OneTimeLink.purpose == purpose,
            OneTimeLink.used_at.is_(None),
            OneTimeLink.expires_at > now(),
        )
    )
    return found.one_or_none() is not None


async def use_link(session: AsyncSession, purpose: LinkPurpose, secret: str) -> None:
    """Use up a link; LinkUnusable if it does not work. Of two at once the conditional update lets one win."""
    used = await count_changed(
        session,
        update(OneTimeLink)
        .where(
            OneTimeLink.secret_sha256 == hash_secret(secret),
            OneTimeLink.purpose == purpose,
            OneTimeLink.used_at.is_(None),
            OneTimeLink.expires_at > now(),
        )
        .values(used_at=now()),
    )
    if used != 1:
        raise LinkUnusable("This link is unknown, used up or too old; ask for a new one.")
