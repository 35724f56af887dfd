"""Questions about history, answered by git children: log pages, counts, ancestry, reachability.

``git_dir`` is a view or a quarantine (with ``alternates``). Commit-graphs in the view make each of these fast.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from cairn.git.commands import LOG_FORMAT, GitCommand, exclude, symmetric
from cairn.git.reading import Commit, open_repository
from cairn.git.runner import GitRunner
from cairn.git.types import Oid, Signature

_FIELDS = 10
_FIRST_SECOND = 100_000_000
"""Git takes shorter numbers for something else than seconds since 1970; no commit is from before 1973."""

_RENAME_CANDIDATES_MAX = 1000
"""Removed files that each added one is compared with: more would cost minutes."""

_RAW_DATE = re.compile(rb"(-?\d{1,18}) ([+-])(\d{2,4})(\d{2})")


@dataclass(frozen=True, slots=True)
class Objects:
    """Where a child finds its objects: a bare repository and the object directories behind it."""

    git_dir: Path
    alternates: tuple[Path, ...] = ()


async def read_log(
    runner: GitRunner,
    objects: Objects,
    tips: Sequence[Oid],
    *,
    without: Sequence[Oid] = (),
    path: bytes | None = None,
    skip: int = 0,
    max_count: int = 50,
    first_parent: bool = False,
    since: datetime | None = None,
    until: datetime | None = None,
    authors: Sequence[str] = (),
    message: str = "",
    deadline_seconds: float | None = None,
) -> list[Commit]:
    """Return commits reachable from ``tips`` and not from ``without``, newest first as ``git log`` orders them.

    ``path`` keeps those that changed a file or folder, with git's simplification of merges; ``since`` and ``until``
    (aware) those committed between; ``authors`` those whose ``name <address>`` has one of these texts, ``message``
    those that say it, both without case and literally. Empty without tips. Errors: GitTimedOut.
    """
    if not tips:
        return []
    options = [LOG_FORMAT, "-z", "--date=raw", "--no-show-signature", "--no-notes", "--no-patch"]
    options += [f"--max-count={max_count}", f"--skip={skip}"]
    if first_parent:
        options.append("--first-parent")
    if until is not None:
        if until.timestamp() < _FIRST_SECOND:
            return []
        options.append(f"--until={int(until.timestamp())}")
    if since is not None and since.timestamp() >= _FIRST_SECOND:
        options.append(f"--since={int(since.timestamp())}")
    options += [f"--author={author}" for author in authors]
    if message:
        options.append(f"--grep={message}")
    if authors or message:
        options += ["--fixed-strings", "--regexp-ignore-case"]
    command = GitCommand(
        name="log",
        options=tuple(options),
        revisions=(*tips, *map(exclude, without)),
        paths=(path,) if path else (),
    )
    output = await runner.run(
        command,
        git_dir=objects.git_dir,
        alternates=objects.alternates,
        max_output_bytes=64 << 20,
        deadline_seconds=deadline_seconds,
    )
    return _parse_log(output)


async def find_rename(runner: GitRunner, objects: Objects, *, commit: Oid, parent: Oid, path: bytes) -> bytes | None:
    """Return the path a file had before ``commit`` gave it the name ``path``; None if it was not renamed there.

    Of a commit that adds and removes very many files, only those renamed without a change are found.
    """
    options = (
        "-r",
        "-z",
        "--raw",
        "--no-commit-id",
        "--find-renames",
        f"-l{_RENAME_CANDIDATES_MAX}",
        "--diff-filter=R",
    )
    command = GitCommand(name="diff-tree", options=options, revisions=(parent, commit))
    output = await runner.run(
        command, git_dir=objects.git_dir, alternates=objects.alternates, max_output_bytes=64 << 20
    )
    words = output.split(b"\0")[:-1]
    # ":modes and ids, R and a percentage", the old path, the new path
    return next((old for old, new in zip(words[1::3], words[2::3], strict=True) if new == path), None)


async def count_commits(
    runner: GitRunner,
    objects: Objects,
    tips: Sequence[Oid],
    *,
    without: Sequence[Oid] = (),
    path: bytes | None = None,
    max_count: int | None = None,
) -> int:
    """Return how many commits ``tips`` reach and ``without`` does not; counting stops at ``max_count``."""
    if not tips:
        return 0
    options = ("--count",) if max_count is None else ("--count", f"--max-count={max_count}")
    revisions = (*tips, *map(exclude, without))
    command = GitCommand(name="rev-list", options=options, revisions=revisions, paths=(path,) if path else ())
    return int(await runner.run(command, git_dir=objects.git_dir, alternates=objects.alternates))


async def count_ahead_behind(runner: GitRunner, objects: Objects, *, head: Oid, base: Oid) -> tuple[int, int]:
    """Return (commits only ``head`` has, commits only ``base`` has)."""
    command = GitCommand(name="rev-list", options=("--left-right", "--count"), revisions=(symmetric(head, base),))
    output = await runner.run(command, git_dir=objects.git_dir, alternates=objects.alternates)
    ahead, behind = map(int, output.split())
    return ahead, behind


async def is_ancestor(runner: GitRunner, objects: Objects, *, ancestor: Oid, descendant: Oid) -> bool:
    """Tell whether ``descendant`` contains ``ancestor``; a commit contains itself."""
    if ancestor == descendant:
        return True
    command = GitCommand(name="merge-base", options=("--is-ancestor",), revisions=(ancestor, descendant))
    done = await runner.complete(command, git_dir=objects.git_dir, alternates=objects.alternates, accept=(0, 1))
    return done.exit_code == 0


async def merge_bases(runner: GitRunner, objects: Objects, one: Oid, other: Oid) -> list[Oid]:
    """Return the best common ancestors, best first; empty for unrelated histories."""
    command = GitCommand(name="merge-base", options=("--all",), revisions=(one, other))
    done = await runner.complete(command, git_dir=objects.git_dir, alternates=objects.alternates, accept=(0, 1))
    return [Oid(word.decode("ascii")) for word in done.stdout.split()]


async def find_unreachable(
    runner: GitRunner, objects: Objects, oids: Iterable[Oid], *, roots: Sequence[Oid], is_quick: bool = False
) -> set[Oid]:
    """Return those ``oids`` of any kind that no root reaches, absent ones included.

    Roots themselves cost nothing, commits one child; other objects one that asks the bitmap, or without one two that
    search the roots' own trees and then everything. ``is_quick`` leaves the last step out: more may be returned.
    """
    wanted = set(oids) - set(roots)
    if not wanted or not roots:
        return wanted
    kinds = await asyncio.to_thread(_kinds, objects, wanted)
    absent = wanted - kinds.keys()
    commits = {oid for oid, kind in kinds.items() if kind == "commit"}
    others = kinds.keys() - commits
    if commits:
        commits = await _commits_beyond(runner, objects, commits, roots)
    if others and has_bitmap(objects):
        others = await _beyond_bitmap(runner, objects, others, roots)
    elif others:
        others = await _not_listed(runner, objects, others, roots, ("--no-walk",))
    if others and not is_quick:
        # Without a bitmap nothing else would settle it; with one, git may have refused it and walked only a little.
        others = await _not_listed(runner, objects, others, roots, ())
    return absent | commits | others


def has_bitmap(objects: Objects) -> bool:
    """Tell whether git can look up what commits reach instead of walking there."""
    return any(
        (folder / "pack" / "multi-pack-index").exists() for folder in (objects.git_dir / "objects", *objects.alternates)
    )


async def _beyond_bitmap(runner: GitRunner, objects: Objects, oids: Iterable[Oid], roots: Sequence[Oid]) -> set[Oid]:
    """Return those ``oids``, none of them a commit, that no root reaches.

    What the child leaves out is reachable, also if git should refuse the bitmap: then it walks, and lists more.
    """
    wanted = set(oids)
    listed: set[Oid] = set()

    def feed(lines: list[bytes]) -> bool:
        listed.update(Oid(line.decode("ascii")) for line in lines)
        return False

    command = GitCommand(name="rev-list", options=("--objects", "--no-object-names", "--use-bitmap-index", "--stdin"))
    await _stream(runner, objects, command, [*wanted, *map(exclude, roots)], feed)
    return wanted & listed


async def _commits_beyond(runner: GitRunner, objects: Objects, commits: set[Oid], roots: Sequence[Oid]) -> set[Oid]:
    beyond: set[Oid] = set()

    def feed(lines: list[bytes]) -> bool:
        beyond.update(commits.intersection(line.decode("ascii") for line in lines))
        return len(beyond) == len(commits)

    command = GitCommand(name="rev-list", options=("--stdin",))
    await _stream(runner, objects, command, [*commits, *map(exclude, roots)], feed)
    return beyond


async def _not_listed(
    runner: GitRunner, objects: Objects, oids: Iterable[Oid], roots: Sequence[Oid], options: tuple[str, ...]
) -> set[Oid]:
    left = set(oids)

    def feed(lines: list[bytes]) -> bool:
        left.difference_update(Oid(line.decode("ascii")) for line in lines)
        return not left

    command = GitCommand(name="rev-list", options=("--objects", "--no-object-names", *options, "--stdin"))
    await _stream(runner, objects, command, roots, feed)
    return left


async def _stream(
    runner: GitRunner,
    objects: Objects,
    command: GitCommand,
    revisions: Sequence[str],
    feed: Callable[[list[bytes]], bool],
) -> None:
    """Feed the child's lines in a thread until ``feed`` has enough."""
    stdin = "".join(f"{revision}\n" for revision in revisions).encode("ascii")
    async with runner.spawn(command, git_dir=objects.git_dir, alternates=objects.alternates, stdin=stdin) as child:
        async for lines in child.line_batches():
            if await asyncio.to_thread(feed, lines):
                return
        await child.finish()


