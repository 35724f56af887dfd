"""Forms with files: read as they arrive, each file onto this node's disk, so that memory does not grow with them.

A form's files are gone when its answer has been sent; the cache's sweep takes what a program left that died. How large
a whole form may be, and how slowly it may come, is its route's limit (``security.BodyLimits``).
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
)

from cairn.base.errors import Malformed, TooLarge
from cairn.base.settings import MIB

TEXT_BYTES_MAX = 10 * MIB
"""What the fields of a form that are no files may have, all together: they are held in memory."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file that came with a form. ``filename`` is what the browser calls it: a path where it sent a folder."""

    filename: str
    path: Path
    size_bytes: int

    async def read(self) -> bytes:
        """Return the whole file, which the caller knows to be small."""
        return await asyncio.to_thread(self.path.read_bytes)


@contextmanager
def upload_folder(parent: Path) -> Iterator[Path]:
    """Yield a folder in ``parent`` for the files of one form; it is gone afterwards."""
    # Never the system's folder for such things, which may be memory.
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True) as name:
        yield Path(name)


async def read_parts(
    chunks: AsyncIterator[bytes], boundary: bytes, folder: Path, *, parts_max: int
) -> list[tuple[str, str | UploadedFile]]:
    """Return the parts of a form in order: its texts, and its files put into ``folder``.

    Errors: Malformed for what is no form or has more parts; TooLarge for more text than TEXT_BYTES_MAX.
    """
    reader = _Reader(folder)
    try:
        with PushMultipartParser(boundary, max_segment_count=parts_max) as parser:
            async for chunk in chunks:
                for piece in parser.parse(chunk):
                    await reader.take(piece)
    except ParserLimitReached:
        raise Malformed(f"The form cannot be read: it has over {parts_max:,} fields.") from None
    except (MultipartError, UnicodeDecodeError):
        raise Malformed("The form cannot be read: it is not whole, or not UTF-8.") from None
    finally:
        reader.close()
    return reader.found


class _Reader:
    """Puts the pieces that the parser sees together."""

    def __init__(self, folder: Path) -> None:
        self.found: list[tuple[str, str | UploadedFile]] = []
        self._folder = folder
        self._segment: MultipartSegment | None = None
        self._text = bytearray()
        self._text_bytes = 0
        self._file: BinaryIO | None = None

    async def take(self, piece: object) -> None:
        if isinstance(piece, MultipartSegment):
            self._segment, self._text = piece, bytearray()
            if piece.filename:
                self._file = await asyncio.to_thread((self._folder / str(len(self.found))).open, "wb")
        elif isinstance(piece, bytes | bytearray):
            if self._file is not None:
                await asyncio.to_thread(self._file.write, piece)
            else:
                self._add_text(piece)
        else:
            await self._end()

    def _add_text(self, piece: bytes | bytearray) -> None:
        self._text_bytes += len(piece)
        if self._text_bytes > TEXT_BYTES_MAX:
            raise TooLarge(f"The fields of this form have more than {TEXT_BYTES_MAX // MIB} MiB of text.")
        self._text += piece

    async def _end(self) -> None:
        assert self._segment is not None, "the parser names a part before it ends it"
        if self._file is None:
            self.found.append((self._segment.name, self._text.decode("utf-8")))
            return
        path, size = Path(self._file.name), self._file.tell()
        await asyncio.to_thread(self._file.close)
        self._file = None
        self.found.append((self._segment.name, UploadedFile(self._segment.filename, path, size)))

    def close(self) -> None:
        """Let go of a file that never ended."""
        if self._file is not None:
            self._file.close()
