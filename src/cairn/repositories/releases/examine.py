"""What the doctor says of releases' files: rows without bytes, bytes without rows, sizes that differ."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import and_, select

from cairn.db.database import Database
from cairn.git.bucket_comparison import BATCH_ROWS
from cairn.repositories.releases.files import listed_files, unannounced
from cairn.repositories.releases.models import ReleaseAsset, ReleaseFile
from cairn.storage.errors import StorageNotFound
from cairn.storage.storage import Storage


@dataclass(frozen=True, slots=True)
class FileProblem:
    """One thing that is wrong, in a sentence; ``repository_id`` is None for bytes that are nobody's."""

    sentence: str
    repository_id: int | None = None


async def examine_files(
    database: Database, storage: Storage, *, repository_id: int | None = None
) -> AsyncIterator[FileProblem]:
    """Yield what is wrong with the files of one repository's releases, or of all, strays among them.

    Reads sizes, no contents; changes nothing. What looks wrong is looked at once more, so uploads, deletions and
    sweeps may go on meanwhile. Errors: the storage's, the database's.
    """
    async for problem in _examine_assets(database, storage, repository_id):
        yield problem
    if repository_id is None:
        async for problem in _examine_strays(database, storage):
            yield problem


async def _examine_assets(
    database: Database, storage: Storage, repository_id: int | None
) -> AsyncIterator[FileProblem]:
    after = 0
    while True:
        async with database.read() as session:
            # Primary key of release_asset; uq_release_asset_repository_id_file_id for one repository.
            statement = _WITH_FILES.where(ReleaseAsset.id > after).order_by(ReleaseAsset.id).limit(BATCH_ROWS)
            if repository_id is not None:
                statement = statement.where(ReleaseAsset.repository_id == repository_id)
            rows = (await session.execute(statement)).all()
        for asset, file in rows:
            sentence = await _sentence(storage, asset, file)
            if sentence and await _is_still_so(database, asset):
                yield FileProblem(sentence, asset.repository_id)
        if len(rows) < BATCH_ROWS:
            return
        after = rows[-1][0].id


_WITH_FILES = select(ReleaseAsset, ReleaseFile).outerjoin(
    ReleaseFile,
    and_(ReleaseFile.repository_id == ReleaseAsset.repository_id, ReleaseFile.id == ReleaseAsset.file_id),
)


async def _sentence(storage: Storage, asset: ReleaseAsset, file: ReleaseFile | None) -> str:
    """Return what is wrong with a file of a release; empty if nothing is."""
    name = f"The file {asset.name!r} of release {asset.release_id}"
    if file is None or file.key is None:
        return f"{name} names bytes that no row has any more: delete it and send it again."
    if file.size != asset.size or file.sha256 != asset.sha256:
        return f"{name} and the row of its bytes disagree: {asset.size:,} and {file.size or 0:,} bytes."
    try:
        size = (await storage.stat(file.key)).size
    except StorageNotFound:
        return f"{file.key} ({name}) is missing from the object store; {_MENDED}"
    return "" if size == file.size else f"{file.key} ({name}) has {size:,} bytes instead of {file.size:,}; {_MENDED}"


_MENDED = "restore this key from the bucket's versions or from a backup."


async def _is_still_so(database: Database, asset: ReleaseAsset) -> bool:
    """Tell whether the release has the file even now: it may have been deleted, as it may, between two looks."""
    async with database.read() as session:
        return await session.get(ReleaseAsset, asset.id) is not None


async def _examine_strays(database: Database, storage: Storage) -> AsyncIterator[FileProblem]:
    async for batch in listed_files(storage):
        sizes = {entry.key: entry.size for entry in batch}
        for key in await unannounced(database, sorted(sizes)):
            if await storage.exists(key):
                sentence = f"No row knows {key} ({sizes[key]:,} bytes): the weekly comparison deletes it when old."
                yield FileProblem(sentence)
