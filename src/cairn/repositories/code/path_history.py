"""Histories as pages read them: chosen by author, words and time, followed across renames, page by page.

A page names where it begins: a commit and how many to pass over from there. Wherever the walk has come down to one
commit, the next page begins at it, so page 1,000 of a plain history costs as much as the first.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cairn.git.history import Objects, find_rename, read_log
from cairn.git.reading import Commit
from cairn.git.types import Oid, is_oid
from cairn.repositories.code.browse import Code, require_possible
from cairn.repositories.code.revisions import Place

COMMITS_PER_PAGE = 30
DEADLINE_SECONDS = 20
RENAMES_PER_PAGE = 5
"""So many former names one page follows; beyond them it leads on by a link."""

_SKIP_MAX = 10_000_000
_CURSOR = re.compile(r"([0-9a-f]{40})[ +]([0-9]{1,8})")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which commits of a history are wanted; everything left out matches all."""

    authors: Sequence[str] = ()
    """Texts of which one is in ``name <address>``, without case."""
    message: str = ""
    since: datetime | None = None
    until: datetime | None = None
    first_parent: bool = False

    @property
    def is_everything(self) -> bool:
        """True if no commit on the way is passed over: then what is shown tells where the walk stands."""
        return not (self.authors or self.message or self.since or self.until)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: ``skip`` commits after ``start``, as an address writes it (``<oid>+<skip>``)."""

    start: Oid
    skip: int = 0

    def __str__(self) -> str:
        return f"{self.start}+{self.skip}"


@dataclass(frozen=True, slots=True)
class Segment:
    """Commits of a page during which the file had one name; ``renamed_to`` is what the commit above called it then."""

    path: bytes
    commits: list[Commit]
    renamed_to: bytes = b""
    renamed_in: Oid | None = None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A page of a history, newest first; ``following`` and ``following_path`` are where older commits are."""

    segments: list[Segment]
    following: Cursor | None
    following_path: bytes = b""

    @property
    def commits(self) -> list[Commit]:
        """All commits of the page."""
        return [commit for segment in self.segments for commit in segment.commits]


def read_cursor(text: str) -> Cursor | None:
    """Return where a page is said to begin; None for what is no cursor."""
    match = _CURSOR.fullmatch(text.strip())
    return Cursor(Oid(match[1]), min(int(match[2]), _SKIP_MAX)) if match else None


async def read_history(
    code: Code, place: Place, chosen: Chosen, cursor: Cursor | None, *, per_page: int = COMMITS_PER_PAGE
) -> HistoryPage:
    """Return a page of the history of a place: from its revision on, or from where ``cursor`` says.

    A file that a commit gave its name is followed under the name it had before. Errors: RevisionNotFound for a cursor
    that names no commit of this repository; ObjectNotFound for a path that no tree can have; GitTimedOut.
    """
    require_possible(place.path)
    if cursor is not None and cursor.start != place.revision.commit_oid:
        assert is_oid(cursor.start), "read_cursor made it"
        await code.revision(cursor.start.encode("ascii"))  # proves that a root reaches it
    at = cursor or Cursor(place.revision.commit_oid)
    path, renamed_to, renamed_in = place.path, b"", None
    segments: list[Segment] = []
    left = per_page
    while True:
        found = await _read(code, at, path, chosen, left + 1)
        shown = found[:left]
        segments.append(Segment(path, shown, renamed_to, renamed_in))
        left -= len(shown)
        if len(found) > len(shown):
            return HistoryPage(segments, _after(at, shown, path, chosen), path)
        former = await _former(code, chosen, shown, path)
        if former is None:
            return HistoryPage(segments, None)
        renamed_to, renamed_in, path = path, shown[-1].oid, former
        at = Cursor(shown[-1].parent_oids[0])
        if not left or len(segments) > RENAMES_PER_PAGE:
            return HistoryPage(segments, at, path)


async def _read(code: Code, at: Cursor, path: bytes, chosen: Chosen, count: int) -> list[Commit]:
    engine, _, view = code.parts
    return await read_log(
        engine.runner,
        Objects(view.path),
        [at.start],
        path=path or None,
        skip=at.skip,
        max_count=count,
        first_parent=chosen.first_parent,
        since=chosen.since,
        until=chosen.until,
        authors=chosen.authors,
        message=chosen.message,
        deadline_seconds=DEADLINE_SECONDS,
    )


def _after(at: Cursor, shown: Sequence[Commit], path: bytes, chosen: Chosen) -> Cursor:
    """Return where the page after one begins: at the one commit the walk has come down to, or so many further."""
    last = shown[-1]
    if chosen.is_everything:
        if chosen.first_parent:
            return Cursor(last.parent_oids[0])
        merges = any(len(commit.parent_oids) > 1 for commit in shown)
        if path and not at.skip and not merges:
            # Of a path git follows one line, until it shows a merge: its sides are two.
            return Cursor(last.parent_oids[0])
        if not path and not at.skip:
            seen = {commit.oid for commit in shown}
            front = {parent for commit in shown for parent in commit.parent_oids} - seen
            if len(front) == 1:
                return Cursor(front.pop())
    return Cursor(at.start, at.skip + len(shown))


async def _former(code: Code, chosen: Chosen, shown: Sequence[Commit], path: bytes) -> bytes | None:
    """Return the name that a file had before the last commit shown, where its history ends, gave it this one."""
    if not path or not shown or not chosen.is_everything or len(shown[-1].parent_oids) != 1:
        return None
    last = shown[-1]
    engine, _, view = code.parts
    return await find_rename(engine.runner, Objects(view.path), commit=last.oid, parent=last.parent_oids[0], path=path)
