"""Rule A of RELIABILITY 1.3: a push may rely on an object outside its pack only if a root of the repository reaches it.

Stock git asks whether the object exists, which hands a stranger every object that happens to lie in a shared or not yet
collected pack. Here each object that new refs reach is either in the pusher's own pack or reachable from the roots; a
delta base that ``--fix-thin`` copied into the pack is not the pusher's own and must be reachable too.

The common push costs one child: ``rev-list`` from the new tips down to the old values of the pushed refs. Only what
that does not settle is walked further, in steps of rising cost.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack

import pygit2

from cairn.base.errors import TooLarge
from cairn.git.commands import GitCommand
from cairn.git.packfile import PackIndex
from cairn.git.quarantine import IndexedPack, ObjectMissing, Quarantine
from cairn.git.reading import open_repository, read_object
from cairn.git.runner import GitFailed, GitRunner
from cairn.git.types import Oid

OUTSIDE_MAX = 200_000
EDGE_COMMITS_MAX = 16
EDGE_ENTRIES_MAX = 5_000

_INLINE_LINES = 500
_MISSING = re.compile(
    r"(?:bad object|[Cc]ould not read|missing \w+|unable to read \w+|parse commit|object) ([0-9a-f]{40})"
)

Roots = Callable[[], Awaitable[Sequence[Oid]]]


async def check_closure(
    runner: GitRunner,
    quarantine: Quarantine,
    *,
    tips: Sequence[Oid],
    pack: IndexedPack | None,
    known: Sequence[Oid],
    all_roots: Roots,
) -> None:
    """Return if every object that ``tips`` reach is in ``pack`` or reachable from the roots; else ObjectMissing.

    ``known`` are a few roots that probably settle it: the old values of the pushed refs and HEAD. ``all_roots`` is
    asked only if they do not: refs, ref log of 14 days and pins that this pusher may see (it may include ``known``).
    The objects of the view are the quarantine's alternates.
    """
    if pack is None and set(tips) <= set(known):
        return
    if pack is not None and pack.stands_alone:
        await asyncio.to_thread(_require_tips, pack, tips)
        return
    async with AsyncExitStack() as stack:
        index = stack.enter_context(PackIndex.open(pack.path_idx)) if pack is not None else None
        appended = frozenset(pack.appended_oids) if pack is not None else frozenset[Oid]()
        listing = _Listing(index, appended)
        roots = list(dict.fromkeys(known))
        await _list(runner, quarantine, tips, roots, listing)
        if listing.outside:
            roots = list(dict.fromkeys([*known, *await all_roots()]))
            listing = _Listing(index, appended)
            await _list(runner, quarantine, tips, roots, listing)
    unproven = await _not_in_edges(runner, quarantine, listing.edges, appended | listing.outside)
    if unproven:
        if not listing.outside:
            roots = list(dict.fromkeys([*known, *await all_roots()]))
        unproven = await _not_reachable(runner, quarantine, roots, unproven)
    if unproven:
        raise ObjectMissing(min(unproven))


def _require_tips(pack: IndexedPack, tips: Sequence[Oid]) -> None:
    """Return if a pack that stands alone holds ``tips``; else ObjectMissing.

    ``index-pack --strict`` has found every object that an object of the pack names, and where nothing else was to be
    seen from the start, it found them in the pack: a first push.
    """
    with PackIndex.open(pack.path_idx) as index:
        for tip in tips:
            if tip not in index:
                raise ObjectMissing(tip)


class _Listing:
    """What one walk saw: objects outside the pusher's own pack, and the commits where it met the roots."""

    def __init__(self, index: PackIndex | None, appended: frozenset[Oid]) -> None:
        self._index = index
        self._appended = appended
        self.outside: set[Oid] = set()
        self.edges: list[Oid] = []

    def feed(self, lines: list[bytes]) -> None:
        """Take lines of ``rev-list --objects-edge --no-object-names``; an edge commit has a leading dash."""
        for line in lines:
            text = line.decode("ascii")
            if text.startswith("-"):
                self.edges.append(Oid(text[1:]))
            elif self._index is None or Oid(text) not in self._index or text in self._appended:
                self.outside.add(Oid(text))
        if len(self.outside) > OUTSIDE_MAX:
            raise TooLarge(f"this push relies on more than {OUTSIDE_MAX:,} objects it does not send; push in parts")


