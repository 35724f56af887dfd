"""Repositories to measure on, always the same bytes."""

import random
import subprocess
from pathlib import Path

_DATE = "1700000000 +0000"


def small_repository(path: Path) -> Path:
    """Make a repository of 20 commits over 12 files, about 20 kB packed."""
    return _import(path, commits=20, files=12, file_bytes=1500)


def repository_of_bytes(path: Path, pack_bytes: int) -> Path:
    """Make a repository whose pack has about ``pack_bytes``: random content, which does not compress."""
    return _import(path, commits=10, files=10, file_bytes=pack_bytes // 10, is_random=True)


def source_tree(path: Path) -> Path:
    """Make a repository of 10 commits over 2,000 files of text that resemble each other, as source does."""
    return _import(path, commits=10, files=2000, file_bytes=3000)


def _import(path: Path, *, commits: int, files: int, file_bytes: int, is_random: bool = False) -> Path:
    generator = random.Random(7)
    subprocess.run(["git", "init", "-q", "-b", "main", path], check=True)
    lines: list[bytes] = []
    for number in range(commits):
        lines.append(f"commit refs/heads/main\ncommitter A <a@example.com> {_DATE}\n".encode())
        message = f"Change {number}\n".encode()
        lines.append(b"data %d\n%b" % (len(message), message))
        touched = [number] if is_random else generator.sample(range(files), min(3, files))
        for file in touched if number or is_random else range(files):
            if is_random:
                content = generator.randbytes(file_bytes)
            else:
                content = "".join(f"line {generator.random()}\n" for _ in range(file_bytes // 24)).encode()
            lines.append(b"M 100644 inline src/file%d.txt\ndata %d\n%b\n" % (file, len(content), content))
    subprocess.run(["git", "-C", path, "fast-import", "--quiet"], input=b"".join(lines), check=True)
    subprocess.run(["git", "-C", path, "reset", "-q", "--hard"], check=True)
    subprocess.run(["git", "-C", path, "gc", "-q"], check=True)
    return path
