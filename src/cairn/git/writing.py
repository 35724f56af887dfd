"""Makes objects in a quarantine: blobs, trees, commits and tags, from values.

Nothing is ever checked out. Objects are written loose, in process; ``pack_new_objects`` then packs what a tip brings
and runs git's own checks over it, so a web edit cannot make what a push could not.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

from cairn.base.errors import Invalid
from cairn.git.diff import EMPTY_TREE
from cairn.git.quarantine import Quarantine
from cairn.git.reading import open_repository, read_object
from cairn.git.types import ObjectKind, Oid, Signature, show

FILE_MODE = 0o100644
EXECUTABLE_MODE = 0o100755
LINK_MODE = 0o120000

TREE_MODE = 0o040000
SUBMODULE_MODE = 0o160000
PATH_BYTES_MAX = 4096
PATH_PARTS_MAX = 200
"""Folders within folders; far beyond what any client's file system takes."""

_MODES = frozenset({FILE_MODE, EXECUTABLE_MODE, LINK_MODE})
_PLACED_MODES = _MODES | {TREE_MODE, SUBMODULE_MODE}
# What file systems of clients fold into ".git": letters of any case, the 8.3 name, trailing dots and blanks, streams.
_DOT_GIT = re.compile(rb"(?:\.git|git~[0-9]+)[ .]*(?::.*)?", re.IGNORECASE | re.DOTALL)
# Code points HFS+ drops when it compares names.
_IGNORED_BY_HFS = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_CRUD = re.compile(r"[\x00-\x1f\x7f<>]")


class PathInvalid(Invalid):
    """A path that cannot stand in a tree, or that clashes with what is there; the message has the path."""


class SignatureInvalid(Invalid):
    """A name or address of which nothing is left once what git forbids is removed."""


Content = bytes | Path
"""A file's content, or a file on this node that holds it: that one is read piece by piece, whatever its size."""


@dataclass(frozen=True, slots=True)
class File:
    """A file's content and mode as it goes into a tree."""

    content: Content
    mode: int = FILE_MODE

    def __post_init__(self) -> None:
        assert self.mode in _MODES, "a file, an executable or a symbolic link"


@dataclass(frozen=True, slots=True)
class Placed:
    """An object that exists already as it goes into a tree; a folder (TREE_MODE) takes the place of whatever is there.

    The caller has proved that it may be relied on, and that it is what the mode says.
    """

    oid: Oid
    mode: int

    def __post_init__(self) -> None:
        assert self.mode in _PLACED_MODES, "a file, an executable, a symbolic link, a folder or a submodule"


Changes = Mapping[bytes, File | Placed | None]
"""Path to what stands there afterwards; None deletes the file or folder there."""


async def write_blob(quarantine: Quarantine, content: Content) -> Oid:
    """Write a blob and return its id."""
    return await asyncio.to_thread(lambda: _write_content(_open(quarantine), content))


async def write_tree(quarantine: Quarantine, base: Oid | None, changes: Changes) -> Oid:
    """Write the tree ``base`` (a commit or tree; None: empty) with ``changes`` applied; return its id.

    Folders appear and vanish with their files. PathInvalid: a path git forbids, a file where a folder is needed (or the
    other way round) unless it is deleted in the same change, a deletion of what is not there.
    """
    return await asyncio.to_thread(_write_changed_tree, quarantine, base, changes)


async def write_commit(
    quarantine: Quarantine,
    *,
    tree: Oid,
    parents: Sequence[Oid],
    author: Signature,
    committer: Signature,
    message: str,
) -> Oid:
    """Write a commit and return its id; the message ends with a line end and holds no NUL."""
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
    lines += [f"author {format_signature(author)}", f"committer {format_signature(committer)}"]
    raw = encode_text("\n".join(lines) + "\n\n" + _clean_message(message))
    return await asyncio.to_thread(lambda: _write(_open(quarantine), ObjectKind.COMMIT, raw))


