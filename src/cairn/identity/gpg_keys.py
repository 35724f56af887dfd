"""GPG keys: whose OpenPGP signatures under commits and tags count as an account's."""

import asyncio
from collections import defaultdict
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
from cairn.base.errors import FieldProblem, Invalid, NotFound
from cairn.base.text import problem_of_text
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.events import GpgKeyAdded, GpgKeyDeleted
from cairn.identity.models import AccountEmail, GpgKey
from cairn.identity.openpgp import Certificate, OpenPgpInvalid, armor, parse_certificate
from cairn.identity.public_keys import read_trusted_account

KEYS_MAX = 50
TITLE_LENGTH_MAX = 255


class GpgKeyInvalid(Invalid):
    """The text is no public key that Cairn accepts, or the account has it."""


@dataclass(frozen=True, slots=True)
class GpgKeyRow:
    """A key or subkey. ``emails`` are (address, whether the account has verified it); ``text`` is the armored key.

    A subkey has neither, nor a title.
    """

    id: int
    primary_id: int | None
    title: str
    fingerprint: str
    key_id: str
    public_key: str
    text: str
    emails: tuple[tuple[str, bool], ...]
    subkeys: tuple["GpgKeyRow", ...]
    can_sign: bool
    can_certify: bool
    can_encrypt_comms: bool
    can_encrypt_storage: bool
    is_revoked: bool
    created_at: datetime
    expires_at: datetime | None


async def add_gpg_key(session: AsyncSession, actor: Actor, account_id: int, *, title: str, text: str) -> GpgKeyRow:
    """Let signatures by a public key and its subkeys count as the account's; an empty title becomes the key's name.

    Errors: GpgKeyInvalid.
    """
    await authorize(session, actor, Action.ACCOUNT_EDIT_GPG_KEYS, AccountScope(account_id))
    try:
        found = await asyncio.to_thread(parse_certificate, text)
    except OpenPgpInvalid as error:
        raise _invalid(str(error)) from None
    held = await session.scalar(
        select(func.count()).where(GpgKey.account_id == account_id, GpgKey.primary_id.is_(None))
    )
    if held is not None and held >= KEYS_MAX:
        raise _invalid(f"An account holds at most {KEYS_MAX} GPG keys; delete one first.")
    title = title.strip() or _plain(found.name)[:TITLE_LENGTH_MAX] or found.keys[0].key_id
    if problem := problem_of_text(title, max_length=TITLE_LENGTH_MAX):
        message = f"The title {problem}"
        raise GpgKeyInvalid(message, FieldProblem("name", "invalid", message, "GpgKey"))
    key_id = await _insert(session, account_id, found, title)
    fingerprint = found.keys[0].fingerprint
    emit(session, GpgKeyAdded(account_id=account_id, key_id=key_id, fingerprint=fingerprint))
    details = {"fingerprint": fingerprint, "title": title}
    record(session, actor, "gpg_key.add", str(key_id), account_id=account_id, details=details)
    return await _read(session, account_id, key_id)


def _plain(name: str) -> str:
    """Return what a key calls its holder, fit for one line."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())


async def _insert(session: AsyncSession, account_id: int, found: Certificate, title: str) -> int:
    """Keep a row for each key of a certificate; return the primary one's id. GpgKeyInvalid if the account has one."""
    fingerprints = [key.fingerprint for key in found.keys]
    message = "This key, or a subkey of it, signs for you already; to change it, delete the old one first."
    in_use = GpgKeyInvalid(message, FieldProblem("armored_public_key", "already_exists", message, "GpgKey"))
    # uq_account_gpg_key_account_id_fingerprint
    same = select(GpgKey.id).where(GpgKey.account_id == account_id, GpgKey.fingerprint.in_(fingerprints)).limit(1)
    if await session.scalar(same) is not None or len(set(fingerprints)) < len(fingerprints):
        raise in_use
    now = await database_now(session)
    primary_id: int | None = None
    try:
        for key in found.keys:
            is_primary = primary_id is None
            row = GpgKey(
                account_id=account_id,
                primary_id=primary_id,
                fingerprint=key.fingerprint,
                key_id=key.key_id,
                title=title if is_primary else "",
                certificate=found.data if is_primary else None,
                public_key=key.public_key,
                emails=list(found.emails) if is_primary else [],
                can_sign=key.can_sign,
                can_certify=key.can_certify,
                can_encrypt_comms=key.can_encrypt_comms,
                can_encrypt_storage=key.can_encrypt_storage,
                is_revoked=key.is_revoked,
                made_at=key.made_at,
                expires_at=key.expires_at,
                created_at=now,
            )
            session.add(row)
            await session.flush()
            primary_id = primary_id or row.id
    except IntegrityError:
        # The same key added twice at once: the unique pair let the other one win.
        raise in_use from None
    assert primary_id is not None, "a certificate has a primary key"
    return primary_id


