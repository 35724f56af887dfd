import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from litestar import Litestar, Response, get
from tests.web.support import open_app

from cairn.web.asgi import Receive, Scope, Send
from cairn.web.context import RequestContext
from cairn.web.routing import PUBLIC, RouteUndeclared, page


@page.get("/boom", action=PUBLIC, resource="none")
async def boom(context: RequestContext) -> Response[str]:
    context.site.renderer.text("no/such/template.html", {})
    raise AssertionError


async def git(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/x-git")]})
    await send({"type": "http.response.body", "body": scope["path"].encode(), "more_body": False})


async def test_a_front_takes_its_addresses_and_passes_the_door(tmp_path: Path) -> None:
    fronts = [lambda scope: git if scope["path"].endswith("/info/refs") else None]
    async with open_app(tmp_path, fronts=fronts) as running:
        answer = await running.client(authorization="token wrong").get("/ada/engine.git/info/refs")
        assert answer.text == "/ada/engine.git/info/refs"
        assert answer.headers["x-github-request-id"]
        assert (await running.client().get("/ada/engine.git/HEAD")).status_code == 404


async def test_an_undeclared_route_stops_the_start(tmp_path: Path) -> None:
    @get("/plain")
    async def plain() -> str:
        return "x"

    with pytest.raises(RouteUndeclared, match="/plain"):
        async with open_app(tmp_path, [plain]):
            pass


async def test_a_broken_page_still_answers(tmp_path: Path) -> None:
    async with open_app(tmp_path, [boom]) as running:
        answer = await running.client().get("/boom")
    assert answer.status_code == 500
    assert "no/such/template" not in answer.text
    assert answer.headers["x-request-id"] in answer.text


async def test_lifespan_runs_around_the_app(tmp_path: Path) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def life(app: Litestar) -> AsyncIterator[None]:
        events.append("up")
        yield
        events.append("down")

    async with open_app(tmp_path, lifespan=[life]) as running:
        incoming = asyncio.Queue[dict[str, Any]]()
        sent: list[str] = []

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await incoming.put({"type": "lifespan.startup"})
        await incoming.put({"type": "lifespan.shutdown"})
        await running.app({"type": "lifespan"}, incoming.get, send)
    assert events == ["up", "down"]
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


SERVED = """
from pathlib import Path
from cairn.base.settings import Settings
from cairn.db.database import open_database
from cairn.web.app import create_app
from cairn.web.context import Authentication

async def nobody(request):
    return Authentication()

folder = Path(__file__).parent
database = open_database(f"sqlite:///{folder / 'web.db'}", pool_size=2)
app = create_app(
    settings=Settings(data_dir=folder), database=database, authenticate=nobody, signing_key=b"k" * 32
)
"""


def resident_kib(pid: int) -> int:
    """Return the resident memory of a process and its children."""
    total = int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0])
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += sum(resident_kib(int(child)) for child in (task / "children").read_text().split())
    return total


async def wait_for_port(log: Path, process: "subprocess.Popen[bytes]") -> int:
    for _ in range(600):
        found = re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text())
        if found:
            return int(found[1])
        assert process.poll() is None, log.read_text()
        await asyncio.sleep(0.05)
    raise AssertionError(log.read_text())


async def test_a_large_body_does_not_grow_the_server(tmp_path: Path) -> None:
    """Under the real server: 100 MB, with and without a declared length, end in 413 and at most 20 MB of growth."""
    (tmp_path / "served.py").write_text(SERVED)
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "log"
    command = [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "asgi",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "served:app",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=output, stderr=output, env=os.environ | {"PYTHONPATH": str(tmp_path)}
        )
    try:
        await wait_for_port(log, process)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            for _ in range(600):
                try:
                    await client.get("/-/appearance")
                    break
                except httpx2.TransportError:
                    await asyncio.sleep(0.05)
            before = resident_kib(process.pid)

            async def endless() -> AsyncIterator[bytes]:
                for _ in range(1600):
                    yield b"x" * 65536

            grown = 0
            for content in (endless(), b"x" * 100_000_000):
                try:
                    answer = await client.post("/-/appearance", content=content)
                    assert answer.status_code == 413
                except httpx2.TransportError:
                    pass  # The server answered and closed while we were still sending.
                grown = max(grown, resident_kib(process.pid) - before)
            assert (await client.get("/-/appearance")).status_code == 200
        assert grown < 20 << 10
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