def _kinds(objects: Objects, oids: Iterable[Oid]) -> dict[Oid, str]:
    """Return the kind of each object that exists."""
    repository = open_repository(objects.git_dir, alternates=objects.alternates)
    found: dict[Oid, str] = {}
    for oid in oids:
        try:
            number, _ = repository.odb.read_header(oid)
        except KeyError:
            continue
        found[oid] = "commit" if number == 1 else "other"
    return found


def _parse_log(output: bytes) -> list[Commit]:
    fields = output.split(b"\0")[:-1]
    assert len(fields) % _FIELDS == 0, "each commit has ten fields"
    return [_commit(fields[start : start + _FIELDS]) for start in range(0, len(fields), _FIELDS)]


def _commit(fields: list[bytes]) -> Commit:
    oid, tree, parents, author, author_email, authored, committer, committer_email, committed, message = fields
    return Commit(
        Oid(oid.decode("ascii")),
        Oid(tree.decode("ascii")),
        tuple(Oid(parent) for parent in parents.decode("ascii").split()),
        Signature(_text(author), _text(author_email), _date(authored)),
        Signature(_text(committer), _text(committer_email), _date(committed)),
        _text(message),
    )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _date(raw: bytes) -> datetime:
    """Parse ``1700000000 +0100``; what git could not read is the epoch."""
    match = _RAW_DATE.fullmatch(raw)
    if match is None:
        return datetime.fromtimestamp(0, UTC)
    minutes = min(int(match[3]) * 60 + int(match[4]), 1439)
    offset = timezone(timedelta(minutes=-minutes if match[2] == b"-" else minutes))
    try:
        return datetime.fromtimestamp(int(match[1]), offset)
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(0, UTC)
