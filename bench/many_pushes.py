"""A repository that people push to 100,000 times: what a push, a clone and a fetch cost as the pushes pile up.

``python -m bench.many_pushes [PUSHES [MINUTES [FOLDER]]]`` pushes one commit after the other straight into the engine
(receive-pack, SQLite, a folder; no HTTP), with compaction running beside as the worker would run it. It prints the
curve and writes it to ``bench/MANY_PUSHES.md`` after each line; after so many minutes it measures once more and ends.
With a folder it keeps the repository there and goes on with it the next time, for 100,000 pushes take their hour.
Requests, statements, bytes and CPU seconds (this program and its git) stay what they are on a busy machine; the seconds
do not.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import event, func, select
from sqlalchemy.engine import Engine as AnyDatabase
from tests.factories.pushes import MAIN, make_store
from tests.factories.small_pushes import SmallPusher

from cairn.base.settings import Settings
from cairn.db.database import open_database
from cairn.db.migrate import upgrade
from cairn.git.compaction import compact, find_crowded
from cairn.git.engine import Engine, open_engine
from cairn.git.manifest import read_manifest
from cairn.git.models import RefLog, Store
from cairn.git.types import Oid
from cairn.git.upload_pack import V2Request
from cairn.ops.maintenance import COMPACTION_SCANNED_EVERY, LOOK_BACK
from cairn.storage.storage import open_storage

CHECKPOINTS = (100, 300, 1_000, 3_000, 10_000, 20_000, 30_000, 50_000, 70_000, 100_000)
LAST_PUSHES = 50
"""Pushes over which the cost of one is taken, and which a fetch then asks for."""
RESULTS = Path(__file__).parent / "MANY_PUSHES.md"


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


@dataclass(frozen=True)
class Costs:
    """What was spent between two moments; all but ``seconds`` does not depend on what else the machine does."""

    seconds: float
    cpu_seconds: float
    statements: int
    requests: int

    def __sub__(self, earlier: "Costs") -> "Costs":
        return Costs(
            self.seconds - earlier.seconds,
            self.cpu_seconds - earlier.cpu_seconds,
            self.statements - earlier.statements,
            self.requests - earlier.requests,
        )

    def show(self, times: int = 1) -> str:
        """Return the cells of one of ``times`` equal operations."""
        return (
            f"{self.seconds / times * 1000:,.1f} ms | {self.cpu_seconds / times * 1000:,.1f} ms | "
            f"{self.statements / times:,.1f} | {self.requests / times:,.1f}"
        )


class Curve:
    """Pushes and measures."""

    def __init__(self, engine: Engine, pusher: SmallPusher) -> None:
        self.engine = engine
        self.pusher = pusher
        self.done = pusher.made
        self.packs_max = 0
        self.statements = 0
        event.listen(AnyDatabase, "before_cursor_execute", self._count)

    def _count(self, *_: object) -> None:
        self.statements += 1

    def spent(self) -> Costs:
        """Return what was spent until now, by this program and those of its children that ended."""
        times = os.times()
        cpu = times.user + times.system + times.children_user + times.children_system
        return Costs(time.perf_counter(), cpu, self.statements, sum(self.engine.storage.counters.calls.values()))

    async def push_until(self, count: int, ends: float) -> None:
        """Push up to ``count``, or until the clock says ``ends``; remember the most packs there were."""
        while self.done < count and time.monotonic() < ends:
            await self.pusher.push()
            self.done += 1
            if self.done % 20 == 0:
                _, packs = await read_manifest(self.engine.database, self.pusher.store)
                self.packs_max = max(self.packs_max, len(packs))

    async def checkpoint(self) -> list[str]:
        """Return the lines of the table for what there is now: a push, a fetch of ten pushes, a clone."""
        store, reached, before = self.pusher.store, self.done, self.spent()
        tip = self.pusher.refs[MAIN]
        await self.pusher.push_many(LAST_PUSHES)
        self.done += LAST_PUSHES
        pushed = self.spent() - before
        _, packs = await read_manifest(self.engine.database, store)
        manifest_bytes = sum(len(pack.id) + len(pack.key) + 2 * len(pack.pack_sha256) + 16 for pack in packs)
        before = self.spent()
        _, clone_bytes = await fetch(self.engine, store, want=self.pusher.refs[MAIN])
        cloned, before = self.spent() - before, self.spent()
        _, fetch_bytes = await fetch(self.engine, store, want=self.pusher.refs[MAIN], have=tip)
        fetched = self.spent() - before
        packs_max, self.packs_max = max(self.packs_max, len(packs)), 0
        start = f"| {reached:,} | {len(packs)} ({packs_max}) | {manifest_bytes:,} B"
        return [
            f"{start} | push | {pushed.show(LAST_PUSHES)} | |",
            f"| | | | fetch of {LAST_PUSHES} pushes | {fetched.show()} | {fetch_bytes:,} B |",
            f"| | | | clone, uncached | {cloned.show()} | {clone_bytes / 1e6:.2f} MB |",
        ]


HEAD = """\
# Many small pushes

