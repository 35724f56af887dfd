"""Archives of commits, made once and kept: with the node's answers, and in the object store for all nodes.

``git/archive.py`` makes one; this says how large it may be, under what it is kept and where it is found again. The
caller has proved that the commit may be read.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cairn.base.errors import TooLarge
from cairn.git.archive import ArchiveFormat, stream_archive
from cairn.git.archive_rewriting import Find, rewrite_archive
from cairn.git.blob_stream import file_chunks
from cairn.git.engine import Engine
from cairn.git.fetch_cache import answer_key
from cairn.git.history import Objects
from cairn.git.kept_answers import keep_answer
from cairn.git.shared_answers import SHARED_PREFIX, SharedFile
from cairn.git.store_state import StoreState
from cairn.git.tree_listing import TreeSize, measure_tree
from cairn.git.types import Oid

MEASURED_BYTES_PER_ENTRY = 1024
"""What an entry costs in a tar beside its content, at most: a header and the padding to whole blocks."""


class ArchiveTooLarge(TooLarge):
    """There is more in this revision than an archive may hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacements:
    """What stands in the place of small files: ``find`` knows it by their contents.

    ``digest`` says which those are, ``more_bytes`` how much they have together.
    """

    digest: str
    more_bytes: int
    find: Find


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePlan:
    """One archive: a commit, the format, and what stands before every name in it; ``replacements`` if it has any."""

    commit: Oid
    form: ArchiveFormat
    prefix: str
    replacements: Replacements | None = None

    def key(self, state: StoreState) -> str:
        """Return under what it is kept; a purge and whatever else raises the store's epoch makes it another."""
        filled = () if self.replacements is None else (self.replacements.digest,)
        return answer_key("archive", state.id, state.cache_epoch, self.commit, self.form.value, self.prefix, *filled)

    def shared(self, state: StoreState) -> SharedFile:
        """Return its place in the object store."""
        return SharedFile(f"{SHARED_PREFIX}/{state.id}/{self.key(state)}")


@dataclass(frozen=True, slots=True)
class KeptArchive:
    """An archive that exists: in memory, in a file of this node, or in the object store under ``stored_key``."""

    size: int
    data: bytes | None = None
    path: Path | None = None
    stored_key: str = ""


async def find_archive(engine: Engine, state: StoreState, plan: ArchivePlan) -> KeptArchive | None:
    """Return the archive if it was made before and is still kept."""
    known = engine.answers.find(plan.key(state))
    if isinstance(known, bytes):
        return KeptArchive(len(known), data=known)
    if known is not None:
        return KeptArchive(known.stat().st_size, path=known)
    shared = plan.shared(state)
    size = await shared.size(engine.storage)
    return None if size is None else KeptArchive(size, stored_key=shared.file_key)


async def make_archive(engine: Engine, state: StoreState, plan: ArchivePlan) -> AsyncGenerator[bytes, None]:
    """Yield the archive piece by piece while it is made, once for all who ask meanwhile; finished it is kept.

    Errors: ArchiveTooLarge; GitBusy, GitTimedOut, GitFailed.
    """
    await _require_room(engine, state, plan)
    key = plan.key(state)
    # Somebody else's may have become complete while the tree was measured.
    known = engine.answers.find(key)
    if isinstance(known, bytes):
        yield known
    elif known is not None:
        async for chunk in file_chunks(known):
            yield chunk
    else:
        shared = plan.shared(state)
        async with engine.answers.fly(
            key, lambda: _produce(engine, state, plan), shared=shared, is_final=lambda head: True
        ) as flight:
            async for chunk in flight.chunks():
                yield chunk


async def _produce(engine: Engine, state: StoreState, plan: ArchivePlan) -> AsyncGenerator[bytes, None]:
    """Make the archive, with what stands in the place of small files."""
    size, size_max = 0, engine.settings.max_archive_bytes
    async with engine.view(state) as view:
        chunks = stream_archive(
            engine.runner,
            view,
            plan.commit,
            form=plan.form if plan.replacements is None else ArchiveFormat.TAR,
            prefix=plan.prefix,
            deadline_seconds=engine.settings.archive_seconds,
        )
        if plan.replacements is not None:
            chunks = rewrite_archive(chunks, plan.form, plan.replacements.find)
        async with aclosing(chunks):
            async for chunk in chunks:
                size += len(chunk)
                if size > size_max:
                    raise _too_large(engine, "grew beyond what one may have")
                yield chunk


async def _require_room(engine: Engine, state: StoreState, plan: ArchivePlan) -> None:
    """Return if the commit's tree is small enough: asked before anything is sent, and of git once for each commit."""
    settings, commit = engine.settings, plan.commit
    more_bytes = 0 if plan.replacements is None else plan.replacements.more_bytes
    entries_max, bytes_max = settings.max_archive_entries, settings.max_archive_bytes

    async def make() -> bytes:
        async with engine.view(state) as view:
            found = await measure_tree(
                engine.runner, Objects(view.path), commit, max_entries=entries_max, max_bytes=bytes_max
            )
        return msgspec.json.encode((found.entries, found.file_bytes))

    kept = await keep_answer(engine, state, make, "archive size", commit, entries_max, bytes_max)
    size = TreeSize(*msgspec.json.decode(kept, type=tuple[int, int]))
    if size.entries > entries_max:
        raise ArchiveTooLarge(
            f"This revision has more than the {entries_max:,} files and folders an archive may have "
            "(CAIRN_MAX_ARCHIVE_ENTRIES); clone to get it."
        )
    if more_bytes + size.file_bytes + size.entries * MEASURED_BYTES_PER_ENTRY > bytes_max:
        raise _too_large(engine, "would be larger than one may be")


def _too_large(engine: Engine, what: str) -> ArchiveTooLarge:
    return ArchiveTooLarge(
        f"The archive {what}: {engine.settings.max_archive_bytes:,} bytes (CAIRN_MAX_ARCHIVE_BYTES); clone to get it."
    )
