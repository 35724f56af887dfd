"""When and by whom a history was written: counted once for a tip, then from the nearest earlier count on."""

import asyncio
import re
from collections import Counter
from datetime import UTC, datetime

import msgspec

from cairn.base.errors import Unavailable
from cairn.git.commands import ACTIVITY_FORMAT, GitCommand, exclude
from cairn.git.contributors import NAME_LENGTH_MAX
from cairn.git.engine import Engine
from cairn.git.kept_answers import find_earlier, keep_answer
from cairn.git.node_cache import View
from cairn.git.store_state import StoreState
from cairn.git.types import Oid

DEADLINE_SECONDS = 120
AUTHORS_MAX = 5_000
"""Names with addresses that are told apart; who comes after them counts without a name."""

LINES_COMMITS_MAX = 10_000
"""Lines are counted where at most so many commits are to be read at once: that takes a diff of each."""

WEEK_SECONDS = 7 * 86400
_SUNDAY = -4 * 86400
"""The week of 1970-01-01, a Thursday, began so many seconds before it."""

_KIND = "activity"
_WORDS = 3
_STAT = re.compile(r"(\d+) (insertion|deletion)")


class Week(msgspec.Struct, array_like=True):
    """What an author did in a week; ``start`` is its Sunday, 0:00 UTC, in seconds since 1970."""

    author: int
    start: int
    commits: int
    additions: int = 0
    deletions: int = 0


class Activity(msgspec.Struct, array_like=True):
    """A history without its merges. ``authors`` are names with addresses, by their place in ``weeks``.

    ``hours`` has the commits of each hour of the week from Sunday 0 o'clock, as the authors' clocks showed it.
    ``has_lines``: additions and deletions are counted.
    """

    authors: list[tuple[str, str]]
    weeks: list[Week]
    hours: list[int]
    has_lines: bool

    def by_week(self) -> dict[int, tuple[int, int, int]]:
        """Return commits, additions and deletions of everybody by the start of the week, in order."""
        found: dict[int, tuple[int, int, int]] = {}
        for one in sorted(self.weeks, key=lambda week: week.start):
            commits, additions, deletions = found.get(one.start, (0, 0, 0))
            found[one.start] = (commits + one.commits, additions + one.additions, deletions + one.deletions)
        return found


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Activity).decode


def week_of(seconds: int) -> int:
    """Return the Sunday, 0:00 UTC, that began the week of a moment; all in seconds since 1970."""
    return (seconds - _SUNDAY) // WEEK_SECONDS * WEEK_SECONDS + _SUNDAY


async def read_activity(engine: Engine, state: StoreState, tip: Oid) -> Activity:
    """Return the activity of all commits that ``tip`` reaches and that are no merges.

    ``tip`` is proved reachable by the caller. The work goes on when its caller has gone, so that asking again finds
    it. Errors: Unavailable beyond DEADLINE_SECONDS.
    """

    async def make() -> bytes:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS), engine.view(state) as view:
                return await _count(engine, state, view, tip)
        except TimeoutError:
            raise Unavailable("The history takes too long to read; try again later.") from None

    return _decode(await keep_answer(engine, state, make, _KIND, tip, outlives_readers=True))


async def _count(engine: Engine, state: StoreState, view: View, tip: Oid) -> bytes:
    earlier = await find_earlier(engine, state, view, tip, _KIND)
    revisions = (tip,) if earlier is None else (tip, exclude(earlier[0]))
    known = Activity([], [], [0] * 7 * 24, has_lines=True) if earlier is None else _decode(earlier[1])
    number = await engine.runner.run(
        GitCommand(name="rev-list", options=("--count", "--no-merges"), revisions=revisions), git_dir=view.path
    )
    with_lines = known.has_lines and int(number) <= LINES_COMMITS_MAX
    options = (ACTIVITY_FORMAT, "-z", "--no-merges", "--date=raw", "--no-show-signature", "--no-notes", "--no-renames")
    command = GitCommand(
        name="log", options=(*options, "--shortstat" if with_lines else "--no-patch"), revisions=revisions
    )
    counting = _Counting(known, with_lines=with_lines)
    async with engine.runner.spawn(command, git_dir=view.path) as child:
        async for words in child.line_batches(b"\0"):
            await asyncio.to_thread(counting.feed, words)
        await child.finish()
    return await asyncio.to_thread(lambda: _encode(counting.finish()))


class _Counting:
    """Adds commits to what is known already, as git's words come in."""

    def __init__(self, known: Activity, *, with_lines: bool) -> None:
        self._authors = {author: place for place, author in enumerate(known.authors)}
        self._weeks = {(one.author, one.start): one for one in known.weeks}
        self._hours = Counter(dict(enumerate(known.hours)))
        self._with_lines = with_lines
        self._rest: list[bytes] = []
        self._last: Week | None = None

    def feed(self, words: list[bytes]) -> None:
        self._rest.extend(words)
        whole = len(self._rest) - len(self._rest) % _WORDS
        for start in range(0, whole, _WORDS):
            self._add(*(word.decode("utf-8", "replace") for word in self._rest[start : start + _WORDS]))
        del self._rest[:whole]

    def finish(self) -> Activity:
        for word in self._rest:
            self._add_lines(word.decode("utf-8", "replace"))
        if not self._with_lines:
            for week in self._weeks.values():
                week.additions = week.deletions = 0
        return Activity(
            list(self._authors), list(self._weeks.values()), [self._hours[hour] for hour in range(7 * 24)],
            self._with_lines,
        )  # fmt: skip

    def _add(self, name: str, email: str, date: str) -> None:
        if name.startswith("\n"):  # the lines of the commit before, which git ends by a line end
            stat, _, name = name[1:].partition("\n")
            self._add_lines(stat)
        self._last = None
        seconds, _, offset = date.partition(" ")
        try:
            moment = int(seconds)
            clock = datetime.fromtimestamp(moment + _offset_seconds(offset), UTC)
        except (ValueError, OverflowError, OSError):
            return  # no calendar has this date
        self._hours[(clock.weekday() + 1) % 7 * 24 + clock.hour] += 1
        author = self._author(name, email)
        key = (author, week_of(moment))
        self._last = self._weeks.setdefault(key, Week(*key, commits=0))
        self._last.commits += 1

    def _author(self, name: str, email: str) -> int:
        name, email = name[:NAME_LENGTH_MAX], email[:NAME_LENGTH_MAX]
        place = self._authors.get((name, email))
        if place is None:
            who = (name, email) if len(self._authors) < AUTHORS_MAX else ("", "")
            place = self._authors.setdefault(who, len(self._authors))
        return place

    def _add_lines(self, stat: str) -> None:
        if self._last is None:
            return
        for number, kind in _STAT.findall(stat):
            if kind == "insertion":
                self._last.additions += int(number)
            else:
                self._last.deletions += int(number)


def _offset_seconds(offset: str) -> int:
    sign = -1 if offset.startswith("-") else 1
    digits = offset.lstrip("+-")
    return sign * (int(digits[:-2] or 0) * 3600 + int(digits[-2:] or 0) * 60)
