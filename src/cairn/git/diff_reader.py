"""Reading one diff piece by piece: which files changed (kept on the node), some files' lines, what was moved.

A page of a large diff asks for a few files at a time. The list of all of them is made once, kept among the node's
answers, and shared by requests that come together; so is what was moved within the whole diff.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence

import msgspec

from cairn.git.diff import Compared, DiffBounds, FileDiff, list_changes, parse_changes, read_hunks
from cairn.git.engine import Engine
from cairn.git.history import Objects
from cairn.git.kept_answers import keep_answer
from cairn.git.moved_lines import MOVED_LINES_MAX, Move, find_moves
from cairn.git.store_state import StoreState

_MOVE_BOUNDS = DiffBounds(
    files=10**7, lines=2 * MOVED_LINES_MAX, lines_of_file=2 * MOVED_LINES_MAX, patch_bytes=32 << 20, line_bytes=2000
)
_encode = msgspec.msgpack.Encoder().encode
_decode_moves = msgspec.msgpack.Decoder(list[Move]).decode


class DiffReader:
    """Reads the diffs of one store at one moment; ``objects`` is a view of it."""

    def __init__(self, engine: Engine, state: StoreState, objects: Objects) -> None:
        self._engine = engine
        self._state = state
        self._objects = objects

    async def changes(self, compared: Compared) -> list[FileDiff]:
        """Return every changed file in git's order, without lines. Errors: DiffTooLarge."""
        output = await self._kept("changes", compared, lambda objects: self._list(objects, compared))
        return await asyncio.to_thread(parse_changes, output)

    async def hunks(self, compared: Compared, files: Sequence[FileDiff], bounds: DiffBounds) -> list[FileDiff]:
        """Return some of the changed files with their lines, as far as the bounds let them. Errors: DiffTooLarge."""
        return await read_hunks(self._engine.runner, self._objects, compared, files, bounds)

    async def moves(self, compared: Compared, files: Sequence[FileDiff]) -> list[Move]:
        """Return the lines that moved within the whole diff; ``files`` are all that changed.

        None are looked for beyond MOVED_LINES_MAX changed lines.
        """
        if sum((file.additions or 0) + (file.deletions or 0) for file in files) > MOVED_LINES_MAX:
            return []
        return _decode_moves(await self._kept("moves", compared, lambda objects: self._find(objects, compared, files)))

    async def _list(self, objects: Objects, compared: Compared) -> bytes:
        return await list_changes(self._engine.runner, objects, compared)

    async def _find(self, objects: Objects, compared: Compared, files: Sequence[FileDiff]) -> bytes:
        bare = Compared(
            old=compared.old, new=compared.new, context_lines=0, ignore_whitespace=compared.ignore_whitespace
        )
        found = await read_hunks(self._engine.runner, objects, bare, files, _MOVE_BOUNDS, is_all=True)
        return _encode(await asyncio.to_thread(find_moves, found))

    async def _kept(
        self, what: str, compared: Compared, make: Callable[[Objects], Coroutine[None, None, bytes]]
    ) -> bytes:
        async def in_a_view() -> bytes:
            # One of its own: the run may outlive the request that began it.
            async with self._engine.view(self._state) as view:
                return await make(Objects(view.path))

        about = (f"diff-{what}", compared.old, compared.new, compared.ignore_whitespace)
        return await keep_answer(self._engine, self._state, in_a_view, *about)
