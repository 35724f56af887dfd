"""Unchanged lines that a diff hides: how they are unfolded, a few or all at a time."""

import asyncio
from dataclasses import replace

from cairn.git.diff import FileDiff
from cairn.git.reading import BlobTooLarge
from cairn.git.types import show
from cairn.repositories.code.browse import Code
from cairn.repositories.code.diff_files import is_submodule
from cairn.repositories.code.diff_request import DiffRequest, GapLines, file_key
from cairn.repositories.code.diff_rows import COLOURED_BYTES_MAX, Block, Gap, GapLink, TextReader, plain_rows

STEP_LINES = 20
ALL_LINES_MAX = 1000
"""So many lines are unfolded at once; the rest stays a gap."""

UNFOLDED_BYTES_MAX = 4 << 20
"""In a larger file nothing is unfolded."""


def linked(gap: Gap, file: FileDiff, request: DiffRequest) -> Gap:
    """Return a gap with the links that unfold it: towards the hunk above, towards the one below, all of it."""
    lines = gap.lines
    if lines is None or file.new_oid is None or is_submodule(file):
        return gap
    hidden = None if lines.end is None else lines.end - lines.start + 1

    def link(grow: str, words: str, icon: str) -> GapLink:
        key = file_key(file.path)
        whole = f"{request.address(file=key, context='all')}#diff-{key}R{lines.start}"
        return GapLink(grow, words, icon, whole, request.address(file=key, gap=lines.word, grow=grow, part=1))

    links = []
    if lines.start > 1 and (hidden is None or hidden > STEP_LINES):
        links.append(link("down", f"Show {STEP_LINES} more lines below line {lines.start - 1}", "fold-down"))
    if hidden is not None and hidden > STEP_LINES:
        links.append(link("up", f"Show {STEP_LINES} more lines above line {lines.start + hidden}", "fold-up"))
    if hidden is None:
        links.append(link("all", "Show the rest of the file", "unfold"))
    elif hidden <= ALL_LINES_MAX:
        links.append(
            link("all", f"Show the {hidden:,} hidden lines" if hidden > 1 else "Show the hidden line", "unfold")
        )
    return replace(gap, links=tuple(links))


async def unfold(code: Code, file: FileDiff, request: DiffRequest) -> list[Block | Gap]:
    """Return what takes the place of the gap that was asked for: the lines, with what stays hidden above or below."""
    if request.gap is None or file.new_oid is None or is_submodule(file):
        return []
    try:
        data = await code.blob(file.new_oid, max_bytes=UNFOLDED_BYTES_MAX)
    except BlobTooLarge:
        return [Gap("gap", None, "This file is too large to unfold here.")]
    return await asyncio.to_thread(_unfolded, data, file, request, request.gap)


def _unfolded(data: bytes, file: FileDiff, request: DiffRequest, gap: GapLines) -> list[Block | Gap]:
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    end = len(lines) if gap.end is None else min(gap.end, len(lines))
    start, stop = _chosen(gap.start, end, request)
    if start > stop:
        return []
    reader = TextReader(lines)
    texts = [reader.text(line) for line in lines[start - 1 : stop]]
    whole = reader.text(data) if len(data) <= COLOURED_BYTES_MAX else None
    shift = gap.old_start - gap.start
    parts: list[Block | Gap] = [plain_rows(texts, show(file.path), GapLines(start, stop, start + shift), whole=whole)]
    if start > gap.start:
        parts.insert(0, linked(Gap("gap", GapLines(gap.start, start - 1, gap.old_start), ""), file, request))
    if stop < end:
        parts.append(linked(Gap("gap", GapLines(stop + 1, gap.end, stop + 1 + shift), ""), file, request))
    return parts


def _chosen(start: int, end: int, request: DiffRequest) -> tuple[int, int]:
    """Return the first and the last line to show."""
    if request.grow == "up":
        return max(start, end - STEP_LINES + 1), end
    return start, min(end, start + (STEP_LINES if request.grow == "down" else ALL_LINES_MAX) - 1)
