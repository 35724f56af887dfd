"""A key names an object and can do nothing else, on every backend."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.storage.conftest import pieces

from cairn.storage.errors import StorageKeyInvalid
from cairn.storage.storage import Storage


@pytest.mark.parametrize(
    "key",
    ["", "/", "/abs", "a/", "a//b", ".", "..", "a/..", "../a", "a/../b", "a/./b", ".hidden", "a/.git", "a\\b", "a\nb",
     "a\0b", "a b", "ä", "a?b", "a#b", "a%2e", "C:", "a" * 201, "a/" * 400 + "a"],
)  # fmt: skip
async def test_a_hostile_key_is_refused_by_every_method(memory_storage: Storage, key: str, tmp_path: Path) -> None:
    """A key that climbs out of the store's folder would read or overwrite any file of the node."""
    (tmp_path / "file").write_bytes(b"x")
    storage = memory_storage
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: storage.put(key, b"x"),
        lambda: storage.put_file(key, tmp_path / "file"),
        lambda: storage.put_stream(key, pieces(b"x")),
        lambda: storage.get(key, max_bytes=1),
        lambda: storage.get_range(key, 0, 1),
        lambda: anext(storage.stream(key)),
        lambda: storage.download(key, tmp_path / "target"),
        lambda: storage.stat(key),
        lambda: storage.exists(key),
        lambda: storage.delete(key),
        lambda: storage.delete_prefix(key.removesuffix("/") + "//"),
        lambda: storage.copy(key, "target"),
        lambda: storage.copy("source", key),
        lambda: storage.signed_url(key, expires_seconds=60),
    ]
    for call in calls:
        with pytest.raises(StorageKeyInvalid):
            await call()
    assert not (tmp_path / "target").exists()
