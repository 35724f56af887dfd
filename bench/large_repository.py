"""One repository as large as a company's oldest: made once by fast-import, always the same bytes, kept in a cache.

A history with merges over 100 folders of 20 folders of files that do not compress, one folder of 10,000 entries that
changes now and then, and a branch on every so many commits.
"""

import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).resolve().parents[1] / ".cache" / "bench"
_STARTED_AT = 1_400_000_000
_MERGE_EVERY = 100
_SIDE_COMMITS = 3


@dataclass(frozen=True)
class Shape:
    """How large: ``file_bytes`` of fresh content a commit; ``wide_every`` commits change the folder of many entries."""

    name: str
    commits: int
    file_bytes: int
    refs: int
    wide_entries: int
    wide_every: int


LARGE = Shape("large", commits=200_000, file_bytes=5_000, refs=100_000, wide_entries=10_000, wide_every=400)
"""About 1 GB packed, 1,000,000 objects, 100,000 refs, 200,000 commits."""

SMALL = Shape("small", commits=4_000, file_bytes=5_000, refs=10_000, wide_entries=1_000, wide_every=400)
"""A fiftieth of it with 10,000 refs: 20 MB packed."""


def large_repository(shape: Shape = LARGE) -> Path:
    """Return the bare repository of a shape, packed with bitmaps as a well-kept server has it; made if it is not there.

    Nobody may write to it: clone it first.
    """
    path = CACHE / f"{shape.name}.git"
    if path.is_dir():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    made = CACHE / f"{shape.name}.making"
    shutil.rmtree(made, ignore_errors=True)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", made], check=True)
    importing = subprocess.Popen(
        ["git", "-C", made, "-c", "core.compression=1", "fast-import", "--quiet", "--depth=20"], stdin=subprocess.PIPE
    )
    assert importing.stdin is not None
    with importing.stdin as stream:
        for piece in _history(shape):
            stream.write(piece)
    if importing.wait() != 0:
        raise RuntimeError("git fast-import failed")
    git = ["nice", "-n", "10", "git", "-C", str(made), "-c", "core.compression=1", "-c", "pack.threads=2"]
    subprocess.run([*git, "pack-refs", "--all"], check=True)
    subprocess.run([*git, "repack", "-adq", "--write-bitmap-index"], check=True)
    subprocess.run([*git, "commit-graph", "write", "--reachable", "--changed-paths"], check=True, capture_output=True)
    made.rename(path)
    return path


def tip(path: Path, revision: str = "refs/heads/main") -> str:
    """Return the id of a revision."""
    return subprocess.check_output(["git", "-C", path, "rev-parse", revision], text=True).strip()


def branch(number: int) -> str:
    """Return the name of the branch of that number."""
    return f"refs/heads/topic/{number // 1000:03d}/{number % 1000:03d}"


def _history(shape: Shape) -> Iterator[bytes]:
    generator = random.Random(11)
    main = 0
    for number in range(1, shape.commits + 1):
        is_side = number % _MERGE_EVERY in range(1, _SIDE_COMMITS + 1) and number > _MERGE_EVERY
        yield b"commit refs/heads/%b\nmark :%d\n" % (b"side" if is_side else b"main", number)
        yield b"committer A <a@example.com> %d +0000\n" % (_STARTED_AT + 300 * number)
        message = b"Change number %d\n\nA second paragraph says why change %d was made.\n" % (number, number)
        yield b"data %d\n%b" % (len(message), message)
        place = number % _MERGE_EVERY
        if is_side:
            yield b"from :%d\n" % (main if place == 1 else number - 1)
        elif main:
            yield b"from :%d\n" % main
        if place == _SIDE_COMMITS + 1 and number > _MERGE_EVERY:
            yield b"merge :%d\n" % (number - 1)
        main = main if is_side else number
        yield from _changes(shape, number, generator)
    for number in range(shape.refs):
        mark = 1 + number * shape.commits // shape.refs
        yield b"reset %b\nfrom :%d\n\n" % (branch(number).encode(), mark)


def _changes(shape: Shape, number: int, generator: random.Random) -> Iterator[bytes]:
    content = generator.randbytes(shape.file_bytes)
    path = b"d%02d/m%02d/file%02d.bin" % (generator.randrange(100), generator.randrange(20), generator.randrange(20))
    yield _file(path, content)
    if number == 1:
        for entry in range(shape.wide_entries):
            yield _file(b"wide/entry-%05d.txt" % entry, b"entry %d\n" % entry)
    elif number % shape.wide_every == 0:
        yield _file(b"wide/entry-%05d.txt" % generator.randrange(shape.wide_entries), b"changed by %d\n" % number)


def _file(path: bytes, content: bytes) -> bytes:
    return b"M 100644 inline %b\ndata %d\n%b\n" % (path, len(content), content)


if __name__ == "__main__":
    for each in (SMALL, LARGE):
        print(large_repository(each))
