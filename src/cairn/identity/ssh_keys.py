"""SSH keys: which are accepted, and to whom they belong. One key signs in one account or opens one repository.

Deploy keys, the second kind, are ``repositories.deploy_keys``' business; they share the rules and the table.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import asyncssh
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
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
from cairn.identity.events import SshKeyAdded, SshKeyDeleted
from cairn.identity.models import SigningKey, SshKey

K = TypeVar("K", SshKey, SigningKey)
KEYS_MAX = 200
KEY_TEXT_LENGTH_MAX = 8192
TITLE_LENGTH_MAX = 255
RSA_BITS_MIN = 3072
RSA_BITS_MAX = 16384

_ACCEPTED = frozenset(
    {
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "ssh-rsa",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)
_LINE = re.compile(r"(?P<algorithm>[a-z0-9@.-]{1,64})[ \t]+(?P<blob>[A-Za-z0-9+/]+={0,2})(?:[ \t]+(?P<comment>.*))?")


class SshKeyInvalid(Invalid):
    """The text is no public key that Cairn accepts, or another account has it."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A parsed key. ``text`` is algorithm and base64, as an authorized_keys line without comment."""

    algorithm: str
    text: str
    fingerprint: str
    comment: str


@dataclass(frozen=True, slots=True)
class SshKeyRow:
    """A key as its owner sees it."""

    id: int
    title: str
    algorithm: str
    text: str
    fingerprint: str
    created_at: datetime
    last_used_at: datetime | None
    last_used_address: str
    """Empty if the key was never used, or its use came from nowhere that a door told."""


def parse_public_key(text: str) -> PublicKey:
    """Read one line of a ``.pub`` file; SshKeyInvalid says what is wrong with it.

    Accepted: ed25519, ecdsa, RSA of 3,072 to 16,384 bits, and the security-key kinds of ed25519 and ecdsa.
    """
    text = text.strip()
    if len(text) > KEY_TEXT_LENGTH_MAX:
        raise key_invalid(f"The key has {len(text):,} characters; the limit is {KEY_TEXT_LENGTH_MAX:,}.")
    if "PRIVATE KEY" in text:
        raise key_invalid("This is a private key, which must never leave your machine: paste the .pub file instead.")
    if "\n" in text or "\r" in text:
        raise key_invalid("Paste one key, in one line, as it stands in the .pub file.")
    match = _LINE.fullmatch(text)
    if match is None:
        raise key_invalid("This is no public key; it starts like 'ssh-ed25519 AAAA', as the .pub file has it.")
    algorithm = match["algorithm"]
    if algorithm in {"ssh-dss", "ssh-dsa"}:
        raise key_invalid("DSA keys are too weak; make a new one with: ssh-keygen -t ed25519")
    if algorithm not in _ACCEPTED:
        raise key_invalid(
            f"Keys of the kind {algorithm!r} are not accepted; use ed25519, ecdsa or RSA, or a security key."
        )
    line = f"{algorithm} {match['blob']}"
    try:
        key = asyncssh.import_public_key(line)
        fingerprint = key.get_fingerprint()
    except (asyncssh.KeyImportError, ValueError):
        raise key_invalid("The key is damaged; paste the whole line of the .pub file.") from None
    if key.get_algorithm() != algorithm:
        raise key_invalid(f"The key says {algorithm!r} but holds another kind; paste the whole line of the .pub file.")
    if algorithm == "ssh-rsa":
        _check_rsa(line)
    # What the library writes, not what was pasted: equal keys have equal text.
    return PublicKey(algorithm, key.export_public_key().decode().strip(), fingerprint, (match["comment"] or "").strip())


def _check_rsa(line: str) -> None:
    loaded = load_ssh_public_key(line.encode())
    assert isinstance(loaded, RSAPublicKey)
    if loaded.key_size < RSA_BITS_MIN:
        raise key_invalid(
            f"The RSA key has {loaded.key_size:,} bits; at least {RSA_BITS_MIN:,} are needed. "
            "Make a new one with: ssh-keygen -t ed25519"
        )
    if loaded.key_size > RSA_BITS_MAX:
        raise key_invalid(f"The RSA key has {loaded.key_size:,} bits; the limit is {RSA_BITS_MAX:,}.")


