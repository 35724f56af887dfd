"""Putting other contents in the place of small files of an archive, while git writes it.

Git writes a tar; each small file in it is shown to whoever knows replacements, everything else passes. What comes out
is a tar, packed or not, or a zip made of its members. In memory are a piece, and a small file.
Sources: POSIX.1-2017, pax, "pax Interchange Format"; git's archive-tar.c and archive-zip.c for what they write.
"""

import asyncio
import io
import time
import zipfile
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from cairn.base.settings import GIB, MIB
from cairn.git.archive import ArchiveFormat
from cairn.git.object_check import SMALL_FILE_BYTES

_BLOCK = 512
_RECORD = 20 * _BLOCK
_OCTAL_SIZE_MAX = 8 * GIB
_ZIP64_FROM = GIB
_PIECE_BYTES = MIB
_EARLIEST_ZIP = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_MODES = {b"2": 0o120777, b"5": 0o040755}


@dataclass(frozen=True, slots=True)
class Replacement:
    """What stands in the place of a small file: its size, and what yields its bytes."""

    size: int
    read: Callable[[], AsyncIterator[bytes]]


Find = Callable[[bytes], Replacement | None]
"""Returns what stands in the place of a small file with this content; None for the file itself."""


@dataclass(frozen=True, slots=True)
class _Member:
    """One entry of a tar: its header, the blocks of pax records before that, and what they say."""

    header: bytes
    pax: bytes
    name: bytes
    target: bytes
    size: int

    @property
    def kind(self) -> bytes:
        """The letter of its type; ``0`` for a file."""
        return self.header[156:157]

    @property
    def mode(self) -> int:
        """Its kind and permissions as Unix has them."""
        return _MODES.get(self.kind) or (0o100755 if _number(self.header[100:108]) & 0o100 else 0o100644)

    @property
    def at(self) -> int:
        """Its time in seconds since 1970."""
        return _number(self.header[136:148])


class _Writer(Protocol):
    """Takes members one after the other; ``taken`` is what came out since it was last asked."""

    def begin(self, member: _Member, size: int) -> None: ...
    def write(self, data: bytes) -> None: ...
    def end(self) -> None: ...
    def comment(self, blocks: bytes, text: bytes) -> None: ...
    def finish(self) -> None: ...
    def abandon(self) -> None: ...
    def taken(self) -> bytes: ...


async def rewrite_archive(
    tar: AsyncGenerator[bytes, None], form: ArchiveFormat, find: Find
) -> AsyncGenerator[bytes, None]:
    """Yield an archive in ``form`` of what the tar holds, with its small files replaced where ``find`` has something.

    Errors: those of the tar and of the replacements; nothing is whole then.
    """
    writer: _Writer = _ZipWriter() if form is ArchiveFormat.ZIP else _TarWriter(is_packed=form is ArchiveFormat.TAR_GZ)
    reader = _TarReader(writer, find)
    try:
        async with aclosing(tar):
            async for chunk in tar:
                reader.feed(chunk)
                while (found := await asyncio.to_thread(reader.advance)) is not None:
                    yield writer.taken()
                    async for piece in _pieces(found.read()):
                        await asyncio.to_thread(writer.write, piece)
                        yield writer.taken()
                    writer.end()
                yield writer.taken()
        await asyncio.to_thread(writer.finish)
        yield writer.taken()
    finally:
        writer.abandon()


