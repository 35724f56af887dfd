"""The key with which Cairn logs in to other servers for somebody, and the host keys those servers showed.

One key for each account: it is made here, its private half never leaves (sealed in its row), and its owner adds the
public half at the other server. What a host showed first is its key until the owner forgets it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncssh
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import AccountScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, NotFound
from cairn.base.secret_box import SecretBox, load_key_ring
from cairn.base.settings import Settings
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.egress.ssh import fingerprint_of
from cairn.events.emit import emit
from cairn.identity.events import OutgoingKeyDeleted, OutgoingKeyMade
from cairn.identity.models import Account, KnownHost, OutgoingKey

TABLE = "account_outgoing_key"
KNOWN_HOSTS_MAX = 100


class TooManyHosts(Conflict):
    """An account knows as many hosts as it may."""


@dataclass(frozen=True, slots=True)
class OutgoingKeyRow:
    """The public half; ``text`` is the line that other servers take."""

    text: str
    fingerprint: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KnownHostRow:
    """What a host showed first; ``place`` is host and port, ``text`` algorithm and base64."""

    place: str
    text: str
    fingerprint: str
    created_at: datetime


async def make_outgoing_key(session: AsyncSession, settings: Settings, actor: Actor, account_id: int) -> OutgoingKeyRow:
    """The account has a new key; one that it had logs in nowhere any more, and is gone."""
    await authorize(session, actor, Action.ACCOUNT_EDIT_KEYS, AccountScope(account_id))
    account = await session.get_one(Account, account_id, with_for_update=True)
    key = asyncssh.generate_private_key("ssh-ed25519", comment=f"{account.login}@{settings.host}")
    before = await session.get(OutgoingKey, account_id)
    row = before or OutgoingKey(account_id=account_id)
    row.sealed = _box(settings).seal(key.export_private_key("openssh"), table=TABLE, column="sealed", row=account_id)
    row.fingerprint, row.public_key = key.get_fingerprint(), key.export_public_key().decode("ascii").strip()
    row.created_at = await database_now(session)
    session.add(row)
    await session.flush()
    emit(session, OutgoingKeyMade(account_id=account_id, fingerprint=row.fingerprint))
    details = {"fingerprint": row.fingerprint}
    record(session, actor, "outgoing_key.make", account.login, account_id=account_id, details=details)
    return _row(row)


async def delete_outgoing_key(session: AsyncSession, actor: Actor, account_id: int) -> None:
    """Cairn logs in to no other server for the account any more. Errors: NotFound if it has no key."""
    await authorize(session, actor, Action.ACCOUNT_EDIT_KEYS, AccountScope(account_id))
    row = await session.get(OutgoingKey, account_id)
    if row is None:
        raise NotFound("There is no key for other servers.")
    await session.execute(delete(OutgoingKey).where(OutgoingKey.account_id == account_id))
    account = await session.get_one(Account, account_id)
    emit(session, OutgoingKeyDeleted(account_id=account_id, fingerprint=row.fingerprint))
    details = {"fingerprint": row.fingerprint}
    record(session, actor, "outgoing_key.delete", account.login, account_id=account_id, details=details)


async def read_outgoing_key(session: AsyncSession, actor: Actor, account_id: int) -> OutgoingKeyRow | None:
    """Return the public half of an account's key; None if it has none."""
    await authorize(session, actor, Action.ACCOUNT_READ_KEYS, AccountScope(account_id))
    return await find_outgoing_key(session, account_id)


async def find_outgoing_key(session: AsyncSession, account_id: int) -> OutgoingKeyRow | None:
    """Return the same for whoever administers what this account set up; the caller has authorized."""
    row = await session.get(OutgoingKey, account_id)
    return None if row is None else _row(row)


async def open_outgoing_key(session: AsyncSession, settings: Settings, account_id: int) -> asyncssh.SSHKey | None:
    """Return the private key, for a login in the account's name. Errors: SecretUnreadable."""
    row = await session.get(OutgoingKey, account_id)
    if row is None:
        return None
    plain = _box(settings).open(row.sealed, table=TABLE, column="sealed", row=account_id)
    return await asyncio.to_thread(asyncssh.import_private_key, plain)


