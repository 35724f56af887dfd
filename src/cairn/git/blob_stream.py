"""A large blob piece by piece: unpacked once into the node's cache, read from there at any reader's pace.

A slow reader holds neither memory nor a git child. The caller has proved that the blob may be read.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

from cairn.git.commands import GitCommand
from cairn.git.engine import Engine
from cairn.git.fetch_cache import answer_key
from cairn.git.store_state import StoreState
from cairn.git.types import Oid

_READ_BYTES = 256 << 10


async def blob_chunks(
    engine: Engine, state: StoreState, oid: Oid, *, start: int = 0, end: int | None = None
) -> AsyncGenerator[bytes, None]:
    """Yield a blob's content from ``start`` up to before ``end``, or to its own end."""
    # Like a fetch's answer, the content of an id never changes; a purge raises the epoch.
    key = answer_key("blob", state.id, state.cache_epoch, oid)
    known = engine.answers.find(key)
    if isinstance(known, bytes):
        yield known[start:end]
    elif known is not None:
        async for chunk in file_chunks(known, start, end):
            yield chunk
    else:
        async with engine.answers.fly(
            key, lambda: _unpack(engine, state, oid), shared=None, is_final=lambda head: True
        ) as flight:
            async for chunk in _within(flight.chunks(), start, end):
                yield chunk


async def _within(chunks: AsyncIterator[bytes], start: int, end: int | None) -> AsyncIterator[bytes]:
    """Yield what lies from ``start`` to ``end``. All is read: an answer left by its only reader would be lost."""
    position = 0
    async for chunk in chunks:
        piece = chunk[max(0, start - position) : None if end is None else max(0, end - position)]
        position += len(chunk)
        if piece:
            yield piece


async def _unpack(engine: Engine, state: StoreState, oid: Oid) -> AsyncGenerator[bytes, None]:
    command = GitCommand(name="cat-file", options=("blob",), revisions=(oid,))
    async with engine.view(state) as view, engine.runner.spawn(command, git_dir=view.path) as child:
        async for chunk in child.chunks():
            yield chunk
        await child.finish()


async def file_chunks(path: Path, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
    """Yield a file's bytes from ``start`` up to before ``end``, or to its own end, read in threads."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        file.seek(start)
        while (wanted := _READ_BYTES if end is None else min(_READ_BYTES, end - file.tell())) > 0:
            chunk = await asyncio.to_thread(file.read, wanted)
            if not chunk:
                return
            yield chunk
    finally:
        file.close()