async def add_key(session: AsyncSession, actor: Actor, account_id: int, *, title: str, text: str) -> SshKeyRow:
    """Let a public key sign the account in; an empty title becomes the key's comment or algorithm.

    Errors: SshKeyInvalid for a key that is not accepted or that some account already has.
    """
    await authorize(session, actor, Action.ACCOUNT_EDIT_KEYS, AccountScope(account_id))
    key = parse_public_key(text)
    held = await session.scalar(select(func.count()).select_from(SshKey).where(SshKey.account_id == account_id))
    if held is not None and held >= KEYS_MAX:
        raise key_invalid(f"An account holds at most {KEYS_MAX} keys; delete one first.")
    row = SshKey(account_id=account_id, can_write=False, created_by_id=actor.account_id)
    await insert_key(session, row, key, title=title)
    emit(session, SshKeyAdded(account_id=account_id, key_id=row.id, fingerprint=key.fingerprint))
    details = {"fingerprint": key.fingerprint, "title": row.title}
    record(session, actor, "ssh_key.add", str(row.id), account_id=account_id, details=details)
    return _row(row)


async def insert_key(session: AsyncSession, row: SshKey, key: PublicKey, *, title: str) -> None:
    """Keep a parsed key in a row that says whose it is; an empty title becomes the key's comment or algorithm.

    Errors: SshKeyInvalid for a bad title, or a key that some account or repository already has.
    """
    row.title = title.strip() or key.comment[:TITLE_LENGTH_MAX] or key.algorithm
    if problem := problem_of_text(row.title, max_length=TITLE_LENGTH_MAX):
        message = f"The title {problem}"
        raise SshKeyInvalid(message, FieldProblem("title", "invalid", message, "PublicKey"))
    # uq_account_ssh_key_fingerprint
    if await session.scalar(select(SshKey.id).where(SshKey.fingerprint == key.fingerprint)) is not None:
        raise _in_use()
    row.fingerprint, row.algorithm, row.public_key = key.fingerprint, key.algorithm, key.text
    row.created_at, row.last_used_at, row.last_used_address = await database_now(session), None, ""
    session.add(row)
    try:
        await session.flush()
    except IntegrityError:
        # The same key added twice at once: the unique fingerprint let the other one win.
        raise _in_use() from None


async def list_keys(session: AsyncSession, actor: Actor, account_id: int) -> list[SshKeyRow]:
    """Return an account's keys, the oldest first."""
    await authorize(session, actor, Action.ACCOUNT_READ_KEYS, AccountScope(account_id))
    # ix_account_ssh_key_account_id
    rows = await session.scalars(
        select(SshKey).where(SshKey.account_id == account_id).order_by(SshKey.id).limit(KEYS_MAX)
    )
    return [_row(row) for row in rows]


async def read_key(session: AsyncSession, actor: Actor, account_id: int, key_id: int) -> SshKeyRow:
    """Return one key of an account; NotFound if the account has no such key."""
    await authorize(session, actor, Action.ACCOUNT_READ_KEYS, AccountScope(account_id))
    return _row(await find_own_key(session, SshKey, account_id, key_id))


async def delete_key(session: AsyncSession, actor: Actor, account_id: int, key_id: int) -> None:
    """Stop a key from signing in; NotFound if the account has no such key."""
    await authorize(session, actor, Action.ACCOUNT_EDIT_KEYS, AccountScope(account_id))
    key = await find_own_key(session, SshKey, account_id, key_id)
    await session.execute(delete(SshKey).where(SshKey.id == key_id))
    emit(session, SshKeyDeleted(account_id=account_id, key_id=key_id, fingerprint=key.fingerprint))
    details = {"fingerprint": key.fingerprint, "title": key.title}
    record(session, actor, "ssh_key.delete", str(key_id), account_id=account_id, details=details)


async def find_own_key(session: AsyncSession, kind: type[K], account_id: int, key_id: int) -> K:
    """Return a key of a kind if it is the account's; NotFound."""
    key = await session.get(kind, key_id)
    if key is None or key.account_id != account_id:
        raise NotFound("Not Found")
    return key


def _row(key: SshKey) -> SshKeyRow:
    return SshKeyRow(
        id=key.id,
        title=key.title,
        algorithm=key.algorithm,
        text=key.public_key,
        fingerprint=key.fingerprint,
        created_at=key.created_at,
        last_used_at=key.last_used_at,
        last_used_address=key.last_used_address,
    )


def _in_use() -> SshKeyInvalid:
    message = "This key is already in use: one key signs in one account or opens one repository."
    return SshKeyInvalid(message, FieldProblem("key", "already_exists", message, "PublicKey"))


def key_invalid(message: str) -> SshKeyInvalid:
    """Return the error for a key that is not accepted, with the reason."""
    return SshKeyInvalid(message, FieldProblem("key", "invalid", message, "PublicKey"))
