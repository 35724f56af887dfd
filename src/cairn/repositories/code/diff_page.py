"""Changed files as pages show them, some hundred at a time: of one commit, of a comparison."""

from dataclasses import dataclass
from typing import Any, Literal

from cairn.git.diff import Diff, DiffBounds, FileDiff, LineKind
from cairn.git.types import show
from cairn.web.context import RequestContext
from cairn.web.highlight import decode_text

_FILES_MAX = 10**7
"""No list of changed files is longer: see LIST_BYTES_MAX of the engine."""


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One row of a diff table; see ``diff_rows`` in the components."""

    kind: Literal["context", "add", "delete", "hunk"]
    old: int | None
    new: int | None
    html: str


def first_file(skip: int) -> int:
    """Return how many files a page leaves out before its first: what an address says, made possible."""
    return max(0, min(skip, _FILES_MAX))


def files_changed(context: RequestContext, diff: Diff, skip: int) -> dict[str, Any]:
    """Return what ``repositories/_files_changed.html`` wants; ``diff`` was read from the file after ``skip`` on."""
    skip = first_file(skip)
    after = skip + len(diff.files)
    return {
        "diff": diff,
        "files": [(item, show(item.path), diff_rows(item)) for item in diff.files],
        "first_number": skip + 1,
        "earlier_skip": max(0, skip - DiffBounds().files) if skip else None,
        "later_skip": after if diff.files and after < diff.total_files else None,
    }


_ROW_KINDS: dict[LineKind, Literal["context", "add", "delete"]] = {
    LineKind.CONTEXT: "context",
    LineKind.ADDED: "add",
    LineKind.REMOVED: "delete",
}


def diff_rows(item: FileDiff) -> list[DiffRow]:
    """Return the rows of one file's table: a heading for each hunk, then its lines."""
    rows: list[DiffRow] = []
    for hunk in item.hunks:
        heading = (
            f"@@ -{hunk.old_start},{hunk.old_count} +{hunk.new_start},{hunk.new_count} @@ {decode_text(hunk.heading)}"
        )
        rows.append(DiffRow("hunk", None, None, heading))
        rows.extend(
            DiffRow(_ROW_KINDS[line.kind], line.old_number, line.new_number, decode_text(line.content))
            for line in hunk.lines
        )
    return rows
