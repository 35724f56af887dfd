"""One process of the web program: everything put together, served by granian, drained at the end.

granian runs inside this process: its own parent and worker processes would cost 30 MB more and close the listener
before anybody could be told that the node stops.
"""

import asyncio
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server

from cairn.base.log import get_logger
from cairn.base.settings import SettingInvalid, Settings
from cairn.git_server.lfs_http import LfsHttp
from cairn.git_server.smart_http import SmartHttp
from cairn.identity.names import unreserved
from cairn.identity.web_authentication import WebAuthentication
from cairn.ops.announcements import renew, renew_forever
from cairn.ops.heartbeat import beating
from cairn.ops.metrics_folder import share_metrics
from cairn.programs.connections import ConnectionGuard, Peer, guard_forever, peer_of
from cairn.programs.services import Services, open_services
from cairn.programs.start import settle_memory, split_address, stop_requested
from cairn.programs.web_features import make_web_features
from cairn.repositories.releases.downloads import flush_downloads_forever
from cairn.web.app import WebApp, create_app
from cairn.web.asgi import ASGIApp, Receive, Scope, Send
from cairn.web.routing import RouteUndeclared, declared_routes
from cairn.web.security import Proxies

if TYPE_CHECKING:
    from cairn.ops.health import Health

BACKLOG = 1024
ACCEPTED_BEYOND_MAX = 1024
"""Connections accepted above the limit, until the guard has chosen which must go."""
DESCRIPTORS_MAX = 65_536
PING_SECONDS = 15
BALANCER_SECONDS = 30.0
"""Whoever asked for readiness this recently is a balancer that should hear "draining" before it is refused."""

_NOTICE_SECONDS_MAX = 10.0
_AFTER_NOTICE_SECONDS = 1.0
_CUT_SECONDS = 3.0
_log = get_logger(__name__)


class InFlight:
    """ASGI layer: knows the requests that run, so that the last ones can be ended, and who waits for them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._clients: dict[asyncio.Task[Any], tuple[str, int] | None] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        task = asyncio.current_task()
        assert task is not None
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        self._clients[task] = scope.get("client")  # here still the end of the connection, whoever is behind it
        try:
            await self._app(scope, receive, send)
        finally:
            del self._clients[task]

    def asking(self) -> frozenset[Peer]:
        """Return the clients' ends of the connections whose requests run."""
        return frozenset(peer_of(*client) for client in self._clients.values() if client is not None)

    async def cut(self) -> int:
        """End the requests that still run, their git children with them; return how many."""
        late = list(self._clients)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=_CUT_SECONDS)
        return len(late)


async def serve(settings: Settings) -> int:
    """Serve until a stop signal and return the exit code."""
    share_metrics(settings.data_dir)
    # Only now: prometheus-client looks for the folder when it is imported.
    from cairn.ops.front import OpsFront
    from cairn.ops.health import Health, standard_probes
    from cairn.ops.metrics import Metrics

    stopping = stop_requested()
    async with (
        open_services(settings) as services,
        beating(services.database, "web"),
        asyncio.TaskGroup() as group,
    ):
        metrics = Metrics(program="web")
        health = Health(standard_probes(settings, services.database, services.storage, services.findings))
        ops = OpsFront(health=health, metrics=metrics, database=services.database)
        git = SmartHttp(
            settings=settings,
            engine=services.engine,
            door=services.git_door,
            limits=services.limits,
            observe=metrics.git_finished,
        )
        lfs = LfsHttp(
            settings=settings,
            database=services.database,
            storage=services.storage,
            door=services.git_door,
            words=services.words,
            limits=services.limits,
            observe=metrics.git_finished,
            count=metrics.large_object_seen,
        )
        web = _web_app(services, fronts=[git.front, lfs.front, ops.front], observe=metrics.request_finished)
        app = InFlight(web)
        await renew(services.database, settings, web.site.state)
        renewing = group.create_task(renew_forever(services.database, settings, web.site.state))
        counting = group.create_task(flush_downloads_forever(services.database, web.site.tally))
        sampling = group.create_task(metrics.sample_forever(services.engine))
        port = split_address(settings.http_address)[1]
        guarding = group.create_task(guard_forever(_make_guard(settings), port, app.asking))
        server = _make_server(settings, app)
        settle_memory()
        _raise_descriptor_limit()
        serving = group.create_task(server.serve())
        _log.info("listening", address=settings.http_address)
        try:
            await _first_of(serving, stopping)
            if not serving.done():
                health.drain()
                await _tell_balancers(health, settings)
                server.stop()  # type: ignore[no-untyped-call]  # granian's gap
                await asyncio.wait({serving}, timeout=settings.drain_seconds)
            late = await app.cut()
            # With nothing left to serve it ends by itself; cancelled before that, it would fail in its own callback.
            await asyncio.wait({serving}, timeout=_CUT_SECONDS)
        finally:
            guarding.cancel()
            renewing.cancel()
            counting.cancel()
            sampling.cancel()
            serving.cancel()
    if late:
        _log.warning("requests_cut", requests=late)
    return 0 if stopping.is_set() else 1


