"""Whatever is damaged in a backup is found by reading it, and mended where the installation still has it."""

from pathlib import Path

from tests.factories.backups import Site
from tests.factories.pushes import make_store
from tests.factories.small_pushes import SmallPusher

from cairn.ops.backup.copying import Pace
from cairn.ops.backup.target import BACKUPS, COPIES, Manifest
from cairn.ops.backup.verify import Verified, sentences, verify_backup
from cairn.storage.storage import Storage

pytest_plugins = ["tests.factories.backups"]


async def _verify(site: Site, manifest: Manifest, live: Storage | None = None) -> Verified:
    return await verify_backup(site.target, manifest, at_once=2, pace=Pace(0), live=live)


async def _backed_up(site: Site) -> Manifest:
    pusher = SmallPusher(site.engine, await make_store(site.engine))
    await pusher.push_many(3)
    return await site.back_up()


async def test_a_whole_backup_is_well(site: Site) -> None:
    manifest = await _backed_up(site)
    verified = await _verify(site, manifest)
    assert verified.is_well
    assert (verified.objects, verified.size) == (6, manifest.object_bytes)
    assert list(sentences(verified)) == []


async def test_a_flipped_bit_a_cut_and_an_absent_copy_are_found_and_mended(site: Site, tmp_path: Path) -> None:
    manifest = await _backed_up(site)
    flipped, cut, gone = [found.key async for found in site.target.storage.list(COPIES)][:3]
    folder = tmp_path / "backups" / "objects"
    data = bytearray((folder / flipped).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / flipped).write_bytes(data)
    (folder / cut).write_bytes((folder / cut).read_bytes()[:-1])
    (folder / gone).unlink()
    verified = await _verify(site, manifest)
    assert not verified.is_well
    assert [f"{COPIES}/{item.key}" for item in verified.damaged] == sorted([flipped, cut, gone])
    assert all(any(key in sentence for sentence in sentences(verified)) for key in (flipped, cut, gone))
    mended = await _verify(site, manifest, live=site.engine.storage)
    assert mended.is_well
    assert mended.mended == 3
    assert (await _verify(site, manifest)).is_well


async def test_what_cannot_be_mended_stays_wrong(site: Site, tmp_path: Path) -> None:
    manifest = await _backed_up(site)
    [key, *_] = [found.key async for found in site.target.storage.list(COPIES)]
    await site.target.storage.delete(key)
    await site.engine.storage.delete(key.removeprefix(f"{COPIES}/"))
    verified = await _verify(site, manifest, live=site.engine.storage)
    assert (verified.is_well, verified.mended, len(verified.damaged)) == (False, 0, 1)


async def test_a_damaged_table_is_told(site: Site) -> None:
    manifest = await _backed_up(site)
    key = f"{BACKUPS}/{manifest.id}/tables/git_ref.jsonl.gz"
    await site.target.storage.put(key, b"not what was written")
    verified = await _verify(site, manifest)
    assert not verified.is_well
    assert "git_ref.jsonl.gz" in next(sentences(verified))
    assert verified.objects == 6, "the rest is read all the same"
