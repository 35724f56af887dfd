"""What forking costs for a small and for a large repository: ``python -m bench.forks [BYTES ...]``.

In process, on SQLite and a folder: one push of incompressible files, the first cut of the base, then forks by people of
their own, and a sync after one commit. Prints seconds, and what the object store holds. Writes no file.
"""

import asyncio
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from cairn.access.roles import Visibility
from cairn.base.actor import Actor, ActorKind
from cairn.base.log import configure_logging
from cairn.base.settings import Settings
from cairn.db.database import open_database
from cairn.db.migrate import upgrade
from cairn.git.engine import Engine, open_engine
from cairn.git.forks import cut_base
from cairn.git.quarantine import Quarantine
from cairn.git.ref_transaction import RefUpdate
from cairn.git.staging import import_limits
from cairn.git.types import ZERO_OID, Oid, Signature
from cairn.git.writing import File, commit_files
from cairn.identity.models import Account, AccountKind
from cairn.repositories.accept_push import make_within
from cairn.repositories.create import NewRepository, create_repository
from cairn.repositories.fork import NewFork, fork_repository
from cairn.repositories.queries import RepositoryView
from cairn.repositories.sync import sync_fork
from cairn.storage.storage import open_storage

SIZES = (1 << 20, 100 << 20, 1 << 30)
FORKS = 20
FILE_BYTES = 1 << 20
MAIN = b"refs/heads/main"


async def measure(size: int, folder: Path) -> dict[str, float]:
    """Return seconds and byte ratios for a repository of about ``size`` bytes."""
    settings = Settings(data_dir=folder / "data")
    database = open_database(f"sqlite:///{folder / 'bench.db'}", pool_size=3)
    try:
        await upgrade(database)
        async with open_engine(settings, database, open_storage(settings)) as engine:
            people = [await _person(engine, f"person{number}") for number in range(FORKS + 1)]
            wanted = NewRepository(name="engine", visibility=Visibility.PUBLIC)
            parent = await create_repository(database, engine, people[0], wanted)
            await _push(engine, parent, people[0], await asyncio.to_thread(_history, folder / "work", size))
            pushed = await _bucket_bytes(engine)
            cut = await _seconds(cut_base(engine, parent.store_id))
            made: list[RepositoryView] = []
            times: list[float] = []
            for person in people[1:]:
                started = time.perf_counter()
                forked = await fork_repository(database, engine, person, parent, NewFork())
                times.append(time.perf_counter() - started)
                assert forked.is_ready
                made.append(forked.repository)
            await _commit(engine, parent, people[0])
            sync = await _seconds(sync_fork(database, engine, people[1], made[0], "main"))
            # What the base replaced goes after six hours; until then both are there.
            copies = (await _bucket_bytes(engine) - pushed) / pushed
            return {"cut": cut, "fork": statistics.median(times), "worst": max(times), "sync": sync, "copies": copies}
    finally:
        await database.close()


async def _seconds(work: object) -> float:
    started = time.perf_counter()
    await work  # type: ignore[misc]  # whatever can be awaited
    return time.perf_counter() - started


async def _person(engine: Engine, login: str) -> Actor:
    now = datetime.now(UTC)
    async with engine.database.write() as session:
        account = Account(
            login=login, login_key=login, kind=AccountKind.USER, name=login, created_at=now, updated_at=now
        )
        session.add(account)
        await session.flush()
        return Actor(ActorKind.USER, account.id, login)


def _history(work: Path, size: int) -> Path:
    """Make commits of incompressible files; return the repository. Blocks."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", work], check=True)
    importing = subprocess.Popen(
        ["git", "-C", work, "-c", "core.compression=0", "fast-import", "--quiet"], stdin=subprocess.PIPE
    )
    assert importing.stdin is not None
    with importing.stdin as stream:
        for number in range(max(1, size // FILE_BYTES)):
            data = secrets.token_bytes(min(size, FILE_BYTES))
            head = f"commit refs/heads/main\ncommitter A <a@b> {1_700_000_000 + number} +0000\ndata 1\nx\n"
            stream.write(head.encode() + b"M 100644 inline f%d\ndata %d\n" % (number, len(data)) + data + b"\n")
    assert importing.wait() == 0
    return work


async def _push(engine: Engine, repository: RepositoryView, actor: Actor, work: Path) -> None:
    tip = Oid(
        subprocess.run(
            ["git", "-C", work, "rev-parse", "main"], capture_output=True, text=True, check=True
        ).stdout.strip()
    )
    packing = await asyncio.create_subprocess_exec(
        "git", "-C", str(work), "pack-objects", "--stdout", "-q", "--revs", "--window=0",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert packing.stdin is not None
    assert packing.stdout is not None
    packing.stdin.write(f"{tip}\n".encode())
    packing.stdin.close()
    output = packing.stdout

    async def pieces() -> AsyncIterator[bytes]:
        while piece := await output.read(1 << 20):
            yield piece

    state = await engine.state(repository.store_id)
    updates = [RefUpdate(MAIN, ZERO_OID, tip)]
    staged = await engine.stager.stage_push(
        state, updates, pieces(), limits=import_limits(engine.settings), is_atomic=True
    )
    await packing.wait()
    await engine.land(staged, push_id=secrets.token_hex(16), actor="bench", within=make_within(actor, repository.id))


async def _commit(engine: Engine, repository: RepositoryView, actor: Actor) -> None:
    head = await engine.refs.find(repository.store_id, MAIN)
    assert head is not None
    author = Signature("Ada", "ada@example.org", datetime(2026, 1, 1, tzinfo=UTC))
    old = head.oid

    async def write(quarantine: Quarantine) -> list[RefUpdate]:
        new = await commit_files(
            quarantine, parents=[old], changes={b"new": File(b"new")}, author=author, committer=author, message="new"
        )
        return [RefUpdate(MAIN, old, new)]

    staged = await engine.stage(repository.store_id, write)
    await engine.land(staged, push_id=secrets.token_hex(16), actor="bench", within=make_within(actor, repository.id))


async def _bucket_bytes(engine: Engine) -> int:
    return sum([found.size async for found in engine.storage.list("packs/")])


def main() -> None:
    """Measure every size and print a table."""
    configure_logging(program="bench", level="error", plain=True)
    print(f"{'bytes':>14} {'first cut s':>12} {'fork s':>8} {'worst':>8} {'sync s':>8} {f'{FORKS} forks, copies':>18}")
    for size in [int(word) for word in sys.argv[1:]] or SIZES:
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(measure(size, Path(folder)))
        print(
            f"{size:>14,} {found['cut']:>12.2f} {found['fork']:>8.3f} {found['worst']:>8.3f} {found['sync']:>8.2f} "
            f"{found['copies']:>18.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
