"""Two versions of a series of commits compared: which commit became which, and how each patch and message changed.

``git range-diff`` pairs the commits and writes a diff of their diffs; here it becomes typed values. Git abbreviates ids
in that output, so whole ones come from a list of each side in the same order: its numbers count both.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import msgspec

from cairn.base.errors import TooLarge
from cairn.base.settings import MIB
from cairn.git.binary_changes import read_binary_changes
from cairn.git.commands import GitCommand, exclude, span
from cairn.git.diff import DIFF_LIMITS, within_diff_limits
from cairn.git.engine import Engine
from cairn.git.history import Objects, read_log
from cairn.git.kept_answers import keep_answer
from cairn.git.runner import GitOutputTooLarge, GitRunner
from cairn.git.store_state import StoreState
from cairn.git.types import Oid

COMMITS_MAX = 250
"""Of one version: git compares each commit of one with each of the other that it found no equal of."""

LINES_MAX = 10_000
LINES_OF_PAIR_MAX = 2_000
LINE_BYTES_MAX = 2_000
"""Of a line so much is kept."""

OUTPUT_BYTES_MAX = 64 * MIB
DEADLINE_SECONDS = 60

_CREATION_FACTOR = 999
"""Git's own for versions of one series: commits are paired unless they have nothing in common, which is looked at here.
By its usual measure a patch of one line is never taken for another version of one."""

_FORM = 3
"""Raise with every change of what is kept."""

_INDENT = b"    "
_PAIR = re.compile(rb" *(\d+|-): +(?:[0-9a-f]+|-+) ([=!<>]) +(\d+|-): +(?:[0-9a-f]+|-+)(?: (.*))?", re.DOTALL)


class SeriesTooLong(TooLarge):
    """A version has more commits than are compared, COMMITS_MAX."""


@dataclass(frozen=True, slots=True)
class Series:
    """A version of a series: what ``tip`` reaches and ``base`` does not."""

    base: Oid
    tip: Oid


class PairStatus(Enum):
    """What became of a commit; values are git's signs."""

    EQUAL = "="
    CHANGED = "!"
    ADDED = ">"
    DROPPED = "<"


class Side(Enum):
    """Which version of the patch has a line; values are git's outer signs."""

    BOTH = " "
    OLD = "-"
    NEW = "+"
    GAP = "@"
    """No line of either: lines are left out here, and the content says where it goes on."""


class Part(Enum):
    """What a line is in its patch; values are what stands before it there."""

    TEXT = ""
    """Of the commit's message or author."""
    CONTEXT = " "
    ADDED = "+"
    REMOVED = "-"
    HUNK = "@"
    """The heading of a hunk."""
    HEADING = "#"
    """The name of a file, with what happened to it, or of another part of the patch."""


class PatchLine(msgspec.Struct, array_like=True, frozen=True):
    """One line of the diff of two patches: ``content`` has no signs. ``cut_bytes`` more are left out at its end."""

    side: Side
    part: Part
    content: bytes
    cut_bytes: int = 0


class Pair(msgspec.Struct, array_like=True):
    """A commit of the old version and what it became; a number (from 1) and an id is None on the side without one.

    ``lines`` are there for CHANGED pairs only; ``is_truncated``: there are more.
    """

    status: PairStatus
    old_number: int | None
    old_oid: str | None
    new_number: int | None
    new_oid: str | None
    subject: bytes
    lines: list[PatchLine] = []
    is_truncated: bool = False


class RangeDiff(msgspec.Struct, array_like=True):
    """All commits of both versions, in the new one's order with the dropped ones where they were.

    Merges are no patches: they are counted and not compared.
    """

    pairs: list[Pair]
    old_merges: int = 0
    new_merges: int = 0

    @property
    def is_equal(self) -> bool:
        """True if both versions have the same patches and messages in one order, and no merges."""
        numbers = [(pair.old_number, pair.new_number) for pair in self.pairs]
        in_order = all(old == new for old, new in numbers)
        no_merges = not self.old_merges and not self.new_merges
        return in_order and no_merges and all(pair.status is PairStatus.EQUAL for pair in self.pairs)

    def count(self, status: PairStatus) -> int:
        """Return how many commits have a status."""
        return sum(pair.status is status for pair in self.pairs)


_LINES = {b" ": Part.CONTEXT, b"+": Part.ADDED, b"-": Part.REMOVED}

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(RangeDiff).decode


