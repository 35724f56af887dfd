"""Which of many values reach an object: two walks through their history, however many values are asked about."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import pygit2

from cairn.git.commands import GitCommand
from cairn.git.history import Objects
from cairn.git.reading import open_repository
from cairn.git.runner import GitRunner
from cairn.git.types import Oid


@dataclass(slots=True)
class _Values:
    """The values asked about: by the commit each finally means, folders by themselves; and what reaches for certain."""

    by_commit: dict[Oid, set[Oid]]
    others: dict[Oid, Oid]
    reaching: set[Oid]


async def which_reach(
    runner: GitRunner, objects: Objects, values: Iterable[Oid], wanted: Collection[Oid], *, clean: Sequence[Oid] = ()
) -> set[Oid]:
    """Return those ``values`` (commits, tags, trees, blobs) that reach any of the ``wanted`` objects of any kind.

    ``clean`` commits are known to reach none: history is walked down to them only. Absent values reach nothing.
    """
    sorted_out = await asyncio.to_thread(_sort_out, objects, values, frozenset(wanted))
    reaching = sorted_out.reaching
    for value, target in sorted_out.others.items():
        if await _holds(runner, objects, target, wanted):
            reaching.add(value)
    if sorted_out.by_commit:
        tips = [*sorted_out.by_commit, *(f"^{oid}" for oid in clean)]
        for commit in await _commits_reaching(runner, objects, tips, wanted):
            reaching |= sorted_out.by_commit.get(commit, set())
    return reaching


def _sort_out(objects: Objects, values: Iterable[Oid], wanted: frozenset[Oid]) -> _Values:
    """Follow tags to what they mean. Blocks."""
    repository = open_repository(objects.git_dir, alternates=objects.alternates)
    found = _Values({}, {}, set())
    for value in values:
        oid: Oid = value
        read: object = repository.get(oid)
        while isinstance(read, pygit2.Tag) and oid not in wanted:
            oid = Oid(str(read.target))
            read = repository.get(oid)
        if oid in wanted:
            found.reaching.add(value)
        elif isinstance(read, pygit2.Commit):
            found.by_commit.setdefault(oid, set()).add(value)
        elif isinstance(read, pygit2.Tree):
            found.others[value] = oid
    return found


async def _holds(runner: GitRunner, objects: Objects, tree: Oid, wanted: Collection[Oid]) -> bool:
    command = GitCommand(name="rev-list", options=("--objects", "--no-object-names"), revisions=(tree,))
    async with runner.spawn(command, git_dir=objects.git_dir, alternates=objects.alternates) as child:
        async for lines in child.line_batches():
            if any(line.decode("ascii") in wanted for line in lines):
                return True
        await child.finish()
    return False


async def _commits_reaching(
    runner: GitRunner, objects: Objects, tips: Sequence[str], wanted: Collection[Oid]
) -> set[Oid]:
    """Return the commits that are wanted or touch what is wanted (some commit must bring it in), and all above them."""
    stdin = "".join(f"{tip}\n" for tip in tips).encode("ascii")
    touching = GitCommand(
        name="log",
        options=(
            *("--format=%H", "--no-patch", "-m", "-t", "--no-renames", "--stdin"),
            *(f"--find-object={oid}" for oid in sorted(wanted)),
        ),
    )
    reaching = set(wanted)
    async with runner.spawn(touching, git_dir=objects.git_dir, alternates=objects.alternates, stdin=stdin) as child:
        async for lines in child.line_batches():
            reaching.update(Oid(line.decode("ascii")) for line in lines if line)
        await child.finish()
    # The tree at the top of a commit is in no diff.
    walk = GitCommand(name="log", options=("--format=%H %T %P", "--no-patch", "--topo-order", "--reverse", "--stdin"))
    async with runner.spawn(walk, git_dir=objects.git_dir, alternates=objects.alternates, stdin=stdin) as child:
        async for lines in child.line_batches():
            for line in lines:
                commit, *below = line.decode("ascii").split()
                if not reaching.isdisjoint(below):
                    reaching.add(Oid(commit))
        await child.finish()
    return reaching
