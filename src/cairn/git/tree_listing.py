"""Listing a tree with the sizes of its files, one level or all of it, by one git child within a bound."""

import asyncio
from dataclasses import dataclass

from cairn.git.commands import GitCommand
from cairn.git.history import Objects
from cairn.git.runner import GitRunner
from cairn.git.types import ObjectKind, Oid

ENTRIES_MAX = 100_000
"""Entries one listing holds at most, as GitHub's does; beyond it is_truncated is set."""


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """One entry: ``path`` from the listed tree on; ``size_bytes`` is None for all but files."""

    path: bytes
    mode: int
    kind: ObjectKind
    oid: Oid
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class TreeListing:
    """Entries in git's order; ``is_truncated`` tells that there are more."""

    entries: tuple[ListedEntry, ...]
    is_truncated: bool


async def list_tree(
    runner: GitRunner, objects: Objects, tree: Oid, *, recursive: bool = False, max_entries: int = ENTRIES_MAX
) -> TreeListing:
    """Return the entries of a tree (or of a commit's tree); ``recursive`` goes into folders, which are listed too."""
    options = ["-z", "-l", "--full-tree", *(["-r", "-t"] if recursive else [])]
    command = GitCommand(name="ls-tree", options=tuple(options), revisions=(tree,))
    entries: list[ListedEntry] = []
    rest = b""
    async with runner.spawn(command, git_dir=objects.git_dir, alternates=objects.alternates) as child:
        async for chunk in child.chunks():
            *records, rest = (rest + chunk).split(b"\0")
            entries += await asyncio.to_thread(_parse, records)
            if len(entries) > max_entries:
                return TreeListing(tuple(entries[:max_entries]), is_truncated=True)
        await child.finish()
    return TreeListing(tuple(entries), is_truncated=False)


@dataclass(frozen=True, slots=True)
class TreeSize:
    """How much a tree holds: entries below it, and the bytes of its files together."""

    entries: int
    file_bytes: int


async def measure_tree(runner: GitRunner, objects: Objects, tree: Oid, *, max_entries: int, max_bytes: int) -> TreeSize:
    """Return how much is below a tree (or a commit's tree), counted until one of the bounds is passed and no further.

    A tree that names itself a million times over (a "git bomb") costs as much as one of ``max_entries``.
    """
    command = GitCommand(name="ls-tree", options=("-z", "-l", "-r", "-t", "--full-tree"), revisions=(tree,))
    entries = file_bytes = 0
    rest = b""
    async with runner.spawn(command, git_dir=objects.git_dir, alternates=objects.alternates) as child:
        async for chunk in child.chunks():
            *records, rest = (rest + chunk).split(b"\0")
            entries += len(records)
            file_bytes += await asyncio.to_thread(_bytes_of, records)
            if entries > max_entries or file_bytes > max_bytes:
                return TreeSize(entries, file_bytes)
        await child.finish()
    return TreeSize(entries, file_bytes)


def _bytes_of(records: list[bytes]) -> int:
    sizes = (record.partition(b"\t")[0].rpartition(b" ")[2] for record in records)
    return sum(int(size) for size in sizes if size != b"-")


def _parse(records: list[bytes]) -> list[ListedEntry]:
    """Parse ``<mode> <kind> <oid> <size>\\t<path>``; the size of what is no file is a hyphen."""
    found: list[ListedEntry] = []
    for record in records:
        facts, _, path = record.partition(b"\t")
        mode, kind, oid, size = facts.split()
        found.append(
            ListedEntry(
                path,
                int(mode, 8),
                ObjectKind(kind.decode("ascii")),
                Oid(oid.decode("ascii")),
                None if size == b"-" else int(size),
            )
        )
    return found
