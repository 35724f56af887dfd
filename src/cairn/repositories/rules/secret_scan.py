"""Looking through new files for secrets: one git child hands them over, RE2 reads them in a thread.

A file is read in pieces that overlap, so memory is bounded whatever its size; a secret is found once, wherever a piece
ends.
"""

import asyncio
import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field

from cairn.base.settings import GIB, MIB
from cairn.git.commands import GitCommand
from cairn.git.quarantine import Quarantine
from cairn.git.runner import GitRunner
from cairn.git.types import Oid
from cairn.repositories.rules.new_commits import TooMuchToExamine
from cairn.repositories.rules.secret_kinds import SECRET_BYTES_MAX, FoundSecret, SecretPatterns

SCANNED_BYTES_MAX = GIB
"""Bytes of new files of one change of refs that are looked through."""

FOUND_PER_FILE_MAX = 100
FOUND_MAX = 10_000
"""Secrets of one change of refs that are told apart; what brings more is refused as a whole."""

PIECE_BYTES = 4 * MIB
_OVERLAP_BYTES = 2 * SECRET_BYTES_MAX
_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


@dataclass(frozen=True, slots=True)
class PlacedSecret:
    """A secret and where it stands: line and column count from 1, the column in bytes."""

    secret: FoundSecret
    line: int
    column: int

    def __str__(self) -> str:
        """Say where it is and what, without showing it."""
        one = self.secret
        return (
            f"line {self.line}, column {self.column} has what looks like a {one.kind}: {one.masked}, "
            f"fingerprint {one.fingerprint}"
        )


async def scan_blobs(
    runner: GitRunner, quarantine: Quarantine, sizes: Mapping[Oid, int], patterns: SecretPatterns
) -> dict[Oid, list[PlacedSecret]]:
    """Return the secrets of each blob, at most FOUND_PER_FILE_MAX; blobs without any are absent.

    Errors: TooMuchToExamine.
    """
    total = sum(sizes.values())
    if total > SCANNED_BYTES_MAX:
        raise TooMuchToExamine(f"its files have {total:,} bytes to look through for secrets; push in parts")
    if not total:
        return {}
    wanted = "".join(f"{oid}\n" for oid, size in sizes.items() if size).encode("ascii")
    command = GitCommand(name="cat-file", options=("--batch", "--buffer"))
    reader = _BatchReader(patterns)
    async with runner.spawn(command, git_dir=quarantine.path, alternates=quarantine.alternates, stdin=wanted) as child:
        pending, pending_bytes = list[bytes](), 0
        async for chunk in child.chunks():
            pending.append(chunk)
            pending_bytes += len(chunk)
            if pending_bytes >= MIB:
                await asyncio.to_thread(reader.take, b"".join(pending))
                pending, pending_bytes = [], 0
        await asyncio.to_thread(reader.take, b"".join(pending))
        await child.finish()
    return reader.found


def scan_texts(texts: Mapping[Oid, bytes], patterns: SecretPatterns) -> dict[Oid, list[PlacedSecret]]:
    """Return the secrets of texts that are in memory anyway; those without any are absent. Errors: TooMuchToExamine."""
    found, count = dict[Oid, list[PlacedSecret]](), 0
    for oid, text in texts.items():
        if placed := scan_text(text, patterns):
            found[oid] = placed
            count = _counted(count, placed)
    return found


def _counted(count: int, placed: list[PlacedSecret]) -> int:
    count += len(placed)
    if count > FOUND_MAX:
        raise TooMuchToExamine(f"it has what looks like a secret in more than {FOUND_MAX:,} places")
    return count


def scan_text(text: bytes, patterns: SecretPatterns) -> list[PlacedSecret]:
    """Return the secrets of a text that is in memory anyway."""
    scan = _FileScan(patterns)
    scan.feed(text)
    return scan.finish()


@dataclass(slots=True)
class _BatchReader:
    """Takes what ``git cat-file --batch`` writes, in pieces of any size."""

    patterns: SecretPatterns
    found: dict[Oid, list[PlacedSecret]] = field(default_factory=dict)
    _head: bytearray = field(default_factory=bytearray)
    _oid: Oid | None = None
    _left: int = -1
    _scan: "_FileScan | None" = None
    _count: int = 0

    def take(self, data: bytes) -> None:
        """Scan what came."""
        place = 0
        while place < len(data):
            if self._scan is None:
                end = data.find(b"\n", place)
                self._head += data[place : len(data) if end < 0 else end]
                if end < 0:
                    return
                place = end + 1
                self._begin()
                continue
            piece = data[place : place + self._left]
            place += len(piece)
            self._left -= len(piece)
            # The last byte is the line break that ends every object.
            self._scan.feed(piece[:-1] if self._left == 0 else piece)
            if self._left == 0:
                self._end()

    def _begin(self) -> None:
        oid, kind, size = self._head.decode("ascii").split(" ")
        assert kind == "blob", "only files are asked for"
        self._oid, self._left, self._scan = Oid(oid), int(size) + 1, _FileScan(self.patterns)
        self._head.clear()

    def _end(self) -> None:
        assert self._scan is not None
        assert self._oid is not None
        found = self._scan.finish()
        if found:
            self.found[self._oid] = found
            self._count = _counted(self._count, found)
        self._scan = None


class _FileScan:
    """One file, fed in pieces: UTF-16 by its mark, anything else as its bytes are."""

    def __init__(self, patterns: SecretPatterns) -> None:
        self._patterns = patterns
        self._decoder: codecs.IncrementalDecoder | None = None
        self._is_begun = False
        self._text = bytearray()
        self._line = 1
        self._column = 1
        self._fresh = 0
        """Where in the text begins what no piece before has answered for."""
        self._found: list[PlacedSecret] = []

    def feed(self, data: bytes) -> None:
        if not self._is_begun and data:
            self._is_begun = True
            encoding = _MARKS.get(data[:2])
            if encoding is not None:
                self._decoder, data = codecs.getincrementaldecoder(encoding)("replace"), data[2:]
        self._text += data if self._decoder is None else self._decoder.decode(data).encode()
        if len(self._text) >= PIECE_BYTES:
            self._look(answers_until=len(self._text) - _OVERLAP_BYTES)

    def finish(self) -> list[PlacedSecret]:
        self._look(answers_until=len(self._text))
        return self._found

    def _look(self, *, answers_until: int) -> None:
        """Find the secrets that begin before a place, and keep a little from before it: a word may begin there."""
        text = bytes(self._text)
        for secret in self._patterns.find(text, since=self._fresh) if len(self._found) < FOUND_PER_FILE_MAX else ():
            if secret.start < answers_until and len(self._found) < FOUND_PER_FILE_MAX:
                self._found.append(PlacedSecret(secret, *self._place_of(text, secret.start)))
        kept_from = max(0, answers_until - 1)
        self._line, self._column = self._place_of(text, kept_from)
        del self._text[:kept_from]
        self._fresh = answers_until - kept_from

    def _place_of(self, text: bytes, start: int) -> tuple[int, int]:
        breaks = text.count(b"\n", 0, start)
        if not breaks:
            return self._line, self._column + start
        return self._line + breaks, start - text.rfind(b"\n", 0, start)
