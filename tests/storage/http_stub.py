"""A tiny HTTP server that answers as a test says: failures, silence, lies."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from cairn.base.settings import Settings
from cairn.storage.storage import Storage, open_storage

HEAD_BYTES_MAX = 1 << 16


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What goes back; ``declared_bytes`` overrides the content length, ``hangs`` keeps silent after the body.

    A hanging answer without a body sends nothing at all.
    """

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    declared_bytes: int | None = None
    hangs: bool = False


class HttpStub:
    """Answers each request with ``answer(request)`` and remembers the requests."""

    def __init__(self) -> None:
        self.answer: Callable[[Request], Answer] = lambda _: Answer(500)
        self.requests: list[Request] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=HEAD_BYTES_MAX)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def storage(self, *, deadline_seconds: int = 5) -> Storage:
        """Return a store whose S3 server is this stub."""
        url = f"s3://bucket?endpoint=http://127.0.0.1:{self.port}&access_key_id=key&secret_access_key=hidden-secret"
        return open_storage(Settings(storage_url=url, storage_deadline_seconds=deadline_seconds))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value for name, value in (text.split(": ", 1) for text in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        method, path, _ = line.split(" ")
        request = Request(method, unquote(path), headers, body)
        self.requests.append(request)
        answer = self.answer(request)
        if answer.hangs and not answer.body:
            await asyncio.Event().wait()
        declared = len(answer.body) if answer.declared_bytes is None else answer.declared_bytes
        fields = [("content-length", str(declared)), ("etag", '"e"'), *answer.headers]
        text = "".join(f"{name}: {value}\r\n" for name, value in fields)
        writer.write(f"HTTP/1.1 {answer.status} X\r\n{text}\r\n".encode())
        if method != "HEAD":
            writer.write(answer.body)
        await writer.drain()
        if answer.hangs:
            await asyncio.Event().wait()
        return declared == len(answer.body) or method == "HEAD"


class LyingStore:
    """An S3 server of a few lines that behaves, save for what ``lie`` changes in its answers."""

    def __init__(self, lie: Callable[[Request, Answer], Answer] = lambda _, answer: answer) -> None:
        self.objects: dict[str, bytes] = {}
        self._parts: dict[str, dict[int, bytes]] = {}
        self._lie = lie

    def __call__(self, request: Request) -> Answer:
        """Answer one request."""
        return self._lie(request, self._honest(request))

    def _honest(self, request: Request) -> Answer:
        path, _, query = request.path.partition("?")
        key = path.removeprefix("/bucket").lstrip("/")
        options = dict(pair.partition("=")[::2] for pair in query.split("&") if pair)
        handlers: dict[str, Callable[[Request, str, dict[str, str]], Answer]] = {
            "PUT": self._put, "POST": self._post, "GET": self._get, "HEAD": self._get, "DELETE": self._delete,
        }  # fmt: skip
        return handlers[request.method](request, key, options)

    def _put(self, request: Request, key: str, options: dict[str, str]) -> Answer:
        if "partNumber" in options:
            self._parts.setdefault(key, {})[int(options["partNumber"])] = request.body
        else:
            self.objects[key] = request.body
        return Answer()

    def _post(self, request: Request, key: str, options: dict[str, str]) -> Answer:
        if "uploads" in options:
            return _xml("InitiateMultipartUploadResult", "<Bucket>bucket</Bucket><Key>k</Key><UploadId>u</UploadId>")
        parts = self._parts.pop(key)
        self.objects[key] = b"".join(parts[number] for number in sorted(parts))
        return _xml("CompleteMultipartUploadResult", "<Bucket>bucket</Bucket><Key>k</Key><ETag>e</ETag>")

    def _get(self, request: Request, key: str, options: dict[str, str]) -> Answer:
        if not key:
            return self._list(options.get("prefix", ""))
        if key not in self.objects:
            return Answer(404)
        data = self.objects[key]
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if not found:
            return Answer(200, data)
        start, end = int(found[1]), min(int(found[2] or len(data) - 1), len(data) - 1)
        content_range = ("content-range", f"bytes {start}-{end}/{len(data)}")
        return Answer(206, data[start : end + 1], (content_range,))

    def _list(self, prefix: str) -> Answer:
        entries = "".join(
            f"<Contents><Key>{key}</Key><Size>{len(data)}</Size><ETag>e</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key, data in sorted(self.objects.items())
            if key.startswith(prefix)
        )
        return _xml("ListBucketResult", f"<Name>bucket</Name><IsTruncated>false</IsTruncated>{entries}")

    def _delete(self, request: Request, key: str, options: dict[str, str]) -> Answer:
        self.objects.pop(key, None)
        return Answer(204)


def _xml(name: str, content: str) -> Answer:
    return Answer(body=f"<{name}>{content}</{name}>".encode())