async def _list(
    runner: GitRunner, quarantine: Quarantine, tips: Sequence[Oid], roots: Sequence[Oid], listing: _Listing
) -> None:
    """Feed ``listing`` with every object reachable from ``tips`` but not from ``roots``, as far as edges tell."""
    command = GitCommand(name="rev-list", options=("--objects-edge", "--no-object-names", "--stdin"))
    try:
        await _stream(runner, quarantine, command, [*tips, *(f"^{root}" for root in roots)], listing.feed)
    except GitFailed as failure:
        # The walk itself met an object that is nowhere.
        named = _MISSING.search(failure.stderr)
        if named is None:
            raise
        raise ObjectMissing(named[1]) from failure


async def _not_in_edges(
    runner: GitRunner, quarantine: Quarantine, edges: Sequence[Oid], wanted: Iterable[Oid]
) -> set[Oid]:
    """Return those ``wanted`` objects that the trees of the edge commits do not hold.

    Stock clients choose delta bases there. A small tree is searched in process, a large one by a child.
    """
    unproven = set(wanted)
    if not unproven or not edges:
        return unproven
    complete = await asyncio.to_thread(_search_trees, quarantine, edges, unproven)
    if unproven and not complete:
        command = GitCommand(name="rev-list", options=("--objects", "--no-object-names", "--no-walk", "--stdin"))
        await _cross_off(runner, quarantine, command, edges, unproven)
    return unproven


async def _not_reachable(runner: GitRunner, quarantine: Quarantine, roots: Sequence[Oid], wanted: set[Oid]) -> set[Oid]:
    """Return those ``wanted`` objects that no root reaches: a walk through everything, ended early if all are found."""
    unproven = set(wanted)
    if roots:
        command = GitCommand(
            name="rev-list", options=("--objects", "--no-object-names", "--use-bitmap-index", "--stdin")
        )
        await _cross_off(runner, quarantine, command, roots, unproven)
    return unproven


def _search_trees(quarantine: Quarantine, edges: Sequence[Oid], unproven: set[Oid]) -> bool:
    """Remove what the trees of the first edges hold from ``unproven``; False if the search was cut short."""
    repository = open_repository(quarantine.path, alternates=quarantine.alternates)
    entries_left = EDGE_ENTRIES_MAX
    seen: set[str] = set()
    for edge in edges[:EDGE_COMMITS_MAX]:
        commit = read_object(repository, edge)
        assert isinstance(commit, pygit2.Commit), "the edges of a walk are commits"
        unproven.discard(edge)
        waiting = [str(commit.tree_id)]
        while waiting and unproven:
            oid = waiting.pop()
            if oid in seen:
                continue
            seen.add(oid)
            unproven.discard(Oid(oid))
            tree = read_object(repository, oid)
            assert isinstance(tree, pygit2.Tree)
            for item in tree:
                if item.type_str == "tree":
                    waiting.append(str(item.id))
                elif item.type_str == "blob":
                    unproven.discard(Oid(str(item.id)))
            entries_left -= len(tree)
            if entries_left < 0:
                return False
    return len(edges) <= EDGE_COMMITS_MAX


async def _cross_off(
    runner: GitRunner, quarantine: Quarantine, command: GitCommand, revisions: Sequence[Oid], unproven: set[Oid]
) -> None:
    """Remove every object that ``command`` lists from ``unproven``; ends the child as soon as none is left."""

    def cross_off(lines: list[bytes]) -> None:
        if unproven:
            unproven.difference_update(Oid(line.decode("ascii")) for line in lines)

    await _stream(runner, quarantine, command, revisions, cross_off, until=lambda: not unproven)


async def _stream(
    runner: GitRunner,
    quarantine: Quarantine,
    command: GitCommand,
    revisions: Sequence[str],
    feed: Callable[[list[bytes]], None],
    *,
    until: Callable[[], bool] = lambda: False,
) -> None:
    stdin = "".join(f"{revision}\n" for revision in revisions).encode("ascii")
    async with runner.spawn(command, git_dir=quarantine.path, alternates=quarantine.alternates, stdin=stdin) as child:
        async for lines in child.line_batches():
            if len(lines) <= _INLINE_LINES:
                feed(lines)
            else:
                await asyncio.to_thread(feed, lines)
            if until():
                return
        await child.finish()
