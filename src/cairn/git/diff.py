"""The difference of two commits or trees as typed values, by git children, within stated bounds.

Two children: one lists every changed file with its line counts, one writes the patch of the files that are shown, which
is read as it comes. Patch sections are matched to files by object ids, never by parsing names out of patch headers.
"""

import asyncio
import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum

from cairn.base.errors import TooLarge
from cairn.base.settings import MIB
from cairn.git.commands import GitCommand
from cairn.git.history import Objects
from cairn.git.runner import GitFailed, GitLimits, GitOutputTooLarge, GitRunner
from cairn.git.types import ZERO_OID, Oid

EMPTY_TREE = Oid("4b825dc642cb6eb9a060e54bf8d69288fbee4904")
"""Git knows this tree whether or not a repository holds it: the other side of a first commit."""

LIST_BYTES_MAX = 32 * MIB
DIFF_LIMITS = GitLimits(memory_bytes=512 * MIB, cpu_seconds=30)
"""Of a child that compares: git collects every changed file before it writes the first, 300 bytes each."""

_HEADER_BYTES_MAX = 1024
"""Of a line between hunks; what is read of it stands at its beginning."""

_PATH_ARGUMENT_BYTES_MAX = 256 * 1024


class DiffTooLarge(TooLarge):
    """More files changed than can be compared within DIFF_LIMITS."""


@contextmanager
def within_diff_limits() -> Iterator[None]:
    """Turn what a child that compares says at its limits into DiffTooLarge."""
    try:
        yield
    except GitFailed as failure:
        if failure.exit_code >= 0 and not re.search("[Oo]ut of memory", failure.stderr):
            raise
        raise DiffTooLarge(_TOO_LARGE) from failure
    except GitOutputTooLarge as error:
        raise DiffTooLarge(_TOO_LARGE) from error


_TOO_LARGE = "This change touches more files than can be compared here; fetch it to see all of it."


class FileStatus(Enum):
    """How a file changed; values are git's letters."""

    ADDED = "A"
    DELETED = "D"
    MODIFIED = "M"
    RENAMED = "R"
    COPIED = "C"
    TYPE_CHANGED = "T"


class LineKind(Enum):
    """Where a line of a hunk belongs; values are its first byte in a patch."""

    CONTEXT = b" "
    ADDED = b"+"
    REMOVED = b"-"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a hunk without its line end; a number is None on the side that does not have the line.

    ``cut_bytes``: so many more bytes of it are left out at its end.
    """

    kind: LineKind
    old_number: int | None
    new_number: int | None
    content: bytes
    ends_without_newline: bool = False
    cut_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Hunk:
    """A run of changed lines with context; ``heading`` is the function or section git found above it."""

    old_start: int
    old_count: int
    new_start: int
    new_count: int
    heading: bytes
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One changed file. A path, mode and oid is None on the side where the file is not.

    ``additions`` and ``deletions`` are None for binary files. ``is_truncated``: there are hunks that are not here.
    """

    status: FileStatus
    old_path: bytes | None
    new_path: bytes | None
    old_mode: int | None
    new_mode: int | None
    old_oid: Oid | None
    new_oid: Oid | None
    similarity_percent: int | None
    additions: int | None
    deletions: int | None
    hunks: tuple[Hunk, ...] = ()
    is_truncated: bool = False

    @property
    def is_binary(self) -> bool:
        """True if git compares this file by bytes only."""
        return self.additions is None

    @property
    def path(self) -> bytes:
        """The path to show: the new one, or the old one of a deleted file."""
        path = self.new_path if self.new_path is not None else self.old_path
        assert path is not None
        return path


