"""A repository that people push to 100,000 times: what a push, a clone and a fetch cost as the pushes pile up.

``python -m bench.many_pushes [PUSHES]`` pushes one commit after the other through the real engine (receive-pack,
SQLite, a folder), with compaction running beside as the worker would run it, and prints the curve. Run it alone.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.factories.pushes import MAIN, make_store
from tests.factories.small_pushes import SmallPusher

from cairn.base.settings import Settings
from cairn.db.database import open_database
from cairn.db.migrate import upgrade
from cairn.git.compaction import compact, find_crowded
from cairn.git.engine import Engine, open_engine
from cairn.git.manifest import read_manifest
from cairn.git.types import Oid
from cairn.git.upload_pack import V2Request
from cairn.ops.maintenance import COMPACTION_SCANNED_EVERY, LOOK_BACK
from cairn.storage.storage import open_storage

CHECKPOINTS = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
LAST_PUSHES = 50
"""Pushes over which the time of one is taken."""


@asynccontextmanager
async def running_engine(folder: Path) -> AsyncIterator[Engine]:
    """Yield an engine of its own upon SQLite and a folder."""
    settings = Settings(data_dir=folder)
    database = open_database(settings.effective_database_url, pool_size=5)
    try:
        await upgrade(database)
        async with open_engine(settings, database, open_storage(settings)) as engine:
            yield engine
    finally:
        await database.close()


async def keep_compacting(engine: Engine) -> None:
    """Compact what is crowded as often as the worker looks for it."""
    while True:
        await asyncio.sleep(COMPACTION_SCANNED_EVERY.total_seconds())
        for store in await find_crowded(engine.database, pushed_within=LOOK_BACK):
            await compact(engine, store)


async def fetch(engine: Engine, store: int, *, want: Oid, have: Oid | None = None) -> tuple[float, int]:
    """Return the seconds and bytes of a fetch as a client of protocol v2 asks for it."""
    lines = [b"ofs-delta", b"no-progress", b"want " + want.encode()]
    lines += [b"have " + have.encode()] if have else []
    started, size = time.perf_counter(), 0
    async with engine.upload.serve_v2(await engine.state(store), V2Request(b"fetch", (*lines, b"done"))) as answer:
        if isinstance(answer, bytes | Path):
            size = len(answer) if isinstance(answer, bytes) else answer.stat().st_size
        else:
            async for chunk in answer.chunks():
                size += len(chunk)
    return time.perf_counter() - started, size


class Curve:
    """Pushes and measures."""

    def __init__(self, engine: Engine, pusher: SmallPusher) -> None:
        self.engine = engine
        self.pusher = pusher
        self.done = 0
        self.packs_max = 0

    async def push_until(self, count: int) -> tuple[float, float]:
        """Push; return the median milliseconds of the last pushes and how many bucket requests one makes."""
        times: list[float] = []
        requests = 0
        while self.done < count:
            before = sum(self.engine.storage.counters.calls.values())
            started = time.perf_counter()
            await self.pusher.push()
            times.append(time.perf_counter() - started)
            times = times[-LAST_PUSHES:]
            requests = sum(self.engine.storage.counters.calls.values()) - before
            self.done += 1
            if self.done % 20 == 0:
                self.packs_max = max(
                    self.packs_max, len((await read_manifest(self.engine.database, self.pusher.store))[1])
                )
        return statistics.median(times) * 1000, requests

    async def checkpoint(self, count: int) -> str:
        """Push up to ``count`` and return the line of the table."""
        push_milliseconds, push_requests = await self.push_until(count)
        store = self.pusher.store
        _, packs = await read_manifest(self.engine.database, store)
        tip = self.pusher.refs[MAIN]
        clone_seconds, clone_bytes = await fetch(self.engine, store, want=tip)
        for _ in range(10):
            await self.pusher.push()
        self.done += 10
        fetch_seconds, fetch_bytes = await fetch(self.engine, store, want=self.pusher.refs[MAIN], have=tip)
        manifest_bytes = sum(len(pack.id) + len(pack.key) + 2 * len(pack.pack_sha256) + 16 for pack in packs)
        packs_max, self.packs_max = self.packs_max, 0
        return (
            f"| {count:,} | {push_milliseconds:.1f} ms | {push_requests:.0f} | {fetch_seconds * 1000:.1f} ms "
            f"({fetch_bytes:,} B) | {clone_seconds:.2f} s ({clone_bytes / 1e6:.1f} MB) | {len(packs)} "
            f"({packs_max} at most) | {manifest_bytes:,} B |"
        )


HEAD = """\
| Pushes | one push | bucket requests | fetch of 10 pushes | clone, uncached | packs | manifest |
|---:|---:|---:|---:|---:|---:|---:|"""


async def measure(pushes_max: int) -> None:
    """Print the curve up to ``pushes_max`` pushes."""
    with tempfile.TemporaryDirectory(prefix="cairn-many-pushes-") as folder:
        async with running_engine(Path(folder)) as engine:
            curve = Curve(engine, SmallPusher(engine, await make_store(engine)))
            compacting = asyncio.create_task(keep_compacting(engine))
            print(HEAD, flush=True)
            try:
                for count in (count for count in CHECKPOINTS if count <= pushes_max):
                    print(await curve.checkpoint(count), flush=True)
                    if compacting.done():
                        compacting.result()
            finally:
                compacting.cancel()


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else CHECKPOINTS[-1]))
