"""SSH keys that sign: whose signatures under commits and tags count as an account's. They sign nobody in."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import AccountScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem
from cairn.base.text import problem_of_text
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.events import SigningKeyAdded, SigningKeyDeleted
from cairn.identity.models import SigningKey
from cairn.identity.public_keys import read_trusted_account
from cairn.identity.ssh_keys import (
    KEYS_MAX,
    TITLE_LENGTH_MAX,
    SshKeyInvalid,
    find_own_key,
    key_invalid,
    parse_public_key,
)


@dataclass(frozen=True, slots=True)
class SigningKeyRow:
    """A signing key; ``text`` is algorithm and base64."""

    id: int
    title: str
    algorithm: str
    text: str
    fingerprint: str
    created_at: datetime


async def add_signing_key(
    session: AsyncSession, actor: Actor, account_id: int, *, title: str, text: str
) -> SigningKeyRow:
    """Let signatures by a public key count as the account's; an empty title becomes the key's comment or algorithm.

    The same key may sign its owner in, too: that is another list. Errors: SshKeyInvalid.
    """
    await authorize(session, actor, Action.ACCOUNT_EDIT_SIGNING_KEYS, AccountScope(account_id))
    key = parse_public_key(text)
    held = await session.scalar(select(func.count()).where(SigningKey.account_id == account_id))
    if held is not None and held >= KEYS_MAX:
        raise key_invalid(f"An account holds at most {KEYS_MAX} signing keys; delete one first.")
    row = SigningKey(
        account_id=account_id,
        fingerprint=key.fingerprint,
        algorithm=key.algorithm,
        public_key=key.text,
        title=title.strip() or key.comment[:TITLE_LENGTH_MAX] or key.algorithm,
        created_at=await database_now(session),
    )
    if problem := problem_of_text(row.title, max_length=TITLE_LENGTH_MAX):
        message = f"The title {problem}"
        raise SshKeyInvalid(message, FieldProblem("title", "invalid", message, "PublicKey"))
    await _insert(session, row)
    emit(session, SigningKeyAdded(account_id=account_id, key_id=row.id, fingerprint=key.fingerprint))
    details = {"fingerprint": key.fingerprint, "title": row.title}
    record(session, actor, "signing_key.add", str(row.id), account_id=account_id, details=details)
    return _row(row)


async def _insert(session: AsyncSession, row: SigningKey) -> None:
    message = "This key signs for you already."
    in_use = SshKeyInvalid(message, FieldProblem("key", "already_exists", message, "PublicKey"))
    # uq_account_signing_key_account_id_fingerprint
    same = select(SigningKey.id).where(
        SigningKey.account_id == row.account_id, SigningKey.fingerprint == row.fingerprint
    )
    if await session.scalar(same) is not None:
        raise in_use
    session.add(row)
    try:
        await session.flush()
    except IntegrityError:
        # The same key added twice at once: the unique pair let the other one win.
        raise in_use from None


async def list_signing_keys(session: AsyncSession, actor: Actor, account_id: int) -> list[SigningKeyRow]:
    """Return an account's signing keys, the oldest first."""
    await authorize(session, actor, Action.ACCOUNT_READ_SIGNING_KEYS, AccountScope(account_id))
    return await _list(session, account_id)


async def list_signing_keys_of(session: AsyncSession, actor: Actor, login: str) -> list[SigningKeyRow]:
    """Return the signing keys of a name, for everybody. Errors: as of list_public_keys."""
    return await _list(session, await read_trusted_account(session, actor, login))


async def _list(session: AsyncSession, account_id: int) -> list[SigningKeyRow]:
    # uq_account_signing_key_account_id_fingerprint
    rows = await session.scalars(
        select(SigningKey).where(SigningKey.account_id == account_id).order_by(SigningKey.id).limit(KEYS_MAX)
    )
    return [_row(row) for row in rows]


async def read_signing_key(session: AsyncSession, actor: Actor, account_id: int, key_id: int) -> SigningKeyRow:
    """Return one signing key of an account; NotFound if the account has no such key."""
    await authorize(session, actor, Action.ACCOUNT_READ_SIGNING_KEYS, AccountScope(account_id))
    return _row(await find_own_key(session, SigningKey, account_id, key_id))


async def delete_signing_key(session: AsyncSession, actor: Actor, account_id: int, key_id: int) -> None:
    """Let signatures by a key no longer count, those made before included; NotFound if the account has no such key."""
    await authorize(session, actor, Action.ACCOUNT_EDIT_SIGNING_KEYS, AccountScope(account_id))
    key = await find_own_key(session, SigningKey, account_id, key_id)
    await session.execute(delete(SigningKey).where(SigningKey.id == key_id))
    emit(session, SigningKeyDeleted(account_id=account_id, key_id=key_id, fingerprint=key.fingerprint))
    details = {"fingerprint": key.fingerprint, "title": key.title}
    record(session, actor, "signing_key.delete", str(key_id), account_id=account_id, details=details)


def _row(key: SigningKey) -> SigningKeyRow:
    return SigningKeyRow(
        id=key.id,
        title=key.title,
        algorithm=key.algorithm,
        text=key.public_key,
        fingerprint=key.fingerprint,
        created_at=key.created_at,
    )
