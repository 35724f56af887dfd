"""The difference of two commits or trees as typed values, by git children, within stated bounds.

Two children: one lists every changed file with its line counts, one writes the patch of the files that are shown. Patch
sections are matched to files by order and object ids, never by parsing names out of patch headers.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum

from cairn.base.errors import TooLarge
from cairn.base.settings import MIB
from cairn.git.commands import GitCommand
from cairn.git.history import Objects
from cairn.git.runner import GitFailed, GitLimits, GitOutputTooLarge, GitRunner
from cairn.git.types import ZERO_OID, Oid

EMPTY_TREE = Oid("4b825dc642cb6eb9a060e54bf8d69288fbee4904")
"""Git knows this tree whether or not a repository holds it: the other side of a first commit."""

LIST_BYTES_MAX = 64 * MIB
DIFF_LIMITS = GitLimits(memory_bytes=512 * MIB, cpu_seconds=30)
"""Of a child that compares: git collects every changed file before it writes the first, 300 bytes each."""

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
    """One line of a hunk without its line end; a number is None on the side that does not have the line."""

    kind: LineKind
    old_number: int | None
    new_number: int | None
    content: bytes
    ends_without_newline: bool = False


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
    """How much of a diff is read: files, lines in all and of one file, bytes of patch."""

    files: int = 300
    lines: int = 20_000
    lines_of_file: int = 5_000
    patch_bytes: int = 8 * MIB


async def read_diff(
    runner: GitRunner,
    objects: Objects,
    *,
    old: Oid | None,
    new: Oid,
    skip_files: int = 0,
    bounds: DiffBounds | None = None,
    context_lines: int = 3,
    ignore_whitespace: bool = False,
) -> Diff:
    """Return what changed from ``old`` (None: nothing, as before a first commit) to ``new``, renames detected.

    Files come in git's order, from ``skip_files`` on, at most ``bounds.files``. What a bound leaves out is flagged.
    Errors: DiffTooLarge where there are too many even to be listed.
    """
    bounds = bounds or DiffBounds()
    sides = (old or EMPTY_TREE, new)
    detection = ("-r", "--find-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short")
    listing = GitCommand(
        name="diff-tree", options=(*detection, "-z", "--raw", "--numstat", "--no-abbrev"), revisions=sides
    )
    with within_diff_limits():
        output = await runner.run(
            listing,
            git_dir=objects.git_dir,
            alternates=objects.alternates,
            max_output_bytes=LIST_BYTES_MAX,
            limits=DIFF_LIMITS,
        )
    files = await asyncio.to_thread(_parse_listing, output)
    shown = files[skip_files : skip_files + bounds.files]
    if shown:
        options = [*detection, "-p", "--full-index", f"--unified={context_lines}"]
        if ignore_whitespace:
            options.append("--ignore-all-space")
        paths = _path_arguments(shown) if len(shown) < len(files) else ()
        command = GitCommand(name="diff-tree", options=tuple(options), revisions=sides, paths=paths)
        with within_diff_limits():
            patch, is_whole = await _read_patch(runner, objects, command, bounds.patch_bytes)
        shown = await asyncio.to_thread(_attach, shown, patch, bounds, is_whole)
    return Diff(
        tuple(shown),
        len(files),
        sum(file.additions or 0 for file in files),
        sum(file.deletions or 0 for file in files),
    )


async def _read_patch(runner: GitRunner, objects: Objects, command: GitCommand, max_bytes: int) -> tuple[bytes, bool]:
    """Return at most ``max_bytes`` of the child's output and whether that is all of it."""
    output = bytearray()
    async with runner.spawn(
        command, git_dir=objects.git_dir, alternates=objects.alternates, limits=DIFF_LIMITS
    ) as child:
        async for chunk in child.chunks():
            output += chunk
            if len(output) > max_bytes:
                return bytes(output[:max_bytes]), False
        await child.finish()
    return bytes(output), True


def _path_arguments(files: Sequence[FileDiff]) -> tuple[bytes, ...]:
    """Return the paths of both sides, so that renames are found again; none if they are too long to pass."""
    paths = {path for file in files for path in (file.old_path, file.new_path) if path is not None}
    return tuple(sorted(paths)) if sum(map(len, paths)) <= _PATH_ARGUMENT_BYTES_MAX else ()


def _parse_listing(output: bytes) -> list[FileDiff]:
    """Parse ``--raw --numstat -z``: all raw records, then all counts, in the same order."""
    fields = iter(output.split(b"\0"))
    files: list[FileDiff] = []
    for field in fields:
        if field.startswith(b":"):
            files.append(_raw_record(field, fields))
        elif field:
            return _with_counts(files, field, fields)
    return files


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
    counted: list[FileDiff] = []
    field = first
    for file in files:
        additions, deletions, path = field.split(b"\t", 2)
        if not path:  # a rename names both sides in fields of their own
            next(fields)
            next(fields)
        if additions == b"-":
            counted.append(file)
        else:
            counted.append(replace(file, additions=int(additions), deletions=int(deletions)))
        field = next(fields)
    return counted


