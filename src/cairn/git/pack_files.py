"""Packs on their way into the object store: keys that are never used twice, and the row that announces them first."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import insert, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import Conflict
from cairn.base.ids import random_id
from cairn.base.settings import MIB
from cairn.db.database import Database
from cairn.git.fail_points import Step, fail_point
from cairn.git.models import ManifestEntry, ManifestKind, Pack, PackState, Store, Upload, UploadState
from cairn.git.quarantine import IndexedPack
from cairn.git.together import together
from cairn.storage.storage import Storage

UPLOAD_LIFETIME = timedelta(hours=2)
"""How long an upload may stay open: twice what a plan may age, so that no landing races the sweeper without its row."""

_INLINE_BYTES = MIB
"""A pack up to this size is read for its digest without a thread."""

FileAdopter = Callable[[str, Path, Path], None]
"""Takes (pack id, pack, index) into the node's cache, so that the next view need not fetch what was just sent."""


class UploadExpired(Conflict):
    """The sweeper expired the upload before its refs landed."""

    def __init__(self) -> None:
        super().__init__("this push took too long between its upload and its end; push again")


@dataclass(frozen=True, slots=True)
class UploadedPack:
    """A pack and index complete in the object store, announced by an open upload row, named by no manifest yet."""

    id: str
    key: str
    pack_bytes: int
    index_bytes: int
    objects: int
    pack_sha256: str
    index_sha256: str


def pack_key(store_id: int, pack_id: str) -> str:
    """Return the storage key of a pack without its ending; made from ids only, never from content or names."""
    return f"packs/{store_id}/{pack_id}"


@dataclass(frozen=True, slots=True)
class AnnouncedUpload:
    """An open upload row, committed: the sweeper knows these keys before a byte is written to them."""

    id: str
    key: str


async def announce_upload(
    database: Database, store_id: int, *, at: datetime, key_of: Callable[[int, str], str] = pack_key
) -> AnnouncedUpload:
    """Commit the row that names a new pack's keys. ``at`` is the database's time when the plan began."""
    upload_id = random_id()
    key = key_of(store_id, upload_id)
    async with database.write() as session:
        await session.execute(
            insert(Upload).values(
                store_id=store_id,
                id=upload_id,
                keys=[f"{key}.pack", f"{key}.idx"],
                state=UploadState.OPEN,
                expires_at=at + UPLOAD_LIFETIME,
            )
        )
    await fail_point(Step.AFTER_UPLOAD_ROW)
    return AnnouncedUpload(upload_id, key)


async def upload_pack(
    storage: Storage, upload: AnnouncedUpload, pack: IndexedPack, *, adopt: FileAdopter
) -> UploadedPack:
    """Put pack and index side by side under the announced keys; both are verified by size.

    Errors: the storage's Unavailable. What a failure leaves behind is named by the open row, for the sweeper.
    """
    pack_id, key = upload.id, upload.key
    digests: list[str] = []

    async def digest() -> None:
        if pack.bytes <= _INLINE_BYTES:
            digests.extend(_digests(pack))
        else:
            digests.extend(await asyncio.to_thread(_digests, pack))

    async def put_pack() -> None:
        await storage.put_file(f"{key}.pack", pack.path_pack)
        await fail_point(Step.BETWEEN_PACK_AND_INDEX)

    await together(put_pack(), storage.put_file(f"{key}.idx", pack.path_idx), digest())
    await fail_point(Step.AFTER_PACK)
    pack_bytes, index_bytes = pack.bytes, pack.path_idx.stat().st_size
    # A shortcut for the next view; the push does not depend on it.
    adopt(pack_id, pack.path_pack, pack.path_idx)
    return UploadedPack(pack_id, key, pack_bytes, index_bytes, pack.objects, *digests)


async def enter_manifest(
    session: AsyncSession, store: Store, pack: UploadedPack, *, kind: ManifestKind, at: datetime
) -> None:
    """Close the upload and make the pack part of the store; UploadExpired if the sweeper was first."""
    await enter_pack(session, store.id, pack, at=at)
    await session.execute(
        insert(ManifestEntry).values(store_id=store.id, pack_store_id=store.id, pack_id=pack.id, kind=kind)
    )
    store.manifest_version += 1
    store.pack_bytes += pack.pack_bytes


async def enter_pack(session: AsyncSession, store_id: int, pack: UploadedPack, *, at: datetime) -> None:
    """Close the upload and write the pack's row, for manifests to name; UploadExpired if the sweeper was first."""
    await close_upload(session, store_id, pack.id)
    await session.execute(
        insert(Pack).values(
            store_id=store_id,
            id=pack.id,
            key=pack.key,
            pack_bytes=pack.pack_bytes,
            index_bytes=pack.index_bytes,
            objects=pack.objects,
            pack_sha256=pack.pack_sha256,
            index_sha256=pack.index_sha256,
            state=PackState.LIVE,
            created_at=at,
        )
    )


async def close_upload(session: AsyncSession, store_id: int, upload_id: str) -> None:
    """The upload's files are somebody's from now on; UploadExpired if the sweeper was first."""
    closed = await session.execute(
        update(Upload)
        .where(Upload.store_id == store_id, Upload.id == upload_id, Upload.state == UploadState.OPEN)
        .values(state=UploadState.CLOSED)
    )
    assert isinstance(closed, CursorResult)
    if closed.rowcount != 1:
        raise UploadExpired


def _digests(pack: IndexedPack) -> list[str]:
    """Return the SHA-256 of the pack and of its index, in hex."""
    digests = []
    for path in (pack.path_pack, pack.path_idx):
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests
