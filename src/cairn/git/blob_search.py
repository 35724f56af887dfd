"""Searching the contents of files: one git child hands over the blobs, RE2 looks through them in a thread.

Time is linear in what is read, whatever the expression: RE2 has no back-references and no look-around, and never goes
back. What is found and what is read is bounded, and who waits too long gets what was found until then.
"""

import asyncio
import codecs
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from cairn.base.errors import Invalid
from cairn.base.linear_regex import LinearRegex, RegexRefused
from cairn.git.commands import GitCommand
from cairn.git.engine import Engine
from cairn.git.file_list import FileInTree
from cairn.git.store_state import StoreState

FILE_BYTES_MAX = 1 << 20
"""Larger files are not searched: they are data, or made by programs."""

FILES_FOUND_MAX = 1000
FOUND_BYTES_MAX = 4 << 20
"""What is shown of all files together."""

LINES_PER_FILE_MAX = 20
"""Lines with a match that are shown of one file; further ones are counted."""

MATCHES_PER_FILE_MAX = 1000
CONTEXT_LINES = 1
LINE_BYTES_MAX = 320
"""A longer line is cut around its first match."""

PATTERN_BYTES_MAX = 1000
_BATCH_BYTES = 1 << 20
_BINARY_PROBE_BYTES = 8000
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class PatternRefused(Invalid):
    """What is to be searched for is no expression, matches everything, or is too long."""


class Stopped(StrEnum):
    """Why a search ended before it had looked at every file."""

    NOT = ""
    TIME = "time"
    MANY = "many"
    """It had found as much as is shown."""


class FoundLine(msgspec.Struct, array_like=True):
    """A line of a file: ``pieces`` are plain text and matches by turns, plain text first; one piece is context."""

    number: int
    pieces: list[str]

    @property
    def is_context(self) -> bool:
        """True for a line that only stands beside one with a match."""
        return len(self.pieces) == 1


class FoundFile(msgspec.Struct, array_like=True):
    """A file with matches: how many (counted up to MATCHES_PER_FILE_MAX), and its first lines."""

    path: bytes
    oid: str
    matches: int
    lines: list[FoundLine]
    has_more_lines: bool


class FoundInFiles(msgspec.Struct, array_like=True):
    """What a search came to. ``searched`` files of ``total`` were looked at; ``too_large`` of them by size only."""

    files: list[FoundFile]
    searched: int
    total: int
    too_large: int
    stopped: Stopped

    @property
    def matches(self) -> int:
        """All matches of the files found."""
        return sum(file.matches for file in self.files)


def compile_pattern(text: str, *, is_regex: bool, is_case_sensitive: bool) -> LinearRegex:
    """Return what to search for, compiled; PatternRefused says what is wrong with it.

    The dialect is RE2's: no back-references, no look-around; ``^`` and ``$`` are a line's, and no match spans lines.
    """
    raw = text.encode("utf-8", "replace")
    if not raw.strip() or len(raw) > PATTERN_BYTES_MAX:
        raise PatternRefused(f"Search for 1 to {PATTERN_BYTES_MAX:,} bytes of text.")
    try:
        compiled = LinearRegex(raw, is_literal=not is_regex, is_case_sensitive=is_case_sensitive)
    except RegexRefused as error:
        raise PatternRefused(f"This is no regular expression that can be searched for: {error}.") from None
    if compiled.matches(b""):
        raise PatternRefused("This expression matches where nothing is; ask for at least one character.")
    return compiled


async def search_files(
    engine: Engine,
    state: StoreState,
    files: Sequence[FileInTree],
    pattern: LinearRegex,
    *,
    deadline_seconds: float,
) -> FoundInFiles:
    """Return the files with a match, in their order, with what could be looked at until the deadline.

    The caller has proved that the files may be read. Errors: the runner's, but for the deadline.
    """
    search = _Search(pattern, files)
    try:
        async with asyncio.timeout(deadline_seconds):
            await _feed(engine, state, search)
    except TimeoutError:
        return search.result(Stopped.TIME)
    return search.result(Stopped.MANY if search.is_full else Stopped.NOT)


async def _feed(engine: Engine, state: StoreState, search: "_Search") -> None:
    if not search.oids:
        return
    command = GitCommand(name="cat-file", options=("--batch", "--buffer"))
    wanted = "".join(f"{oid}\n" for oid in search.oids).encode("ascii")
    batch, batch_bytes = list[bytes](), 0
    async with engine.view(state) as view, engine.runner.spawn(command, git_dir=view.path, stdin=wanted) as child:
        async for chunk in child.chunks():
            batch.append(chunk)
            batch_bytes += len(chunk)
            if batch_bytes >= _BATCH_BYTES:
                await asyncio.to_thread(search.take, b"".join(batch))
                batch, batch_bytes = [], 0
                if search.is_full:
                    return
        await asyncio.to_thread(search.take, b"".join(batch))
        await child.finish()