async def list_known_hosts(session: AsyncSession, actor: Actor, account_id: int) -> list[KnownHostRow]:
    """Return what servers showed the account, by host."""
    await authorize(session, actor, Action.ACCOUNT_READ_KEYS, AccountScope(account_id))
    # uq_account_known_host_account_id_place
    found = select(KnownHost).where(KnownHost.account_id == account_id).order_by(KnownHost.place)
    rows: Sequence[KnownHost] = (await session.scalars(found.limit(KNOWN_HOSTS_MAX))).all()
    return [KnownHostRow(row.place, row.public_key, row.fingerprint, row.created_at) for row in rows]


async def forget_known_host(session: AsyncSession, actor: Actor, account_id: int, place: str) -> None:
    """The next key that the host shows becomes its own. Errors: NotFound if the account knows no such host."""
    await authorize(session, actor, Action.ACCOUNT_EDIT_KEYS, AccountScope(account_id))
    row = await _find_host(session, account_id, place)
    if row is None:
        raise NotFound("You know no such host.")
    await session.execute(delete(KnownHost).where(KnownHost.id == row.id))
    details = {"host": row.place, "fingerprint": row.fingerprint}
    record(session, actor, "known_host.forget", row.place, account_id=account_id, details=details)


async def find_known_host(session: AsyncSession, account_id: int, host: str, port: int) -> KnownHost | None:
    """Return what a host showed the account; the caller has authorized."""
    return await _find_host(session, account_id, place_of(host, port))


async def _find_host(session: AsyncSession, account_id: int, place: str) -> KnownHost | None:
    # uq_account_known_host_account_id_place
    found: KnownHost | None = await session.scalar(
        select(KnownHost).where(KnownHost.account_id == account_id, KnownHost.place == place)
    )
    return found


class AccountHosts:
    """What an account knows of hosts: ``cairn.egress.ssh.KnownHosts`` on the database."""

    def __init__(self, database: Database, actor: Actor) -> None:
        assert actor.account_id is not None, "somebody connects"
        self._database = database
        self._actor = actor
        self._account_id = actor.account_id

    async def find(self, host: str, port: int) -> str | None:
        """Return the key that was kept; None before the first time."""
        async with self._database.read() as session:
            row = await find_known_host(session, self._account_id, host, port)
        return None if row is None else row.public_key

    async def keep(self, host: str, port: int, key: str) -> str:
        """The key is kept unless there is one; returns the one that is kept. Errors: TooManyHosts."""
        kept = await self.find(host, port)
        if kept is not None:
            return kept
        try:
            async with self._database.write() as session:
                await self._add(session, place_of(host, port), key)
        except IntegrityError:
            # Another job was first.
            return await self.find(host, port) or key
        return key

    async def _add(self, session: AsyncSession, place: str, key: str) -> None:
        held = await session.scalar(select(func.count()).where(KnownHost.account_id == self._account_id))
        if held is not None and held >= KNOWN_HOSTS_MAX:
            raise TooManyHosts(f"You know {KNOWN_HOSTS_MAX} hosts, as many as may be; forget one in Settings > Keys.")
        session.add(
            KnownHost(
                account_id=self._account_id,
                place=place,
                fingerprint=fingerprint_of(key),
                public_key=key,
                created_at=await database_now(session),
            )
        )
        await session.flush()
        details = {"host": place, "fingerprint": fingerprint_of(key)}
        record(session, self._actor, "known_host.keep", place, account_id=self._account_id, details=details)


def place_of(host: str, port: int) -> str:
    """Return host and port as one text."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _row(row: OutgoingKey) -> OutgoingKeyRow:
    return OutgoingKeyRow(row.public_key, row.fingerprint, row.created_at)


def _box(settings: Settings) -> SecretBox:
    return SecretBox(load_key_ring(settings))