@dataclass(slots=True)
class _Section:
    """One ``diff --git`` part of a patch."""

    oids: tuple[Oid, Oid] | None
    hunks: tuple[Hunk, ...]
    is_truncated: bool


_INDEX = re.compile(rb"index ([0-9a-f]{40})\.\.([0-9a-f]{40})")
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)", re.DOTALL)


class _PatchReader:
    """Walks a patch line by line. Hunks are read by their counts, so file content is never taken for a header."""

    def __init__(self, patch: bytes, bounds: DiffBounds, *, is_whole: bool) -> None:
        self._lines = patch.split(b"\n")
        if not is_whole:
            self._lines.pop()  # cut somewhere inside
        elif self._lines[-1] == b"":
            self._lines.pop()
        self._at = 0
        self._bounds = bounds
        self._lines_left = bounds.lines
        self._is_whole = is_whole

    def sections(self) -> Iterator[_Section]:
        while self._at < len(self._lines):
            self._at += 1  # "diff --git": the names in it are not needed
            yield self._section()

    def _section(self) -> _Section:
        section = _Section(None, (), is_truncated=False)
        while (line := self._peek()) is not None and not line.startswith((b"diff --git ", b"@@ ")):
            if (found := _INDEX.match(line)) is not None:
                section.oids = Oid(found[1].decode("ascii")), Oid(found[2].decode("ascii"))
            self._at += 1
        hunks: list[Hunk] = []
        left = min(self._lines_left, self._bounds.lines_of_file)
        while (line := self._peek()) is not None and line.startswith(b"@@ "):
            hunk, is_cut = self._hunk()
            left -= len(hunk.lines)
            if is_cut or left < 0 or section.is_truncated:
                section.is_truncated = True
            else:
                hunks.append(hunk)
        section.hunks = tuple(hunks)
        section.is_truncated = section.is_truncated or (self._peek() is None and not self._is_whole)
        self._lines_left -= sum(len(hunk.lines) for hunk in hunks)
        return section

    def _hunk(self) -> tuple[Hunk, bool]:
        """Return the hunk at this line, and whether the patch ends inside it."""
        head = _HUNK.fullmatch(self._lines[self._at])
        assert head is not None, "git writes hunk headers in one form"
        self._at += 1
        old, new = int(head[1]), int(head[3])
        old_left, new_left = int(head[2] or 1), int(head[4] or 1)
        start = (old, old_left, new, new_left, head[5])
        lines: list[Line] = []
        while old_left or new_left:
            text = self._peek()
            if text is None:
                return Hunk(*start, tuple(lines)), True
            self._at += 1
            kind = LineKind(text[:1] or b" ")
            is_old, is_new = kind is not LineKind.ADDED, kind is not LineKind.REMOVED
            without_newline = (self._peek() or b"").startswith(b"\\")
            self._at += without_newline
            lines.append(Line(kind, old if is_old else None, new if is_new else None, text[1:], without_newline))
            old, old_left = old + is_old, old_left - is_old
            new, new_left = new + is_new, new_left - is_new
        return Hunk(*start, tuple(lines)), False

    def _peek(self) -> bytes | None:
        return self._lines[self._at] if self._at < len(self._lines) else None


def _attach(files: Sequence[FileDiff], patch: bytes, bounds: DiffBounds, is_whole: bool) -> list[FileDiff]:
    """Give each file its hunks.

    Sections come in the order of the files, but a file may have none (only white space changed and that is ignored)
    and one whose type changed has two.
    """
    sections = list(_PatchReader(patch, bounds, is_whole=is_whole).sections())
    if not is_whole and sections and sections[-1].oids is None:
        sections.pop()  # cut before its header told which file it is
    attached: list[FileDiff] = []
    at = 0
    for file in files:
        own: list[_Section] = []
        while at < len(sections) and _belongs(sections[at], file):
            own.append(sections[at])
            at += 1
            if file.status is not FileStatus.TYPE_CHANGED or len(own) == 2:
                break
        hunks = tuple(hunk for section in own for hunk in section.hunks)
        cut = any(section.is_truncated for section in own)
        beyond = not own and not is_whole and at == len(sections) and file.old_oid != file.new_oid
        attached.append(replace(file, hunks=hunks, is_truncated=(cut or beyond) and not file.is_binary))
    return attached


def _belongs(section: _Section, file: FileDiff) -> bool:
    old, new = file.old_oid or ZERO_OID, file.new_oid or ZERO_OID
    if section.oids is None:
        return old == new
    if file.status is FileStatus.TYPE_CHANGED:
        return section.oids in {(old, ZERO_OID), (ZERO_OID, new)}
    return section.oids == (old, new)
