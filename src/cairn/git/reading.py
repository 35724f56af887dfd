"""Reads single objects in process, through pygit2 in threads: commits, trees, blobs, tags, paths in trees.

History, ancestry, blame and large diffs are git children instead (``history``, ``diff``): libgit2 is many times slower
there or holds the interpreter's lock.
"""

import asyncio
import functools
import os
import re
import stat
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import pygit2
from pygit2.enums import ConfigLevel, ObjectType

from cairn.base.errors import NotFoundHere, TooLarge
from cairn.base.settings import MIB
from cairn.git.armor import signature_start
from cairn.git.types import ObjectKind, Oid, Signature, show

OBJECT_CACHE_BYTES = 64 * MIB
DECODED_BYTES_MAX = 64 * MIB

AnyObject = pygit2.Commit | pygit2.Tree | pygit2.Blob | pygit2.Tag

P = ParamSpec("P")
T = TypeVar("T")

_KINDS = {
    ObjectType.COMMIT: ObjectKind.COMMIT,
    ObjectType.TREE: ObjectKind.TREE,
    ObjectType.BLOB: ObjectKind.BLOB,
    ObjectType.TAG: ObjectKind.TAG,
}
FILE_MODE = 0o100644
EXECUTABLE_MODE = 0o100755
SYMLINK_MODE = 0o120000
FOLDER_MODE = 0o040000
SUBMODULE_MODE = 0o160000
_TREE_ENTRY = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)


class ObjectNotFound(NotFoundHere):
    """No such object, path or kind of object at this place."""


class BlobTooLarge(TooLarge):
    """A blob is larger than its reader wanted; ``size_bytes`` says how large."""

    def __init__(self, oid: Oid, size_bytes: int, max_bytes: int) -> None:
        super().__init__(f"blob {oid} has {size_bytes:,} bytes, more than the {max_bytes:,} shown here")
        self.size_bytes = size_bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit; ``message`` is text, bytes that its encoding does not explain are replaced."""

    oid: Oid
    tree_oid: Oid
    parent_oids: tuple[Oid, ...]
    author: Signature
    committer: Signature
    message: str

    @property
    def subject(self) -> str:
        """The first paragraph on one line."""
        return " ".join(self.message.strip("\n").split("\n\n", 1)[0].split("\n"))


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One entry of a tree. ``kind`` is COMMIT for a submodule link, whose object is not in this repository."""

    name: bytes
    mode: int
    oid: Oid
    kind: ObjectKind

    @property
    def is_submodule(self) -> bool:
        """True for a link to a commit of another repository."""
        return self.mode == SUBMODULE_MODE


@dataclass(frozen=True, slots=True)
class Tag:
    """An annotated tag; ``tagger`` is missing in some old ones, ``message`` is without a signature at its end."""

    oid: Oid
    name: bytes
    target_oid: Oid
    target_kind: ObjectKind
    tagger: Signature | None
    message: str


def open_repository(git_dir: Path, *, alternates: Sequence[Path] = ()) -> pygit2.Repository:
    """Open a bare repository with pygit2, free of the machine's git configuration; blocks for some 0.05 ms."""
    _prepare_libgit2()
    repository = pygit2.Repository(str(git_dir))
    for folder in alternates:
        repository.odb.add_disk_alternate(str(folder))
    return repository


def read_object(repository: pygit2.Repository, oid: str) -> AnyObject:
    """Return any object, blocking; ObjectNotFound if it is absent."""
    try:
        return cast("AnyObject", repository[oid])  # the library's stub names a base class its four kinds do not share
    except KeyError:
        raise ObjectNotFound(f"there is no object {oid} here") from None


