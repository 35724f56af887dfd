"""Receiving an object: its bytes are proved while they stream, and only then does the repository have it.

The key is announced by a row before a byte is written, so nothing is ever in the object store that no row knows. Bytes
that the installation has already, for whatever repository, are proved like others and not stored twice: to name a
SHA-256 gives nobody anything.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.errors import Conflict, Invalid, Unavailable
from cairn.base.ids import random_id
from cairn.base.settings import MIB, Settings
from cairn.db.clock import database_now, now
from cairn.db.database import Database
from cairn.identity.models import Account
from cairn.lfs.authorization import REPOSITORY, Authorize, hold_repository
from cairn.lfs.models import BlobState, LfsBlob, LfsObject, LfsUpload
from cairn.lfs.objects import StoredObject, add_object, find_object
from cairn.lfs.quotas import require_size, room_of
from cairn.storage.errors import StorageNotFound
from cairn.storage.storage import Storage

UPLOAD_LIFETIME = timedelta(days=1)
"""The longest an upload may take; after that its key is swept."""

PREFIX = "lfs"
_HASHED_AT_ONCE = MIB
_ATTEMPTS = 5


class ObjectMismatch(Invalid):
    """What was sent is not what was announced: other bytes, or another number of them."""


class UploadTooLate(Conflict):
    """The upload took longer than UPLOAD_LIFETIME."""

    def __init__(self) -> None:
        super().__init__("this upload took longer than a day; begin again")


class BlobVanished(Unavailable):
    """The bytes that were there already are being deleted."""

    def __init__(self) -> None:
        super().__init__("this object was being removed from the store while you sent it; send it again")


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """An object that a client sends: its SHA-256, and its size where the client says it before."""

    repository_id: int
    oid: str
    size: int | None


async def receive_object(
    database: Database,
    storage: Storage,
    settings: Settings,
    incoming: Incoming,
    chunks: AsyncIterator[bytes],
    *,
    authorize: Authorize,
) -> StoredObject:
    """The repository has the object, whose bytes are ``chunks``, read to their end; or nothing has changed.

    Errors: ObjectMismatch; ObjectTooLarge, QuotaExceeded; UploadTooLate, BlobVanished; what ``authorize`` raises (it
    is asked again in the transaction that counts), the storage's. Memory: one part of an upload, and 1 MiB.
    """
    if incoming.size is not None:
        require_size(settings, incoming.size)
    async with database.read() as session:
        blob = await session.get(LfsBlob, incoming.oid)
        has = await find_object(session, incoming.repository_id, incoming.oid)
        if has is None and incoming.size is not None:
            owner_id = await _owner_of(session, incoming.repository_id)
            room = await room_of(session, settings, repository_id=incoming.repository_id, owner_id=owner_id)
            room.take(incoming.size)
    proof = _Proof(incoming, chunks, require_size=lambda size: require_size(settings, size))
    landing = _Landing(settings, incoming, authorize)
    if blob is not None and await _is_stored(storage, blob):
        async for _ in proof.pieces():
            pass
        return await landing.land(database, proof.size)
    landing.lost_key = blob.key if blob is not None else ""
    upload = landing.upload = await _announce(database, incoming.repository_id)
    try:
        await storage.put_stream(upload.key, proof.pieces())
        landed = await landing.land(database, proof.size)
    except BaseException:
        # Shielded: a client that leaves must not leave bytes behind for a day.
        await asyncio.shield(_give_up(database, upload))
        raise
    if landed.key != upload.key:
        await storage.delete(upload.key)
    return landed


class _Proof:
    """Passes chunks through, counted and hashed; at their end, before the last is confirmed, they must be the object.

    The error at the end keeps the store from making the object visible.
    """

    def __init__(
        self, incoming: Incoming, chunks: AsyncIterator[bytes], *, require_size: Callable[[int], None]
    ) -> None:
        self._incoming = incoming
        self._chunks = chunks
        self._require_size = require_size
        self.size = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        digest, batch = hashlib.sha256(), bytearray()
        async for chunk in self._chunks:
            self._count(len(chunk))
            batch += chunk
            if len(batch) >= _HASHED_AT_ONCE:
                piece, batch = bytes(batch), bytearray()
                await asyncio.to_thread(digest.update, piece)
                yield piece
        digest.update(batch)
        self._require_whole(digest.hexdigest())
        if batch:
            yield bytes(batch)

    def _count(self, more: int) -> None:
        self.size += more
        self._require_size(self.size)
        if self._incoming.size is not None and self.size > self._incoming.size:
            raise ObjectMismatch(f"more than the {self._incoming.size:,} bytes came that were announced")

    def _require_whole(self, oid: str) -> None:
        if self._incoming.size is not None and self.size != self._incoming.size:
            raise ObjectMismatch(f"{self.size:,} bytes came where {self._incoming.size:,} were announced")
        if oid != self._incoming.oid:
            raise ObjectMismatch(f"the bytes have the SHA-256 {oid}, not {self._incoming.oid}")


async def _owner_of(session: AsyncSession, repository_id: int) -> int:
    return int(await session.scalar(select(REPOSITORY.c.owner_id).where(REPOSITORY.c.id == repository_id)) or 0)


async def _is_stored(storage: Storage, blob: LfsBlob) -> bool:
    """Tell whether the store has the bytes that a row speaks of; bytes that were lost are taken anew."""
    if blob.state is BlobState.DELETING:
        return False
    try:
        return (await storage.stat(blob.key)).size == blob.size
    except StorageNotFound:
        return False


async def _announce(database: Database, repository_id: int) -> LfsUpload:
    upload_id = random_id()
    # Two letters of the id as a folder: stores that list in no order list a folder at a time.
    key = f"{PREFIX}/{upload_id[:2]}/{upload_id}"
    async with database.write() as session:
        expires_at = await database_now(session, plus=UPLOAD_LIFETIME)
        upload = LfsUpload(repository_id=repository_id, id=upload_id, key=key, is_expired=False, expires_at=expires_at)
        session.add(upload)
    return upload


async def _give_up(database: Database, upload: LfsUpload) -> None:
    """Let the sweeper have the upload at once."""
    async with database.write() as session:
        await session.execute(
            update(LfsUpload)
            .where(LfsUpload.repository_id == upload.repository_id, LfsUpload.id == upload.id)
            .values(expires_at=now())
        )


class _Landing:
    """The transaction after which the repository has the object.

    ``upload`` wrote bytes of its own; without one the bytes were there already. ``lost_key`` is where they should have
    been and are not.
    """

    def __init__(self, settings: Settings, incoming: Incoming, authorize: Authorize) -> None:
        self._settings = settings
        self._incoming = incoming
        self._authorize = authorize
        self.upload: LfsUpload | None = None
        self.lost_key = ""

    async def land(self, database: Database, size: int) -> StoredObject:
        """Commit; a blob that another repository enters meanwhile is used instead of this upload's."""

        async def change(session: AsyncSession) -> StoredObject:
            return await self._change(session, size)

        for _ in range(_ATTEMPTS):
            try:
                return await database.write_retrying(change)
            except IntegrityError:
                continue  # somebody else entered the same bytes first: the next look finds the row
        raise BlobVanished

    async def _change(self, session: AsyncSession, size: int) -> StoredObject:
        repository_id, oid = self._incoming.repository_id, self._incoming.oid
        owner_id = await hold_repository(session, repository_id)
        await self._authorize(session, Action.REPOSITORY_PUSH)
        is_new = await find_object(session, repository_id, oid) is None
        if is_new:
            if self._settings.max_lfs_owner_bytes:
                # Uploads into other repositories of the owner wait: together they must not pass the quota.
                await session.execute(select(Account.id).where(Account.id == owner_id).with_for_update())
            room = await room_of(session, self._settings, repository_id=repository_id, owner_id=owner_id)
            room.take(size)
        key = await self._enter_blob(session, size)
        if is_new:
            await add_object(session, repository_id, oid, size)
        else:
            of_this = (LfsObject.repository_id == repository_id, LfsObject.oid == oid)
            await session.execute(update(LfsObject).where(*of_this).values(wanted_at=now()))
        return StoredObject(oid, size, key, await database_now(session))

    async def _enter_blob(self, session: AsyncSession, size: int) -> str:
        """Return the key of the object's bytes, whose row is live: this upload's if there are no others."""
        upload = None if self.upload is None else await _still_open(session, self.upload)
        # Primary key of lfs_blob.
        blob = await session.get(LfsBlob, self._incoming.oid, with_for_update=True, populate_existing=True)
        is_there = blob is not None and blob.state is not BlobState.DELETING and blob.key != self.lost_key
        if blob is not None and is_there:
            blob.state, blob.condemned_at = BlobState.LIVE, None
            if upload is not None:
                upload.expires_at = await database_now(session)  # the sweeper's
            return blob.key
        if upload is None:
            raise BlobVanished
        if blob is None:
            session.add(LfsBlob(sha256=self._incoming.oid, size=size, key=upload.key, created_at=now()))
        else:
            # What is being deleted is deleted by its old key, and its row only while it has that.
            blob.key, blob.state, blob.condemned_at = upload.key, BlobState.LIVE, None
        await session.delete(upload)
        await session.flush()
        return upload.key


async def _still_open(session: AsyncSession, upload: LfsUpload) -> LfsUpload:
    """Return the upload's row, locked; UploadTooLate if the sweeper was first."""
    row = await session.get(LfsUpload, (upload.repository_id, upload.id), with_for_update=True)
    if row is None or row.is_expired:
        raise UploadTooLate
    return row
