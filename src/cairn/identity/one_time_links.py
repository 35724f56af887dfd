"""Links that work once: made with a lifetime, found by the hash of their secret, used by exactly one caller."""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class LinkOwner:
    """Whose link it is and the address it was sent to; neither for links that belong to nobody yet.

    ``invitation_id`` is the invitation it was sent with, if it was.
    """

    account_id: int | None = None
    email: str = ""
    invitation_id: int | None = None


NOBODY = LinkOwner()


async def make_link(
    session: AsyncSession,
    purpose: LinkPurpose,
    *,
    lifetime: timedelta,
    owner: LinkOwner = NOBODY,
    voids_others: bool = False,
) -> str:
    """Return the secret of a new link; with ``voids_others`` it is its owner's only one of its purpose that works."""
    if voids_others:
        # ix_one_time_link_account_id
        await session.execute(
            delete(OneTimeLink).where(
                OneTimeLink.purpose == purpose,
                OneTimeLink.account_id == owner.account_id,
                OneTimeLink.email == owner.email,
                OneTimeLink.invitation_id == owner.invitation_id,
            )
        )
    secret = random_secret()
    expires_at = await database_now(session, plus=lifetime)
    session.add(
        OneTimeLink(
            secret_sha256=hash_secret(secret),
            purpose=purpose,
            account_id=owner.account_id,
            email=owner.email,
            invitation_id=owner.invitation_id,
            expires_at=expires_at,
        )
    )
    await session.flush()
    return secret


async def find_link(session: AsyncSession, purpose: LinkPurpose, secret: str) -> LinkOwner:
    """Return whose link this is, without using it. Errors: LinkUnusable."""
    found = (
        await session.execute(
            select(OneTimeLink.account_id, OneTimeLink.email, OneTimeLink.invitation_id).where(
                OneTimeLink.secret_sha256 == hash_secret(secret),
                OneTimeLink.purpose == purpose,
                OneTimeLink.used_at.is_(None),
                OneTimeLink.expires_at > now(),
            )
        )
    ).one_or_none()
    if found is None:
        raise _unusable()
    return LinkOwner(*found)


async def delete_links(session: AsyncSession, account_id: int, *, purpose: LinkPurpose | None = None) -> None:
    """No link of an account works any more, or none of one purpose."""
    wanted = [OneTimeLink.account_id == account_id]
    if purpose is not None:
        wanted.append(OneTimeLink.purpose == purpose)
    await session.execute(delete(OneTimeLink).where(*wanted))


async def link_works(session: AsyncSession, purpose: LinkPurpose, secret: str) -> bool:
    """Tell whether a link could be used now, without using it: for the page that shows its form."""
    try:
        await find_link(session, purpose, secret)
    except LinkUnusable:
        return False
    return True


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
        raise _unusable()


def _unusable() -> LinkUnusable:
    return LinkUnusable("This link is unknown, used up or too old; ask for a new one.")
