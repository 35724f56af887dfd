"""Which commit last changed each entry of a folder: what a folder's page shows beside the names.

One walk answers for a whole folder. The answer is kept among the node's answers under the last commit that changed the
folder, which never changes its meaning; the answer for a later one begins where a kept one ends.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime

import msgspec

from cairn.base.errors import Unavailable
from cairn.base.settings import MIB
from cairn.git.commands import CHANGES_FORMAT, GitCommand, exclude
from cairn.git.diff import DiffTooLarge, within_diff_limits
from cairn.git.engine import Engine
from cairn.git.fetch_cache import answer_key
from cairn.git.node_cache import View
from cairn.git.reading import ObjectReader
from cairn.git.runner import GitLimits
from cairn.git.store_state import StoreState
from cairn.git.types import Oid

DEADLINE_SECONDS = 60
SUBJECT_CHARACTERS_MAX = 200
_WALKED_COMMITS = 20_000
"""After so many commits the few entries that are left are asked for one by one: changed-path filters help there."""

_SINGLES_MAX = 50
_EARLIER_TRIED = 200
_HEADER_WORDS = 3
_LIMITS = GitLimits(memory_bytes=256 * MIB, cpu_seconds=60)
"""Git keeps all that one commit changed in memory, which for a hostile one has no end: this holds 800,000 files."""

_QUIET = ("--no-show-signature", "--no-notes")


class LastCommit(msgspec.Struct, array_like=True, frozen=True):
    """The last commit that changed an entry: its subject, cut to SUBJECT_CHARACTERS_MAX, and when it was committed."""

    oid: str
    subject: str
    seconds: int

    @property
    def at(self) -> datetime:
        """When it was committed, in UTC; the epoch for what no calendar has."""
        try:
            return datetime.fromtimestamp(self.seconds, UTC)
        except (OverflowError, ValueError, OSError):
            return datetime.fromtimestamp(0, UTC)


class LastCommits(msgspec.Struct):
    """The answer for a folder: the commits, each once, and for each name the place of its own in that list."""

    commits: list[LastCommit]
    names: dict[bytes, int]

    def of(self, name: bytes) -> LastCommit | None:
        """Return the last commit that changed an entry; None if the walk came to its end without one."""
        place = self.names.get(name)
        return None if place is None else self.commits[place]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(LastCommits).decode


def find_last_commits(engine: Engine, state: StoreState, *, folder: bytes, tip: Oid) -> LastCommits | None:
    """Return the answer if this node has it; ``tip`` is the last commit that changed the folder. Reads no git."""
    known = engine.answers.find(_key(state, folder, tip))
    if known is None:
        return None
    return _decode(known if isinstance(known, bytes) else known.read_bytes())


async def read_last_commits(engine: Engine, state: StoreState, *, folder: bytes, tip: Oid) -> LastCommits:
    """Return the answer, found or worked out; requests for the same one share the work.

    ``tip`` is the last commit that changed the folder, proved reachable by the caller. Errors: ObjectNotFound if it has
    no such folder, Unavailable beyond DEADLINE_SECONDS.
    """
    known = find_last_commits(engine, state, folder=folder, tip=tip)
    if known is not None:
        return known

    async def produce() -> AsyncGenerator[bytes, None]:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS), engine.view(state) as view:
                yield _encode(await _walk(engine, state, view, folder, tip))
        except TimeoutError:
            raise Unavailable("The history of this folder takes too long to read; try again later.") from None

    key = _key(state, folder, tip)
    async with engine.answers.fly(
        key, produce, shared=None, is_final=lambda head: True, outlives_readers=True
    ) as flight:
        return _decode(b"".join([chunk async for chunk in flight.chunks()]))


def _key(state: StoreState, folder: bytes, tip: Oid) -> str:
    return answer_key("last-commits", state.id, state.cache_epoch, tip, folder)


class _Walk:
    """What a walk has found so far: fed with the words of ``git log --raw -z``, the newest commit first."""

    def __init__(self, folder: bytes, names: Iterable[bytes], find: Callable[[Oid], LastCommits | None]) -> None:
        self.left = set(names)
        self.found = LastCommits([], {})
        self.earlier: tuple[Oid, LastCommits] | None = None
        """A commit on the way for which the answer is known already."""
        self._find = find
        self._places: dict[str, int] = {}
        self._prefix_bytes = len(folder) + 1 if folder else 0
        self._walked = 0
        self._header: list[bytes] = []
        self._commit: LastCommit | None = None
        self._is_path = False

    def feed(self, words: list[bytes]) -> bool:
        """Read further words; return True when the rest is known or better asked for by name."""
        for word in words:
            if self._is_path:
                self._is_path = False
                self._touch(word[self._prefix_bytes :].partition(b"/")[0])
            elif self._header:
                self._header.append(word)
                if len(self._header) == _HEADER_WORDS:
                    self._commit, self._header = _commit(self._header), []
                    self._walked += 1
                    if 1 < self._walked <= _EARLIER_TRIED and (known := self._find(Oid(self._commit.oid))) is not None:
                        self.earlier = (Oid(self._commit.oid), known)
                        return True
            elif word.startswith((b":", b"\n:")):
                self._is_path = True
            elif word:  # a merge without a change of its own has an empty word in place of its changes
                self._header = [word]
        return not self.left or (self._walked >= _WALKED_COMMITS and len(self.left) <= _SINGLES_MAX)

    def _touch(self, name: bytes) -> None:
        if name in self.left:
            assert self._commit is not None
            self.add(name, self._commit)

    def add(self, name: bytes, commit: LastCommit) -> None:
        """Note the last commit of a name."""
        self.left.discard(name)
        place = self._places.setdefault(commit.oid, len(self.found.commits))
        if place == len(self.found.commits):
            self.found.commits.append(commit)
        self.found.names[name] = place


def _commit(words: Sequence[bytes]) -> LastCommit:
    oid, seconds, subject = words
    # Git writes what it could not read as a date as nothing.
    text = subject.decode("utf-8", "replace")[:SUBJECT_CHARACTERS_MAX]
    return LastCommit(oid.decode("ascii"), text, int(seconds or 0))


async def _walk(engine: Engine, state: StoreState, view: View, folder: bytes, tip: Oid) -> LastCommits:
    with closing(ObjectReader(view.path)) as reader:
        entries = await reader.read_tree((await reader.resolve_path(tip, folder)).oid)
    names = [entry.name for entry in entries]
    walk = _Walk(folder, names, lambda oid: find_last_commits(engine, state, folder=folder, tip=oid))
    await _log(engine, view, walk, folder, (tip,))
    if walk.earlier is not None:
        # What the walk has seen is newer than that commit, but need not be all that the commit does not reach.
        start, known = walk.earlier
        walk = _Walk(folder, names, lambda oid: None)
        await _log(engine, view, walk, folder, (tip, exclude(start)))
        for name in sorted(walk.left):
            if (commit := known.of(name)) is not None:
                walk.add(name, commit)
    for name in sorted(walk.left)[:_SINGLES_MAX]:
        single = GitCommand(
            name="log",
            options=(CHANGES_FORMAT, "-z", "--max-count=1", "--no-patch", *_QUIET),
            revisions=(tip,),
            paths=(folder + b"/" + name if folder else name,),
        )
        if output := await engine.runner.run(single, git_dir=view.path):
            walk.add(name, _commit(output.split(b"\0")[:_HEADER_WORDS]))
    return walk.found


async def _log(engine: Engine, view: View, walk: _Walk, folder: bytes, revisions: tuple[str, ...]) -> None:
    """Feed the walk until it has enough, or comes to a commit that changes more than fits into _LIMITS."""
    command = GitCommand(
        name="log",
        options=(CHANGES_FORMAT, "--raw", "-c", "-z", "--no-abbrev", "--no-renames", *_QUIET),
        revisions=revisions,
        paths=(folder,) if folder else (),
    )
    with suppress(DiffTooLarge), within_diff_limits():
        async with engine.runner.spawn(command, git_dir=view.path, limits=_LIMITS) as child:
            async for words in child.line_batches(b"\0"):
                if walk.feed(words):
                    return
            await child.finish()
