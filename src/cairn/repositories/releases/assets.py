"""Files of releases: received while they stream, announced before the first byte, counted, renamed, deleted."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.decide import require
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, FieldProblem, Invalid, TooLarge
from cairn.base.ids import random_id
from cairn.base.settings import MIB
from cairn.db.clock import database_now, now
from cairn.events.emit import emit
from cairn.git.engine import Engine
from cairn.lfs.authorization import Authorize
from cairn.repositories.lfs_access import make_authorize
from cairn.repositories.queries import RepositoryView, lock_repository
from cairn.repositories.releases.events import ReleaseAssetAdded, ReleaseAssetDeleted
from cairn.repositories.releases.models import NAME_LENGTH_MAX, FileState, Release, ReleaseAsset, ReleaseFile
from cairn.repositories.releases.queries import ReleaseMissing

PREFIX = "releases"
UPLOAD_LIFETIME = timedelta(days=1)
"""The longest an upload may take; after that its key is swept."""

PLAIN_TYPE = "application/octet-stream"
_HASHED_AT_ONCE = MIB
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}")
_ODD = re.compile(r"[^\w.+@=()~ -]+")


class AssetInvalid(Invalid):
    """A file's name is taken, or cannot be one."""


class AssetTooLarge(TooLarge):
    """A file, or all files of the repository together, have more bytes than they may."""


