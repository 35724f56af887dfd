"""Files whose bytes Git LFS keeps: shown and sent like any other, where the repository has them."""

from collections.abc import Collection
from dataclasses import replace

from litestar import Response
from litestar.response import Stream
from sqlalchemy import select

from cairn.db.database import Database
from cairn.git.types import show
from cairn.lfs.models import LfsObject
from cairn.lfs.objects import StoredObject, find_object
from cairn.lfs.pointers import Pointer, read_pointer
from cairn.repositories.code.browse import SHOWN_FILE_BYTES_MAX, FileContent
from cairn.repositories.code.file_kinds import raw_type
from cairn.repositories.models import Repository
from cairn.storage.errors import StorageNotFound
from cairn.storage.storage import Storage
from cairn.web.context import RequestContext
from cairn.web.downloads import answer_file, attachment, signed_redirect


def pointer_in(content: FileContent) -> Pointer | None:
    """Return the pointer that a file is, None for any other file."""
    return None if content.data is None or content.is_symlink else read_pointer(content.data)


async def find_large_file(database: Database, repository_id: int, pointer: Pointer) -> StoredObject | None:
    """Return the object that a pointer of a repository stands for; None if that has none of this hash and size.

    The caller has proved that the repository may be read.
    """
    async with database.read() as session:
        found = await find_object(session, repository_id, pointer.sha256)
    return found if found is not None and found.size == pointer.size_bytes else None


async def large_files_here(database: Database, store_id: int, oids: Collection[str]) -> set[str]:
    """Return those of some objects that the repository of a store has."""
    async with database.read() as session:
        # uq_repository_store_id, primary key of lfs_object.
        found = await session.scalars(
            select(LfsObject.oid)
            .join(Repository, Repository.id == LfsObject.repository_id)
            .where(Repository.store_id == store_id, LfsObject.oid.in_(list(oids)))
        )
        return set(found)


async def with_bytes(storage: Storage, content: FileContent, stored: StoredObject) -> FileContent | None:
    """Return a file as it would be without Git LFS, with its bytes if they are few enough to be shown.

    None if the object store has lost them.
    """
    data = None
    if stored.size <= SHOWN_FILE_BYTES_MAX:
        try:
            data = await storage.get(stored.key, max_bytes=SHOWN_FILE_BYTES_MAX)
        except StorageNotFound:
            return None
    return replace(content, size_bytes=stored.size, data=data)


async def answer_large_file(
    context: RequestContext, name: bytes, stored: StoredObject, *, policy: str, download: bool
) -> Response[bytes] | Stream:
    """Return an object's bytes, or a range of them, as a type by the file's name of which a browser runs nothing.

    What is only kept comes straight from the object store, where that signs addresses; what a page shows does not: a
    page shows what is from here, and an address would say nothing of what a browser may do with the bytes.
    """
    storage = context.site.engine.storage
    kind = raw_type(name, None)
    headers = {"Content-Security-Policy": policy, "Cross-Origin-Resource-Policy": "same-site"}
    if download:
        headers["Content-Disposition"] = attachment(show(name))
        direct = await signed_redirect(context, storage, stored.key, kind, headers["Content-Disposition"])
        if direct is not None:
            return direct
    return await answer_file(
        context,
        stored.size,
        lambda start, end: storage.stream(stored.key, offset=start, size=end - start),
        etag=f'"{stored.oid}"',
        media_type=kind,
        headers=headers,
    )
