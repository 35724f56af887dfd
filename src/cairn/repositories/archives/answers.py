"""One archive as an answer: from the object store, from this node, or while git makes it."""

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from litestar import Response
from litestar.response import Stream

from cairn.base.errors import NotFoundHere
from cairn.git.archive import ArchiveFormat
from cairn.git.archives import ArchivePlan, KeptArchive, find_archive, make_archive
from cairn.git.blob_stream import file_chunks
from cairn.git.engine import Engine
from cairn.git.store_state import StoreState
from cairn.git.types import show
from cairn.lfs.archived_files import large_files_in
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.revisions import Revision, RevisionKind
from cairn.repositories.queries import RepositoryView
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.downloads import Pieces, answer_file, attachment, begin, is_known, signed_redirect

MEDIA_TYPES = {
    ArchiveFormat.ZIP: "application/zip",
    ArchiveFormat.TAR: "application/x-tar",
    ArchiveFormat.TAR_GZ: "application/gzip",
}
_ODD = re.compile(r"[^\w.+-]+")


class ArchiveUnknown(NotFoundHere):
    """An address that names no format."""


@dataclass(frozen=True, slots=True)
class NamedArchive:
    """What an address asks for: the revision's name and the format."""

    revision: bytes
    form: ArchiveFormat


def parse_address(address: bytes) -> NamedArchive:
    """Return what ``main.zip`` or ``refs/tags/v1.tar.gz`` means; ArchiveUnknown names the formats."""
    for form in (ArchiveFormat.TAR_GZ, ArchiveFormat.TAR, ArchiveFormat.ZIP):
        ending = f".{form.value}".encode()
        if address.endswith(ending) and address != ending:
            return NamedArchive(address[: -len(ending)], form)
    raise ArchiveUnknown("An archive's address ends with .zip, .tar.gz or .tar.")


def base_name(repository: RepositoryView, revision: Revision) -> str:
    """Return the name of an archive and of the folder in it: ``engine-1.2`` for the tag ``v1.2`` of ``engine``."""
    name = revision.name.removeprefix(b"refs/heads/").removeprefix(b"refs/tags/")
    if revision.kind is not RevisionKind.BRANCH and re.match(rb"v\d", name):
        name = name[1:]
    return f"{repository.name}-{_ODD.sub('-', show(name)).strip('-') or revision.commit_oid}"


async def answer_archive(
    context: RequestContext, engine: Engine, repository: RepositoryView, wanted: NamedArchive
) -> Response[bytes] | Stream:
    """Return the archive of a revision. What was made before costs no git; the rest takes the place of costly work.

    Errors: RevisionNotFound, ArchiveTooLarge; CostlyBusy, GitBusy.
    """
    async with open_code(engine, repository.store_id) as code:
        revision = await code.revision(wanted.revision)
        _, state, _ = code.parts
    name = base_name(repository, revision)
    large_files = None
    if repository.has_lfs_in_archives:
        # To know under what it is kept, git is asked what it has of these.
        await context.pay(Cost.CONTENT)
        large_files = await large_files_in(engine, state, revision.commit_oid, repository.id)
    plan = ArchivePlan(commit=revision.commit_oid, form=wanted.form, prefix=f"{name}/", replacements=large_files)
    filled = "" if large_files is None else f"-{large_files.digest[:16]}"
    etag = f'"{plan.commit}-{plan.form.value}{filled}"'
    file_name = f"{name}.{plan.form.value}"
    headers = {"ETag": etag, "Content-Disposition": attachment(file_name)}
    if is_known(context, etag):
        return Response(content=b"", status_code=304, headers=headers)
    kept = await find_archive(engine, state, plan)
    if kept is not None:
        return await _answer_kept(context, engine, kept, plan, etag, headers)
    headers |= {"Content-Type": MEDIA_TYPES[plan.form]}
    if context.request.method == "HEAD":
        # A stream, because nobody knows the length yet: it is not 0.
        return Stream(_whole(b""), headers=headers)
    if not repository.has_lfs_in_archives:
        await context.pay(Cost.CONTENT)
    return await _answer_made(engine, state, plan, headers)


async def _answer_kept(
    context: RequestContext,
    engine: Engine,
    kept: KeptArchive,
    plan: ArchivePlan,
    etag: str,
    headers: dict[str, str],
) -> Response[bytes] | Stream:
    media_type = MEDIA_TYPES[plan.form]
    if kept.stored_key:
        disposition = headers["Content-Disposition"]
        direct = await signed_redirect(context, engine.storage, kept.stored_key, media_type, disposition)
        if direct is not None:
            return direct

    def read(start: int, end: int) -> Pieces:
        if kept.data is not None:
            return _whole(kept.data[start:end])
        if kept.path is not None:
            return file_chunks(kept.path, start, end)
        return engine.storage.stream(kept.stored_key, offset=start, size=end - start)

    return await answer_file(context, kept.size, read, etag=etag, media_type=media_type, headers=headers)


async def _answer_made(engine: Engine, state: StoreState, plan: ArchivePlan, headers: dict[str, str]) -> Stream:
    """Return the archive while it grows; what cannot be made at all is refused before anything is sent."""
    return Stream(await begin(make_archive(engine, state, plan)), headers=headers)


async def _whole(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data
