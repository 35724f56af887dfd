"""What backups cost: time and bytes of a first and of a further one, of verifying, restoring and drilling.

``python -m bench.backup [--repositories 200] [--pushes 5] [--file-bytes 20000]`` on SQLite and folders of this machine.
"""

import argparse
import asyncio
import resource
import tempfile
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import TypeVar

from cairn.base.ids import random_id
from cairn.base.settings import Settings
from cairn.db.database import Database, open_database
from cairn.db.migrate import upgrade
from cairn.git.engine import Engine, open_engine
from cairn.git.landing import Staged
from cairn.git.quarantine import Quarantine
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID, Oid, Signature
from cairn.git.writing import File, commit_files
from cairn.ops.backup.copying import Pace
from cairn.ops.backup.create import Live, create_backup
from cairn.ops.backup.drill import drill
from cairn.ops.backup.restore import Choices, Place, end_restore, restore_backup
from cairn.ops.backup.target import BackupTarget, open_target
from cairn.ops.backup.verify import verify_backup
from cairn.programs.schema import metadata
from cairn.storage.storage import open_storage

MAIN = b"refs/heads/main"
T = TypeVar("T")


async def fill(engine: Engine, stores: list[int], choices: Random, *, file_bytes: int) -> None:
    """Land one commit with one new file in each store."""
    author = Signature("Ada", "ada@example.org", datetime(2026, 1, 1, tzinfo=UTC))
    for store in stores:
        here = await engine.refs.find(store, MAIN)
        base: list[Oid] = [here.oid] if here else []
        files = {b"%d" % choices.randrange(10**9): File(choices.randbytes(file_bytes))}

        async def write(
            quarantine: Quarantine, base: list[Oid] = base, files: dict[bytes, File] = files
        ) -> list[RefUpdate]:
            oid = await commit_files(
                quarantine, parents=base, changes=files, author=author, committer=author, message="work"
            )
            return [RefUpdate(MAIN, base[0] if base else ZERO_OID, oid)]

        staged: Staged = await engine.stage(store, write)
        await engine.land(staged, push_id=random_id(), actor="bench", within=allow)


async def allow(session: object, updates: object) -> dict[bytes, str]:
    """Refuse nothing."""
    return {}


async def timed(what: str, work: Awaitable[T], told: list[str]) -> T:
    """Return what the work returns and note how long it took."""
    start = time.perf_counter()
    result = await work
    told.append(f"{what:<28}{time.perf_counter() - start:8.2f} s")
    return result


async def measure(folder: Path, *, repositories: int, pushes: int, file_bytes: int) -> list[str]:
    """Return the lines of the table."""
    settings = Settings(data_dir=folder / "data", backup_url=f"file://{folder / 'backups'}")
    choices, told = Random(1), list[str]()
    (folder / "data").mkdir()
    database = open_database(settings.effective_database_url, pool_size=5)
    await upgrade(database)
    storage = open_storage(settings)
    target = open_target(settings, settings.backup_url)
    live = Live(settings, database, storage, metadata())
    async with open_engine(settings, database, storage) as engine:
        stores = []
        for _ in range(repositories):
            async with database.write() as session:
                stores.append(await engine.create_store(session))
        for _ in range(pushes):
            await fill(engine, stores, choices, file_bytes=file_bytes)
        for what in ("first backup", "a further one, nothing new"):
            made = await timed(what, create_backup(live, target), told)
            told[-1] += f"  {made.copied:,} objects, {made.copied_bytes + made.own_bytes:,} bytes written"
        await fill(engine, stores[: repositories // 10], choices, file_bytes=file_bytes)
        made = await timed("after a push to each tenth", create_backup(live, target), told)
        told[-1] += f"  {made.copied:,} objects, {made.copied_bytes + made.own_bytes:,} bytes written"
    verifying = verify_backup(target, made, at_once=settings.backup_transfers, pace=Pace(0))
    assert (await timed("verify", verifying, told)).is_well
    await timed("restore", restore(folder / "restored", target, made.id), told)
    drilled = await timed("drill", drill(settings, database, target, None, scratch=folder), told)
    assert not drilled.findings, drilled.findings
    await database.close()
    told.append(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10:,} MiB")
    return told


async def restore(folder: Path, target: BackupTarget, backup: str) -> None:
    """Restore into SQLite and a folder."""
    settings = Settings(data_dir=folder)
    database: Database = open_database(settings.effective_database_url, pool_size=2)
    await restore_backup(target, backup, Place(settings, database, open_storage(settings), None), Choices())
    await end_restore(database)
    await database.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, default=200)
    parser.add_argument("--pushes", type=int, default=5)
    parser.add_argument("--file-bytes", type=int, default=20_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as folder:
        lines = asyncio.run(
            measure(Path(folder), repositories=given.repositories, pushes=given.pushes, file_bytes=given.file_bytes)
        )
    print(f"{given.repositories:,} repositories, {given.pushes} pushes each of {given.file_bytes:,} bytes:")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