async def read_range_diff(engine: Engine, state: StoreState, old: Series, new: Series) -> RangeDiff:
    """Return the comparison of two versions, kept among the node's answers; all four commits are proved reachable.

    Errors: SeriesTooLong, DiffTooLarge, GitTimedOut.
    """

    async def make() -> bytes:
        async with engine.view(state) as view:
            return _encode(await compare_series(engine.runner, Objects(view.path), old, new))

    about = ("range-diff", _FORM, old.base, old.tip, new.base, new.tip)
    return _decode(await keep_answer(engine, state, make, *about))


async def compare_series(runner: GitRunner, objects: Objects, old: Series, new: Series) -> RangeDiff:
    """Return the comparison, worked out. Errors: SeriesTooLong, DiffTooLarge, GitTimedOut."""
    old_commits, old_merges = await _list(runner, objects, old, "old")
    new_commits, new_merges = await _list(runner, objects, new, "new")
    if not old_commits or not new_commits:
        # Git takes a base that is the tip for no range at all.
        dropped = await _alone(runner, objects, old, old_commits, PairStatus.DROPPED)
        added = await _alone(runner, objects, new, new_commits, PairStatus.ADDED)
        return RangeDiff([*dropped, *added], old_merges, new_merges)
    reader = _Reader(old_commits, new_commits)
    command = GitCommand(
        name="range-diff",
        options=("--no-color", "--no-ext-diff", "--no-textconv", f"--creation-factor={_CREATION_FACTOR}"),
        revisions=(span(old.base, old.tip), span(new.base, new.tip)),
    )
    with within_diff_limits():
        async with runner.spawn(
            command,
            git_dir=objects.git_dir,
            alternates=objects.alternates,
            limits=DIFF_LIMITS,
            deadline_seconds=DEADLINE_SECONDS,
        ) as child:
            async for lines in child.line_batches():
                await asyncio.to_thread(reader.feed, lines)
            await child.finish()
    pairs = reader.pairs
    await _compare_binaries(runner, objects, pairs)
    if any(pair.status is PairStatus.CHANGED for pair in pairs):
        subjects = await _subjects(runner, objects, old) | await _subjects(runner, objects, new)
        pairs = [part for pair in pairs for part in _apart(pair, subjects)]
    return RangeDiff(pairs, old_merges, new_merges)


async def _list(runner: GitRunner, objects: Objects, series: Series, name: str) -> tuple[list[Oid], int]:
    """Return a version's commits in range-diff's own order, and how many merges were among them."""
    command = GitCommand(
        name="rev-list",
        options=("--parents", "--reverse", "--date-order", f"--max-count={COMMITS_MAX + 1}"),
        revisions=(series.tip, exclude(series.base)),
    )
    output = await runner.run(command, git_dir=objects.git_dir, alternates=objects.alternates)
    records = [line.split() for line in output.decode("ascii").splitlines()]
    if len(records) > COMMITS_MAX:
        raise SeriesTooLong(f"The {name} version has more than {COMMITS_MAX} commits; compare a shorter series.")
    commits = [Oid(record[0]) for record in records if len(record) <= 2]
    return commits, len(records) - len(commits)


async def _alone(
    runner: GitRunner, objects: Objects, series: Series, commits: Sequence[Oid], status: PairStatus
) -> list[Pair]:
    """Return the commits of one version as pairs without a partner."""
    if not commits:
        return []
    subjects = await _subjects(runner, objects, series)
    pairs = []
    for number, oid in enumerate(commits, start=1):
        if status is PairStatus.DROPPED:
            pairs.append(Pair(status, number, oid, None, None, subjects[oid]))
        else:
            pairs.append(Pair(status, None, None, number, oid, subjects[oid]))
    return pairs


async def _subjects(runner: GitRunner, objects: Objects, series: Series) -> dict[str, bytes]:
    read = await read_log(runner, objects, [series.tip], without=[series.base], max_count=COMMITS_MAX)
    return {commit.oid: commit.subject.encode() for commit in read}


