"""One web process: how it stops, what it cuts, and the routes it refuses to start with."""

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from tests.services.ports import accepts_connections, wait_until
from tests.stories.installation import Installation, installation

from cairn.base.settings import SettingInvalid, Settings
from cairn.ops.health import Health
from cairn.programs import web_server
from cairn.programs.services import Services
from cairn.programs.web_features import WebFeatures, make_web_features
from cairn.programs.web_server import BALANCER_SECONDS, InFlight, _first_of, _make_server, _tell_balancers, _web_app
from cairn.web.asgi import Receive, Scope, Send
from cairn.web.context import RequestContext
from cairn.web.routing import PUBLIC, RouteUndeclared, page


async def nothing(*_: Any) -> Any:
    """Neither send nor receive."""


async def test_requests_that_still_run_are_ended_and_counted() -> None:
    started, ended = asyncio.Semaphore(0), []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        started.release()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(scope["path"])

    layer = InFlight(app)
    requests = [asyncio.create_task(layer({"type": "http", "path": path}, nothing, nothing)) for path in ("/a", "/b")]
    for _ in requests:
        await asyncio.wait_for(started.acquire(), 10)
    assert await layer.cut() == 2
    assert sorted(ended) == ["/a", "/b"], "their children are gone before the process is"
    assert all(request.cancelled() for request in requests)
    assert await layer.cut() == 0


async def test_a_request_that_ended_is_not_cut_even_if_it_failed() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/broken":
            raise ValueError

    layer = InFlight(app)
    await layer({"type": "http", "path": "/"}, nothing, nothing)
    with pytest.raises(ValueError):
        await layer({"type": "http", "path": "/broken"}, nothing, nothing)
    assert await layer.cut() == 0


async def test_it_is_known_who_waits_for_an_answer() -> None:
    """The connection's own end, also where a trusted proxy names somebody behind it."""
    started, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["client"] = ("203.0.113.9", 0)
        started.release()
        await go_on.wait()

    layer = InFlight(app)
    clients = [("192.0.2.1", 11), ("::ffff:192.0.2.2", 22), None]
    asked = [layer({"type": "http", "path": "/", "client": client}, nothing, nothing) for client in clients]
    requests = [asyncio.create_task(request) for request in asked]
    for _ in requests:
        await asyncio.wait_for(started.acquire(), 10)
    assert layer.asking() == {("192.0.2.1", 11), ("192.0.2.2", 22)}
    go_on.set()
    await asyncio.gather(*requests)
    assert layer.asking() == frozenset()


async def test_the_lifespan_is_no_request() -> None:
    """Cut with the requests, the app would never hear that it stops."""
    seen, over = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.set()
        await over.wait()

    layer = InFlight(app)
    lifespan = asyncio.create_task(layer({"type": "lifespan"}, nothing, nothing))
    await asyncio.wait_for(seen.wait(), 10)
    assert await layer.cut() == 0
    over.set()
    await lifespan


async def test_a_request_that_will_not_end_does_not_keep_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "_CUT_SECONDS", 0.05)
    started, release = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        started.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    layer = InFlight(app)
    request = asyncio.create_task(layer({"type": "http", "path": "/"}, nothing, nothing))
    await asyncio.wait_for(started.wait(), 10)
    assert await asyncio.wait_for(layer.cut(), 10) == 1
    release.set()
    await request


@pytest.mark.parametrize("first", ["server", "signal"])
async def test_a_server_that_ends_by_itself_is_noticed_as_a_signal_is(first: str) -> None:
    ended, stopping = asyncio.Event(), asyncio.Event()

    async def serve() -> None:
        await ended.wait()

    serving = asyncio.create_task(serve())
    waiting = asyncio.create_task(_first_of(serving, stopping))
    (ended if first == "server" else stopping).set()
    await asyncio.wait_for(waiting, 10)
    assert serving.done() == (first == "server")
    ended.set()
    await serving
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("asked_seconds_ago", [None, BALANCER_SECONDS + 1])
async def test_a_node_that_nobody_watches_stops_at_once(asked_seconds_ago: float | None) -> None:
    health = Health({})
    health.last_asked_at = None if asked_seconds_ago is None else time.monotonic() - asked_seconds_ago
    async with asyncio.timeout(5):
        await _tell_balancers(health, Settings(drain_seconds=3000))


async def test_a_balancer_that_watches_hears_of_the_stop_before_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "_AFTER_NOTICE_SECONDS", 0)
    health = Health({})
    await health.readiness()
    health.drain()
    telling = asyncio.create_task(_tell_balancers(health, Settings(drain_seconds=3000)))
    await asyncio.sleep(0)
    assert not telling.done()
    assert (await health.readiness()).status == "draining"
    await asyncio.wait_for(telling, 5)


async def test_a_balancer_that_went_away_is_waited_for_a_third_of_the_drain_time() -> None:
    health = Health({})
    await health.readiness()
    started = time.monotonic()
    await asyncio.wait_for(_tell_balancers(health, Settings(drain_seconds=1)), 10)
    assert time.monotonic() - started >= 0.3
    assert not health.was_told_draining.is_set()


