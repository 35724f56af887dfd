"""Repositories to measure on, always the same bytes."""

import random
import subprocess
import sysconfig
from pathlib import Path

_DATE = "1700000000 +0000"


def small_repository(path: Path) -> Path:
    """Make a repository of 20 commits over 12 files, about 20 kB packed."""
    return _import(path, commits=20, files=12, file_bytes=1500)


def repository_of_bytes(path: Path, pack_bytes: int) -> Path:
    """Make a repository whose pack has about ``pack_bytes``: random content, which does not compress."""
    return _import(path, commits=10, files=10, file_bytes=pack_bytes // 10, is_random=True)


def source_tree(path: Path) -> Path:
    """Make a repository of 10 commits over real source: Python's standard library, about 1,800 files of 31 MB."""
    library = Path(sysconfig.get_paths()["stdlib"])
    sources = sorted(file for file in library.rglob("*.py") if "site-packages" not in file.parts)
    subprocess.run(["git", "init", "-q", "-b", "main", path], check=True)
    lines: list[bytes] = []
    for number in range(10):
        lines.append(_commit(number))
        for file in sources if number == 0 else sources[number :: len(sources) // 3]:
            content = file.read_bytes() + b"# changed %d times\n" % number
            name = file.relative_to(library).as_posix().encode()
            lines.append(b"M 100644 inline %b\ndata %d\n%b\n" % (name, len(content), content))
    _finish(path, lines)
    return path


def monorepo(path: Path) -> Path:
    """Make a repository of 10 commits over 100,000 small files in 1,000 folders, about 14 MB packed."""
    generator = random.Random(7)
    words = ("import", "return", "value", "self", "def", "class", "raise", "None", "result", "item", "index", "name")
    subprocess.run(["git", "init", "-q", "-b", "main", path], check=True)
    lines: list[bytes] = []
    for number in range(10):
        lines.append(_commit(number))
        for file in range(100_000) if number == 0 else range(number, 100_000, 30_000):
            content = f"{' '.join(generator.choices(words, k=24))}\n{number}\n".encode()
            name = b"part%03d/module%05d.py" % (file // 100, file)
            lines.append(b"M 100644 inline %b\ndata %d\n%b\n" % (name, len(content), content))
    _finish(path, lines)
    return path


def _import(path: Path, *, commits: int, files: int, file_bytes: int, is_random: bool = False) -> Path:
    generator = random.Random(7)
    subprocess.run(["git", "init", "-q", "-b", "main", path], check=True)
    lines: list[bytes] = []
    for number in range(commits):
        lines.append(_commit(number))
        touched = [number] if is_random else generator.sample(range(files), min(3, files))
        for file in touched if number or is_random else range(files):
            if is_random:
                content = generator.randbytes(file_bytes)
            else:
                content = "".join(f"line {generator.random()}\n" for _ in range(file_bytes // 24)).encode()
            lines.append(b"M 100644 inline src/file%d.txt\ndata %d\n%b\n" % (file, len(content), content))
    _finish(path, lines)
    return path


def _commit(number: int) -> bytes:
    message = f"Change {number}\n"
    return f"commit refs/heads/main\ncommitter A <a@example.com> {_DATE}\ndata {len(message)}\n{message}".encode()


def _finish(path: Path, lines: list[bytes]) -> None:
    subprocess.run(["git", "-C", path, "fast-import", "--quiet"], input=b"".join(lines), check=True)
    subprocess.run(["git", "-C", path, "reset", "-q", "--hard"], check=True)
    subprocess.run(["git", "-C", path, "gc", "-q"], check=True)