`python -m bench.many_pushes`: one commit a push, straight into the engine (receive-pack, SQLite, a folder; no HTTP),
compaction beside it as the worker runs it. CPU is this program and its git, the compaction that ran meanwhile included;
statements and storage requests likewise. Seconds depend on what else the machine did, the rest hardly. Packs: when
measured (and the most since the line before). Runs on one repository: {runs}.

| Pushes | packs | manifest | what | time | CPU | statements | storage requests | bytes |
|---:|---:|---:|---|---:|---:|---:|---:|---:|
"""


@dataclass
class Kept:
    """What a folder remembers of the runs on its repository."""

    path: Path
    runs: list[str]
    lines: list[str]

    @classmethod
    def read(cls, folder: Path) -> "Kept":
        """Return what the folder remembers, nothing if it is new."""
        path = folder / "curve.json"
        found = json.loads(path.read_text()) if path.exists() else {"runs": [], "lines": []}
        return cls(path, found["runs"], found["lines"])

    def write(self, run: str) -> None:
        """Keep the lines and write the report; ``run`` says from when to when, and replaces what was said of it."""
        self.path.write_text(json.dumps({"runs": [*self.runs, run], "lines": self.lines}))
        RESULTS.write_text(HEAD.format(runs="; ".join([*self.runs, run])) + "\n".join(self.lines) + "\n")


async def resume(engine: Engine) -> SmallPusher:
    """Return one who goes on pushing to the only store there is, or to a new one."""
    async with engine.database.read() as session:
        store = await session.scalar(select(Store.id))
    if store is None:
        return SmallPusher(engine, await make_store(engine))
    pusher = SmallPusher(engine, store)
    state = await engine.state(store)
    pusher.refs = {ref.name: ref.oid for ref in (await engine.snapshot(state)).refs}
    async with engine.database.read() as session:
        done = await session.scalar(select(func.count()).select_from(RefLog).where(RefLog.store_id == store))
    pusher.skip(done or 0)
    return pusher


async def measure(pushes_max: int, minutes: float, folder: Path) -> None:
    """Print and write the curve up to ``pushes_max`` pushes, or as far as so many minutes reach."""
    started, ends, kept = datetime.now(UTC), time.monotonic() + minutes * 60, Kept.read(folder)
    async with running_engine(folder) as engine:
        curve = Curve(engine, await resume(engine))
        compacting = asyncio.create_task(keep_compacting(engine))
        try:
            counts = {*(count for count in CHECKPOINTS if curve.done < count < pushes_max), pushes_max}
            for count in sorted(counts):
                await curve.push_until(count, ends)
                found = await curve.checkpoint()
                print("\n".join(found), flush=True)
                kept.lines += found
                run = f"{started:%Y-%m-%d %H:%M} to {datetime.now(UTC):%H:%M} UTC"
                await asyncio.to_thread(kept.write, run)
                if compacting.done():
                    compacting.result()
                if time.monotonic() >= ends:
                    break
        finally:
            compacting.cancel()


def main(words: list[str]) -> None:
    """Measure as the command line says."""
    pushes = int(words[0]) if words else CHECKPOINTS[-1]
    minutes = float(words[1]) if len(words) > 1 else 24 * 60
    if len(words) > 2:
        folder = Path(words[2])
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(measure(pushes, minutes, folder))
    else:
        with tempfile.TemporaryDirectory(prefix="cairn-many-pushes-") as temporary:
            asyncio.run(measure(pushes, minutes, Path(temporary)))


if __name__ == "__main__":
    main(sys.argv[1:])
