"""Static files: read once at the start, named by content, so that a browser asks for each version once."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

from cairn.web.asgi import Receive, Scope, Send

STATIC_PREFIX = "/-/static/"
_TEXT = (".css", ".js", ".svg", ".txt", ".json", ".webmanifest")
_IMMUTABLE = b"public, max-age=31536000, immutable"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
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


class StaticFiles:
    """ASGI app for the files of some packages; ``url(name)`` gives the address to link to."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        self._files: dict[str, StaticFile] = {}
        self._urls: dict[str, str] = {}
        for package in packages:
            self._load(files(package).joinpath("static"), PurePosixPath())

    def _load(self, folder: Traversable, prefix: PurePosixPath) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                self._load(entry, prefix / entry.name)
            elif entry.is_file():
                self._add(str(prefix / entry.name), entry.read_bytes())

    def _add(self, name: str, body: bytes) -> None:
        path = PurePosixPath(name)
        digest = hashlib.sha256(body).hexdigest()[:12]
        packed = gzip.compress(body, mtime=0) if path.suffix in _TEXT else body
        content_type = _TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        hashed = str(path.with_name(f"{path.stem}.{digest}{path.suffix}"))
        self._files[hashed] = StaticFile(content_type, f'"{digest}"', body, packed if len(packed) < len(body) else None)
        self._urls[name] = STATIC_PREFIX + hashed

    def url(self, name: str) -> str:
        """Return the address of a file, with its content's hash; KeyError for a file that does not exist."""
        return self._urls[name]

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
        if asked.get(b"if-none-match", b"").decode("latin-1") == found.etag:
            await _finish(send, 304, headers, b"")
            return
        body = found.body
        if found.gzipped is not None and b"gzip" in asked.get(b"accept-encoding", b""):
            body = found.gzipped
            headers.append((b"content-encoding", b"gzip"))
        headers += [(b"content-type", found.content_type.encode()), (b"content-length", str(len(body)).encode())]
        await _finish(send, 200, headers, body)


async def _finish(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