async def _compare_binaries(runner: GitRunner, objects: Objects, pairs: Sequence[Pair]) -> None:
    """Name the binary files in which pairs differ, and call such pairs changed: to git's patches they are equal."""
    both = [pair for pair in pairs if pair.old_oid is not None and pair.new_oid is not None]
    found = await read_binary_changes(
        runner, objects, [oid for pair in both for oid in (pair.old_oid, pair.new_oid) if oid is not None]
    )
    for pair in both:
        old, new = found.get(pair.old_oid or "", {}), found.get(pair.new_oid or "", {})
        for path in sorted(old.keys() & new.keys()):
            if old[path] == new[path]:
                continue
            pair.status = PairStatus.CHANGED
            if len(pair.lines) >= LINES_OF_PAIR_MAX:
                pair.is_truncated = True
                continue
            pair.lines.append(_cut(Side.BOTH, Part.HEADING, path))
            for side, (before, after) in ((Side.OLD, old[path]), (Side.NEW, new[path])):
                text = f"Binary file, from {before[:10]} to {after[:10]}"
                pair.lines.append(PatchLine(side, Part.TEXT, text.encode("ascii")))


def _apart(pair: Pair, subjects: Mapping[str, bytes]) -> list[Pair]:
    """Return a changed pair, or its two commits by themselves where they have nothing in common.

    That is: other subjects, and no line that both patches add or remove.
    """
    if pair.status is not PairStatus.CHANGED or pair.is_truncated:
        return [pair]
    assert pair.old_oid is not None and pair.new_oid is not None, "a changed pair has two sides"  # noqa: PT018
    old_subject, new_subject = subjects[pair.old_oid], subjects[pair.new_oid]
    shared = any(line.side is Side.BOTH and line.part in {Part.ADDED, Part.REMOVED} for line in pair.lines)
    if old_subject == new_subject or shared:
        return [pair]
    dropped = Pair(PairStatus.DROPPED, pair.old_number, pair.old_oid, None, None, old_subject)
    return [dropped, Pair(PairStatus.ADDED, None, None, pair.new_number, pair.new_oid, new_subject)]


class _Reader:
    """Reads what range-diff writes, some lines at a time, and keeps no more of it than the bounds allow."""

    def __init__(self, old: Sequence[Oid], new: Sequence[Oid]) -> None:
        self.pairs: list[Pair] = []
        self._old, self._new = old, new
        self._lines_left = LINES_MAX
        self._bytes_left = OUTPUT_BYTES_MAX
        self._in_text = False

    def feed(self, lines: Sequence[bytes]) -> None:
        """Take some whole lines of output."""
        for line in lines:
            self._bytes_left -= len(line) + 1
            if self._bytes_left < 0:
                raise GitOutputTooLarge(f"git range-diff wrote more than {OUTPUT_BYTES_MAX:,} bytes")
            # No number has so many digits that it would be indented as far as a patch.
            if line.startswith(_INDENT):
                self._patch_line(line[len(_INDENT) :])
            else:
                self.pairs.append(self._pair(line))

    def _pair(self, line: bytes) -> Pair:
        match = _PAIR.fullmatch(line)
        assert match is not None, "git writes pairs in one form"
        old = None if match[1] == b"-" else int(match[1])
        new = None if match[3] == b"-" else int(match[3])
        return Pair(
            PairStatus(match[2].decode("ascii")),
            old,
            None if old is None else self._old[old - 1],
            new,
            None if new is None else self._new[new - 1],
            match[4] or b"",
        )

    def _patch_line(self, line: bytes) -> None:
        pair = self.pairs[-1]
        read = self._read(line)
        if self._lines_left <= 0 or len(pair.lines) >= LINES_OF_PAIR_MAX:
            pair.is_truncated = True
            return
        self._lines_left -= 1
        pair.lines.append(read)

    def _read(self, line: bytes) -> PatchLine:
        side, rest = Side(line[:1].decode("ascii")), line[1:]
        if side is Side.GAP:
            heading = rest.removeprefix(b"@").strip()
            self._in_text = heading in {b"Metadata", b"Commit message"}
            return _cut(side, Part.HUNK, heading)
        if rest.startswith(b" ## ") and rest.endswith(b" ##"):
            heading = rest[4:-3]
            self._in_text = heading in {b"Metadata", b"Commit message"}
            return _cut(side, Part.HEADING, heading)
        if self._in_text:
            # A message is indented in git's log; the author is not.
            return _cut(side, Part.TEXT, rest.removeprefix(_INDENT))
        if rest.startswith(b"@@"):
            return _cut(side, Part.HUNK, rest[2:].strip())
        part = _LINES.get(rest[:1])
        return _cut(side, Part.TEXT, rest) if part is None else _cut(side, part, rest[1:])


def _cut(side: Side, part: Part, content: bytes) -> PatchLine:
    return PatchLine(side, part, content[:LINE_BYTES_MAX], max(0, len(content) - LINE_BYTES_MAX))