async def commit_files(
    quarantine: Quarantine,
    *,
    parents: Sequence[Oid],
    changes: Changes,
    author: Signature,
    committer: Signature,
    message: str,
) -> Oid:
    """Write a commit that applies ``changes`` to the first parent's tree (none: to nothing); return its id."""
    tree = await write_tree(quarantine, parents[0] if parents else None, changes)
    return await write_commit(
        quarantine, tree=tree, parents=parents, author=author, committer=committer, message=message
    )


async def write_tag(
    quarantine: Quarantine, *, target: Oid, kind: ObjectKind, name: str, tagger: Signature, message: str
) -> Oid:
    """Write an annotated tag (``name`` without ``refs/tags/``, already checked as a ref) and return its id."""
    assert "\n" not in name, "a checked ref name has no line end"
    lines = [f"object {target}", f"type {kind.value}", f"tag {name}", f"tagger {format_signature(tagger)}"]
    raw = encode_text("\n".join(lines) + "\n\n" + _clean_message(message))
    return await asyncio.to_thread(lambda: _write(_open(quarantine), ObjectKind.TAG, raw))


async def write_raw_commit(quarantine: Quarantine, raw: bytes) -> Oid:
    """Write a commit whose bytes the caller composed, as a rebase does."""
    return await asyncio.to_thread(lambda: _write(_open(quarantine), ObjectKind.COMMIT, raw))


def format_signature(signature: Signature) -> str:
    """Return ``Name <address> seconds +hhmm`` as a commit holds it; SignatureInvalid without a name.

    What git forbids inside (angle brackets, control characters) is removed, as git does.
    """
    name = _CRUD.sub("", signature.name).strip(" .,:;\"\\'")
    email = _CRUD.sub("", signature.email).strip(" .,:;\"\\'")
    if not name:
        raise SignatureInvalid(f"{signature.name!r} cannot be the name of an author; give one with letters")
    offset = signature.at.utcoffset()
    assert offset is not None, "a signature's time is aware"
    minutes = int(offset.total_seconds()) // 60
    sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
    return f"{name} <{email}> {int(signature.at.timestamp())} {sign}{minutes // 60:02}{minutes % 60:02}"


def encode_text(text: str) -> bytes:
    """Return text as UTF-8; what cannot be encoded is replaced."""
    return text.encode("utf-8", "replace")


def check_path(path: bytes) -> None:
    """Return if ``path`` may stand in a tree; PathInvalid names it and the rule."""
    if len(path) > PATH_BYTES_MAX:
        raise PathInvalid(f"{show(path[:100])!r}… has {len(path):,} bytes, the limit is {PATH_BYTES_MAX:,}")
    parts = path.split(b"/")
    if len(parts) > PATH_PARTS_MAX:
        raise PathInvalid(f"{show(path[:100])!r}… has {len(parts):,} parts, the limit is {PATH_PARTS_MAX:,}")
    for part in parts:
        if part in {b"", b".", b".."} or b"\0" in part:
            raise PathInvalid(f"{show(path)!r} cannot be a path in a repository: {show(part)!r} is not a name")
        # To Windows a backslash is a slash.
        if any(_reads_as_dot_git(piece) for piece in part.split(b"\\")):
            raise PathInvalid(f"{show(path)!r} cannot be a path in a repository: some systems read it as .git")


def _reads_as_dot_git(name: bytes) -> bool:
    folded = _IGNORED_BY_HFS.sub("", name.decode("utf-8", "replace")).encode()
    return bool(_DOT_GIT.fullmatch(name) or _DOT_GIT.fullmatch(folded))


def _open(quarantine: Quarantine) -> pygit2.Repository:
    return open_repository(quarantine.path, alternates=quarantine.alternates)


_TYPES = {
    ObjectKind.COMMIT: ObjectType.COMMIT,
    ObjectKind.TREE: ObjectType.TREE,
    ObjectKind.BLOB: ObjectType.BLOB,
    ObjectKind.TAG: ObjectType.TAG,
}


def _write(repository: pygit2.Repository, kind: ObjectKind, raw: bytes) -> Oid:
    return Oid(str(repository.odb.write(_TYPES[kind], raw)))


