"""Reading a repository's code for pages and the API: folders, files, history, one commit."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from cairn.git.blame import Blame, read_blame
from cairn.git.blob_stream import blob_chunks
from cairn.git.diff import Compared, Diff, DiffBounds, diff_of
from cairn.git.diff_reader import DiffReader
from cairn.git.engine import Engine
from cairn.git.folder_listing import FolderEntry, read_folder_part
from cairn.git.history import Objects, count_ahead_behind, count_commits, merge_bases, read_log
from cairn.git.kept_answers import keep_answer
from cairn.git.last_commits import LastCommits, read_last_commits
from cairn.git.node_cache import View
from cairn.git.path_list import PathList, read_path_list
from cairn.git.reading import BlobTooLarge, Commit, ObjectNotFound, ObjectReader, Tag, TreeEntry
from cairn.git.ref_queries import RefSnapshot, RefValue
from cairn.git.store_state import StoreState
from cairn.git.tree_listing import ENTRIES_MAX, TreeListing, list_tree
from cairn.git.types import ObjectKind, Oid, is_oid, show
from cairn.repositories.code.revisions import (
    Place,
    Revision,
    RevisionNotFound,
    default_revision,
    find_place,
    find_revision,
)
from cairn.web.api import PAGE_MAX

SHOWN_FILE_BYTES_MAX = 4 << 20
"""Files beyond this are offered raw instead of shown."""

README_BYTES_MAX = 1 << 20
COMMITS_PER_PAGE = 30
COUNTED_COMMITS_MAX = 10_000
"""A history is counted exactly up to here; beyond it pages say "more than"."""

IGNORED_REVISIONS_FILE = b".git-blame-ignore-revs"
"""Names commits that blame passes over, as it does elsewhere: reformattings, moves."""

_IGNORED_REVISIONS_BYTES_MAX = 64 << 10
_IGNORED_REVISIONS_MAX = 200
_README_NAMES = (b"readme.md", b"readme.markdown", b"readme.rst", b"readme.txt", b"readme")
_FILE_KINDS = frozenset({0o100644, 0o100664, 0o100755})
_BINARY_PROBE_BYTES = 8000
_PATH_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class Folder:
    """A part of a revision's folder: entries with folders first, how many there are, and its README if it has one."""

    entries: list[FolderEntry]
    total: int
    readme: "FileContent | None"


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file: ``data`` is None when it is larger than what was asked for."""

    name: bytes
    oid: Oid
    mode: int
    size_bytes: int
    data: bytes | None

    @property
    def is_binary(self) -> bool:
        """True if git would call it binary: NUL among the first 8,000 bytes."""
        return self.data is not None and b"\0" in self.data[:_BINARY_PROBE_BYTES]

    @property
    def is_symlink(self) -> bool:
        """True if the content is the path of another file."""
        return self.mode == 0o120000


@dataclass(frozen=True, slots=True)
class CommitPage:
    """Some commits of a history, newest first; ``has_more`` tells whether older ones follow."""

    commits: list[Commit]
    has_more: bool


def require_possible(path: bytes) -> None:
    """Return if a tree may have this path; ObjectNotFound for what would only make git or the system fail."""
    parts = path.split(b"/") if path else []
    if b"\0" in path or len(path) > _PATH_BYTES_MAX or {b"", b".", b".."}.intersection(parts):
        raise ObjectNotFound(f"there is no path {show(path[:100])!r} here")


class Code:
    """One store at one moment, for the length of a request; made by ``open_code``."""

    def __init__(self, engine: Engine, state: StoreState, view: View, snapshot: RefSnapshot) -> None:
        self._engine = engine
        self._state = state
        self._view = view
        self._objects = Objects(view.path)
        self._reader = ObjectReader(view.path)
        self.snapshot = snapshot

    def close(self) -> None:
        """Release the packs that were read."""
        self._reader.close()

    @property
    def parts(self) -> tuple[Engine, StoreState, View]:
        """What questions to the engine begin with: where, which store, at which moment."""
        return self._engine, self._state, self._view

    @property
    def branches(self) -> list[RefValue]:
        """All branches by name."""
        return [ref for ref in self.snapshot.refs if ref.name.startswith(b"refs/heads/")]

    @property
    def tags(self) -> list[RefValue]:
        """All tags by name."""
        return [ref for ref in self.snapshot.refs if ref.name.startswith(b"refs/tags/")]

    async def default_revision(self) -> Revision | None:
        """Return the default branch's tip, None while it is unborn."""
        return await default_revision(self._engine, self._state)

    async def place(self, address: bytes) -> Place:
        """Return what an address means; RevisionNotFound. The empty address is the default branch."""
        if not address.strip(b"/"):
            found = await self.default_revision()
            if found is None:
                raise RevisionNotFound("this repository has no commits yet")
            return Place(found, b"")
        return await find_place(self._engine, self._state, self._view, address)

    async def revision(self, name: bytes) -> Revision:
        """Return the commit a name means; RevisionNotFound."""
        return await find_revision(self._engine, self._state, self._view, name)

    async def commit(self, oid: Oid) -> Commit:
        """Return one commit whose reachability is proved already."""
        return await self._reader.read_commit(oid)

    async def commits(self, oids: list[Oid]) -> list[Commit]:
        """Return several such commits."""
        return await self._reader.read_commits(oids)

    async def prove(self, oid: Oid) -> ObjectKind:
        """Return the kind of an object asked for by its id, if a root of 14 days reaches it; NotFound otherwise."""
        if oid not in self.snapshot.tips:
            tips = [ref.oid for ref in self.snapshot.refs]
            await self._engine.reachability.require(self._state, self._view, [oid], tips=tips)
        return await self._reader.read_kind(oid)

    async def kinds(self, oids: list[Oid]) -> list[ObjectKind]:
        """Return the kinds of several objects whose reachability is proved already."""
        return await self._reader.read_kinds(oids)

    async def tag(self, oid: Oid) -> Tag:
        """Return one such annotated tag."""
        return await self._reader.read_tag(oid)

    async def blob(self, oid: Oid, *, max_bytes: int) -> bytes:
        """Return the content of one such blob; BlobTooLarge."""
        return await self._reader.read_blob(oid, max_bytes=max_bytes)

    async def blob_size(self, oid: Oid) -> int:
        """Return the size of one such blob in bytes."""
        return await self._reader.read_blob_size(oid)

    def blob_chunks(self, oid: Oid, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Return such a blob, or a range of it, piece by piece; the pieces may be read after this code is closed."""
        return blob_chunks(self._engine, self._state, oid, start=start, end=end)

    async def peel(self, oid: Oid) -> tuple[Oid, ObjectKind]:
        """Return what such an annotated tag finally means; any other object means itself."""
        return await self._reader.peel(oid)

    async def listing(self, tree: Oid, *, recursive: bool = False, max_entries: int = ENTRIES_MAX) -> TreeListing:
        """Return the entries of a tree with the sizes of its files."""
        return await list_tree(self._engine.runner, self._objects, tree, recursive=recursive, max_entries=max_entries)

    async def entry(self, place: Place) -> TreeEntry:
        """Return what stands at a path; ObjectNotFound."""
        return await self._reader.resolve_path(place.revision.commit_oid, place.path)

    async def folder(self, entry: TreeEntry, *, skip: int = 0) -> Folder:
        """Return the folder an entry is, from its entry after ``skip`` on; the README with the first part only."""
        if entry.kind is not ObjectKind.TREE:
            raise ObjectNotFound("this is a file, not a folder")
        part = await read_folder_part(self._engine, self._state, self._view, entry.oid, skip=skip)
        return Folder(part.entries, part.total, None if skip else await self._readme(part.readmes))

    async def paths(self, tree: Oid) -> PathList:
        """Return every path below such a tree."""
        return await read_path_list(self._engine, self._state, tree)

    async def keep(self, make: Callable[[], Awaitable[bytes]], *about: object) -> bytes:
        """Return what ``make`` returns, found or made now; see ``keep_answer``."""
        return await keep_answer(self._engine, self._state, make, *about)

    async def file(self, entry: TreeEntry, *, max_bytes: int = SHOWN_FILE_BYTES_MAX) -> FileContent:
        """Return the file an entry is; its data only up to ``max_bytes``."""
        if entry.kind is not ObjectKind.BLOB:
            raise ObjectNotFound("this is not a file")
        try:
            data = await self._reader.read_blob(entry.oid, max_bytes=max_bytes)
        except BlobTooLarge as error:
            return FileContent(entry.name, entry.oid, entry.mode, error.size_bytes, None)
        return FileContent(entry.name, entry.oid, entry.mode, len(data), data)

    async def history(
        self,
        place: Place,
        *,
        page: int,
        per_page: int = COMMITS_PER_PAGE,
        since: datetime | None = None,
        until: datetime | None = None,
        authors: Sequence[str] = (),
    ) -> CommitPage:
        """Return a page (from 1) of the commits that changed a path, or of all, committed between two moments.

        ``authors`` keeps those whose author's ``name <address>`` has one of these texts. ObjectNotFound for a path that
        no tree can have.
        """
        require_possible(place.path)
        found = await read_log(
            self._engine.runner,
            self._objects,
            [place.revision.commit_oid],
            path=place.path or None,
            skip=(min(page, PAGE_MAX) - 1) * per_page,  # git counts in 32 bits
            max_count=per_page + 1,
            since=since,
            until=until,
            authors=authors,
        )
        return CommitPage(found[:per_page], len(found) > per_page)

    async def latest(self, place: Place) -> list[Commit]:
        """Return the last commit that changed a path, asked of git once for each commit; none if none did."""
        oid = place.revision.commit_oid
        if place.path:

            async def make() -> bytes:
                found = (await self.history(place, page=1, per_page=1)).commits
                return found[0].oid.encode("ascii") if found else b""

            oid = Oid((await self.keep(make, "latest", oid, place.path)).decode("ascii"))
        return [await self.commit(oid)] if oid else []

    async def last_commits(self, folder: bytes, tip: Oid, *, patience_seconds: float | None) -> LastCommits | None:
        """Return which commit changed each entry of a folder last, or None if that takes longer than is waited.

        ``tip`` is the last commit that changed the folder. Errors: Unavailable after a minute.
        """
        try:
            async with asyncio.timeout(patience_seconds):
                return await read_last_commits(self._engine, self._state, folder=folder, tip=tip)
        except TimeoutError:
            return None

    async def ignored_revisions(self, revision: Revision) -> list[Oid]:
        """Return the commits that ``.git-blame-ignore-revs`` of a revision names and that are here, 200 at most."""
        try:
            entry = await self._reader.resolve_path(revision.commit_oid, IGNORED_REVISIONS_FILE)
            data = await self._reader.read_blob(entry.oid, max_bytes=_IGNORED_REVISIONS_BYTES_MAX)
        except (ObjectNotFound, BlobTooLarge):
            return []
        words = [line.partition(b"#")[0].strip().decode("ascii", "replace") for line in data.splitlines()]
        named = list(dict.fromkeys(Oid(word) for word in words if is_oid(word)))[:_IGNORED_REVISIONS_MAX]
        return [oid for oid in named if await self._is_commit(oid)]

    async def _is_commit(self, oid: Oid) -> bool:
        try:
            return await self._reader.read_kind(oid) is ObjectKind.COMMIT
        except ObjectNotFound:
            return False

    async def blame(self, place: Place, *, ignored: Sequence[Oid], lines: tuple[int, int] | None = None) -> Blame:
        """Return which commit each line of the file at a place is from, or each of some of its lines."""
        return await read_blame(
            self._engine, self._state, place.revision.commit_oid, place.path, ignored=ignored, lines=lines
        )

    async def count_commits(self, revision: Revision) -> int:
        """Return how many commits a revision has, counted up to COUNTED_COMMITS_MAX; once for each commit."""
        oid = revision.commit_oid

        async def make() -> bytes:
            counted = await count_commits(self._engine.runner, self._objects, [oid], max_count=COUNTED_COMMITS_MAX)
            return b"%d" % counted

        return int(await self.keep(make, "count", oid, COUNTED_COMMITS_MAX))

    async def diff(self, commit: Commit, *, skip_files: int = 0, bounds: DiffBounds | None = None) -> Diff:
        """Return what a commit changed against its first parent, from the file after ``skip_files`` on."""
        old = commit.parent_oids[0] if commit.parent_oids else None
        return await self.diff_between(old, commit.oid, skip_files=skip_files, bounds=bounds)

    async def diff_between(
        self, old: Oid | None, new: Oid, *, skip_files: int = 0, bounds: DiffBounds | None = None
    ) -> Diff:
        """Return what differs in ``new``, from the file after ``skip_files`` on; ``old`` None stands for nothing."""
        compared, bounds = Compared(old=old, new=new), bounds or DiffBounds()
        files = await self.diffs.changes(compared)
        shown = files[skip_files : skip_files + bounds.files]
        return diff_of(files, await self.diffs.hunks(compared, shown, bounds))

    @property
    def diffs(self) -> DiffReader:
        """Reads what changed between two commits, piece by piece."""
        return DiffReader(self._engine, self._state, self._objects)

    async def merge_base(self, one: Oid, other: Oid) -> Oid | None:
        """Return the best common ancestor of two commits, None for unrelated histories."""
        found = await merge_bases(self._engine.runner, self._objects, one, other)
        return found[0] if found else None

    async def ahead_behind(self, head: Oid, base: Oid) -> tuple[int, int]:
        """Return how many commits only ``head`` has, and how many only ``base`` has."""
        return await count_ahead_behind(self._engine.runner, self._objects, head=head, base=base)

    async def commits_beyond(self, base: Oid, head: Oid, *, skip: int = 0, max_count: int) -> list[Commit]:
        """Return commits that ``head`` has and ``base`` has not, newest first."""
        return await read_log(
            self._engine.runner, self._objects, [head], without=[base], skip=skip, max_count=max_count
        )

    async def _readme(self, candidates: list[FolderEntry]) -> FileContent | None:
        by_name = {entry.name.lower(): entry for entry in reversed(candidates) if entry.mode in _FILE_KINDS}
        chosen = next((by_name[name] for name in _README_NAMES if name in by_name), None)
        if chosen is None:
            return None
        entry = TreeEntry(chosen.name, chosen.mode, Oid(chosen.oid), ObjectKind.BLOB)
        found = await self.file(entry, max_bytes=README_BYTES_MAX)
        return None if found.data is None or found.is_binary else found


@asynccontextmanager
async def open_code(engine: Engine, store_id: int) -> AsyncIterator[Code]:
    """Yield the store's code as it is now; the caller has found the repository, so the actor may read it."""
    state = await engine.state(store_id)
    snapshot = await engine.snapshot(state)
    # Refs of a later moment want the objects of that moment.
    state = snapshot.fresher(state)
    async with engine.view(state) as view:
        code = Code(engine, state, view, snapshot)
        try:
            yield code
        finally:
            code.close()
