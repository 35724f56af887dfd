"""A part of a folder as its page lists it: folders first, chains of folders that hold nothing else as one entry, where
links point. Kept among the node's answers under the tree's id, which never changes its meaning."""

import asyncio

import msgspec

from cairn.git.engine import Engine
from cairn.git.kept_answers import keep_answer
from cairn.git.node_cache import View
from cairn.git.reading import SYMLINK_MODE, ObjectNotFound, TreeEntry, open_repository, parse_tree, read_object
from cairn.git.store_state import StoreState
from cairn.git.types import ObjectKind, Oid

ENTRIES_PER_PART = 1000
LINK_TARGET_BYTES_MAX = 4096
_CHAIN_MAX = 32
_README_CANDIDATES_MAX = 50


class FolderEntry(msgspec.Struct, array_like=True, frozen=True):
    """One entry. ``below`` is the path of the folders within that alone lead to the first that holds anything else
    (``b"main/java"``), ``target`` what a symbolic link says; both are empty where there is none."""

    name: bytes
    mode: int
    oid: str
    below: bytes = b""
    target: bytes = b""


class FolderPart(msgspec.Struct, array_like=True):
    """Some entries of a folder, how many it has, and its entries that begin like a README."""

    entries: list[FolderEntry]
    total: int
    readmes: list[FolderEntry]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(FolderPart).decode


async def read_folder_part(engine: Engine, state: StoreState, view: View, tree: Oid, *, skip: int = 0) -> FolderPart:
    """Return up to ENTRIES_PER_PART entries of a tree from the one after ``skip`` on: folders, then the rest, by name.

    The caller has proved that the tree may be read. Errors: ObjectNotFound.
    """

    async def make() -> bytes:
        return await asyncio.to_thread(lambda: _encode(_read(view, tree, skip)))

    return _decode(await keep_answer(engine, state, make, "folder", tree, skip))


class _Reader:
    """Reads trees and links of one view, blocking."""

    def __init__(self, view: View) -> None:
        self.repository = open_repository(view.path)

    def tree(self, oid: str) -> list[TreeEntry]:
        """Return a tree's entries."""
        return parse_tree(read_object(self.repository, oid).read_raw())

    def chain_below(self, oid: str) -> bytes:
        """Return the path of single folders below a folder."""
        names: list[bytes] = []
        while len(names) < _CHAIN_MAX:
            inner = self.tree(oid)
            if len(inner) != 1 or inner[0].kind is not ObjectKind.TREE:
                break
            names.append(inner[0].name)
            oid = inner[0].oid
        return b"/".join(names)

    def link_target(self, oid: str) -> bytes:
        """Return what a symbolic link says; nothing for one that is no path."""
        try:
            _, size = self.repository.odb.read_header(oid)
        except KeyError:
            raise ObjectNotFound(f"there is no object {oid} here") from None
        return read_object(self.repository, oid).read_raw() if size <= LINK_TARGET_BYTES_MAX else b""

    def shown(self, entry: TreeEntry) -> FolderEntry:
        """Return an entry with what the page says besides."""
        below = self.chain_below(entry.oid) if entry.kind is ObjectKind.TREE else b""
        target = self.link_target(entry.oid) if entry.mode == SYMLINK_MODE else b""
        return FolderEntry(entry.name, entry.mode, entry.oid, below, target)


def _read(view: View, oid: Oid, skip: int) -> FolderPart:
    reader = _Reader(view)
    try:
        entries = reader.tree(oid)
        entries.sort(key=lambda entry: (entry.kind is ObjectKind.BLOB, entry.name))
        part = [reader.shown(entry) for entry in entries[skip : skip + ENTRIES_PER_PART]]
        readmes = [entry for entry in entries if entry.name[:6].lower() == b"readme"][:_README_CANDIDATES_MAX]
        return FolderPart(part, len(entries), [FolderEntry(entry.name, entry.mode, entry.oid) for entry in readmes])
    finally:
        reader.repository.free()
