"""A file among the shared answers: whole or not there, whatever a failed writer or a faulty store left."""

from datetime import timedelta
from pathlib import Path

import pytest

from cairn.base.clock import utc_now
from cairn.base.errors import Unavailable
from cairn.base.settings import Settings
from cairn.git.shared_answers import FILE_BYTES_MIN, SHARED_PREFIX, SharedFile, expire_shared_answers
from cairn.storage.storage import Storage, open_storage

CONTENT = bytes(range(256)) * (FILE_BYTES_MIN // 256 + 1)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(Settings(storage_url=f"file://{tmp_path / 'store'}"))


async def shared(storage: Storage, tmp_path: Path, content: bytes = CONTENT) -> SharedFile:
    """Return a file that a node gave to the others."""
    path = tmp_path / "answer"
    path.write_bytes(content)
    found = SharedFile(f"{SHARED_PREFIX}/7/x")
    await found.put(storage, path)
    return found


async def copied(storage: Storage, file: SharedFile) -> bytes | None:
    pieces: list[bytes] = []
    return b"".join(pieces) if await file.copy(storage, pieces.append) else None


async def test_a_shared_file_is_stored_as_it_is(storage: Storage, tmp_path: Path) -> None:
    file = await shared(storage, tmp_path)
    assert await storage.get(file.file_key, max_bytes=len(CONTENT)) == CONTENT
    assert await file.size(storage) == len(CONTENT)
    assert await copied(storage, file) == CONTENT


async def test_a_small_file_is_not_shared(storage: Storage, tmp_path: Path) -> None:
    file = await shared(storage, tmp_path, b"small")
    assert await file.size(storage) is None
    assert [found async for found in storage.list(SHARED_PREFIX)] == []


async def test_a_file_without_the_object_that_says_it_is_whole_is_not_there(storage: Storage, tmp_path: Path) -> None:
    file = await shared(storage, tmp_path)
    await storage.delete(f"{file.key}.about")
    assert await file.size(storage) is None
    assert await copied(storage, file) is None


async def test_a_cut_or_changed_file_is_never_believed(storage: Storage, tmp_path: Path) -> None:
    file = await shared(storage, tmp_path)
    await storage.put(file.file_key, CONTENT[:-1])
    assert await file.size(storage) is None
    await storage.put(file.file_key, b"\1" + CONTENT[1:])
    with pytest.raises(Unavailable):
        await copied(storage, file)
    assert not await storage.exists(file.file_key)


async def test_what_says_that_a_file_is_whole_expires_first(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shared(storage, tmp_path)
    deleted: list[str] = []
    delete = storage.delete

    async def noting(key: str) -> None:
        deleted.append(key)
        await delete(key)

    monkeypatch.setattr(storage, "delete", noting)
    assert await expire_shared_answers(storage, before=utc_now() + timedelta(hours=1)) == 2
    assert [key.rpartition(".")[2] for key in deleted] == ["about", "file"]