class ObjectReader:
    """Reads objects of one view (or quarantine). Every method works in a thread; NotFound where nothing is.

    Opening is cheap: make one per request and ``close`` it, or use it as a context manager.
    """

    def __init__(self, git_dir: Path, *, alternates: Sequence[Path] = ()) -> None:
        self._git_dir = git_dir
        self._alternates = tuple(alternates)

    @functools.cached_property
    def _repository(self) -> pygit2.Repository:
        return open_repository(self._git_dir, alternates=self._alternates)

    def close(self) -> None:
        """Release the packs this reader holds open."""
        if "_repository" in self.__dict__:
            self._repository.free()
            del self.__dict__["_repository"]

    async def read_kind(self, oid: Oid) -> ObjectKind:
        """Return the kind of an object; ObjectNotFound if it is absent."""
        return await self._in_thread(self._kind, oid)

    async def read_kinds(self, oids: Sequence[Oid]) -> list[ObjectKind]:
        """Return the kinds of several objects in one thread hop; ObjectNotFound if one is missing."""
        return await self._in_thread(lambda: [self._kind(oid) for oid in oids])

    async def read_commit(self, oid: Oid) -> Commit:
        """Return a commit; ObjectNotFound if ``oid`` names none."""
        return await self._in_thread(self._commit, oid)

    async def read_commits(self, oids: Sequence[Oid]) -> list[Commit]:
        """Return several commits in one thread hop; ObjectNotFound if one is missing."""
        return await self._in_thread(lambda: [self._commit(oid) for oid in oids])

    async def read_tree(self, oid: Oid) -> list[TreeEntry]:
        """Return the entries of a tree, or of a commit's tree, in git's order."""
        return await self._in_thread(self._tree, oid)

    async def read_blob(self, oid: Oid, *, max_bytes: int) -> bytes:
        """Return a blob's content; BlobTooLarge, without reading it, if it is larger than ``max_bytes``."""
        return await self._in_thread(self._blob, oid, max_bytes)

    async def read_blob_size(self, oid: Oid) -> int:
        """Return a blob's size in bytes without reading its content."""
        return await self._in_thread(self._blob_size, oid)

    async def read_tag(self, oid: Oid) -> Tag:
        """Return an annotated tag."""
        return await self._in_thread(self._tag, oid)

    async def peel(self, oid: Oid) -> tuple[Oid, ObjectKind]:
        """Follow annotated tags; return what stands at their end."""
        return await self._in_thread(self._peel, oid)

    async def expand(self, abbreviation: str) -> Oid:
        """Return the one object whose id starts with ``abbreviation``; ObjectNotFound for none or several."""
        return await self._in_thread(self._expand, abbreviation)

    async def resolve_path(self, oid: Oid, path: bytes) -> TreeEntry:
        """Return the entry at ``path`` of a commit or tree (``b""`` is the tree itself); ObjectNotFound otherwise."""
        return await self._in_thread(self._resolve, oid, path)

    async def resolve_paths(self, oid: Oid, paths: Collection[bytes]) -> dict[bytes, TreeEntry]:
        """Return the entries at those paths of a commit or tree that have one; each folder on the way is read once."""
        return await self._in_thread(self._resolve_all, oid, paths)

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(function, *args, **kwargs)

    def _get(self, oid: Oid, kind: ObjectKind | None = None) -> AnyObject:
        found = read_object(self._repository, oid)
        if kind is not None and _KINDS[ObjectType(found.type)] is not kind:
            raise ObjectNotFound(f"object {oid} is a {found.type_str}, not a {kind.value}")
        return found

    def _kind(self, oid: Oid) -> ObjectKind:
        return _KINDS[ObjectType(self._get(oid).type)]

    def _commit(self, oid: Oid) -> Commit:
        found = self._get(oid, ObjectKind.COMMIT)
        assert isinstance(found, pygit2.Commit)
        return Commit(
            oid,
            Oid(str(found.tree_id)),
            tuple(Oid(str(parent)) for parent in found.parent_ids),
            _signature(found.author),
            _signature(found.committer),
            decode_text(found.raw_message, found.message_encoding),
        )

    def _tree(self, oid: Oid) -> list[TreeEntry]:
        found = self._get(oid)
        tree = found.tree if isinstance(found, pygit2.Commit) else self._get(oid, ObjectKind.TREE)
        return parse_tree(tree.read_raw())

    def _blob(self, oid: Oid, max_bytes: int) -> bytes:
        size = self._blob_size(oid)
        if size > max_bytes:
            raise BlobTooLarge(oid, size, max_bytes)
        found = self._get(oid, ObjectKind.BLOB)
        assert isinstance(found, pygit2.Blob)
        return found.data

    def _blob_size(self, oid: Oid) -> int:
        try:
            kind, size = self._repository.odb.read_header(oid)
        except KeyError:
            raise ObjectNotFound(f"there is no object {oid} here") from None
        if ObjectType(kind) is not ObjectType.BLOB:
            raise ObjectNotFound(f"object {oid} is not a blob")
        return int(size)

    def _tag(self, oid: Oid) -> Tag:
        found = self._get(oid, ObjectKind.TAG)
        assert isinstance(found, pygit2.Tag)
        target = Oid(str(found.target))
        message = found.raw_message or b""
        return Tag(
            oid,
            found.raw_name or b"",
            target,
            self._kind(target),
            _signature(found.tagger) if found.tagger is not None else None,
            decode_text(message[: signature_start(message)], None),
        )

    def _peel(self, oid: Oid) -> tuple[Oid, ObjectKind]:
        found = self._get(oid)
        while isinstance(found, pygit2.Tag):
            found = self._get(Oid(str(found.target)))
        return Oid(str(found.id)), _KINDS[ObjectType(found.type)]

    def _expand(self, abbreviation: str) -> Oid:
        try:
            return Oid(str(self._repository[abbreviation].id))
        except (KeyError, ValueError):
            raise ObjectNotFound(f"there is no one object {abbreviation} here") from None

    def _resolve(self, oid: Oid, path: bytes) -> TreeEntry:
        found = self._get(oid)
        tree = found.tree if isinstance(found, pygit2.Commit) else self._get(oid, ObjectKind.TREE)
        assert isinstance(tree, pygit2.Tree)
        entry = TreeEntry(b"", FOLDER_MODE, Oid(str(tree.id)), ObjectKind.TREE)
        parts = path.split(b"/") if path else []
        for depth, part in enumerate(parts):
            entry = self._child(entry, part, b"/".join(parts[: depth + 1]))
        return entry

    def _child(self, parent: TreeEntry, name: bytes, whole: bytes) -> TreeEntry:
        found = None
        if parent.kind is ObjectKind.TREE:
            found = self._entry(self._get(parent.oid, ObjectKind.TREE), name)
        if found is None:
            raise ObjectNotFound(f"there is no {show(whole)!r} here")
        return found

    def _entry(self, tree: AnyObject, name: bytes) -> TreeEntry | None:
        assert isinstance(tree, pygit2.Tree)
        try:
            item = tree[os.fsdecode(name)] if name else None
        except KeyError:
            item = None
        # Names with NUL are cut by pygit2, so what was found is compared.
        if item is None or item.raw_name != name:
            return None
        mode, kind = _mode_and_kind(b"%o" % item.filemode)
        return TreeEntry(name, mode, Oid(str(item.id)), kind)

    def _resolve_all(self, oid: Oid, paths: Collection[bytes]) -> dict[bytes, TreeEntry]:
        found: dict[bytes, TreeEntry] = {}
        waiting = [(b"", self._resolve(oid, b"").oid, paths)]
        while waiting:
            prefix, folder, wanted = waiting.pop()
            tree = self._get(folder, ObjectKind.TREE)
            below: dict[bytes, list[bytes]] = {}
            for path in wanted:
                below.setdefault(path[len(prefix) :].partition(b"/")[0], []).append(path)
            for name, whole in below.items():
                entry = self._entry(tree, name)
                if entry is None:
                    continue
                found |= {path: entry for path in whole if path == prefix + name}
                deeper = [path for path in whole if path != prefix + name]
                if deeper and entry.kind is ObjectKind.TREE:
                    waiting.append((prefix + name + b"/", entry.oid, deeper))
        return found