def _write_content(repository: pygit2.Repository, content: Content) -> Oid:
    if isinstance(content, bytes):
        return _write(repository, ObjectKind.BLOB, content)
    with content.open("rb") as file:
        # Without a name no attribute or filter touches it.
        return Oid(str(repository.create_blob_fromiobase(file)))


def _clean_message(message: str) -> str:
    cleaned = message.replace("\0", "").replace("\r\n", "\n").strip("\n")
    return cleaned + "\n" if cleaned else ""


@dataclass(slots=True)
class _Node:
    """Changes below one folder: its own files, and folders with changes inside."""

    files: dict[bytes, File | Placed | None]
    folders: dict[bytes, "_Node"]


def _write_changed_tree(quarantine: Quarantine, base: Oid | None, changes: Changes) -> Oid:
    root = _Node({}, {})
    for path, file in changes.items():
        check_path(path)
        _place(root, path, file)
    repository = _open(quarantine)
    tree: Oid | None = None
    if base is not None:
        found = read_object(repository, base)
        tree = Oid(str(found.tree_id)) if isinstance(found, pygit2.Commit) else base
    written = _write_node(repository, tree, root, b"")
    return written if written is not None else _write(repository, ObjectKind.TREE, b"")


def _place(root: _Node, path: bytes, file: File | Placed | None) -> None:
    *folders, name = path.split(b"/")
    node = root
    for folder in folders:
        if node.files.get(folder) is not None:
            raise PathInvalid(f"{show(path)!r} wants a folder where this change also puts a file")
        node = node.folders.setdefault(folder, _Node({}, {}))
    if file is not None and name in node.folders:
        raise PathInvalid(f"{show(path)!r} is a file and a folder in the same change")
    node.files[name] = file


def _write_node(repository: pygit2.Repository, tree: Oid | None, node: _Node, prefix: bytes) -> Oid | None:
    """Write one folder with its changes; None if nothing is left in it."""
    entries = _entries(repository, tree)
    for name, file in node.files.items():
        if file is None:
            if entries.pop(name, None) is None:
                raise PathInvalid(f"there is no {show(prefix + name)!r} to delete")
            continue
        if file.mode != TREE_MODE and entries.get(name, (FILE_MODE, ""))[0] == TREE_MODE:
            raise PathInvalid(f"{show(prefix + name)!r} is a folder; delete it before a file takes its place")
        entries[name] = (
            file.mode,
            _write_content(repository, file.content) if isinstance(file, File) else file.oid,
        )
    for name, folder in node.folders.items():
        mode, oid = entries.get(name, (TREE_MODE, None))
        if mode != TREE_MODE:
            raise PathInvalid(f"{show(prefix + name)!r} is a file; delete it before a folder takes its place")
        written = _write_node(repository, oid, folder, prefix + name + b"/")
        entries.pop(name, None)
        if written is not None:
            entries[name] = (TREE_MODE, written)
    return _write(repository, ObjectKind.TREE, _serialise(entries)) if entries else None


def _entries(repository: pygit2.Repository, tree: Oid | None) -> dict[bytes, tuple[int, Oid]]:
    if tree is None or tree == EMPTY_TREE:
        return {}
    found = read_object(repository, tree)
    if not isinstance(found, pygit2.Tree):
        raise PathInvalid(f"object {tree} is not a folder")
    return {item.raw_name or b"": (int(item.filemode), Oid(str(item.id))) for item in found}


def _serialise(entries: Mapping[bytes, tuple[int, Oid]]) -> bytes:
    """Return a tree's bytes: git sorts a folder as if its name ended with a slash."""

    def key(item: tuple[bytes, tuple[int, Oid]]) -> bytes:
        name, (mode, _) = item
        return name + b"/" if mode == TREE_MODE else name

    ordered = sorted(entries.items(), key=key)
    return b"".join(b"%o %b\0%b" % (mode, name, bytes.fromhex(oid)) for name, (mode, oid) in ordered)