@dataclass(frozen=True, slots=True)
class Diff:
    """A slice of the changed files; the totals count all of them."""

    files: tuple[FileDiff, ...]
    total_files: int
    total_additions: int
    total_deletions: int

    @property
    def is_truncated(self) -> bool:
        """True if a file or a hunk is left out of ``files``."""
        return len(self.files) < self.total_files or any(file.is_truncated for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffBounds:
    """How much of a diff is read: files, lines in all and of one file, bytes of patch, bytes of one line (None: all).

    ``skip_lines`` leaves out that many lines of each file before its first.
    """

    files: int = 300
    lines: int = 20_000
    lines_of_file: int = 5_000
    patch_bytes: int = 8 * MIB
    line_bytes: int | None = None
    skip_lines: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What is compared and how: ``old`` None stands for nothing, as before a first commit."""

    old: Oid | None
    new: Oid
    context_lines: int = 3
    ignore_whitespace: bool = False

    @property
    def sides(self) -> tuple[Oid, Oid]:
        """The two as git takes them."""
        return self.old or EMPTY_TREE, self.new

    @property
    def options(self) -> tuple[str, ...]:
        """Git's options that are the same for the list and for the lines."""
        return ("--ignore-all-space",) if self.ignore_whitespace else ()


_PLAIN = ("-r", "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short")


def diff_of(files: Sequence[FileDiff], shown: Sequence[FileDiff]) -> Diff:
    """Return a slice of a list of changes with the totals of all of them."""
    added = sum(file.additions or 0 for file in files)
    return Diff(tuple(shown), len(files), added, sum(file.deletions or 0 for file in files))


async def list_changes(runner: GitRunner, objects: Objects, compared: Compared) -> bytes:
    """Return git's list of every changed file with its line counts and renames, for ``parse_changes``.

    Errors: DiffTooLarge beyond LIST_BYTES_MAX or DIFF_LIMITS.
    """
    options = (*_PLAIN, "--find-renames", *compared.options, "-z", "--raw", "--numstat", "--no-abbrev")
    with within_diff_limits():
        return await runner.run(
            GitCommand(name="diff-tree", options=options, revisions=compared.sides),
            git_dir=objects.git_dir,
            alternates=objects.alternates,
            max_output_bytes=LIST_BYTES_MAX,
            limits=DIFF_LIMITS,
        )


async def read_hunks(
    runner: GitRunner,
    objects: Objects,
    compared: Compared,
    files: Sequence[FileDiff],
    bounds: DiffBounds,
    *,
    is_all: bool = False,
) -> list[FileDiff]:
    """Return some of the listed files, or all of them, with their hunks, as far as the bounds let them."""
    found: list[FileDiff] = []
    for group in (files,) if is_all else _groups(files):
        # Git holds each file against each path that it is given: none for all of them.
        paths = () if is_all else tuple(sorted({path for file in group for path in _paths(file)}))
        options = (*_PLAIN, _detection(group), *compared.options, "-p", "--full-index")
        options = (*options, f"--unified={compared.context_lines}")
        command = GitCommand(name="diff-tree", options=options, revisions=compared.sides, paths=paths)
        found += _attach(group, await _read_patch(runner, objects, command, bounds))
    return found


async def _read_patch(runner: GitRunner, objects: Objects, command: GitCommand, bounds: DiffBounds) -> "PatchReader":
    reader = PatchReader(bounds)
    with within_diff_limits():
        async with runner.spawn(
            command, git_dir=objects.git_dir, alternates=objects.alternates, limits=DIFF_LIMITS
        ) as child:
            async for chunk in child.chunks():
                await asyncio.to_thread(reader.feed, chunk)
                if reader.is_full:
                    break
            else:
                await child.finish()
                reader.end()
    return reader


def _groups(files: Sequence[FileDiff]) -> Iterator[Sequence[FileDiff]]:
    """Yield the files in order, as many at a time as one command line holds the paths of."""
    start = total = 0
    for at, file in enumerate(files):
        total += sum(map(len, _paths(file)))
        if total > _PATH_ARGUMENT_BYTES_MAX and at > start:
            yield files[start:at]
            start, total = at, sum(map(len, _paths(file)))
    if files:
        yield files[start:]


def _paths(file: FileDiff) -> set[bytes]:
    """Return the paths of both sides, so that renames are found again."""
    return {path for path in (file.old_path, file.new_path) if path is not None}


def _detection(files: Sequence[FileDiff]) -> str:
    """Return the option with which git finds among a few files the renames that it found among all of them.

    Among many it looks for exact ones only, among a few it would find more.
    """
    found = [file.similarity_percent for file in files if file.status in {FileStatus.RENAMED, FileStatus.COPIED}]
    if not found:
        return "--no-renames"
    return "--find-renames=100%" if set(found) == {100} else "--find-renames"


def parse_changes(output: bytes) -> list[FileDiff]:
    """Return the files of ``list_changes``, without hunks: all raw records come first, then all counts."""
    fields = iter(output.split(b"\0"))
    files: list[FileDiff] = []
    for first in fields:
        if first.startswith(b":"):
            files.append(_raw_record(first, fields))
        elif first:
            return _with_counts(files, first, fields)
    return _with_counts(files, b"", fields)


def _raw_record(head: bytes, fields: Iterator[bytes]) -> FileDiff:
    old_mode, new_mode, old_oid, new_oid, letter = head[1:].split(b" ")
    status = FileStatus(letter[:1].decode("ascii"))
    first = next(fields)
    second = next(fields) if status in {FileStatus.RENAMED, FileStatus.COPIED} else first
    is_added, is_deleted = status is FileStatus.ADDED, status is FileStatus.DELETED
    return FileDiff(
        status,
        None if is_added else first,
        None if is_deleted else second,
        None if is_added else int(old_mode, 8),
        None if is_deleted else int(new_mode, 8),
        None if is_added else Oid(old_oid.decode("ascii")),
        None if is_deleted else Oid(new_oid.decode("ascii")),
        int(letter[1:]) if len(letter) > 1 else None,
        None,
        None,
    )


def _with_counts(files: list[FileDiff], first: bytes, fields: Iterator[bytes]) -> list[FileDiff]:
    """Return the files with their counts; one of which only ignored white space changed has no record of its own."""
    counts: dict[tuple[bytes, bytes], tuple[bytes, bytes]] = {}
    field = first
    while field:
        additions, deletions, path = field.split(b"\t", 2)
        sides = (path, path) if path else (next(fields), next(fields))  # a rename names both in fields of their own
        counts[sides] = additions, deletions
        field = next(fields, b"")
    counted: list[FileDiff] = []
    for file in files:
        old, new = file.old_path, file.new_path
        additions, deletions = counts.get((old or file.path, new or file.path), (b"0", b"0"))
        if additions == b"-":
            counted.append(file)
        else:
            counted.append(replace(file, additions=int(additions), deletions=int(deletions)))
    return counted


@dataclass(slots=True)
class _Section:
    """One ``diff --git`` part of a patch."""

    oids: tuple[Oid, Oid] | None = None
    hunks: list[Hunk] = field(default_factory=list)
    lines: int = 0
    is_truncated: bool = False


_INDEX = re.compile(rb"index ([0-9a-f]{40})\.\.([0-9a-f]{40})")
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)", re.DOTALL)


