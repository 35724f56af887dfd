"""Deploy keys: a machine's SSH key that opens one repository, to read or also to push, and nothing else.

They are SSH keys like people's (``identity.ssh_keys``): the same kinds, the same table, so that no key is both. One
works until it is deleted, whatever becomes of who added it.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import RepositoryScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.events.emit import emit
from cairn.identity.models import Account, SshKey
from cairn.identity.ssh_keys import insert_key, key_invalid, parse_public_key
from cairn.repositories.events import DeployKeyAdded, DeployKeyDeleted
from cairn.repositories.queries import load_scope, lock_repository

DEPLOY_KEYS_MAX = 100
"""Keys of one repository."""


@dataclass(frozen=True, slots=True)
class DeployKeyRow:
    """A deploy key as administrators of its repository see it; ``added_by`` is empty if that account is gone."""

    id: int
    repository_id: int
    title: str
    algorithm: str
    text: str
    fingerprint: str
    can_write: bool
    added_by: str
    created_at: datetime
    last_used_at: datetime | None
    last_used_address: str


async def add_deploy_key(
    session: AsyncSession, actor: Actor, repository_id: int, *, title: str, text: str, can_write: bool = False
) -> DeployKeyRow:
    """Let a public key open a repository; an empty title becomes the key's comment or algorithm.

    Errors: NotFound, Forbidden; SshKeyInvalid for a key that is not accepted or that anything already has.
    """
    # The lock keeps a deletion of the repository apart, and makes the count hold.
    await lock_repository(session, repository_id)
    await _authorize(session, actor, Action.REPOSITORY_EDIT_KEYS, repository_id)
    key = parse_public_key(text)
    held = await session.scalar(select(func.count()).select_from(SshKey).where(SshKey.repository_id == repository_id))
    if held is not None and held >= DEPLOY_KEYS_MAX:
        raise key_invalid(f"A repository has at most {DEPLOY_KEYS_MAX} deploy keys; delete one first.")
    row = SshKey(repository_id=repository_id, can_write=can_write, created_by_id=actor.account_id)
    await insert_key(session, row, key, title=title)
    emit(
        session,
        DeployKeyAdded(
            repository_id=repository_id,
            key_id=row.id,
            fingerprint=key.fingerprint,
            can_write=can_write,
            actor_id=actor.account_id,
        ),
    )
    details = {"fingerprint": key.fingerprint, "title": row.title, "access": "write" if can_write else "read"}
    record(session, actor, "deploy_key.add", str(row.id), repository_id=repository_id, details=details)
    return _view(row, actor.login or "")


async def list_deploy_keys(session: AsyncSession, actor: Actor, repository_id: int) -> list[DeployKeyRow]:
    """Return a repository's deploy keys, the oldest first. Errors: NotFound, Forbidden."""
    await _authorize(session, actor, Action.REPOSITORY_READ_KEYS, repository_id)
    # ix_account_ssh_key_repository_id, primary key of account.
    rows = await session.execute(
        select(SshKey, Account.login)
        .outerjoin(Account, Account.id == SshKey.created_by_id)
        .where(SshKey.repository_id == repository_id)
        .order_by(SshKey.id)
        .limit(DEPLOY_KEYS_MAX)
    )
    return [_view(key, login) for key, login in rows]


async def read_deploy_key(session: AsyncSession, actor: Actor, repository_id: int, key_id: int) -> DeployKeyRow:
    """Return one deploy key; NotFound if the repository has no such key. Errors: NotFound, Forbidden."""
    await _authorize(session, actor, Action.REPOSITORY_READ_KEYS, repository_id)
    key = await _key_of(session, repository_id, key_id)
    added_by = None if key.created_by_id is None else await session.get(Account, key.created_by_id)
    return _view(key, None if added_by is None else added_by.login)


async def delete_deploy_key(session: AsyncSession, actor: Actor, repository_id: int, key_id: int) -> None:
    """Stop a key from opening the repository, from its next request on. Errors as ``read_deploy_key``."""
    await lock_repository(session, repository_id)
    await _authorize(session, actor, Action.REPOSITORY_EDIT_KEYS, repository_id)
    key = await _key_of(session, repository_id, key_id)
    await session.delete(key)
    await session.flush()
    emit(
        session,
        DeployKeyDeleted(
            repository_id=repository_id, key_id=key_id, fingerprint=key.fingerprint, actor_id=actor.account_id
        ),
    )
    details = {"fingerprint": key.fingerprint, "title": key.title}
    record(session, actor, "deploy_key.delete", str(key_id), repository_id=repository_id, details=details)


async def _authorize(session: AsyncSession, actor: Actor, action: Action, repository_id: int) -> None:
    async def load(session: AsyncSession, actor: Actor) -> RepositoryScope | None:
        return await load_scope(session, actor, repository_id)

    await authorize(session, actor, action, load)


async def _key_of(session: AsyncSession, repository_id: int, key_id: int) -> SshKey:
    key = await session.get(SshKey, key_id)
    if key is None or key.repository_id != repository_id:
        raise NotFound("Not Found")
    return key


def _view(key: SshKey, added_by: str | None) -> DeployKeyRow:
    assert key.repository_id is not None
    return DeployKeyRow(
        id=key.id,
        repository_id=key.repository_id,
        title=key.title,
        algorithm=key.algorithm,
        text=key.public_key,
        fingerprint=key.fingerprint,
        can_write=key.can_write,
        added_by=added_by or "",
        created_at=key.created_at,
        last_used_at=key.last_used_at,
        last_used_address=key.last_used_address,
    )
