"""Pictures of accounts: uploaded ones lie in the object store under random keys, written once and never changed.

An upload first leaves a job that deletes its objects an hour later unless the account uses them by then; the same job
deletes the picture that another one replaced. So no object stays that nobody shows.
"""

from datetime import timedelta

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import AccountScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.base.ids import random_id
from cairn.db.clock import database_now
from cairn.db.database import Database, PointQuery
from cairn.events.emit import emit
from cairn.identity.avatar_images import SIZES, draw_picture
from cairn.identity.events import AccountEdited
from cairn.identity.models import Account
from cairn.identity.names import is_login
from cairn.jobs.queue import enqueue
from cairn.storage.errors import StorageNotFound
from cairn.storage.storage import Storage

DISCARD_KIND = "identity.discard_picture"
OBJECT_BYTES_MAX = 1 << 20
_UPLOAD_GRACE = timedelta(hours=1)

# uq_account_login_key
_AVATAR = PointQuery("SELECT a.avatar_id AS avatar_id FROM account a WHERE a.login_key = :login")


class DiscardPicture(msgspec.Struct, frozen=True):
    """The job's payload: which picture."""

    avatar_id: str


async def set_picture(database: Database, storage: Storage, actor: Actor, account_id: int, data: bytes) -> str:
    """Show an uploaded picture for an account from now on; return its id. Errors: TooLarge; PictureInvalid."""
    async with database.read() as session:
        await authorize(session, actor, Action.ACCOUNT_EDIT, AccountScope(account_id))
    drawn = await draw_picture(data)
    avatar_id = random_id()
    async with database.write() as session:
        await enqueue(session, DISCARD_KIND, DiscardPicture(avatar_id), delay=_UPLOAD_GRACE)
    for size, picture in drawn.items():
        await storage.put(_key(avatar_id, size), picture)
    async with database.write() as session:
        await _replace(session, actor, account_id, avatar_id)
    return avatar_id


async def remove_picture(session: AsyncSession, actor: Actor, account_id: int) -> None:
    """Show the picture that grows from the name again."""
    await _replace(session, actor, account_id, None)


async def discard_picture(session: AsyncSession, avatar_id: str) -> None:
    """Have a picture's objects deleted after the commit, if no account shows it then."""
    await enqueue(session, DISCARD_KIND, DiscardPicture(avatar_id))


async def delete_if_unused(database: Database, storage: Storage, avatar_id: str) -> None:
    """Delete a picture's objects unless an account shows it; doing it twice comes to the same."""
    async with database.read() as session:
        # A scan of one column, rare and apart from every request.
        used = await session.scalar(select(Account.id).where(Account.avatar_id == avatar_id).limit(1))
    if used is None:
        await storage.delete_prefix(f"avatars/{avatar_id}")


async def find_picture(database: Database, login: str) -> str | None:
    """Return the id of the picture an account uploaded; None where the one of its name is shown."""
    if not is_login(login):
        return None
    row = await database.fetch(_AVATAR, login=login.lower())
    return None if row is None or row["avatar_id"] is None else str(row["avatar_id"])


async def read_picture(storage: Storage, avatar_id: str, size: int) -> bytes:
    """Return one file of a picture. Errors: NotFound."""
    if size not in SIZES or len(avatar_id) != 32 or not set(avatar_id) <= set("0123456789abcdef"):
        raise NotFound("Not Found")
    try:
        return await storage.get(_key(avatar_id, size), max_bytes=OBJECT_BYTES_MAX)
    except StorageNotFound:
        raise NotFound("Not Found") from None


def best_size(wanted: int) -> int:
    """Return the smallest kept size that is large enough, or the largest."""
    return min((size for size in SIZES if size >= wanted), default=SIZES[0])


async def _replace(session: AsyncSession, actor: Actor, account_id: int, avatar_id: str | None) -> None:
    await authorize(session, actor, Action.ACCOUNT_EDIT, AccountScope(account_id))
    account = await session.get_one(Account, account_id, with_for_update=True, populate_existing=True)
    old = account.avatar_id
    if old == avatar_id:
        return
    account.avatar_id, account.updated_at = avatar_id, await database_now(session)
    if old is not None:
        await discard_picture(session, old)
    emit(session, AccountEdited(account_id=account_id))
    changes = {"picture": ("uploaded" if old else "", "uploaded" if avatar_id else "")}
    record(session, actor, "account.change_picture", account.login, account_id=account_id, changes=changes)
    await session.flush()


def _key(avatar_id: str, size: int) -> str:
    return f"avatars/{avatar_id}/{size}.webp"