def _web_app(services: Services, **options: Any) -> WebApp:  # noqa: ANN401 (create_app's)
    features = make_web_features(services)
    app = create_app(
        settings=services.settings,
        database=services.database,
        authenticate=WebAuthentication(services.authenticator),
        signing_key=services.key_for("web signing key 1"),
        route_handlers=features.route_handlers,
        packages=features.packages,
        engine=services.engine,
        limits=services.limits,
        **options,
    )
    open_names = unreserved(route.path for route in declared_routes(app.litestar))
    if open_names:
        raise RouteUndeclared(f"these first segments of routes belong into RESERVED_LOGINS: {', '.join(open_names)}")
    return app


def _make_server(settings: Settings, app: ASGIApp) -> Server:
    host, port = split_address(settings.http_address)
    has_tls = settings.tls_certificate != Path()
    if has_tls:
        _require_readable("CAIRN_TLS_CERTIFICATE", settings.tls_certificate)
        _require_readable("CAIRN_TLS_KEY", settings.tls_key)
    return Server(
        app,
        host,
        port,
        interface=Interfaces.ASGI,
        # Without TLS only HTTP/1 cuts connections that never send anything.
        http=HTTPModes.auto if has_tls else HTTPModes.http1,
        # Also how long a kept connection may be idle.
        http1_settings=HTTP1Settings(header_read_timeout=settings.body_deadline_seconds * 1000),
        http2_settings=HTTP2Settings(keep_alive_interval=PING_SECONDS * 1000),
        backlog=BACKLOG,
        # The server holds one of these for as long as a connection lives.
        backpressure=settings.http_max_connections + ACCEPTED_BEYOND_MAX,
        ssl_cert=settings.tls_certificate if has_tls else None,
        ssl_key=settings.tls_key if has_tls else None,
        ssl_protocol_min=SSLProtocols.tls12,
        log_enabled=False,
    )


def _make_guard(settings: Settings) -> ConnectionGuard:
    return ConnectionGuard(
        per_address=settings.http_connections_per_address,
        total=settings.http_max_connections,
        silent_seconds=settings.body_deadline_seconds,
        grace_seconds=settings.send_grace_seconds,
        is_trusted=Proxies(settings.trusted_proxies).trusts,
    )


def _raise_descriptor_limit() -> None:
    """Allow as many open files as the system lets us: each connection has one, and each pack."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS_MAX if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _require_readable(setting: str, path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise SettingInvalid(f"{setting}={str(path)!r}: cannot be read ({error.strerror})") from None


async def _first_of(serving: asyncio.Task[None], stopping: asyncio.Event) -> None:
    stopped = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()


async def _tell_balancers(health: "Health", settings: Settings) -> None:
    """Go on serving until a balancer that watches has heard that this node stops; at once if nobody watches."""
    asked_at = health.last_asked_at
    if asked_at is None or time.monotonic() - asked_at > BALANCER_SECONDS:
        return
    try:
        async with asyncio.timeout(min(settings.drain_seconds / 3, _NOTICE_SECONDS_MAX)):
            await health.was_told_draining.wait()
            await asyncio.sleep(_AFTER_NOTICE_SECONDS)
    except TimeoutError:
        return
