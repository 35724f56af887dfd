"""What a text would change, before it is committed: two texts compared here, without an object of the repository."""

from collections.abc import Iterator
from dataclasses import dataclass

import pygit2

from cairn.git.diff import FileDiff, FileStatus, Hunk, Line, LineKind
from cairn.git.types import show
from cairn.repositories.code.diff_rows import CONTEXT_LINES, FileRows, Side, file_rows

_KINDS = {" ": LineKind.CONTEXT, "+": LineKind.ADDED, "-": LineKind.REMOVED}
_LINES_MAX = 5_000
"""Lines of a preview; who changed more sees the rest in the commit."""


@dataclass(frozen=True, slots=True)
class ChangePreview:
    """The rows of ``diff_unified`` with how many lines come and go; ``is_cut``: there is more."""

    rows: FileRows
    additions: int
    deletions: int
    is_cut: bool = False


def preview_change(path: bytes, old: bytes | None, new: bytes) -> ChangePreview:
    """Return how ``new`` differs from ``old`` (None: no such file). Both are small; call it in a thread."""
    patch = pygit2.Patch.create_from(old or b"", new, context_lines=CONTEXT_LINES)
    hunks: list[Hunk] = []
    lines = 0
    for found in patch.hunks if patch is not None else ():
        hunk = Hunk(
            found.old_start, found.old_lines, found.new_start, found.new_lines, _heading(found.header),
            tuple(_lines(found)),
        )  # fmt: skip
        lines += len(hunk.lines)
        if lines > _LINES_MAX and hunks:
            break
        hunks.append(hunk)
    every = [line for hunk in hunks for line in hunk.lines]
    added = sum(line.kind is LineKind.ADDED for line in every)
    removed = sum(line.kind is LineKind.REMOVED for line in every)
    status = FileStatus.MODIFIED if old is not None else FileStatus.ADDED
    file = FileDiff(status, path, path, None, None, None, None, None, added, removed, tuple(hunks))
    whole: dict[Side, str] | None = None
    if old is not None:
        whole = {"old": old.decode("utf-8", "replace"), "new": new.decode("utf-8", "replace")}
    rows = file_rows(file, show(path), whole=whole)
    return ChangePreview(rows, added, removed, is_cut=lines > _LINES_MAX)


def _heading(header: str) -> bytes:
    return header.rpartition("@@")[2].strip().encode()


def _lines(hunk: pygit2.DiffHunk) -> Iterator[Line]:
    """Yield a hunk's lines; what git says of a missing line end belongs to the line before it."""
    before: Line | None = None
    for line in hunk.lines:
        if line.origin in _KINDS:
            if before is not None:
                yield before
            before = Line(
                _KINDS[line.origin],
                line.old_lineno if line.old_lineno > 0 else None,
                line.new_lineno if line.new_lineno > 0 else None,
                line.raw_content.removesuffix(b"\n"),
                ends_without_newline=not line.raw_content.endswith(b"\n"),
            )
    if before is not None:
        yield before
