"""What local storage adds to OpenDAL: names that survive a power cut, and no rubbish."""

import os
from pathlib import Path

import pytest

from cairn.storage.errors import StorageKeyTaken, StorageNotFound, StorageUnavailable
from cairn.storage.local_folder import STALE_SECONDS, LocalFolder
from cairn.storage.storage import Storage


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every path that was synced through Python, in order."""
    paths: list[str] = []

    def record(descriptor: int) -> None:
        paths.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    monkeypatch.setattr(os, "fsync", record)
    return paths


@pytest.mark.parametrize("size", [10, 20 << 20])
async def test_a_write_returns_after_every_folder_of_its_name_is_synced(
    folder_storage: Storage, tmp_path: Path, synced: list[str], size: int
) -> None:
    objects = tmp_path / "store/objects"
    await folder_storage.put("a/b/k", b"x" * size)
    assert synced == [str(objects / "a/b"), str(objects / "a"), str(objects)]


async def test_a_folder_known_to_be_durable_is_not_synced_into_its_parents_again(
    folder_storage: Storage, tmp_path: Path, synced: list[str]
) -> None:
    objects = tmp_path / "store/objects"
    await folder_storage.put("a/b/one", b"x")
    synced.clear()
    await folder_storage.put("a/b/two", b"x")
    assert synced == [str(objects / "a/b")]


async def test_a_copy_is_synced_like_a_write(folder_storage: Storage, tmp_path: Path, synced: list[str]) -> None:
    await folder_storage.put("k", b"x")
    synced.clear()
    await folder_storage.copy("k", "new/k")
    assert synced == [str(tmp_path / "store/objects/new"), str(tmp_path / "store/objects")]


async def test_a_failed_sync_is_a_failed_write(folder_storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(StorageUnavailable, match="input/output error"):
        await folder_storage.put("k", b"x")


async def test_no_write_leaves_anything_in_the_incoming_folder(folder_storage: Storage, tmp_path: Path) -> None:
    await folder_storage.put("k", b"x")
    with pytest.raises(StorageKeyTaken):
        await folder_storage.put("k/below", b"x")
    await folder_storage.put("folder/k", b"x")
    with pytest.raises(StorageKeyTaken):
        await folder_storage.put("folder", b"x")
    assert list((tmp_path / "store/incoming").iterdir()) == []


async def test_below_an_object_is_nothing(folder_storage: Storage) -> None:
    await folder_storage.put("k", b"x")
    assert not await folder_storage.exists("k/below")
    await folder_storage.delete("k/below")
    with pytest.raises(StorageNotFound):
        await folder_storage.get("k/below", max_bytes=1)
    assert await folder_storage.get("k", max_bytes=1) == b"x"


async def test_a_full_disk_never_opens_the_breaker(folder_storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    await folder_storage.put("k", b"x")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for _ in range(8):
        with pytest.raises(StorageUnavailable, match="no space left"):
            await folder_storage.put("new", b"x")
    assert await folder_storage.get("k", max_bytes=1) == b"x"


async def test_deleting_a_prefix_removes_its_empty_folders(folder_storage: Storage, tmp_path: Path) -> None:
    await folder_storage.put("a/b/c/k", b"x")
    await folder_storage.put("a/k", b"x")
    await folder_storage.delete_prefix("a/b")
    assert sorted(path.name for path in (tmp_path / "store/objects/a").iterdir()) == ["k"]


def test_only_what_dead_writes_left_is_swept(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    for name in ("old", "new"):
        (tmp_path / "incoming" / name).mkdir()
        (tmp_path / "incoming" / name / "part").write_bytes(b"x")
    then = (tmp_path / "incoming/old").stat().st_mtime - STALE_SECONDS - 1
    os.utime(tmp_path / "incoming/old", (then, then))
    assert folder.sweep_incoming() == 1
    assert [path.name for path in (tmp_path / "incoming").iterdir()] == ["new"]


async def test_ping_fails_when_the_folder_is_gone(folder_storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "store/objects").rmdir()
    with pytest.raises(StorageUnavailable):
        await folder_storage.ping()
