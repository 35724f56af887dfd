"""Backups past their retention go, with exactly the copies nobody else needs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select
from tests.factories.backups import Site, empty_place, restored, site_of
from tests.factories.pushes import make_store, verdict
from tests.factories.small_pushes import SmallPusher

from cairn.base.settings import Settings
from cairn.git import fail_points
from cairn.git.compaction import compact_once
from cairn.git.engine import Engine
from cairn.git.fail_points import FailPointError, Step
from cairn.git.models import Pin
from cairn.ops.backup.dump import FileStat
from cairn.ops.backup.models import RunKind
from cairn.ops.backup.prune import past_retention, prune_backups
from cairn.ops.backup.runs import TargetBusy, running
from cairn.ops.backup.stored_keys import StoredKey
from cairn.ops.backup.target import COPIES, Manifest

pytest_plugins = ["tests.factories.backups"]
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def _manifest(days: int, *, is_whole: bool = True) -> Manifest:
    at = NOW - timedelta(days=days)
    return Manifest(
        id=f"{at:%Y%m%d}T000000Z-{days:08x}", taken_at=at, finished_at=at, program="1", schema=1, database="sqlite",
        origin="", tables=(), keys=FileStat(name="", size=0, sha256=""), objects=0, object_bytes=0, copied=0,
        copied_bytes=0, missing=() if is_whole else (StoredKey("packs/1/a"),),
    )  # fmt: skip


def _kept(manifests: list[Manifest], settings: Settings) -> list[int]:
    gone = past_retention(manifests, settings, NOW)
    return [(NOW - item.taken_at).days for item in manifests if item not in gone]


def test_the_newest_are_kept_whatever_their_age_and_the_young_whatever_their_number() -> None:
    manifests = [_manifest(days) for days in (1, 2, 3, 50, 60, 70)]
    assert _kept(manifests, Settings(backup_keep_count=1, backup_keep_days=30)) == [1, 2, 3]
    assert _kept(manifests, Settings(backup_keep_count=5, backup_keep_days=30)) == [1, 2, 3, 50, 60]
    assert _kept(manifests, Settings(backup_keep_count=1, backup_keep_days=1)) == [1]


def test_the_newest_in_which_nothing_was_missing_is_never_deleted() -> None:
    manifests = [_manifest(1, is_whole=False), _manifest(40, is_whole=False), _manifest(50), _manifest(60)]
    assert _kept(manifests, Settings(backup_keep_count=1, backup_keep_days=1)) == [1, 50]


async def _age(site: Site, manifest: Manifest) -> None:
    await site.target.write_manifest(
        msgspec.structs.replace(manifest, taken_at=manifest.taken_at - timedelta(days=100))
    )


async def _copies(site: Site) -> int:
    return len([found async for found in site.target.storage.list(COPIES)])


async def test_only_what_no_other_backup_names_is_deleted(engine: Engine, tmp_path: Path) -> None:
    site = site_of(engine, f"file://{tmp_path / 'backups'}", backup_keep_count=1)
    pusher = SmallPusher(engine, await make_store(engine))
    await pusher.push_many(3)
    first = await site.back_up()
    assert await compact_once(engine, pusher.store, packs_max=2) is not None
    await pusher.push()
    second = await site.back_up()
    assert (first.objects, second.objects, await _copies(site)) == (6, 4, 10)
    nothing = await prune_backups(site.settings, engine.database, site.target)
    assert (nothing.backups, nothing.copies) == ((), 0)
    await _age(site, first)
    pruned = await prune_backups(site.settings, engine.database, site.target)
    assert (pruned.backups, pruned.copies) == ((first.id,), 6)
    assert [item.id for item in await site.target.read_manifests()] == [second.id]
    async with engine.database.read() as session:
        pins = (await session.scalars(select(Pin.purpose))).all()
    assert pins == [f"backup {second.id}"], "the pin goes with its backup"
    async with restored(site.target, second.id, empty_place(tmp_path / "new")) as there:
        assert await verdict(there.engine, pusher.store, tmp_path / "clone") == pusher.refs


async def test_what_a_dead_backup_left_goes_and_a_live_one_is_not_disturbed(site: Site) -> None:
    pusher = SmallPusher(site.engine, await make_store(site.engine))
    await pusher.push_many(2)
    fail_points.configure([f"{Step.BACKUP_BEFORE_MANIFEST.value}=error"])
    try:
        with pytest.raises(FailPointError):
            await site.back_up()
    finally:
        fail_points.configure(())
    assert await _copies(site) == 4
    async with running(site.engine.database, RunKind.CREATE, place=site.target.place):
        with pytest.raises(TargetBusy):
            await prune_backups(site.settings, site.engine.database, site.target)
    assert await _copies(site) == 4
    pruned = await prune_backups(site.settings, site.engine.database, site.target)
    assert (pruned.backups, pruned.remnants, pruned.copies) == ((), 1, 4)
    assert [found async for found in site.target.storage.list()] == []
