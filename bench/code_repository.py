"""A repository to look at: 50,000 commits of 50 people over 10,000 files, made once by fast-import, always the same.

Besides the many small files: ``wide`` with 1,000 entries that change now and then, ``big.py`` of 5,000 lines that
changes in places, a README, and the branch ``sweep``, which changes 5,000 files at once.
"""

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.large_repository import CACHE

COMMITS = 50_000
FILES = 10_000
WIDE_ENTRIES = 1_000
BIG_LINES = 5_000
SWEPT_FILES = 5_000
_BRANCHES = 200
_PEOPLE = 50
_STARTED_AT = 1_500_000_000
_WIDE_EVERY, _BIG_EVERY = 50, 250
_WORDS = ("import", "return", "value", "self", "def", "class", "raise", "None", "result", "item", "index", "stone")


def code_repository(commits: int = COMMITS) -> Path:
    """Return the bare repository, packed with bitmap and commit-graph as a well-kept server has it. Read it only."""
    path = CACHE / f"code-{commits}.git"
    if path.is_dir():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    made = CACHE / f"{path.name}.making"
    shutil.rmtree(made, ignore_errors=True)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", made], check=True)
    importing = subprocess.Popen(["git", "-C", made, "fast-import", "--quiet", "--depth=20"], stdin=subprocess.PIPE)
    assert importing.stdin is not None
    with importing.stdin as stream:
        for piece in _history(commits):
            stream.write(piece)
    if importing.wait() != 0:
        raise RuntimeError("git fast-import failed")
    git = ["nice", "-n", "10", "git", "-C", str(made)]
    subprocess.run([*git, "repack", "-adfq", "--write-bitmap-index"], check=True)
    subprocess.run([*git, "commit-graph", "write", "--reachable", "--changed-paths"], check=True, capture_output=True)
    made.rename(path)
    return path


def _history(commits: int) -> Iterator[bytes]:
    generator = random.Random(13)
    big = [_line(generator) for _ in range(BIG_LINES)]
    for number in range(1, commits + 1):
        yield _commit(b"main", number, number % _PEOPLE, b"Change number %d" % number)
        if number == 1:
            yield _file(b"README.md", b"# Code\n\n" + b"Some words about *stones*, and `code`.\n\n" * 60)
            for entry in range(WIDE_ENTRIES):
                yield _file(b"wide/entry-%04d.txt" % entry, b"entry %d\n" % entry)
            for file in range(FILES):
                yield _file(_path(file), _text(generator, 12))
        elif number % _WIDE_EVERY == 0:
            yield _file(b"wide/entry-%04d.txt" % generator.randrange(WIDE_ENTRIES), b"changed by %d\n" % number)
        else:
            yield _file(_path(generator.randrange(FILES)), _text(generator, 12))
        if number == 1 or number % _BIG_EVERY == 0:
            start = generator.randrange(BIG_LINES - 40)
            big[start : start + 40] = [_line(generator) for _ in range(40)]
            yield _file(b"big.py", b"".join(big))
    yield _commit(b"sweep", commits + 1, 1, b"Sweep", parent=b"refs/heads/main")
    for file in range(SWEPT_FILES):
        yield _file(_path(file), _text(generator, 12))
    for branch in range(_BRANCHES):
        yield b"reset refs/heads/topic/%03d\nfrom :%d\n\n" % (branch, 1 + branch * commits // _BRANCHES)


def _commit(branch: bytes, number: int, person: int, subject: bytes, *, parent: bytes = b"") -> bytes:
    message = b"%b\n\nA second paragraph says why it was made.\n" % subject
    head = b"commit refs/heads/%b\nmark :%d\ncommitter P%d <p%d@example.com> %d +0000\n" % (
        branch,
        number,
        person,
        person,
        _STARTED_AT + 300 * number,
    )
    return head + b"data %d\n%b" % (len(message), message) + (b"from %b\n" % parent if parent else b"")


def _path(file: int) -> bytes:
    return b"src/p%03d/module%03d.py" % divmod(file, 100)


def _line(generator: random.Random) -> bytes:
    return " ".join(generator.choices(_WORDS, k=6)).encode() + b" = %d\n" % generator.randrange(1_000_000)


def _text(generator: random.Random, lines: int) -> bytes:
    return b"".join(_line(generator) for _ in range(lines))


def _file(path: bytes, content: bytes) -> bytes:
    return b"M 100644 inline %b\ndata %d\n%b\n" % (path, len(content), content)


if __name__ == "__main__":
    print(code_repository())
