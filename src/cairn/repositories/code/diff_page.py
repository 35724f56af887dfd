"""What changed between two commits, on whatever page: sent as it is read, some files at a time.

A page calls ``changes`` with what it compares and sends what comes; ``_files_changed.html`` is the frame around it.
The list of all files comes first, then the files of this part, one by one, so that neither this program nor the browser
ever holds a large diff whole. Further parts are asked for by address (``diff_request``).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace

from litestar.response import Stream

from cairn.git.diff import Compared, DiffBounds, DiffTooLarge, FileDiff, LineKind
from cairn.git.engine import Engine
from cairn.git.moved_lines import Move, find_moves
from cairn.git.reading import BlobTooLarge, ObjectNotFound
from cairn.git.types import Oid, show
from cairn.repositories.code.browse import Code, open_code
from cairn.repositories.code.diff_files import (
    Content,
    ShownFile,
    describe,
    is_picture,
    is_submodule,
    kind_of,
    lfs_pointers,
    linked_commits,
    reason_to_fold,
)
from cairn.repositories.code.diff_gaps import linked, unfold
from cairn.repositories.code.diff_request import DiffRequest, file_key
from cairn.repositories.code.diff_rows import (
    COLOURED_BYTES_MAX,
    CONTEXT_LINES,
    FileRows,
    Gap,
    Moved,
    Side,
    file_rows,
)
from cairn.repositories.code.diff_tree import diff_tree
from cairn.repositories.code.large_files import large_files_here
from cairn.web.context import RequestContext
from cairn.web.render import HTML
from cairn.web.urls import path_join

FILES_IN_PART = 100
LINES_IN_PART = 2_000
"""Changed lines after which a part ends; the lines around them come on top."""

FILE_LINES_MAX = 2_000
"""Lines of one file that are sent at once."""

PART_BOUNDS = DiffBounds(
    files=FILES_IN_PART, lines=4 * LINES_IN_PART, lines_of_file=FILE_LINES_MAX, patch_bytes=32 << 20, line_bytes=4096
)
TREE_FILES_MAX = 300
"""A longer list of files is not sent with the page: the browser asks for it."""

LISTED_FILES_MAX = 10_000
_WHOLE_CONTEXT_LINES = 10**7
_COLOURED_BYTES_IN_PART = 192 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoCommits:
    """What a page compares: two commits (``old`` None: nothing) of the repository whose address is ``base``."""

    base: str
    old: Oid | None
    new: Oid


async def changes(
    context: RequestContext, engine: Engine, store_id: int, sides: TwoCommits, request: DiffRequest
) -> AsyncIterator[str]:
    """Yield the HTML of the part that a request asks for. Both commits are proved reachable by the caller."""
    if context.request.method == "HEAD":
        return
    async with open_code(engine, store_id) as code:
        page = _ChangesPage(context, code, sides, request)
        try:
            async for piece in page.pieces():
                yield piece
        except DiffTooLarge as error:
            yield page.text("_diff_problem.html", problem=error.message)


def answer_part(pieces: AsyncIterator[str]) -> Stream:
    """Return a part without the page around it, for a script that puts it in its place."""
    return Stream(pieces, media_type=HTML)


_Moves = dict[tuple[int, Side], list[Move]]


class _ChangesPage:
    """One request's part of a diff, in the making."""

    def __init__(self, context: RequestContext, code: Code, sides: TwoCommits, request: DiffRequest) -> None:
        self._renderer = context.site.renderer
        self._code = code
        self._sides = sides
        self._request = request
        self._compared = Compared(
            old=sides.old,
            new=sides.new,
            context_lines=CONTEXT_LINES,
            ignore_whitespace=request.ignores_whitespace,
        )
        self._bytes_to_colour = _COLOURED_BYTES_IN_PART

    def text(self, template: str, **values: object) -> str:
        """Return a template of this page's filled in."""
        return self._renderer.text(f"repositories/{template}", {"request": self._request, **values})

    async def pieces(self) -> AsyncIterator[str]:
        """Yield the part: a gap's lines, or the head, then each file, then where further ones are."""
        files = await self._code.diffs.changes(self._compared)
        if self._request.gap is not None and self._request.file:
            yield await self._gap(files)
            return
        shown = [] if self._request.is_list else self._part(files)
        values = self._frame(files, shown)
        mark = "\0"  # stands in no text: names are shown with such things escaped
        template = "_files_changed.html" if not self._request.is_part else "_diff_part.html"
        head, _, tail = self.text(template, files_mark=mark, **values).partition(mark)
        yield head
        async for piece in self._files(files, shown):
            yield piece
        yield tail

    async def _gap(self, files: Sequence[FileDiff]) -> str:
        file = next((file for file in files if file_key(file.path) == self._request.file), None)
        parts = [] if file is None else await unfold(self._code, file, self._request)
        return self.text("_diff_gap.html", parts=parts, anchor=f"diff-{self._request.file}")

    def _part(self, files: Sequence[FileDiff]) -> list[int]:
        """Return the places of the files to show: the one asked for, or those after ``skip`` up to the bounds."""
        if self._request.file:
            return [place for place, file in enumerate(files) if file_key(file.path) == self._request.file][:1]
        lines = 0
        places: list[int] = []
        for place in range(len(files))[self._request.skip : self._request.skip + FILES_IN_PART]:
            if not self._reason(files, place):
                lines += (files[place].additions or 0) + (files[place].deletions or 0)
            if lines > LINES_IN_PART and places:
                break
            places.append(place)
        return places

    def _reason(self, files: Sequence[FileDiff], place: int) -> str:
        """Return why a file's lines are not sent; who asks for one file, or for a change of one, gets them."""
        return "" if self._request.file or len(files) == 1 else reason_to_fold(files[place])

    def _frame(self, files: Sequence[FileDiff], shown: Sequence[int]) -> dict[str, object]:
        """Return what the template says around the files."""
        request = self._request
        listed = range(len(files) if 1 < len(files) <= TREE_FILES_MAX else 0)
        later = shown[-1] + 1 if shown and not request.file else len(files)
        if request.is_list:
            listed = range(len(files))[request.skip : request.skip + LISTED_FILES_MAX]
            later = min(request.skip + LISTED_FILES_MAX, len(files))
        return {
            "total": len(files),
            "additions": sum(file.additions or 0 for file in files),
            "deletions": sum(file.deletions or 0 for file in files),
            "places": shown,
            "tree": diff_tree((place, files[place]) for place in listed) if listed else None,
            "later": later if later < len(files) else None,
            "earlier": max(0, request.skip - FILES_IN_PART) if request.skip else None,
        }

    async def _files(self, files: Sequence[FileDiff], places: Sequence[int]) -> AsyncIterator[str]:
        """Yield each file when it is read."""
        open_places = [place for place in places if not self._reason(files, place)]
        compared = self._compared
        if self._request.is_whole_file and self._request.file:
            compared = replace(compared, context_lines=_WHOLE_CONTEXT_LINES)
        bounds = replace(PART_BOUNDS, skip_lines=self._request.after if self._request.file else 0)
        read = await self._code.diffs.hunks(compared, [files[place] for place in open_places], bounds)
        found = dict(zip(open_places, read, strict=True))
        moves = await self._moves(files, found)
        for place in places:
            file = found.get(place, files[place])
            made = describe(file, place, self._request, self._sides.base, self._sides.old, self._sides.new)
            if place in found:
                made = await self._with_content(made, await self._rows(made, files, moves))
            else:
                made = replace(made, folded=self._reason(files, place))
            yield self.text("_diff_file.html", shown=made, is_open=place in found and not made.folded)

    async def _moves(self, files: Sequence[FileDiff], found: Mapping[int, FileDiff]) -> _Moves:
        """Return the moved lines of the files that are shown, by file and side."""
        is_all = len(found) == len(files) and not any(file.is_truncated for file in found.values())
        if is_all and not self._request.is_whole_file:
            moves = await asyncio.to_thread(find_moves, list(found.values()))
        else:
            moves = await self._code.diffs.moves(self._compared, files)
        sides: _Moves = {}
        for move in moves:
            sides.setdefault((move.old_file, "old"), []).append(move)
            sides.setdefault((move.new_file, "new"), []).append(move)
        return sides

    async def _rows(self, made: ShownFile, files: Sequence[FileDiff], moves: _Moves) -> FileRows:
        lines: dict[tuple[Side, int], Moved] = {}
        for move in moves.get((made.place, "old"), ()):
            for step in range(move.lines):
                lines["old", move.old_line + step] = self._moved(files, move.new_file, move.new_line + step, "R")
        for move in moves.get((made.place, "new"), ()):
            for step in range(move.lines):
                lines["new", move.new_line + step] = self._moved(files, move.old_file, move.old_line + step, "L")
        whole = await self._whole(made.file)
        rows = await asyncio.to_thread(
            file_rows,
            made.file,
            made.name,
            whole=whole,
            moved_at=lambda side, number: lines.get((side, number)),
            is_continued=self._request.after > 0,
        )
        rows.parts = [linked(part, made.file, self._request) if isinstance(part, Gap) else part for part in rows.parts]
        return rows

    def _moved(self, files: Sequence[FileDiff], place: int, line: int, letter: str) -> Moved:
        file = files[place]
        path = file.path if letter == "R" or file.old_path is None else file.old_path
        return Moved(show(path), line, f"#diff-{file_key(file.path)}{letter}{line}")

    async def _whole(self, file: FileDiff) -> dict[Side, str] | None:
        """Return the content of both sides for colouring; None where the lines shown are all, or it is too large."""
        if file.old_oid is None or file.new_oid is None or not file.hunks or is_submodule(file):
            return None
        kinds = {line.kind for hunk in file.hunks for line in hunk.lines}
        wanted: list[tuple[Side, Oid]] = []
        if LineKind.REMOVED in kinds:
            wanted.append(("old", file.old_oid))
        if kinds - {LineKind.REMOVED}:
            wanted.append(("new", file.new_oid))
        found: dict[Side, str] = {}
        for side, oid in wanted:
            try:
                data = await self._code.blob(oid, max_bytes=min(COLOURED_BYTES_MAX, self._bytes_to_colour))
            except BlobTooLarge:
                return None
            self._bytes_to_colour -= len(data)
            found[side] = data.decode("utf-8", "replace")
        return found

    async def _with_content(self, made: ShownFile, rows: FileRows) -> ShownFile:
        """Return a file with its rows, or with what it is where lines do not say it."""
        file = made.file
        made = replace(made, kind=kind_of(file), rows=rows)
        if made.kind in {"binary", "picture"}:
            old, new = await self._bytes(file, self._sides.old, "old"), await self._bytes(file, self._sides.new, "new")
            return replace(made, old=old, new=new)
        if made.kind == "submodule":
            old, new = (Content(commit_oid=oid) if oid is not None else None for oid in linked_commits(file))
            return replace(made, old=old, new=new)
        if made.kind == "lfs":
            return await self._large(made)
        if not file.is_truncated:
            return made
        if not file.hunks:
            alone = "Too much has changed in its lines to be shown here; fetch it to see them."
            return replace(made, folded=alone if self._request.file else "Its changes come on a page of their own.")
        after = self._request.after + sum(len(hunk.lines) for hunk in file.hunks)
        words = {"context": "all"} if self._request.is_whole_file else {}
        return replace(made, more_href=self._request.address(file=made.key, after=after, **words))

    async def _large(self, made: ShownFile) -> ShownFile:
        """Return a file in Git LFS with its sizes, and as pictures where it is one and all of it is here."""
        file = made.file
        old, new = lfs_pointers(file)
        addresses = ["", ""]
        if is_picture(file):
            oids = {one.sha256 for one in (old, new) if one is not None}
            engine, state, _ = self._code.parts
            if oids == await large_files_here(engine.database, state.id, oids):
                addresses = [self._raw(self._sides.old, file.old_path), self._raw(self._sides.new, file.new_path)]
        sides = [
            Content(size_bytes=one.size_bytes, picture_href=address) if one is not None else None
            for one, address in zip((old, new), addresses, strict=True)
        ]
        return replace(made, old=sides[0], new=sides[1])

    def _raw(self, commit: Oid | None, path: bytes | None) -> str:
        return "" if commit is None or path is None else self._sides.base + path_join("raw", commit, path)

    async def _bytes(self, file: FileDiff, commit: Oid | None, side: Side) -> Content | None:
        path, oid = (file.old_path, file.old_oid) if side == "old" else (file.new_path, file.new_oid)
        if path is None or oid is None or commit is None:
            return None
        try:
            size = await self._code.blob_size(oid)
        except ObjectNotFound:
            return None
        return Content(size_bytes=size, picture_href=self._raw(commit, path) if is_picture(file) else "")
