"""A target lies apart from the live objects, and only what has a manifest is a backup."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from tests.factories.backups import Site

from cairn.base.settings import Settings
from cairn.ops.backup.stored_keys import StoredKey
from cairn.ops.backup.target import (
    BACKUPS,
    FORMAT,
    BackupNotFound,
    BackupTargetInvalid,
    BackupUnreadable,
    Manifest,
    backup_address,
    new_backup_id,
    read_keys,
    write_keys,
)

pytest_plugins = ["tests.factories.backups"]
S3 = "?endpoint=http://127.0.0.1:1&access_key_id=a&secret_access_key=b"


@pytest.mark.parametrize(
    ("live", "backups"),
    [
        ("file:///data/storage", "file:///data/storage"),
        ("file:///data/storage", "file:///data/storage/backups"),
        ("file:///data/storage", "file:///data"),
        (f"s3://bucket/live{S3}", f"s3://bucket/live{S3}"),
        (f"s3://bucket/live{S3}", f"s3://bucket/live/backups{S3}"),
        (f"s3://bucket/live{S3}", f"s3://bucket{S3}"),
    ],
)
def test_a_target_inside_or_around_the_live_objects_is_refused(live: str, backups: str) -> None:
    with pytest.raises(BackupTargetInvalid, match="CAIRN_BACKUP_URL names a place inside"):
        backup_address(Settings(storage_url=live), backups)


@pytest.mark.parametrize(
    ("live", "backups"),
    [
        ("file:///data/storage", "file:///data/storage2"),
        (f"s3://bucket/live{S3}", f"s3://bucket/live2{S3}"),
        (f"s3://bucket/live{S3}", f"s3://other/live{S3}"),
        (f"s3://bucket{S3}", "file:///data/storage"),
    ],
)
def test_a_target_beside_them_is_taken(live: str, backups: str) -> None:
    assert backup_address(Settings(storage_url=live), backups).value == backups


def test_no_target_is_a_sentence() -> None:
    with pytest.raises(BackupTargetInvalid, match="CAIRN_BACKUP_URL is not set"):
        backup_address(Settings(), "")


async def test_backups_are_listed_newest_first_and_remnants_apart(site: Site) -> None:
    first, second = await site.back_up(), await site.back_up()
    await site.target.storage.put(f"{BACKUPS}/20200101T000000Z-00000000/tables/a.jsonl.gz", b"left")
    await site.target.storage.put(f"{BACKUPS}/notes.txt", b"somebody else's")
    assert [item.id for item in await site.target.read_manifests()] == [second.id, first.id]
    assert (await site.target.newest()).id == second.id
    assert await site.target.remnants() == ["20200101T000000Z-00000000"]
    await site.target.delete_backup(second.id)
    assert (await site.target.newest()).id == first.id


async def test_a_name_that_is_none_and_a_manifest_that_is_none_are_named_errors(site: Site) -> None:
    for name in ("../x", "nothing", "20200101T000000Z-00000000"):
        with pytest.raises(BackupNotFound):
            await site.target.read_manifest(name)
    manifest = await site.back_up()
    key = f"{BACKUPS}/{manifest.id}/manifest.json"
    await site.target.write_manifest(msgspec.structs.replace(manifest, format=FORMAT + 1))
    with pytest.raises(BackupUnreadable, match="newer"):
        await site.target.read_manifest(manifest.id)
    for data in (b"{", b'{"id": "x"}'):
        await site.target.storage.put(key, data)
        with pytest.raises(BackupUnreadable):
            await site.target.read_manifest(manifest.id)


async def test_a_manifest_reads_as_it_was_written(site: Site) -> None:
    manifest = await site.back_up()
    assert await site.target.read_manifest(manifest.id) == manifest
    assert isinstance(manifest, Manifest)


def test_ids_sort_by_time() -> None:
    ids = [new_backup_id(datetime(2026, 1, day, tzinfo=UTC)) for day in (1, 2, 10)]
    assert ids == sorted(ids)


def test_keys_survive_their_file(tmp_path: Path) -> None:
    keys = [StoredKey(f"packs/{number}", number, "a" * 64) for number in range(12)]
    write_keys(tmp_path / "keys", iter(keys))
    found: list[StoredKey] = []
    read_keys(tmp_path / "keys", found.extend, keys_at_once=5)
    assert found == keys
