"""All files of a tree with their sizes, listed once for a node: what searches and counts of languages go through."""

import asyncio

import msgspec

from cairn.git.engine import Engine
from cairn.git.history import Objects
from cairn.git.kept_answers import keep_answer
from cairn.git.store_state import StoreState
from cairn.git.tree_listing import ENTRIES_MAX, list_tree
from cairn.git.types import ObjectKind, Oid

_FILE_MODES = frozenset({0o100644, 0o100664, 0o100755})


class FileInTree(msgspec.Struct, array_like=True, frozen=True):
    """A regular file: no symbolic link, no submodule."""

    path: bytes
    oid: str
    size_bytes: int

    @property
    def name(self) -> bytes:
        """The last part of the path."""
        return self.path.rpartition(b"/")[2]


class FileList(msgspec.Struct, array_like=True):
    """The files of a tree by path; ``is_truncated`` if it has more than ENTRIES_MAX entries, folders included."""

    files: list[FileInTree]
    is_truncated: bool


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(FileList).decode


async def list_files(engine: Engine, state: StoreState, tree: Oid) -> FileList:
    """Return the files of a tree whose reachability the caller has proved. Errors: the runner's."""

    async def make() -> bytes:
        async with engine.view(state) as view:
            found = await list_tree(engine.runner, Objects(view.path), tree, recursive=True, max_entries=ENTRIES_MAX)
        files = [
            FileInTree(entry.path, entry.oid, entry.size_bytes or 0)
            for entry in found.entries
            if entry.kind is ObjectKind.BLOB and entry.mode in _FILE_MODES
        ]
        return await asyncio.to_thread(_encode, FileList(files, found.is_truncated))

    return await asyncio.to_thread(_decode, await keep_answer(engine, state, make, "files", tree))
