"""Housekeeping deletes what is old and nothing else."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cairn.base.settings import load_settings
from cairn.git.fetch_cache import SHARED_PREFIX, expire_shared_answers
from cairn.jobs.registry import registry
from cairn.ops import maintenance
from cairn.storage.storage import Storage, open_storage


def _storage(folder: Path) -> Storage:
    return open_storage(load_settings({"CAIRN_DATA_DIR": str(folder)}))


async def test_answers_older_than_the_limit_are_deleted_and_packs_never(tmp_path: Path) -> None:
    storage = _storage(tmp_path)
    await storage.put(f"{SHARED_PREFIX}/7/answer", b"0000")
    await storage.put("packs/7/ab/pack.pack", b"PACK")
    now = datetime.now(UTC)

    assert await expire_shared_answers(storage, before=now - timedelta(hours=1)) == 0
    assert await storage.exists(f"{SHARED_PREFIX}/7/answer")

    assert await expire_shared_answers(storage, before=now + timedelta(hours=1)) == 1
    assert not await storage.exists(f"{SHARED_PREFIX}/7/answer")
    assert await storage.exists("packs/7/ab/pack.pack")


def test_the_worker_knows_the_housekeeping_of_the_engine() -> None:
    assert maintenance.expire_answers is not None
    assert registry.schedules["ops.expire_answers"] == timedelta(hours=6)