async def list_gpg_keys(session: AsyncSession, actor: Actor, account_id: int) -> list[GpgKeyRow]:
    """Return an account's keys with their subkeys, the oldest first."""
    await authorize(session, actor, Action.ACCOUNT_READ_GPG_KEYS, AccountScope(account_id))
    return await _list(session, account_id)


async def list_gpg_keys_of(session: AsyncSession, actor: Actor, login: str) -> list[GpgKeyRow]:
    """Return the keys of a name, for everybody. Errors: as of list_public_keys."""
    return await _list(session, await read_trusted_account(session, actor, login))


async def read_gpg_key(session: AsyncSession, actor: Actor, account_id: int, key_id: int) -> GpgKeyRow:
    """Return one key of an account with its subkeys; NotFound if the account has no such key."""
    await authorize(session, actor, Action.ACCOUNT_READ_GPG_KEYS, AccountScope(account_id))
    return await _read(session, account_id, key_id)


async def delete_gpg_key(session: AsyncSession, actor: Actor, account_id: int, key_id: int) -> None:
    """Let signatures by a key no longer count, those made before included; NotFound if the account has no such key."""
    await authorize(session, actor, Action.ACCOUNT_EDIT_GPG_KEYS, AccountScope(account_id))
    key = await session.get(GpgKey, key_id)
    if key is None or key.account_id != account_id or key.primary_id is not None:
        raise NotFound("Not Found")
    # ix_account_gpg_key_primary_id; the subkeys' rows go first, for databases that look at each row by itself.
    await session.execute(delete(GpgKey).where(GpgKey.primary_id == key_id))
    await session.execute(delete(GpgKey).where(GpgKey.id == key_id))
    emit(session, GpgKeyDeleted(account_id=account_id, key_id=key_id, fingerprint=key.fingerprint))
    details = {"fingerprint": key.fingerprint, "title": key.title}
    record(session, actor, "gpg_key.delete", str(key_id), account_id=account_id, details=details)


async def _read(session: AsyncSession, account_id: int, key_id: int) -> GpgKeyRow:
    found = [key for key in await _list(session, account_id) if key.id == key_id]
    if not found:
        raise NotFound("Not Found")
    return found[0]


async def _list(session: AsyncSession, account_id: int) -> list[GpgKeyRow]:
    # uq_account_gpg_key_account_id_fingerprint, ix_account_email_account_id
    rows = (await session.scalars(select(GpgKey).where(GpgKey.account_id == account_id).order_by(GpgKey.id))).all()
    if not rows:
        return []
    verified = set(
        await session.scalars(
            select(AccountEmail.email_key).where(
                AccountEmail.account_id == account_id, AccountEmail.verified_at.is_not(None)
            )
        )
    )
    texts = await asyncio.to_thread(lambda: {row.id: armor(row.certificate) for row in rows if row.certificate})
    subkeys: defaultdict[int | None, list[GpgKeyRow]] = defaultdict(list)
    for row in rows:
        if row.primary_id is not None:
            subkeys[row.primary_id].append(_row(row, "", verified, ()))
    return [
        _row(row, texts.get(row.id, ""), verified, tuple(subkeys[row.id])) for row in rows if row.primary_id is None
    ]


def _row(key: GpgKey, text: str, verified: set[str], subkeys: tuple[GpgKeyRow, ...]) -> GpgKeyRow:
    return GpgKeyRow(
        id=key.id,
        primary_id=key.primary_id,
        title=key.title,
        fingerprint=key.fingerprint,
        key_id=key.key_id,
        public_key=key.public_key,
        text=text,
        emails=tuple((email, email in verified) for email in key.emails),
        subkeys=subkeys,
        can_sign=key.can_sign,
        can_certify=key.can_certify,
        can_encrypt_comms=key.can_encrypt_comms,
        can_encrypt_storage=key.can_encrypt_storage,
        is_revoked=key.is_revoked,
        created_at=key.created_at,
        expires_at=key.expires_at,
    )


def _invalid(message: str) -> GpgKeyInvalid:
    return GpgKeyInvalid(message, FieldProblem("armored_public_key", "invalid", message, "GpgKey"))