class PatchReader:
    """Reads a patch as it comes, in pieces of any size, keeping no more than its bounds.

    Hunks are read by their counts, so file content is never taken for a header. ``is_full``: nothing more is kept.
    """

    def __init__(self, bounds: DiffBounds) -> None:
        self.sections: list[_Section] = []
        self.is_full = False
        self.is_whole = False
        self._bounds = bounds
        self._line_bytes = bounds.patch_bytes if bounds.line_bytes is None else bounds.line_bytes
        self._bytes_left = bounds.patch_bytes
        self._lines_left = bounds.lines
        self._rest = b""
        self._cut_bytes = 0
        self._old = self._new = self._old_left = self._new_left = 0
        self._head: tuple[int, int, int, int, bytes] | None = None
        self._lines: list[Line] = []
        self._keeps = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the patch."""
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            data = data[: self._bytes_left]
            self.is_full = True
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)
        # What is beyond a line's bound is counted, not kept.
        held = max(self._line_bytes + 1, _HEADER_BYTES_MAX)
        self._rest, self._cut_bytes = rest[:held], self._cut_bytes + max(0, len(rest) - held)
        if self.is_full:
            self._close_hunk()
            if self.sections:
                self.sections[-1].is_truncated = True

    def end(self) -> None:
        """Say that the patch was fed whole."""
        if self._rest:
            self._take(self._rest)
        self._close_hunk()
        self.is_whole = not self.is_full

    def _take(self, line: bytes) -> None:
        cut, self._cut_bytes = self._cut_bytes, 0
        if self._old_left or self._new_left:
            self._take_content(line, cut)
        elif line.startswith(b"\\"):
            self._open_ended()
        elif line.startswith(b"diff --git "):  # the names in it are not needed
            self._close_hunk()
            self.sections.append(_Section())
        elif line.startswith(b"@@ "):
            self._open_hunk(line)
        elif (found := _INDEX.match(line)) is not None:
            self.sections[-1].oids = Oid(found[1].decode("ascii")), Oid(found[2].decode("ascii"))

    def _open_hunk(self, line: bytes) -> None:
        self._close_hunk()
        head = _HUNK.fullmatch(line)
        assert head is not None, "git writes hunk headers in one form"
        self._old, self._new = int(head[1]), int(head[3])
        self._old_left, self._new_left = int(head[2] or 1), int(head[4] or 1)
        self._head = (self._old, self._old_left, self._new, self._new_left, head[5])

    def _take_content(self, text: bytes, cut: int) -> None:
        if text.startswith(b"\\"):
            self._open_ended()
            return
        kind = LineKind(text[:1] or b" ")
        is_old, is_new = kind is not LineKind.ADDED, kind is not LineKind.REMOVED
        content = text[1 : self._line_bytes + 1]
        cut += len(text) - 1 - len(content) if text else 0
        self._keeps = self._has_room()
        if self._keeps:
            old, new = (self._old if is_old else None), (self._new if is_new else None)
            self._lines.append(Line(kind, old, new, content, cut_bytes=cut))
            self._lines_left -= 1
        self.sections[-1].lines += 1
        self._old, self._old_left = self._old + is_old, self._old_left - is_old
        self._new, self._new_left = self._new + is_new, self._new_left - is_new

    def _open_ended(self) -> None:
        """Note that the line before has no line end."""
        if self._keeps and self._lines:
            self._lines[-1] = replace(self._lines[-1], ends_without_newline=True)

    def _has_room(self) -> bool:
        section = self.sections[-1]
        if section.lines < self._bounds.skip_lines:
            return False
        if self._lines_left > 0 and section.lines - self._bounds.skip_lines < self._bounds.lines_of_file:
            return True
        section.is_truncated = True
        if self._lines_left <= 0:
            self.is_full = True
        return False

    def _close_hunk(self) -> None:
        """Keep the hunk that was read; where lines of it are left out, its numbers are those of what is kept."""
        if self._head is not None and self._lines:
            old_count = sum(line.kind is not LineKind.ADDED for line in self._lines)
            new_count = sum(line.kind is not LineKind.REMOVED for line in self._lines)
            old = next((line.old_number for line in self._lines if line.old_number is not None), self._head[0])
            new = next((line.new_number for line in self._lines if line.new_number is not None), self._head[2])
            hunk = Hunk(old, old_count, new, new_count, self._head[4], tuple(self._lines))
            self.sections[-1].hunks.append(hunk)
        self._head, self._lines = None, []


def _attach(files: Sequence[FileDiff], reader: PatchReader) -> list[FileDiff]:
    """Give each file its hunks, found by the ids of its two sides.

    A file may have no section (only white space changed and that is ignored); one whose type changed has two.
    """
    sections: dict[tuple[Oid, Oid], deque[_Section]] = {}
    for section in reader.sections:
        if section.oids is not None:
            sections.setdefault(section.oids, deque()).append(section)
    attached: list[FileDiff] = []
    for file in files:
        old, new = file.old_oid or ZERO_OID, file.new_oid or ZERO_OID
        parts = [(old, ZERO_OID), (ZERO_OID, new)] if file.status is FileStatus.TYPE_CHANGED else [(old, new)]
        own = [sections[part].popleft() for part in parts if sections.get(part)]
        cut = any(section.is_truncated for section in own)
        # A file beyond the end of what was read; and one that git saw as another kind of change this time.
        is_missing = (
            len(own) < len(parts) and old != new and (not reader.is_whole or bool(file.additions or file.deletions))
        )
        hunks = tuple(hunk for section in own for hunk in section.hunks)
        attached.append(replace(file, hunks=hunks, is_truncated=(cut or is_missing) and not file.is_binary))
    return attached