def decode_text(raw: bytes, encoding: str | None) -> str:
    """Return text of a commit or tag: its declared encoding, else UTF-8; what neither explains is replaced."""
    if encoding:
        try:
            return raw.decode(encoding, "replace")
        except LookupError:
            pass
    return raw.decode("utf-8", "replace")


@functools.cache
def _prepare_libgit2() -> None:
    """Cut libgit2 off from the machine's git configuration and bound its cache, once per process."""
    for level in (ConfigLevel.SYSTEM, ConfigLevel.GLOBAL, ConfigLevel.XDG):
        pygit2.settings.search_path[level] = ""
    pygit2.settings.cache_max_size(OBJECT_CACHE_BYTES)


def _signature(found: pygit2.Signature) -> Signature:
    offset = timezone(timedelta(minutes=max(-1439, min(1439, found.offset))))
    try:
        at = datetime.fromtimestamp(found.time, offset)
    except (OverflowError, ValueError, OSError):
        at = datetime.fromtimestamp(0, UTC)
    return Signature(found.raw_name.decode("utf-8", "replace"), found.raw_email.decode("utf-8", "replace"), at)


def parse_tree(raw: bytes) -> list[TreeEntry]:
    """Return the entries of a tree object's content, in git's order.

    Several times faster than asking libgit2 for each: a folder may have 100,000.
    """
    found = []
    for digits, name, oid in _TREE_ENTRY.findall(raw):
        mode, kind = _mode_and_kind(digits)
        found.append(TreeEntry(name, mode, Oid(oid.hex()), kind))
    return found


@functools.lru_cache(maxsize=64)
def _mode_and_kind(digits: bytes) -> tuple[int, ObjectKind]:
    """Return an entry's mode in the form git writes today, whatever an old one wrote, and the kind it means."""
    mode = int(digits, 8)
    match stat.S_IFMT(mode):
        case stat.S_IFDIR:
            return FOLDER_MODE, ObjectKind.TREE
        case stat.S_IFLNK:
            return SYMLINK_MODE, ObjectKind.BLOB
        case stat.S_IFREG:
            return EXECUTABLE_MODE if mode & stat.S_IXUSR else FILE_MODE, ObjectKind.BLOB
    return SUBMODULE_MODE, ObjectKind.COMMIT
