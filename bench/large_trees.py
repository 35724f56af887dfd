"""Trees of 100,000 files, all in one folder or a hundred in each of many, and a commit that changes one of them."""

import subprocess
from pathlib import Path

FILES = 100_000
_COMMIT = b"commit refs/heads/main\ncommitter A <a@example.org> 1700000000 +0000\ndata 4\nmany\n"


def path_of(number: int, *, nested: bool) -> str:
    """Return the path of one of the files."""
    return f"a/{number // 10_000}/{number // 100:04}/f{number}.txt" if nested else f"many/f{number:06}.txt"


def large_tree(folder: Path, *, nested: bool) -> Path:
    """Make a bare repository with such a tree in one commit and return it."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", folder], check=True)
    lines = [b"blob\nmark :1\ndata 2\nx\n", _COMMIT]
    lines += [f"M 100644 :1 {path_of(number, nested=nested)}\n".encode() for number in range(FILES)]
    _import(folder, b"".join(lines))
    return folder


def change_one(folder: Path, *, nested: bool) -> None:
    """Commit another content of the last file."""
    path = path_of(FILES - 1, nested=nested).encode()
    _import(folder, _COMMIT + b"from refs/heads/main^0\nM 100644 inline %b\ndata 2\ny\n" % path)


def _import(folder: Path, stream: bytes) -> None:
    subprocess.run(["git", "-C", folder, "fast-import", "--quiet"], input=stream, check=True)
