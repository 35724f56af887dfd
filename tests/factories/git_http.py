"""Another server with a repository: stock ``git http-backend`` behind a small HTTP server, which can be nasty.

async with serve_git(tmp_path) as server:
    server.url("r.git")
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.factories.git_repositories import ENVIRONMENT

from cairn.base.processes import end_process, start_process

Answer = Callable[["Request", asyncio.StreamWriter], Awaitable[bool]]
"""Answers a request by itself and returns True, or leaves it to git with False."""


@dataclass(frozen=True)
class Request:
    """One request: its method, path with query, headers in lower case, body."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def is_fetch(self) -> bool:
        """True if a pack is asked for."""
        return b"command=fetch" in self.body


@dataclass
class GitServer:
    """A running server over the repositories of a folder. ``credentials`` is ``user:password``, if it wants any."""

    root: Path
    port: int = 0
    credentials: str = ""
    answer: Answer | None = None
    cut_after: int | None = None
    """Bytes of a pack's answer after which the connection breaks off."""
    pauses: list[tuple[int, asyncio.Event]] = field(default_factory=list)
    """Bytes of a pack's answer, rising, before which an event is waited for."""
    requests: list[Request] = field(default_factory=list)

    @property
    def origin(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def url(self, name: str) -> str:
        """Return the address of a repository."""
        return f"{self.origin}/{name}"

    @property
    def fetches(self) -> list[Request]:
        """The requests for packs so far."""
        return [request for request in self.requests if request.is_fetch]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's only request."""
        try:
            request = await _read(reader)
            self.requests.append(request)
            await self._reply(request, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _reply(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if self.credentials:
            wanted = "Basic " + base64.b64encode(self.credentials.encode()).decode()
            if request.headers.get("authorization") != wanted:
                realm = b'WWW-Authenticate: Basic realm="git"\r\n'
                writer.write(b"HTTP/1.1 401 Unauthorized\r\n" + realm + b"Content-Length: 0\r\n\r\n")
                return
        if self.answer is not None and await self.answer(request, writer):
            return
        await self._run_backend(request, writer)

    async def _run_backend(self, request: Request, writer: asyncio.StreamWriter) -> None:
        path, _, query = request.path.partition("?")
        environment = {
            **ENVIRONMENT,
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(request.body)),
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
        }
        child = await start_process(
            "git",
            "http-backend",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(request.body)
            child.stdin.close()
            await self._copy(request, child.stdout, writer)
        finally:
            await end_process(child)

    async def _copy(self, request: Request, output: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await output.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = [line for line in head.splitlines() if line]
        status = next((line.partition(": ")[2] for line in lines if line.lower().startswith("status:")), "200 OK")
        kept = "".join(f"{line}\r\n" for line in lines if not line.lower().startswith("status:"))
        writer.write(f"HTTP/1.1 {status}\r\n{kept}Connection: close\r\n\r\n".encode("latin-1"))
        left = self.cut_after if request.is_fetch else None
        pauses, sent = list(self.pauses) if request.is_fetch else [], 0
        while chunk := await output.read(min(65536, pauses[0][0] - sent) if pauses else 65536):
            sent += len(chunk)
            if left is not None and len(chunk) >= left:
                writer.write(chunk[:left])
                await writer.drain()
                writer.transport.abort()
                return
            left = None if left is None else left - len(chunk)
            writer.write(chunk)
            await writer.drain()
            if pauses and pauses[0][0] == sent:
                await pauses.pop(0)[1].wait()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
    body = b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
    elif size := int(headers.get("content-length", "0")):
        body = await reader.readexactly(size)
    method, path, _ = first.split(" ", 2)
    return Request(method, path, headers, body)


@asynccontextmanager
async def serve_git(root: Path) -> AsyncIterator[GitServer]:
    """Yield a running server over the bare repositories of a folder."""
    server = GitServer(root)
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.ensure_future(server.serve(reader, writer)))

    listening = await asyncio.start_server(accept, "127.0.0.1", 0, limit=1 << 20)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in serving:
            task.cancel()
        failures = [one for one in await asyncio.gather(*serving, return_exceptions=True) if isinstance(one, Exception)]
    assert failures == []


def environment_of(process_id: int) -> bytes:
    """Return a process's environment; empty once it has ended."""
    try:
        return Path(f"/proc/{process_id}/environ").read_bytes()
    except OSError:
        return b""
