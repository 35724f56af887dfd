"""Static files: read once at the start, named by content, so that a browser asks for each version once.

``static/lib`` holds the libraries that ``scripts/browser-libraries`` installs; a checkout may be without them. A
library's files name one another by relative paths, so the folder carries the hash, not the file.
"""

import gzip
import hashlib
import json
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

from cairn.base.log import get_logger
from cairn.web.asgi import Receive, Scope, Send

STATIC_PREFIX = "/-/static/"
_TEXT = (".css", ".js", ".mjs", ".svg", ".txt", ".json", ".webmanifest")
_LIBRARIES = "lib"
_PACKED = ".gz"
_IMMUTABLE = b"public, max-age=31536000, immutable"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file in memory, with its compressed twin where that is smaller."""

    content_type: str
    etag: str
    body: bytes
    gzipped: bytes | None
    is_for_any_origin: bool = False
    """True for libraries: a diagram is drawn in a sandboxed frame, which has no origin, by a module."""


@dataclass(frozen=True, slots=True)
class Library:
    """One library that pages load. ``url`` is its entry, an ES module."""

    name: str
    version: str
    licence: str
    url: str


class StaticFiles:
    """ASGI app for the files of some packages; ``url(name)`` gives the address to link to."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        self._files: dict[str, StaticFile] = {}
        self._urls: dict[str, str] = {}
        self.libraries: dict[str, Library] = {}
        """Those that are installed, by name."""
        for package in packages:
            static = files(package).joinpath("static")
            for path, body in _walk(static, without=_LIBRARIES):
                self._add(path, body)
            self._add_libraries(static.joinpath(_LIBRARIES))

    def _add(self, path: PurePosixPath, body: bytes) -> None:
        digest = _digest(body)
        hashed = str(path.with_name(f"{path.stem}.{digest}{path.suffix}"))
        packed = gzip.compress(body, mtime=0) if path.suffix in _TEXT else body
        self._files[hashed] = StaticFile(_type(path), f'"{digest}"', body, packed if len(packed) < len(body) else None)
        self._urls[str(path)] = STATIC_PREFIX + hashed

    def _add_libraries(self, folder: Traversable) -> None:
        listed = folder.joinpath("libraries.json")
        if not listed.is_file():
            return
        self._add(PurePosixPath(_LIBRARIES, "licences.txt"), folder.joinpath("licences.txt").read_bytes())
        for name, about in json.loads(listed.read_bytes())["libraries"].items():
            root = self._add_tree(PurePosixPath(_LIBRARIES, name), dict(_walk(folder.joinpath(name))))
            url = self._urls[f"{_LIBRARIES}/{name}"] = STATIC_PREFIX + str(root / about["entry"])
            self.libraries[name] = Library(name, about["version"], about["licence"], url)

    def _add_tree(self, root: PurePosixPath, bodies: dict[PurePosixPath, bytes]) -> PurePosixPath:
        """Take a library's files, each with its compressed twin beside it; return the folder they are served in."""
        digest = _digest(*(part for path in sorted(bodies) for part in (str(path).encode(), bodies[path])))
        hashed = root.with_name(f"{root.name}.{digest}")
        for path, body in bodies.items():
            if path.suffix != _PACKED:
                packed = bodies.get(path.with_name(path.name + _PACKED))
                found = StaticFile(_type(path), f'"{_digest(body)}"', body, packed, is_for_any_origin=True)
                self._files[str(hashed / path)] = found
        return hashed

    def url(self, name: str) -> str:
        """Return the address of a file, with its content's hash; KeyError for a file that does not exist."""
        return self._urls[name]

    def library_url(self, name: str) -> str:
        """Return the address of a library's module; empty where the libraries are not installed."""
        found = self.libraries.get(name)
        return found.url if found else ""

    def report_missing(self) -> None:
        """Tell the log, once for a program, that pages do without their libraries, if they do."""
        if not self.libraries:
            get_logger(__name__).warning(
                "browser_libraries_missing",
                effect="parts of pages are not fetched later and diagrams stay text",
                remedy="install npm and run scripts/browser-libraries, or install a released wheel",
            )

    def names(self) -> list[str]:
        """Return the files' own names."""
        return sorted(self._urls)

    def find(self, path: str) -> StaticFile | None:
        """Return the file at a URL path, None for none."""
        return self._files.get(path.removeprefix(STATIC_PREFIX)) if path.startswith(STATIC_PREFIX) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD of one file that ``find`` knows."""
        if scope["type"] != "http":
            return
        found = self.find(scope["path"])
        asked = dict(scope["headers"])
        if found is None or scope["method"] not in {"GET", "HEAD"}:
            await _finish(send, 404 if found is None else 405, [(b"content-type", b"text/plain")], b"Not Found\n")
            return
        headers = [(b"etag", found.etag.encode()), (b"cache-control", _IMMUTABLE), (b"vary", b"Accept-Encoding")]
        if found.is_for_any_origin:
            headers.append((b"access-control-allow-origin", b"*"))
        if asked.get(b"if-none-match", b"").decode("latin-1") == found.etag:
            await _finish(send, 304, headers, b"")
            return
        body = found.body
        if found.gzipped is not None and b"gzip" in asked.get(b"accept-encoding", b""):
            body = found.gzipped
            headers.append((b"content-encoding", b"gzip"))
        headers += [(b"content-type", found.content_type.encode()), (b"content-length", str(len(body)).encode())]
        await _finish(send, 200, headers, body)


def _walk(folder: Traversable, *, without: str = "") -> Iterator[tuple[PurePosixPath, bytes]]:
    for entry in folder.iterdir():
        if entry.is_file():
            yield PurePosixPath(entry.name), entry.read_bytes()
        elif entry.is_dir() and entry.name != without:
            yield from ((entry.name / path, body) for path, body in _walk(entry))


def _digest(*parts: bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()[:12]


def _type(path: PurePosixPath) -> str:
    return _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"


async def _finish(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
