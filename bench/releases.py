"""Build a repository from the published source releases of a large package: real input for pushes, clones and pages.

``python -m bench.releases --package MODULE --count N --out FOLDER`` makes it: one commit and one tag per release, in
the order of versions, dated by the release. ``python -m bench.releases --measure`` also writes ``bench/RELEASES.md``.

The archives come through Go's ordinary client, which verifies and never runs what it downloads. They are read in
memory, entry by entry, and go into ``git fast-import``: nothing of them is unpacked onto the disk.
"""

import argparse
import hashlib
import json
import os
import shutil
import stat
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO

CACHE = Path(__file__).resolve().parents[1] / ".cache" / "releases"
PACKAGE = "golang.org/x/tools"
COUNT = 60
ENTRY_BYTES_MAX = 64 << 20
ARCHIVE_BYTES_MAX = 512 << 20
DOWNLOAD_BYTES_MAX = 300 << 20
CLIENT_SECONDS = 300
AUTHOR = "Releases <releases@example.com>"


@dataclass(frozen=True)
class Release:
    """One published version: its archive and when it was made."""

    version: str
    made_at: datetime
    archive: Path


class ArchiveRefused(Exception):
    """An archive holds more than the limits allow."""


def published_versions(package: str) -> list[str]:
    """Return every released version of a module, oldest version first, without pre-releases."""
    found = json.loads(_go("list", "-m", "-versions", "-json", package))
    return [version for version in found.get("Versions", []) if "-" not in version]


def download(package: str, versions: Iterable[str]) -> Iterator[Release]:
    """Fetch each version into the cache unless it is there, and yield it; stops before ``DOWNLOAD_BYTES_MAX``."""
    total = 0
    for version in versions:
        found = json.loads(_go("mod", "download", "-json", f"{package}@{version}"))
        shutil.rmtree(found["Dir"], ignore_errors=True)  # the client's own unpacked copy is not needed
        archive = Path(found["Zip"])
        total += archive.stat().st_size
        if total > DOWNLOAD_BYTES_MAX:
            raise ArchiveRefused(f"the archives up to {version} have more than {DOWNLOAD_BYTES_MAX:,} bytes")
        made_at = json.loads(Path(found["Info"]).read_text())["Time"]
        yield Release(version, datetime.fromisoformat(made_at), archive)


def _go(*words: str) -> str:
    environment = {**os.environ, "GOMODCACHE": str(CACHE), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}
    CACHE.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["go", *words], cwd=CACHE, env=environment, capture_output=True, text=True, timeout=CLIENT_SECONDS, check=False
    )
    if done.returncode:
        raise RuntimeError(f"go {' '.join(words)} failed: {done.stdout}{done.stderr}")
    return done.stdout


def entries(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each plain file of an archive, without the folder ``module@version`` around them.

    Left out: symbolic links, names that leave the folder and names git reserves. ArchiveRefused past the limits, by the
    bytes that really come out.
    """
    total = 0
    with zipfile.ZipFile(archive) as opened:
        for info in sorted(opened.infolist(), key=lambda each: each.filename):
            path = _inner_path(info.filename)
            if path is None or info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
                continue
            with opened.open(info) as file:
                content = file.read(ENTRY_BYTES_MAX + 1)
            total += len(content)
            if len(content) > ENTRY_BYTES_MAX or total > ARCHIVE_BYTES_MAX:
                raise ArchiveRefused(f"{archive.name}: {info.filename!r} goes past the limits")
            yield path, content


def _inner_path(name: str) -> str | None:
    """Return the path below ``module@version``, None for what must not get in."""
    if name.startswith("/") or "\\" in name or "\0" in name or any(ord(letter) < 32 for letter in name):
        return None
    parts = PurePosixPath(name).parts
    start = next((index for index, part in enumerate(parts) if "@" in part), None)
    if start is None or not (inner := parts[start + 1 :]):
        return None
    refused = {"..", ".", ".git", ".gitmodules"}
    return None if any(part.lower() in refused for part in parts) else "/".join(inner)


def build(releases: Iterable[Release], out: Path) -> int:
    """Make a bare repository at ``out`` from the releases and return how many bytes of files their trees hold."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", out], check=True)
    with subprocess.Popen(
        ["git", "-C", out, "fast-import", "--quiet", "--date-format=raw"], stdin=subprocess.PIPE
    ) as importing:
        assert importing.stdin is not None
        stream = Stream(importing.stdin)
        for release in releases:
            stream.write_release(release)
        importing.stdin.close()
        if importing.wait() != 0:
            raise RuntimeError("git fast-import refused the stream")
    return stream.tree_bytes


class Stream:
    """Writes releases as git fast-import reads them; equal contents are sent once."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._marks: dict[bytes, int] = {}
        self.tree_bytes = 0

    def write_release(self, release: Release) -> None:
        """Write one release as a commit on ``main`` that replaces the whole tree, and an annotated tag."""
        files = [(path, self._mark_of(content)) for path, content in entries(release.archive)]
        who = f"{AUTHOR} {int(release.made_at.timestamp())} +0000"
        message = _data(f"Release {release.version}\n".encode())
        self._target.write(f"commit refs/heads/main\ncommitter {who}\n".encode() + message + b"deleteall\n")
        for path, mark in files:
            self._target.write(f'M 100644 :{mark} "{path.replace(chr(34), chr(92) + chr(34))}"\n'.encode())
        self._target.write(f"tag {release.version}\nfrom refs/heads/main\ntagger {who}\n".encode() + message)

    def _mark_of(self, content: bytes) -> int:
        self.tree_bytes += len(content)
        digest = hashlib.sha256(content).digest()
        mark = self._marks.get(digest)
        if mark is None:
            mark = self._marks[digest] = len(self._marks) + 1
            self._target.write(b"blob\nmark :%d\n" % mark + _data(content))
        return mark


def _data(content: bytes) -> bytes:
    return b"data %d\n%b\n" % (len(content), content)


def main() -> None:
    """Build, and measure if asked to."""
    parser = argparse.ArgumentParser(prog="python -m bench.releases", description=__doc__)
    parser.add_argument("--package", default=PACKAGE, help=f"a Go module (default {PACKAGE})")
    parser.add_argument("--count", type=int, default=COUNT, help=f"how many of its latest releases (default {COUNT})")
    parser.add_argument("--out", type=Path, help="the new bare repository (default: a temporary one)")
    parser.add_argument("--measure", action="store_true", help="push, clone and browse it; write bench/RELEASES.md")
    options = parser.parse_args()
    if options.out is None and not options.measure:
        parser.error("say --out FOLDER, --measure or both")
    versions = published_versions(options.package)[-options.count :]
    with tempfile.TemporaryDirectory(prefix="cairn-releases-") as folder:
        out = options.out or Path(folder) / "releases.git"
        tree_bytes = build(download(options.package, versions), out)
        print(f"{out}: {len(versions)} releases of {options.package}, {tree_bytes >> 20} MiB of files in their trees")
        if options.measure:
            from bench.releases_run import measure_releases  # only a measuring run needs the servers' modules

            measure_releases(out, package=options.package, versions=versions, tree_bytes=tree_bytes)


if __name__ == "__main__":
    main()
