"""Locks: somebody works on a file that cannot be merged. They hold on every branch; clients ask before they push.

A lock belongs to a person. Who may push can lock, and release what is theirs; who maintains the repository can release
what is somebody else's, which is audited.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, FieldProblem, Forbidden, Invalid, NotFound
from cairn.base.ids import random_id
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.models import Account
from cairn.lfs.authorization import Authorize, hold_repository
from cairn.lfs.events import LfsLockForced
from cairn.lfs.models import LOCK_PATH_BYTES_MAX, LfsLock

LOCKS_AT_ONCE = 100
LOCKS_MAX = 10_000
"""Locks of one repository."""


class PathInvalid(Invalid):
    """This names no file of a repository."""


class CursorInvalid(Invalid):
    """This cursor did not come from here."""


class LocksTooMany(Conflict):
    """The repository has as many locks as it may have."""


class PathLocked(Conflict):
    """The path is locked already; ``lock`` says by whom."""

    def __init__(self, lock: "Lock") -> None:
        super().__init__(f"{lock.path} is locked by {lock.owner} already")
        self.lock = lock


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock as people see it. ``owner`` is a login."""

    id: str
    path: str
    account_id: int
    owner: str
    locked_at: datetime


@dataclass(frozen=True, slots=True)
class LockPage:
    """Some locks of a repository in the order of their paths; ``next_cursor`` is empty on the last page."""

    locks: Sequence[Lock]
    next_cursor: str


async def create_lock(session: AsyncSession, authorize: Authorize, repository_id: int, path: str) -> Lock:
    """Lock a path for who asks. Errors: PathInvalid, PathLocked, LocksTooMany, Forbidden; what ``authorize`` raises."""
    await hold_repository(session, repository_id)
    actor = await authorize(session, Action.REPOSITORY_PUSH)
    if actor.account_id is None:
        raise Forbidden("A lock belongs to a person; a deploy key can hold none.")
    name = checked_path(path)
    # uq_lfs_lock_repository_id_path
    if taken := await _find(session, LfsLock.repository_id == repository_id, LfsLock.path == name):
        raise PathLocked(taken)
    # Primary key of lfs_lock.
    ids = select(LfsLock.id).where(LfsLock.repository_id == repository_id).limit(LOCKS_MAX)
    if len((await session.scalars(ids)).all()) == LOCKS_MAX:
        raise LocksTooMany(f"a repository has at most {LOCKS_MAX:,} locks; release one first")
    lock = LfsLock(
        repository_id=repository_id,
        id=random_id(),
        path=name,
        account_id=actor.account_id,
        locked_at=await database_now(session),
    )
    session.add(lock)
    await session.flush()
    return Lock(lock.id, path, actor.account_id, actor.login or "", lock.locked_at)


async def release_lock(
    session: AsyncSession, authorize: Authorize, repository_id: int, lock_id: str, *, force: bool
) -> Lock:
    """Release a lock and return it; somebody else's only by ``force``, by who maintains the repository.

    Errors: NotFound; Forbidden; what ``authorize`` raises.
    """
    await hold_repository(session, repository_id)
    actor = await authorize(session, Action.REPOSITORY_PUSH)
    # Primary key of lfs_lock.
    lock = await _find(session, LfsLock.repository_id == repository_id, LfsLock.id == lock_id)
    if lock is None:
        raise NotFound("There is no such lock.")
    if lock.account_id != actor.account_id:
        if not force:
            raise Forbidden(f"{lock.path} is locked by {lock.owner}; who maintains the repository can use --force.")
        await _note_force(session, await authorize(session, Action.REPOSITORY_MAINTAIN), repository_id, lock)
    await session.execute(delete(LfsLock).where(LfsLock.repository_id == repository_id, LfsLock.id == lock_id))
    return lock


async def list_locks(
    session: AsyncSession,
    repository_id: int,
    *,
    path: str | None = None,
    lock_id: str | None = None,
    cursor: str = "",
    limit: int = LOCKS_AT_ONCE,
) -> LockPage:
    """Return the locks of a repository, of one path or one id if given. Errors: CursorInvalid."""
    size = min(max(limit, 1), LOCKS_AT_ONCE)
    statement = _locks().where(LfsLock.repository_id == repository_id)
    if path is not None:
        statement = statement.where(LfsLock.path == path.encode("utf-8", "surrogatepass"))
    if lock_id is not None:
        statement = statement.where(LfsLock.id == lock_id)
    if cursor:
        statement = statement.where(LfsLock.path > _read_cursor(cursor))
    # uq_lfs_lock_repository_id_path
    rows = (await session.execute(statement.order_by(LfsLock.path).limit(size + 1))).all()
    locks = [_shown(lock, login) for lock, login in rows[:size]]
    following = base64.urlsafe_b64encode(rows[size - 1][0].path).decode() if len(rows) > size else ""
    return LockPage(locks, following)


def checked_path(path: str) -> bytes:
    """Return a path as git keeps it: relative, without empty, ``.`` and ``..`` parts. Errors: PathInvalid."""
    try:
        name = path.encode("utf-8")
    except UnicodeEncodeError:
        name = b""
    is_path = bool(name) and "\0" not in path and not {"", ".", ".."} & set(path.split("/"))
    if not is_path or len(name) > LOCK_PATH_BYTES_MAX:
        message = f"{path[:60]!r} is no path of a file: relative, at most {LOCK_PATH_BYTES_MAX:,} bytes"
        raise PathInvalid(message, FieldProblem("path", "invalid", message))
    return name


def _locks() -> Select[LfsLock, str]:
    # Primary key of account.
    return select(LfsLock, Account.login).join(Account, Account.id == LfsLock.account_id)


async def _find(session: AsyncSession, *where: ColumnElement[bool]) -> Lock | None:
    row = (await session.execute(_locks().where(*where))).one_or_none()
    return None if row is None else _shown(row[0], row[1])


def _shown(lock: LfsLock, login: str) -> Lock:
    return Lock(lock.id, bytes(lock.path).decode("utf-8", "replace"), lock.account_id, login, lock.locked_at)


def _read_cursor(cursor: str) -> bytes:
    try:
        return base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise CursorInvalid(
            f"{cursor[:60]!r} is no cursor", FieldProblem("cursor", "invalid", "is no cursor")
        ) from None


async def _note_force(session: AsyncSession, actor: Actor, repository_id: int, lock: Lock) -> None:
    emit(
        session,
        LfsLockForced(repository_id=repository_id, path=lock.path, owner_id=lock.account_id, actor_id=actor.account_id),
    )
    record(
        session,
        actor,
        "lfs.force_unlock",
        lock.path,
        repository_id=repository_id,
        details={"owner": lock.owner, "locked_at": lock.locked_at.isoformat(timespec="seconds")},
    )