@dataclass(slots=True)
class _Search:
    """What ``git cat-file --batch`` writes, taken in pieces of any size and searched blob by blob."""

    pattern: LinearRegex
    files: Sequence[FileInTree]
    oids: list[str] = field(init=False)
    _paths: dict[str, list[bytes]] = field(init=False)
    _rest: bytearray = field(default_factory=bytearray)
    _found: list[FoundFile] = field(default_factory=list)
    _found_bytes: int = 0
    _searched: int = 0
    _too_large: int = 0

    def __post_init__(self) -> None:
        self._paths = {}
        for file in self.files:
            if file.size_bytes > FILE_BYTES_MAX:
                self._too_large += 1
            elif file.size_bytes:
                self._paths.setdefault(file.oid, []).append(file.path)
            else:
                self._searched += 1
        self.oids = list(self._paths)

    @property
    def is_full(self) -> bool:
        """True when as much is found as is shown."""
        return len(self._found) >= FILES_FOUND_MAX or self._found_bytes >= FOUND_BYTES_MAX

    def result(self, stopped: Stopped) -> FoundInFiles:
        """Return what was found so far, in the order of the files."""
        order = {file.path: index for index, file in enumerate(self.files)}
        found = sorted(self._found, key=lambda file: order[file.path])[:FILES_FOUND_MAX]
        return FoundInFiles(found, self._searched, len(self.files), self._too_large, stopped)

    def take(self, data: bytes) -> None:
        """Search every blob that is whole by now."""
        self._rest += data
        place = 0
        while not self.is_full and (end := self._rest.find(b"\n", place)) >= 0:
            oid, _, facts = self._rest[place:end].decode("ascii").partition(" ")
            size = int(facts.rpartition(" ")[2]) if facts.startswith("blob ") else -1
            after = end + 1 + (size + 1 if size >= 0 else 0)
            if after > len(self._rest):
                break
            if size >= 0:
                self._look_into(oid, bytes(self._rest[end + 1 : end + 1 + size]))
            place = after
        del self._rest[:place]

    def _look_into(self, oid: str, data: bytes) -> None:
        paths = self._paths[oid]
        self._searched += len(paths)
        text = as_utf8(data)
        if text is None or not self.pattern.found_in(text):
            return
        found = find_in_text(self.pattern, text)
        for path in paths if found is not None else ():
            assert found is not None
            self._found.append(FoundFile(path, oid, found.matches, found.lines, found.has_more_lines))
            self._found_bytes += len(path) + sum(len(piece) for line in found.lines for piece in line.pieces)


def as_utf8(data: bytes) -> bytes | None:
    """Return a file's text as UTF-8: UTF-16 by its mark, anything else that is no UTF-8 as Latin-1; None for binary."""
    encoding = _UTF16.get(data[:2])
    if encoding is not None:
        return data[2:].decode(encoding, "replace").encode("utf-8")
    if b"\0" in data[:_BINARY_PROBE_BYTES]:
        return None
    data = data.removeprefix(codecs.BOM_UTF8)
    if data.isascii():
        return data
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1").encode("utf-8")
    return data


@dataclass(slots=True)
class FoundInText:
    """The matches of one text."""

    matches: int
    lines: list[FoundLine]
    has_more_lines: bool


def find_in_text(pattern: LinearRegex, text: bytes) -> FoundInText | None:
    """Return the matches in UTF-8 text; None without any that holds something."""
    spans = pattern.spans(text, most=MATCHES_PER_FILE_MAX)
    if not spans:
        return None
    by_line: dict[int, list[tuple[int, int]]] = {}  # where a line begins: the matches in it
    for start, end in spans:
        by_line.setdefault(text.rfind(b"\n", 0, start) + 1, []).append((start, end))
    shown: dict[int, FoundLine] = {}
    number, counted = 1, 0
    for begin in list(by_line)[:LINES_PER_FILE_MAX]:
        number += text.count(b"\n", counted, begin)
        counted = begin
        _show_with_context(text, begin, number, by_line[begin], shown)
    lines = [shown[number] for number in sorted(shown)]
    return FoundInText(len(spans), lines, len(by_line) > LINES_PER_FILE_MAX)


def _show_with_context(
    text: bytes, begin: int, number: int, spans: list[tuple[int, int]], shown: dict[int, FoundLine]
) -> None:
    shown[number] = FoundLine(number, _pieces(text, begin, _line_end(text, begin), spans))
    before, after = begin, _line_end(text, begin)
    for distance in range(1, CONTEXT_LINES + 1):
        if before > 0:
            start = text.rfind(b"\n", 0, before - 1) + 1
            shown.setdefault(number - distance, FoundLine(number - distance, _pieces(text, start, before - 1, [])))
            before = start
        if after < len(text) - 1:
            start, after = after + 1, _line_end(text, after + 1)
            shown.setdefault(number + distance, FoundLine(number + distance, _pieces(text, start, after, [])))


def _line_end(text: bytes, begin: int) -> int:
    end = text.find(b"\n", begin)
    return len(text) if end < 0 else end


def _pieces(text: bytes, begin: int, end: int, spans: list[tuple[int, int]]) -> list[str]:
    """Return a line as plain text and matches by turns, cut to LINE_BYTES_MAX around the first match."""
    if text[begin:end].endswith(b"\r"):
        end -= 1
    first = begin
    if end - begin > LINE_BYTES_MAX:
        if spans:
            first = max(begin, min(spans[0][0] - LINE_BYTES_MAX // 4, end - LINE_BYTES_MAX))
        end = min(end, first + LINE_BYTES_MAX)
    pieces, place = [], first
    for start, stop in spans:
        if start >= end:
            break
        pieces += [text[place:start], text[start : min(stop, end)]]
        place = min(stop, end)
    pieces.append(text[place:end])
    return [piece.decode("utf-8", "ignore") for piece in pieces]
