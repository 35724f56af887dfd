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
