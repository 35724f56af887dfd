"""Metrics in Prometheus's format: what the doors did, how the caches do, what waits.

The two observers are called on hot paths: they find their counter in a dictionary, not by label lookup. What others
count as plain numbers (caches, storage, children) is taken over by ``sample`` every few seconds.
"""

import asyncio
import os
from collections import Counter as Tally
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from cairn.git.engine import Engine
from cairn.ops.metrics_folder import drop_dead, shared_folder
from cairn.ops.queries import JobCounts
from cairn.storage.breaker import BreakerState

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
SAMPLE_SECONDS = 5.0
_SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Metrics:
    """Everything one program counts; ``render`` shows it together with the node's other programs."""

    def __init__(self, *, program: str) -> None:
        self._program = program
        self._registry = CollectorRegistry()
        registry = self._registry
        self._requests = Counter(
            "cairn_http_requests", "Finished HTTP requests.", ["method", "route", "status"], registry=registry
        )
        self._request_seconds = Histogram(
            "cairn_http_request_seconds", "Time to answer.", ["route"], buckets=_SECONDS, registry=registry
        )
        git = ["door", "verb", "step"]
        self._operations = Counter(
            "cairn_git_operations", "Finished git operations.", [*git, "result"], registry=registry
        )
        self._operation_seconds = Histogram(
            "cairn_git_operation_seconds", "Time a git operation took.", git, buckets=_SECONDS, registry=registry
        )
        self._operation_bytes = Counter(
            "cairn_git_bytes",
            "Bytes of git operations, as they crossed the wire.",
            ["door", "verb", "direction"],
            registry=registry,
        )
        self._large = Counter(
            "cairn_lfs_objects",
            "Large objects of Git LFS that clients asked about, by what became of them.",
            ["outcome"],
            registry=registry,
        )
        self._fetches = Counter(
            "cairn_fetch_answers", "Answers to fetches, by where they came from.", ["source"], registry=registry
        )
        self._views = Counter(
            "cairn_view_opens", "Views opened: on this node already, or made.", ["result"], registry=registry
        )
        self._storage = Counter(
            "cairn_storage_requests", "Requests to the object store.", ["operation", "result"], registry=registry
        )
        self._storage_bytes = Counter(
            "cairn_storage_bytes", "Bytes to and from the object store.", ["direction"], registry=registry
        )
        self._children = Gauge(
            "cairn_git_children", "Git processes.", ["state"], registry=registry, multiprocess_mode="livesum"
        )
        self._memory = Gauge(
            "cairn_process_resident_bytes",
            "Memory of Cairn's processes.",
            ["program"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._breaker = Gauge(
            "cairn_storage_breaker_open",
            "1 while a program leaves the object store alone after failures.",
            ["program"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._jobs = Gauge(
            "cairn_jobs", "Jobs by state.", ["state"], registry=registry, multiprocess_mode="livemostrecent"
        )
        self._queue_age = Gauge(
            "cairn_job_oldest_due_seconds",
            "How long the oldest job that could run has been waiting.",
            registry=registry,
            multiprocess_mode="livemostrecent",
        )
        self._bucket = Gauge(
            "cairn_bucket_keys",
            "What the last comparison of bucket and tables found: keys that are missing, keys that no row knows.",
            ["found"],
            registry=registry,
            multiprocess_mode="livemostrecent",
        )
        self._backup_age = Gauge(
            "cairn_backup_age_seconds",
            "How long ago the newest backup, and the newest drill of one, ended well.",
            ["kind"],
            registry=registry,
            multiprocess_mode="livemostrecent",
        )
        self._known_requests: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._known_operations: dict[tuple[str, str, str, str], tuple[Counter, Histogram, Counter, Counter]] = {}
        self._taken: Tally[tuple[str, ...]] = Tally()

    def request_finished(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count one HTTP request; ``route`` is the path's template."""
        method = method if method in _METHODS else "other"
        key = (method, route, status)
        known = self._known_requests.get(key)
        if known is None:
            known = (self._requests.labels(method, route, str(status)), self._request_seconds.labels(route))
            self._known_requests[key] = known
        known[0].inc()
        known[1].observe(seconds)

    def git_finished(
        self, *, door: str, verb: str, step: str, result: str, seconds: float, bytes_in: int, bytes_out: int
    ) -> None:
        """Count one git operation."""
        key = (door, verb, step, result)
        known = self._known_operations.get(key)
        if known is None:
            known = (
                self._operations.labels(door, verb, step, result),
                self._operation_seconds.labels(door, verb, step),
                self._operation_bytes.labels(door, verb, "in"),
                self._operation_bytes.labels(door, verb, "out"),
            )
            self._known_operations[key] = known
        known[0].inc()
        known[1].observe(seconds)
        if bytes_in:
            known[2].inc(bytes_in)
        if bytes_out:
            known[3].inc(bytes_out)

    def large_object_seen(self, outcome: str) -> None:
        """Count a large object by what became of it; its bytes are among those of git's operations."""
        self._large.labels(outcome).inc()

    def sample(self, engine: Engine) -> None:
        """Take over what the engine and the storage have counted since the last time."""
        for source, count in engine.answers.counts.items():
            self._raise(self._fetches, count, source)
        self._raise(self._views, engine.cache.hits, "found")
        self._raise(self._views, engine.cache.misses, "made")
        counters = engine.storage.counters
        for result, tally in (
            ("called", counters.calls),
            ("retried", counters.retries),
            ("failed", counters.failures),
            ("rejected", counters.rejections),
        ):
            for operation, count in tally.items():
                self._raise(self._storage, count, operation, result)
        self._raise(self._storage_bytes, counters.bytes_read.total(), "read")
        self._raise(self._storage_bytes, counters.bytes_written.total(), "written")
        self._children.labels("running").set(engine.runner.running)
        self._children.labels("waiting").set(engine.runner.waiting)
        self._breaker.labels(self._program).set(engine.storage.breaker_state is not BreakerState.CLOSED)
        self._memory.labels(self._program).set(_resident_bytes())

    async def sample_forever(self, engine: Engine) -> None:
        """Sample every few seconds until cancelled."""
        while True:
            self.sample(engine)
            await asyncio.sleep(SAMPLE_SECONDS)

    def set_jobs(self, jobs: JobCounts) -> None:
        """Show how many jobs there are and how late the queue is."""
        for state, count in jobs.by_state.items():
            self._jobs.labels(state).set(count)
        self._queue_age.set(jobs.oldest_due_seconds)

    def set_bucket(self, *, missing: int, unknown: int) -> None:
        """Show what the last comparison of bucket and tables found."""
        self._bucket.labels("missing").set(missing)
        self._bucket.labels("unknown").set(unknown)

    def set_backup_ages(self, *, backup_seconds: float | None, drill_seconds: float | None) -> None:
        """Show how old the newest backup and drill are; None shows nothing."""
        for kind, seconds in (("backup", backup_seconds), ("drill", drill_seconds)):
            if seconds is not None:
                self._backup_age.labels(kind).set(seconds)

    def render(self) -> bytes:
        """Return the page: this program's numbers, or those of all programs of the node where they share a folder.

        Blocks while it reads files: call it in a thread.
        """
        folder = shared_folder()
        if folder is None:
            return generate_latest(self._registry)
        drop_dead(folder, live_gauges_only=True)
        together = CollectorRegistry()
        MultiProcessCollector(together, path=str(folder))  # type: ignore[no-untyped-call]  # the library's gap
        return generate_latest(together)

    def _raise(self, counter: Counter, total: int, *labels: str) -> None:
        """Bring a counter to a total that somebody else keeps."""
        key = (str(id(counter)), *labels)
        if total > self._taken[key]:
            counter.labels(*labels).inc(total - self._taken[key])
            self._taken[key] = total


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