async def _pieces(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    batch = bytearray()
    async for chunk in chunks:
        batch += chunk
        if len(batch) >= _PIECE_BYTES:
            yield bytes(batch)
            batch.clear()
    yield bytes(batch)


@dataclass(slots=True)
class _TarReader:
    """Takes a tar in pieces of any size and hands its members on."""

    writer: _Writer
    find: Find
    _buffer: bytearray = field(default_factory=bytearray)
    _place: int = 0
    _left: int = 0
    """Bytes of the present member's content that are still to come."""
    _padding: int = 0
    _pax: bytes = b""
    _said: dict[bytes, bytes] = field(default_factory=dict)

    def feed(self, data: bytes) -> None:
        """Have more to read."""
        del self._buffer[: self._place]
        self._place = 0
        self._buffer += data

    def advance(self) -> Replacement | None:
        """Read as far as it goes, or up to a replacement, which the caller writes and ends before the next call."""
        while True:
            if self._left:
                piece = self._take(min(self._left, self._there))
                if not piece:
                    return None
                self.writer.write(piece)
                self._left -= len(piece)
                if self._left:
                    return None
                self.writer.end()
            if not self._skip():
                return None
            needed = self._needed()
            if needed > self._there:
                return None
            found = self._begin()
            if found is not None:
                return found

    @property
    def _there(self) -> int:
        return len(self._buffer) - self._place

    def _take(self, count: int) -> bytes:
        self._place += count
        return bytes(self._buffer[self._place - count : self._place])

    def _skip(self) -> bool:
        """Drop what fills the last member's block; False if not all of that has come."""
        if self._padding > self._there:
            return False
        self._place += self._padding
        self._padding = 0
        return True

    def _needed(self) -> int:
        """Return how much must be there to go on: a header, and with it the content of what is read whole."""
        header = bytes(self._buffer[self._place : self._place + _BLOCK])
        if len(header) < _BLOCK or not any(header):
            return _BLOCK
        size = _size(header)
        is_whole = header[156:157] in {b"g", b"x"} or size < SMALL_FILE_BYTES.stop
        return _BLOCK + (size + _filling(size) if is_whole else 0)

    def _begin(self) -> Replacement | None:
        header = self._take(_BLOCK)
        if not any(header):
            return None  # what ends a tar; the writer has its own
        size, kind = _size(header), header[156:157]
        if kind in {b"g", b"x"}:
            self._note(kind, header, self._take(size + _filling(size)), size)
            return None
        name = self._said.get(b"path") or _name(header)
        member = _Member(header, self._pax, name, self._said.get(b"linkpath") or _text(header[157:257]), size)
        self._pax, self._said = b"", {}
        if size >= SMALL_FILE_BYTES.stop:
            self._left, self._padding = size, _filling(size)
            self.writer.begin(member, size)
            return None
        content = self._take(size + _filling(size))[:size]
        found = self.find(content) if kind == b"0" and size in SMALL_FILE_BYTES else None
        self.writer.begin(member, size if found is None else found.size)
        if found is None:
            self.writer.write(content)
            self.writer.end()
        return found

    def _note(self, kind: bytes, header: bytes, data: bytes, size: int) -> None:
        said = dict(_pax_records(data[:size]))
        if kind == b"g":
            self.writer.comment(header + data, said.get(b"comment", b""))
        else:
            self._pax, self._said = header + data, said


class _TarWriter:
    """Writes a tar, gzipped if ``is_packed``; members keep their headers but for the size."""

    def __init__(self, *, is_packed: bool) -> None:
        self._packing = zlib.compressobj(wbits=zlib.MAX_WBITS | 16) if is_packed else None
        self._out = bytearray()
        self._written = 0
        self._size = 0

    def begin(self, member: _Member, size: int) -> None:
        self._size = size
        self._put(member.pax + (member.header if size == member.size else _resized(member.header, size)))

    def write(self, data: bytes) -> None:
        self._put(data)

    def end(self) -> None:
        self._put(bytes(_filling(self._size)))

    def comment(self, blocks: bytes, text: bytes) -> None:
        del text
        self._put(blocks)

    def finish(self) -> None:
        self._put(bytes(2 * _BLOCK))
        self._put(bytes(-self._written % _RECORD))
        if self._packing is not None:
            self._out += self._packing.flush()

    def abandon(self) -> None:
        """Nothing is held."""

    def taken(self) -> bytes:
        out, self._out = bytes(self._out), bytearray()
        return out

    def _put(self, data: bytes) -> None:
        self._written += len(data)
        self._out += data if self._packing is None else self._packing.compress(data)


class _Sink(io.RawIOBase):
    """Something that can only be written to, so that a zip's sizes come after its members."""

    def __init__(self) -> None:
        self.out = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.out += memoryview(data)  # type: ignore[arg-type]  # whatever has bytes, as io's classes take it
        return memoryview(data).nbytes  # type: ignore[arg-type]


class _ZipWriter:
    """Writes a zip; the commit is its comment, as git's own has it."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED)
        self._open: io.BufferedIOBase | None = None

    def begin(self, member: _Member, size: int) -> None:
        name = member.name.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
        moment = time.gmtime(member.at)[:6]
        info = zipfile.ZipInfo(name, max(moment, _EARLIEST_ZIP))
        info.create_system = _UNIX
        info.external_attr = member.mode << 16 | (0x10 if member.kind == b"5" else 0)
        info.compress_type = zipfile.ZIP_DEFLATED if size or member.kind == b"0" else zipfile.ZIP_STORED
        if member.kind == b"5":
            info.compress_type = zipfile.ZIP_STORED
        self._open = self._zip.open(info, "w", force_zip64=size >= _ZIP64_FROM)  # type: ignore[assignment]
        if member.kind == b"2":
            self.write(member.target)

    def write(self, data: bytes) -> None:
        assert self._open is not None, "a member was begun"
        self._open.write(data)

    def end(self) -> None:
        assert self._open is not None, "a member was begun"
        self._open.close()
        self._open = None

    def comment(self, blocks: bytes, text: bytes) -> None:
        del blocks
        self._zip.comment = text

    def finish(self) -> None:
        self._zip.close()

    def abandon(self) -> None:
        """Close what the library would otherwise close later, and complain."""
        if self._open is not None:
            self.end()
        self._zip.close()

    def taken(self) -> bytes:
        out, self._sink.out = bytes(self._sink.out), bytearray()
        return out


def _pax_records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield keyword and value of ``<length> <keyword>=<value>\\n``, the length being the whole record's."""
    place = 0
    while place < len(data):
        length = int(data[place : data.index(b" ", place)])
        record = data[place : place + length]
        keyword, _, value = record.partition(b" ")[2].partition(b"=")
        yield keyword, value.removesuffix(b"\n")
        place += length


def _resized(header: bytes, size: int) -> bytes:
    """Return a header that says another size, with the sum of its bytes as it is then."""
    field_ = b"%011o\0" % size if size < _OCTAL_SIZE_MAX else b"\x80" + size.to_bytes(11, "big")
    changed = header[:124] + field_ + header[136:148] + b" " * 8 + header[156:]
    return changed[:148] + b"%06o\0 " % sum(changed) + changed[156:]


def _name(header: bytes) -> bytes:
    name, prefix = _text(header[:100]), _text(header[345:500])
    return prefix + b"/" + name if prefix else name


def _text(field_: bytes) -> bytes:
    return bytes(field_.partition(b"\0")[0])


def _size(header: bytes) -> int:
    return _number(header[124:136])


def _number(field_: bytes) -> int:
    if field_[:1] == b"\x80":
        return int.from_bytes(field_[1:], "big")
    return int(field_.strip(b"\0 ") or b"0", 8)


def _filling(size: int) -> int:
    return -size % _BLOCK
