"""A backup exists when it is complete, names everything, and copies only what is new."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories.accounts import make_account
from tests.factories.backups import Site, empty_place, restored, site_of
from tests.factories.pushes import MAIN, make_store, verdict
from tests.factories.small_pushes import SmallPusher

from cairn.git import fail_points
from cairn.git.compaction import compact_once
from cairn.git.condemned_packs import delete_condemned
from cairn.git.engine import Engine
from cairn.git.fail_points import FailPointError, Step
from cairn.git.models import Pack, PackState, Pin, RefLog
from cairn.identity.models import Account
from cairn.ops.backup import create as creating
from cairn.ops.backup.create import Progress, create_backup
from cairn.ops.backup.models import RunKind
from cairn.ops.backup.restore import Choices
from cairn.ops.backup.runs import TargetBusy, last_run, running
from cairn.ops.backup.target import COPIES

pytest_plugins = ["tests.factories.backups"]
STEPS = [Step.BACKUP_PINNED, Step.BACKUP_DUMPED, Step.BACKUP_COPIED, Step.BACKUP_BEFORE_MANIFEST]


async def _pusher(site: Site) -> SmallPusher:
    pusher = SmallPusher(site.engine, await make_store(site.engine))
    await pusher.push_many(3)
    return pusher


async def _pass(engine: Engine, time: timedelta) -> None:
    """Let time pass for all that pins and condemned packs know of time."""
    async with engine.database.write() as session:
        for pack in await session.scalars(select(Pack).where(Pack.condemned_at.is_not(None))):
            assert pack.condemned_at is not None
            pack.condemned_at -= time
        for pin in await session.scalars(select(Pin)):
            pin.since, pin.expires_at = pin.since - time, pin.expires_at - time


async def test_a_second_backup_copies_only_what_is_new(site: Site) -> None:
    pusher = await _pusher(site)
    told: list[Progress] = []
    first = await create_backup(site.live, site.target, tell=told.append)
    assert (first.objects, first.copied) == (6, 6)
    assert first.copied_bytes == first.object_bytes > 600
    assert told[-1].doing == "writing the database"
    assert max(item.objects for item in told) == max(item.of_objects for item in told) == 6
    again = await site.back_up()
    assert (again.objects, again.copied, again.copied_bytes) == (6, 0, 0)
    await pusher.push()
    third = await site.back_up()
    assert (third.objects, third.copied) == (8, 2)
    assert [item.id for item in await site.target.read_manifests()] == [third.id, again.id, first.id]
    run = await last_run(site.engine.database, RunKind.CREATE)
    assert run.done_at is not None
    assert run.told.startswith(f"{third.id}: ")


@pytest.mark.parametrize("step", STEPS)
async def test_what_dies_half_way_is_no_backup_and_the_next_one_goes_on(site: Site, tmp_path: Path, step: Step) -> None:
    pusher = await _pusher(site)
    fail_points.configure([f"{step.value}=error"])
    try:
        with pytest.raises(FailPointError):
            await site.back_up()
    finally:
        fail_points.configure(())
    assert await site.target.read_manifests() == []
    run = await last_run(site.engine.database, RunKind.CREATE)
    assert (run.done_at, run.failed_at is None) == (None, False)
    async with site.engine.database.read() as session:
        assert (await session.scalars(select(Pin))).all() == [], "nothing is spared for a backup that failed"
    manifest = await site.back_up()
    has_copied = step in {Step.BACKUP_COPIED, Step.BACKUP_BEFORE_MANIFEST}
    assert manifest.copied == (0 if has_copied else 6)
    async with restored(site.target, manifest.id, empty_place(tmp_path / "new")) as there:
        assert await verdict(there.engine, pusher.store, tmp_path / "clone") == pusher.refs


async def test_packs_compacted_and_swept_while_a_backup_runs_are_in_it_all_the_same(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B2: between the snapshot and the copies everything is compacted, hours pass and the sweeper runs."""
    pusher = await _pusher(site)
    await pusher.push(b"refs/heads/side")
    refs = dict(pusher.refs)
    finding = creating.find_copies
    swept = []

    async def find_later(*arguments: object) -> None:
        await pusher.delete(b"refs/heads/side")
        assert await compact_once(site.engine, pusher.store, packs_max=2) is not None
        await _pass(site.engine, timedelta(minutes=110))
        async with site.engine.database.write() as session:  # each minute of these the pin was renewed
            for pin in await session.scalars(select(Pin)):
                pin.expires_at += timedelta(hours=8)
        await _pass(site.engine, timedelta(hours=7))
        swept.append(await delete_condemned(site.engine.database, site.engine.storage))
        await finding(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(creating, "find_copies", find_later)
    manifest = await site.back_up()
    assert [item.packs for item in swept] == [0]
    assert manifest.is_whole
    async with restored(site.target, manifest.id, empty_place(tmp_path / "new")) as there:
        assert await verdict(there.engine, pusher.store, tmp_path / "clone") == refs


async def test_the_pin_stands_for_its_time_after_the_backup_and_then_the_packs_go(site: Site) -> None:
    pusher = await _pusher(site)
    await site.back_up()
    assert await compact_once(site.engine, pusher.store, packs_max=2) is not None
    await _pass(site.engine, timedelta(seconds=site.settings.backup_pin_seconds) - timedelta(hours=1))
    assert (await delete_condemned(site.engine.database, site.engine.storage)).packs == 0
    await _pass(site.engine, timedelta(hours=2))
    assert (await delete_condemned(site.engine.database, site.engine.storage)).packs == 3


async def test_no_pin_is_left_where_none_is_wanted(engine: Engine, tmp_path: Path) -> None:
    site = site_of(engine, f"file://{tmp_path / 'backups'}", backup_pin_seconds=0)
    await site.back_up()
    async with engine.database.read() as session:
        assert (await session.scalars(select(Pin))).all() == []


async def test_pushes_that_run_beside_a_backup_are_in_it_whole_or_not_at_all(site: Site, tmp_path: Path) -> None:
    """B1, small: four pushers, a backup in their midst, and everything acknowledged before it began is in it."""
    stores = [await make_store(site.engine) for _ in range(2)]
    pushers = [SmallPusher(site.engine, stores[number % 2]) for number in range(4)]
    for number, pusher in enumerate(pushers):
        pusher.choices.seed(number)

    async def push_on(number: int, count: int) -> None:
        for _ in range(count):
            await pushers[number].push(b"refs/heads/of-%d" % number)

    await asyncio.gather(*(push_on(number, 2) for number in range(4)))
    acknowledged = {number: dict(pusher.refs) for number, pusher in enumerate(pushers)}
    logs: dict[bytes, list[str]] = {}
    working = [asyncio.create_task(push_on(number, 4)) for number in range(4)]
    manifest = await site.back_up()
    await asyncio.gather(*working)
    async with restored(site.target, manifest.id, empty_place(tmp_path / "new")) as there:
        for place, store in enumerate(stores):
            refs = await verdict(there.engine, store, tmp_path / f"clone-{place}")
            for number in range(place, 4, 2):
                name = b"refs/heads/of-%d" % number
                logs[name] = await _history(site, store, name)
                assert refs[name] in logs[name]
                assert logs[name].index(refs[name]) >= logs[name].index(acknowledged[number][name])


async def _history(site: Site, store: int, name: bytes) -> list[str]:
    async with site.engine.database.read() as session:
        rows = await session.scalars(
            select(RefLog.new_oid).where(RefLog.store_id == store, RefLog.name == name).order_by(RefLog.ref_version)
        )
        return list(rows)


async def test_what_the_installation_lost_before_is_told_and_the_rest_is_backed_up(site: Site, tmp_path: Path) -> None:
    pusher = await _pusher(site)
    healthy = SmallPusher(site.engine, await make_store(site.engine))
    await healthy.push_many(2)
    [key, *_] = [found.key async for found in site.engine.storage.list(f"packs/{pusher.store}") if ".pack" in found.key]
    await site.engine.storage.put(key, b"PACK that is no pack")
    manifest = await site.back_up()
    assert [item.key for item in manifest.missing] == [key]
    assert not manifest.is_whole
    assert not await site.target.storage.exists(f"{COPIES}/{key}")
    async with restored(
        site.target, manifest.id, empty_place(tmp_path / "new"), Choices(accepts_missing=True)
    ) as there:
        assert [item.key for item in there.restored.missing] == [key]
        assert await verdict(there.engine, healthy.store, tmp_path / "clone") == healthy.refs


async def test_a_picture_that_was_replaced_meanwhile_is_not_lost_but_one_that_is_named_is(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site.engine.database.write() as session:
        for login, avatar in (("ada", "a" * 32), ("bob", "b" * 32), ("eve", "c" * 32)):
            (await make_account(session, login)).avatar_id = avatar
    keys = [item.key for item in (await site.back_up()).missing]
    assert {key.split("/")[1] for key in keys} == {"a" * 32, "b" * 32, "c" * 32}
    for key in keys:
        if "a" * 32 in key:
            await site.engine.storage.put(key, key.encode())
    finding = creating.find_copies

    async def replace_first(*arguments: object) -> None:
        async with site.engine.database.write() as session:
            for account in await session.scalars(select(Account).where(Account.login == "eve")):
                account.avatar_id = None
        await finding(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(creating, "find_copies", replace_first)
    manifest = await site.back_up()
    assert {item.key.split("/")[1] for item in manifest.missing} == {"b" * 32}
    assert manifest.objects == len(keys) / 3
    again = await site.back_up()
    assert again.copied == 0, "what no row describes is described by the backup before"


async def test_two_backups_of_one_target_do_not_run_side_by_side(site: Site) -> None:
    async with running(site.engine.database, RunKind.PRUNE, place=site.target.place):
        with pytest.raises(TargetBusy):
            await site.back_up()
    assert (await site.back_up()).objects == 0


async def test_a_backup_goes_to_a_bucket_and_comes_back_from_there(
    engine: Engine, moto_url: str, tmp_path: Path
) -> None:
    site = site_of(engine, moto_url)
    pusher = await _pusher(site)
    manifest = await site.back_up()
    assert (await site.back_up()).copied == 0
    async with restored(site.target, manifest.id, empty_place(tmp_path / "new")) as there:
        assert await verdict(there.engine, pusher.store, tmp_path / "clone") == pusher.refs
        assert (await there.engine.refs.find(pusher.store, MAIN)) is not None
    async with engine.database.read() as session:
        assert set(await session.scalars(select(Pack.state))) == {PackState.LIVE}
