"""Reading an object piece by piece in bounded memory."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from opendal import AsyncOperator
from opendal.file import AsyncFile

from cairn.base.errors import CairnError
from cairn.storage.calls import Calls
from cairn.storage.errors import (
    OPENDAL_ERRORS,
    StorageNotFound,
    StorageRangeOutside,
    StorageUnavailable,
    starts_at_end,
)

READ_BYTES = 1 << 20


class ObjectStream:
    """The bytes of one object as they arrive; iterate it, in an ``async with`` or alone.

    Nothing is asked of the store before the first piece is wanted; StorageNotFound comes with it. Retries end there
    too: bytes that were handed out cannot be taken back, so a broken transfer raises StorageUnavailable. Leaving early
    needs no care: dropping the stream drops its connection. ``instead`` opens the same range of the fallback store,
    where there is one: it is read, from its first piece on, if this store has no such object or does not answer.
    """

    def __init__(
        self,
        operator: AsyncOperator,
        calls: Calls,
        key: str,
        *,
        offset: int,
        size: int | None,
        instead: "Callable[[], ObjectStream] | None" = None,
    ) -> None:
        self._operator = operator
        self._calls = calls
        self._key = key
        self._offset = offset
        self._remaining = size
        self._file: AsyncFile | None = None
        self._is_closed = size == 0
        self._instead = instead
        self._replacement: ObjectStream | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._replacement is not None:
            return await anext(self._replacement)
        if self._is_closed:
            raise StopAsyncIteration
        try:
            piece = await self._next_piece()
        except (StorageNotFound, StorageUnavailable) as error:
            has_begun = self._file is not None
            await self.aclose()
            if has_begun or self._instead is None:
                raise
            return await self._first_of_replacement(self._instead(), error)
        except BaseException:
            await self.aclose()  # after an error OpenDAL's file would claim to be at its end
            raise
        if not piece:
            await self.aclose()
            if self._remaining:
                raise StorageRangeOutside(
                    f"the wanted range of {self._key!r} ends {self._remaining} bytes past its end"
                )
            raise StopAsyncIteration
        self._calls.counters.bytes_read["stream"] += len(piece)
        if self._remaining is not None:
            self._remaining -= len(piece)
            if self._remaining == 0:
                await self.aclose()
        return piece

    async def aclose(self) -> None:
        """End the transfer; nothing happens the second time."""
        self._is_closed = True
        self._file = None
        if self._replacement is not None:
            await self._replacement.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _first_of_replacement(self, replacement: "ObjectStream", error: CairnError) -> bytes:
        """Go on with the fallback; if it has no such object either, what this store said stands."""
        try:
            piece = await anext(replacement)
        except StorageNotFound:
            raise error from None
        except StopAsyncIteration:
            piece = b""
        self._replacement = replacement
        if not piece:
            raise StopAsyncIteration
        return piece

    async def _next_piece(self) -> bytes:
        wanted = READ_BYTES if self._remaining is None else min(READ_BYTES, self._remaining)
        file = self._file
        if file is not None:
            return await self._calls.step(
                "stream", self._key, lambda: file.read(wanted), transfer_bytes=wanted, proves=True
            )
        self._file, piece = await self._calls.run("stream", self._key, lambda: self._open(wanted))
        return piece

    async def _open(self, wanted: int) -> tuple[AsyncFile, bytes]:
        file = await self._operator.open(self._key, "rb")
        if self._offset:
            await file.seek(self._offset)
        try:
            return file, await file.read(wanted)
        except OPENDAL_ERRORS as error:
            if starts_at_end(str(error)):
                return file, b""
            raise
