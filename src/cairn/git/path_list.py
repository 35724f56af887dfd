"""Every path of a tree as one compressed text for finding files in it; kept among the node's answers by tree id.

A line is a path in UTF-8. Bytes that are no UTF-8, controls and the percent sign are percent-encoded, so that every
line is text and every path can be told from every other.
"""

import asyncio
import gzip
import re

import msgspec

from cairn.git.commands import GitCommand
from cairn.git.engine import Engine
from cairn.git.kept_answers import keep_answer
from cairn.git.store_state import StoreState
from cairn.git.types import Oid

PATHS_MAX = 100_000
PATH_LIST_BYTES_MAX = 16 << 20
"""A list ends where it would have more paths or bytes than these."""

_LEVEL = 6
_ODD = re.compile(rb"[\x00-\x1f\x7f%]")
_ESCAPED = re.compile("[\x00-\x1f\x7f%]|[\udc80-\udcff]")


class PathList(msgspec.Struct, array_like=True):
    """The paths of a tree's files, links and submodules in git's order: ``packed`` is the text under gzip."""

    count: int
    is_truncated: bool
    packed: bytes

    def text(self) -> str:
        """Return the lines; blocks for some 10 ms where they are many."""
        return gzip.decompress(self.packed).decode()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(PathList).decode


async def read_path_list(engine: Engine, state: StoreState, tree: Oid) -> PathList:
    """Return all paths below a tree, up to PATHS_MAX of them; the caller has proved that it may be read."""

    async def make() -> bytes:
        output, is_cut = await _list(engine, state, tree)
        return await asyncio.to_thread(lambda: _encode(pack_paths(output, is_cut=is_cut)))

    return _decode(await keep_answer(engine, state, make, "paths", tree))


async def _list(engine: Engine, state: StoreState, tree: Oid) -> tuple[bytes, bool]:
    """Return the paths, each ended by NUL, and whether there are more."""
    command = GitCommand(name="ls-tree", options=("-r", "-z", "--full-tree", "--name-only"), revisions=(tree,))
    output = bytearray()
    count = 0
    async with engine.view(state) as view, engine.runner.spawn(command, git_dir=view.path) as child:
        async for chunk in child.chunks():
            output += chunk
            count += chunk.count(b"\0")
            if count > PATHS_MAX or len(output) > PATH_LIST_BYTES_MAX:
                return bytes(output), True
        await child.finish()
    return bytes(output), False


def pack_paths(output: bytes, *, is_cut: bool) -> PathList:
    """Return the list of paths that each end with NUL; what comes after the last NUL is a piece of one, left out."""
    paths = output.split(b"\0")[:-1]
    kept = paths[:PATHS_MAX]
    text = b"\n".join(kept)
    if _ODD.search(text.replace(b"\n", b"")) or text.count(b"\n") != max(0, len(kept) - 1) or not _is_utf8(text):
        text = b"\n".join(_escape(path) for path in kept)
    packed = gzip.compress(text, compresslevel=_LEVEL, mtime=0)
    return PathList(len(kept), is_cut or len(kept) < len(paths), packed)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _escape(path: bytes) -> bytes:
    text = path.decode("utf-8", "surrogateescape")
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]) & 0xFF:02X}", text).encode()
