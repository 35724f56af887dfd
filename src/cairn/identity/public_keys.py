"""The keys of an account as everybody sees them: without title and use, which are the owner's."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.identity.models import Account, SshKey
from cairn.identity.queries import read_profile
from cairn.identity.ssh_keys import KEYS_MAX


@dataclass(frozen=True, slots=True)
class PublicKeyRow:
    """A key that proves who somebody is; ``text`` is algorithm and base64."""

    id: int
    text: str
    created_at: datetime


async def list_public_keys(session: AsyncSession, actor: Actor, login: str) -> list[PublicKeyRow]:
    """Return the keys of a name, the oldest first: none of an organization.

    Errors: NotFound if nobody has the name, and for who is suspended: nothing shall go on trusting their keys;
    AccountMoved for a name that was given up.
    """
    account_id = await read_trusted_account(session, actor, login)
    # ix_account_ssh_key_account_id
    rows = await session.scalars(
        select(SshKey).where(SshKey.account_id == account_id).order_by(SshKey.id).limit(KEYS_MAX)
    )
    return [PublicKeyRow(row.id, row.public_key, row.created_at) for row in rows]


async def read_trusted_account(session: AsyncSession, actor: Actor, login: str) -> int:
    """Return whose name it is, if their keys may be trusted at all. Errors: as of list_public_keys."""
    profile = await read_profile(session, actor, login)
    if (await session.get_one(Account, profile.id)).suspended_at is not None:
        raise NotFound("Not Found")
    return profile.id