class UploadTooLate(Conflict):
    """An upload took longer than UPLOAD_LIFETIME."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAsset:
    """A file as whoever sends it describes it; ``size`` if they say it before."""

    name: str
    label: str = ""
    content_type: str = PLAIN_TYPE
    size: int | None = None


def clean_name(name: str) -> str:
    """Return a file's name as it is kept: odd characters become dots, as on GitHub; AssetInvalid for no name.

    No part of it ever becomes a path: the object store's keys are random.
    """
    found = _ODD.sub(".", name.replace("\\", "/").rpartition("/")[2]).strip(". ").replace(" ", ".")[:NAME_LENGTH_MAX]
    if not found:
        raise _invalid("name", "missing_field", "A file wants a name.")
    return found


def clean_type(content_type: str) -> str:
    """Return a media type without parameters; what is none is mere bytes."""
    found = content_type.split(";", maxsplit=1)[0].strip().lower()
    return found if _TYPE.fullmatch(found) else PLAIN_TYPE


async def receive_asset(
    engine: Engine,
    actor: Actor,
    repository: RepositoryView,
    release_id: int,
    new: NewAsset,
    chunks: AsyncIterator[bytes],
) -> int:
    """The release has the file, whose bytes are ``chunks``; return its number. Or nothing has changed.

    Errors: ReleaseMissing, NotFound, Forbidden; AssetInvalid, AssetTooLarge, UploadTooLate; the storage's. Memory: one
    part of an upload, and 1 MiB.
    """
    require(actor, Action.REPOSITORY_PUSH, repository.scope)
    asset = ReleaseAsset(
        repository_id=repository.id,
        release_id=release_id,
        name=clean_name(new.name),
        label=new.label.strip().replace("\0", "")[:NAME_LENGTH_MAX],
        content_type=clean_type(new.content_type),
        download_count=0,
    )
    authorize = make_authorize(actor, repository.id)
    async with engine.database.read() as session:
        await _require_room(session, engine, asset, new.size or 0)
    file = await _announce(engine, repository.id)
    try:
        proof = _Proof(chunks, bytes_max=engine.settings.max_release_asset_bytes, wanted=new.size)
        await engine.storage.put_stream(file.announced_key, proof.pieces())
        return await _land(engine, authorize, asset, file, proof)
    except BaseException:
        # Shielded: a client that leaves must not leave bytes behind for a day.
        await asyncio.shield(_give_up(engine, file))
        raise


class _Proof:
    """Passes chunks on, counted and hashed."""

    def __init__(self, chunks: AsyncIterator[bytes], *, bytes_max: int, wanted: int | None) -> None:
        self._chunks = chunks
        self._bytes_max = bytes_max
        self._wanted = wanted
        self.size = 0
        self.sha256 = ""

    async def pieces(self) -> AsyncIterator[bytes]:
        digest, batch = hashlib.sha256(), bytearray()
        async for chunk in self._chunks:
            self.size += len(chunk)
            if self.size > self._bytes_max:
                raise _too_large(self._bytes_max)
            batch += chunk
            if len(batch) >= _HASHED_AT_ONCE:
                piece, batch = bytes(batch), bytearray()
                await asyncio.to_thread(digest.update, piece)
                yield piece
        digest.update(batch)
        if self._wanted is not None and self.size != self._wanted:
            # Before the last piece is confirmed: the store never shows a part of a file.
            raise _invalid("size", "invalid", f"{self.size:,} bytes came where {self._wanted:,} were announced.")
        self.sha256 = digest.hexdigest()
        if batch or not self.size:
            yield bytes(batch)


async def _announce(engine: Engine, repository_id: int) -> ReleaseFile:
    file_id = random_id()
    # Two letters of the id as a folder: stores that list in no order list a folder at a time.
    key = f"{PREFIX}/{file_id[:2]}/{file_id}"
    async with engine.database.write() as session:
        ends_at = await database_now(session, plus=UPLOAD_LIFETIME)
        file = ReleaseFile(
            repository_id=repository_id, id=file_id, announced_key=key, state=FileState.OPEN, since=ends_at
        )
        session.add(file)
    return file


async def _give_up(engine: Engine, file: ReleaseFile) -> None:
    """Let the sweeper have the upload at once."""
    async with engine.database.write() as session:
        await session.execute(
            update(ReleaseFile)
            .where(
                ReleaseFile.repository_id == file.repository_id,
                ReleaseFile.id == file.id,
                ReleaseFile.state == FileState.OPEN,
            )
            .values(since=now())
        )


async def _land(engine: Engine, authorize: Authorize, asset: ReleaseAsset, file: ReleaseFile, proof: _Proof) -> int:
    facts = {name: getattr(asset, name) for name in ("repository_id", "release_id", "name", "label", "content_type")}

    async def write(session: AsyncSession) -> int:
        await lock_repository(session, asset.repository_id)
        actor = await authorize(session, Action.REPOSITORY_PUSH)
        row = await session.get(
            ReleaseFile, (file.repository_id, file.id), with_for_update=True, populate_existing=True
        )
        if row is None or row.state is not FileState.OPEN:
            raise UploadTooLate("This upload took longer than a day; begin again.")
        await _require_room(session, engine, asset, proof.size)
        at = await database_now(session)
        row.state, row.since, row.key = FileState.LIVE, at, row.announced_key
        row.size, row.sha256 = proof.size, proof.sha256
        landed = ReleaseAsset(
            **facts,
            file_id=file.id,
            size=proof.size,
            sha256=proof.sha256,
            uploader_id=actor.account_id,
            download_count=0,
            created_at=at,
            updated_at=at,
        )
        session.add(landed)
        await session.flush()
        added = ReleaseAssetAdded(
            repository_id=asset.repository_id,
            release_id=asset.release_id,
            asset_id=landed.id,
            name=landed.name,
            size=proof.size,
            actor_id=actor.account_id,
        )
        emit(session, added)
        details = {"size": str(proof.size), "sha256": proof.sha256}
        record(session, actor, "release.add_asset", landed.name, repository_id=asset.repository_id, details=details)
        return landed.id

    try:
        return await engine.database.write_retrying(write)
    except IntegrityError:
        raise _taken() from None


async def _require_room(session: AsyncSession, engine: Engine, asset: ReleaseAsset, size: int) -> None:
    """Return if the release exists and one more file of that name and size fits. Errors as receive_asset."""
    settings = engine.settings
    release = await session.get(Release, asset.release_id)
    if release is None or release.repository_id != asset.repository_id:
        raise ReleaseMissing
    if size > settings.max_release_asset_bytes:
        raise _too_large(settings.max_release_asset_bytes)
    # uq_release_asset_release_id_name
    names = select(ReleaseAsset.name).where(ReleaseAsset.release_id == asset.release_id)
    taken = set(await session.scalars(names))
    if asset.name in taken:
        raise _taken()
    if len(taken) >= settings.max_release_assets:
        message = f"A release has at most {settings.max_release_assets:,} files (CAIRN_MAX_RELEASE_ASSETS)."
        raise _invalid("name", "custom", message)
    bytes_max = settings.max_release_repository_bytes
    if bytes_max:
        # uq_release_asset_repository_id_file_id
        of_repository = ReleaseAsset.repository_id == asset.repository_id
        held = await session.scalar(select(func.sum(ReleaseAsset.size)).where(of_repository)) or 0
        if int(held) + size > bytes_max:
            raise AssetTooLarge(
                f"The files of this repository's releases may have {bytes_max:,} bytes together "
                "(CAIRN_MAX_RELEASE_REPOSITORY_BYTES); delete some first."
            )


async def edit_asset(
    session: AsyncSession,
    actor: Actor,
    repository: RepositoryView,
    asset_id: int,
    *,
    name: str | None = None,
    label: str | None = None,
) -> None:
    """A file has another name or label; its bytes never change. Errors: ReleaseMissing, Forbidden, AssetInvalid."""
    now_actor, asset = await _hold(session, actor, repository, asset_id)
    before = {"name": asset.name, "label": asset.label}
    if name is not None:
        asset.name = clean_name(name)
    if label is not None:
        asset.label = label.strip().replace("\0", "")[:NAME_LENGTH_MAX]
    asset.updated_at = await database_now(session)
    changes = {each: (old, getattr(asset, each)) for each, old in before.items() if old != getattr(asset, each)}
    try:
        await session.flush()
    except IntegrityError:
        raise _taken() from None
    record(session, now_actor, "release.edit_asset", asset.name, repository_id=repository.id, changes=changes)


async def delete_asset(session: AsyncSession, actor: Actor, repository: RepositoryView, asset_id: int) -> None:
    """A release has the file no more; its bytes go hours later. Errors: ReleaseMissing, Forbidden."""
    now_actor, asset = await _hold(session, actor, repository, asset_id)
    await session.delete(asset)
    await session.flush()
    deleted = ReleaseAssetDeleted(
        repository_id=repository.id,
        release_id=asset.release_id,
        asset_id=asset_id,
        name=asset.name,
        actor_id=now_actor.account_id,
    )
    emit(session, deleted)
    record(session, now_actor, "release.delete_asset", asset.name, repository_id=repository.id)


async def _hold(
    session: AsyncSession, actor: Actor, repository: RepositoryView, asset_id: int
) -> tuple[Actor, ReleaseAsset]:
    await lock_repository(session, repository.id)
    now_actor = await make_authorize(actor, repository.id)(session, Action.REPOSITORY_PUSH)
    asset = await session.get(ReleaseAsset, asset_id, populate_existing=True)
    if asset is None or asset.repository_id != repository.id:
        raise ReleaseMissing
    return now_actor, asset


def _invalid(field: str, code: str, message: str) -> AssetInvalid:
    return AssetInvalid("Validation Failed", FieldProblem(field, code, message, "ReleaseAsset"))


def _taken() -> AssetInvalid:
    return _invalid("name", "already_exists", "The release has a file of this name already.")


def _too_large(bytes_max: int) -> AssetTooLarge:
    return AssetTooLarge(f"A file of a release may have {bytes_max:,} bytes at most (CAIRN_MAX_RELEASE_ASSET_BYTES).")