async def test_a_route_whose_name_a_person_could_take_stops_the_start(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: sign up with the name of a new page before the site has it."""

    @page.get("/takeable/{name:str}", action=PUBLIC, resource="none")
    async def takeable(context: RequestContext, name: str) -> None:
        raise AssertionError

    _web_app(services)

    def with_another(given: Services) -> WebFeatures:
        features = make_web_features(given)
        return WebFeatures((*features.route_handlers, takeable), features.packages)

    monkeypatch.setattr(web_server, "make_web_features", with_another)
    with pytest.raises(RouteUndeclared, match=r"RESERVED_LOGINS: takeable$"):
        _web_app(services)


EARLY_ANSWERS = [
    ("POST /static/app.css", "", 405),
    ("PUT /ada", "", 405),
    ("POST /api/v3/user/repos", "authorization: Bearer wrong", 401),
    ("POST /api/v3/no/such/operation", "", 404),
    ("POST /-/appearance", "authorization: Bearer wrong", 401),
    ("POST /ada/engine.git/git-upload-pack", "content-type: text/plain", 415),
    ("POST /ada/engine.git/git-receive-pack", "content-type: application/x-git-receive-pack-request", 401),
    ("PUT /ada/engine.git/info/lfs/objects/batch", "", 405),
]
"""What is answered without a look at the body, by each layer."""


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    patience = {"CAIRN_BODY_DEADLINE_SECONDS": "300"}
    with installation(tmp_path_factory.mktemp("serving"), patience, program="web") as running:
        yield running


@pytest.mark.parametrize(("line", "header", "status"), EARLY_ANSWERS, ids=[line for line, _, _ in EARLY_ANSWERS])
def test_a_connection_stays_though_the_answer_came_before_the_body(
    serving: Installation, line: str, header: str, status: int
) -> None:
    """Clients send head and body apart. Closed without a word, their next request on the connection would be lost."""
    head = f"{line} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n{header}".strip() + "\r\n\r\n"
    with socket.create_connection(("127.0.0.1", serving.port), timeout=20) as client:
        for _ in range(2):
            client.sendall(head.encode())
            assert _answer(client)[0] == status
            client.sendall(b"a=b&c=defg")


def test_whoever_asks_before_it_sends_a_body_is_told_that_the_connection_closes(serving: Installation) -> None:
    head = "POST /api/v3/user/repos HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\nauthorization: Bearer wrong\r\n"
    with socket.create_connection(("127.0.0.1", serving.port), timeout=20) as client:
        client.sendall((head + "expect: 100-continue\r\n\r\n").encode())
        status, fields = _answer(client)
        assert (status, fields["connection"]) == (401, "close")
        assert client.recv(1) == b""


def _answer(client: socket.socket) -> tuple[int, dict[str, str]]:
    """Return status and headers of the next answer on a connection, its body read."""
    answer = HTTPResponse(client)
    answer.begin()
    answer.read()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}


def _begin_upload(running: Installation) -> socket.socket:
    """Send a request up to the middle of its body."""
    client = socket.create_connection(("127.0.0.1", running.port), timeout=20)
    head = (
        f"POST /-/appearance HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nOrigin: {running.origin}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\n\r\n"
    )
    client.sendall(head.encode() + b"theme")
    return client


def test_a_stopping_process_says_so_then_refuses_then_finishes_what_runs_and_cuts_the_rest(tmp_path: Path) -> None:
    with installation(tmp_path, {"CAIRN_DRAIN_SECONDS": "4"}, program="web") as running:
        finishing, stuck = _begin_upload(running), _begin_upload(running)
        with finishing, stuck:
            os.kill(running.process.pid, signal.SIGTERM)
            answers: list[tuple[int, str]] = []

            def is_told() -> bool:
                with running.client() as client:
                    answer = client.get("/readyz")
                answers.append((answer.status_code, answer.json()["status"]))
                return answers[-1][1] == "draining"

            wait_until(is_told, within_seconds=10, what="readiness says that the node stops")
            assert answers[-1] == (503, "draining")
            assert accepts_connections(running.port), "whoever asks is still answered"
            wait_until(lambda: not accepts_connections(running.port), within_seconds=10, what="the port is closed")
            finishing.sendall(b"=dark")
            # Of the whole form it is said that its token is missing; a request that was cut is told nothing of it.
            assert finishing.recv(1000).startswith(b"HTTP/1.1 403 ")
            assert running.process.exit_code(within_seconds=20) == 0
        assert "Traceback" not in running.log()
        cut = [line for line in running.log().splitlines() if "requests_cut" in line]
        assert [json.loads(line)["requests"] for line in cut] == [1]


def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    settings = Settings(tls_certificate=tmp_path / "none.pem", tls_key=tmp_path / "key.pem")
    with pytest.raises(SettingInvalid, match=r"^CAIRN_TLS_CERTIFICATE='.*none\.pem': cannot be read \(No such file"):
        _make_server(settings, nothing)
