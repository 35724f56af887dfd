"""Is the node alive, and is it ready: each thing it stands on asked by name, in parallel, within a deadline.

Ready means: the database answers and the node is not about to stop. What else is missing makes the node degraded, not
unready: taking it out of service would not bring the object store back.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from cairn.base.errors import CairnError
from cairn.base.redis import open_redis
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.db.durability import Finding
from cairn.db.migrate import require_current
from cairn.git.bucket_comparison import last_comparison
from cairn.ops.backup.lateness import backup_problem
from cairn.ops.supervision import read_supervision
from cairn.storage.storage import Storage

PROBE_SECONDS = 3.0
REMEMBERED_SECONDS = 1.0
_SSH_GREETING = b"SSH-2.0-"

Probe = Callable[[], Awaitable[None]]
"""Returns if the thing works; what it raises says why not."""


class ProbeFailed(CairnError):
    """Something this node stands on does not work."""


class Check(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was asked."""

    status: Literal["ok", "failed"]
    milliseconds: float
    reason: str = ""


class Readiness(msgspec.Struct, frozen=True):
    """The readiness page."""

    status: Literal["ready", "degraded", "draining", "unavailable"]
    checks: dict[str, Check]

    @property
    def is_ready(self) -> bool:
        """True if this node should get requests."""
        return self.status in {"ready", "degraded"}


class Health:
    """Asks the probes, at most once a second however often it is asked."""

    def __init__(
        self,
        probes: Mapping[str, Probe],
        *,
        required: str = "database",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probes = dict(probes)
        self._required = required
        self._monotonic = monotonic
        self._one_at_a_time = asyncio.Lock()
        self._checks: dict[str, Check] = {}
        self._checked_at: float | None = None
        self._is_draining = False
        self.last_asked_at: float | None = None
        """When somebody last asked whether the node is ready: a balancer watches. Monotonic seconds."""
        self.was_told_draining = asyncio.Event()
        """Set once somebody was told that the node is about to stop."""

    def drain(self) -> None:
        """Say "not ready" from now on: the program is about to stop."""
        self._is_draining = True

    async def readiness(self) -> Readiness:
        """Return what works and what does not."""
        self.last_asked_at = self._monotonic()
        checks = await self._fresh_checks()
        failed = {name for name, check in checks.items() if check.status != "ok"}
        if self._is_draining:
            self.was_told_draining.set()
            return Readiness("draining", checks)
        if self._required in failed:
            return Readiness("unavailable", checks)
        return Readiness("degraded" if failed else "ready", checks)

    async def _fresh_checks(self) -> dict[str, Check]:
        async with self._one_at_a_time:
            if self._checked_at is None or self._monotonic() - self._checked_at >= REMEMBERED_SECONDS:
                found = await asyncio.gather(*(self._check(probe) for probe in self._probes.values()))
                self._checks = dict(zip(self._probes, found, strict=True))
                self._checked_at = self._monotonic()
            return self._checks

    async def _check(self, probe: Probe) -> Check:
        started = time.perf_counter()
        reason = ""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await probe()
        except TimeoutError:
            reason = f"no answer within {PROBE_SECONDS:g} s"
        except CairnError as error:
            reason = error.message
        except OSError as error:
            reason = error.strerror or type(error).__name__
        except Exception as error:  # a probe's library has errors of its own, and their texts may hold addresses
            reason = type(error).__name__
        milliseconds = round((time.perf_counter() - started) * 1000, 1)
        return Check("failed" if reason else "ok", milliseconds, reason)


def standard_probes(
    settings: Settings, database: Database, storage: Storage, findings: Sequence[Finding] = ()
) -> dict[str, Probe]:
    """Return what every web program stands on: database, schema, storage, Redis where configured, SSH, programs.

    ``findings`` are what the start-up check of the database had to warn about.
    """

    async def ping_storage() -> None:
        await storage.ping()

    async def durability() -> None:
        if findings:
            raise ProbeFailed("; ".join(str(finding) for finding in findings))

    async def bucket() -> None:
        last = await last_comparison(database)
        if last is not None and last.missing:
            raise ProbeFailed(
                f"{last.missing:,} files that the tables name were not in the object store at the last comparison; "
                "run cairnd doctor"
            )

    probes: dict[str, Probe] = {
        "database": database.ping,
        "durability": durability,
        "schema": lambda: require_current(database),
        "storage": ping_storage,
        "bucket": bucket,
        "ssh": lambda: _greet_ssh(settings.ssh_address),
        "programs": lambda: _programs(settings.data_dir),
    }
    if settings.backup_url:
        probes["backup"] = lambda: _backup(settings, database)
    if settings.redis_url:
        probes["redis"] = lambda: _ping_redis(settings.redis_url)
    return probes


async def _backup(settings: Settings, database: Database) -> None:
    problem = await backup_problem(settings, database)
    if problem:
        raise ProbeFailed(problem)


async def _greet_ssh(address: str) -> None:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    # A server that listens everywhere is reached at home.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (compared, not bound)
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        if not (await reader.readline()).startswith(_SSH_GREETING):
            raise ProbeFailed(f"what listens at {address} does not speak SSH")
    finally:
        writer.close()


async def _ping_redis(url: str) -> None:
    async with asyncio.timeout(PROBE_SECONDS), open_redis(url, connect_seconds=PROBE_SECONDS) as client:
        await client.ping()


async def _programs(data_dir: Path) -> None:
    supervision = read_supervision(data_dir)
    if supervision is not None and supervision.degraded:
        raise ProbeFailed("; ".join(f"{name} is {what}" for name, what in supervision.degraded.items()))
