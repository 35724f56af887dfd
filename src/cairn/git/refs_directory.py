"""A git directory of refs for one child: stock git reads refs from files, ours are rows."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from cairn.base.ids import random_id
from cairn.git.ref_queries import RefValue
from cairn.git.types import Oid, RefName

_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
_WANT_PREFIX = b"refs/cairn/want/"
_INLINE_REFS = 2000


@asynccontextmanager
async def refs_directory(
    folder: Path, refs: Iterable[RefValue], *, head_target: RefName, also: Iterable[Oid] = ()
) -> AsyncIterator[Path]:
    """Yield a bare directory below ``folder`` with exactly these refs, and ``also`` objects under names of their own.

    It has no objects: the child gets them by GIT_OBJECT_DIRECTORY. Gone when the block ends.
    """
    path = folder / random_id()
    listed = [*refs, *(RefValue(_WANT_PREFIX + oid.encode("ascii"), oid) for oid in dict.fromkeys(also))]
    try:
        if len(listed) <= _INLINE_REFS:
            _write(path, listed, head_target)
        else:
            await asyncio.to_thread(_write, path, listed, head_target)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _write(path: Path, refs: list[RefValue], head_target: RefName) -> None:
    (path / "refs").mkdir(parents=True)
    (path / "config").write_text(_CONFIG)
    (path / "HEAD").write_bytes(b"ref: " + head_target + b"\n")
    (path / "packed-refs").write_bytes(_packed(sorted(refs, key=lambda ref: ref.name)))


def _packed(refs: Iterable[RefValue]) -> bytes:
    lines = [b"# pack-refs with: peeled fully-peeled sorted \n"]
    for ref in refs:
        lines.append(b"%b %b\n" % (ref.oid.encode("ascii"), ref.name))
        if ref.peeled:
            lines.append(b"^%b\n" % ref.peeled.encode("ascii"))
    return b"".join(lines)
