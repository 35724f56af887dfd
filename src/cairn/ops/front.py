"""``/healthz``, ``/readyz`` and ``/metrics`` as a plain ASGI front: they answer while everything else is broken.

They ask nobody who they are (``Action.SITE_MONITOR`` is open to all) and say nothing that is secret.
"""

import asyncio
import time
from contextlib import suppress

import msgspec

from cairn.base.errors import CairnError
from cairn.db.database import Database
from cairn.git.bucket_comparison import last_comparison
from cairn.ops.backup.lateness import backup_ages
from cairn.ops.health import Health
from cairn.ops.metrics import CONTENT_TYPE, Metrics
from cairn.ops.queries import count_jobs
from cairn.web.asgi import ASGIApp, Receive, Scope, Send

RENDERED_SECONDS = 1.0
_JSON = b"application/json"
_TEXT = b"text/plain; charset=utf-8"


class OpsFront:
    """Serves what operators and balancers ask of one web program."""

    def __init__(self, *, health: Health, metrics: Metrics, database: Database) -> None:
        self._health = health
        self._metrics = metrics
        self._database = database
        self._one_at_a_time = asyncio.Lock()
        self._page = b""
        self._rendered_at = 0.0

    def front(self, scope: Scope) -> ASGIApp | None:
        """Return the app for the three addresses, None for any other."""
        return self._serve if scope["path"] in {"/healthz", "/readyz", "/metrics"} else None

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["path_template"] = scope["path"]
        if scope["method"] not in {"GET", "HEAD"}:
            await _answer(send, 405, _TEXT, b"This address takes GET, HEAD.\n", allow=b"GET, HEAD")
        elif scope["path"] == "/healthz":
            await _answer(send, 200, _TEXT, b"ok\n")
        elif scope["path"] == "/readyz":
            readiness = await self._health.readiness()
            body = msgspec.json.format(msgspec.json.encode(readiness), indent=2) + b"\n"
            await _answer(send, 200 if readiness.is_ready else 503, _JSON, body)
        else:
            await _answer(send, 200, CONTENT_TYPE, await self._metrics_page())

    async def _metrics_page(self) -> bytes:
        async with self._one_at_a_time:
            if not self._page or time.monotonic() - self._rendered_at >= RENDERED_SECONDS:
                # Without the database the last numbers stand; readiness says that it is away.
                with suppress(CairnError):
                    self._metrics.set_jobs(await count_jobs(self._database))
                    ages = await backup_ages(self._database)
                    self._metrics.set_backup_ages(backup_seconds=ages.backup_seconds, drill_seconds=ages.drill_seconds)
                    if (last := await last_comparison(self._database)) is not None:
                        self._metrics.set_bucket(missing=last.missing, unknown=last.unknown)
                self._page = await asyncio.to_thread(self._metrics.render)
                self._rendered_at = time.monotonic()
            return self._page


async def _answer(send: Send, status: int, content_type: bytes, body: bytes, *, allow: bytes = b"") -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        *([(b"allow", allow)] if allow else []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
