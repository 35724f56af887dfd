"""A key names an object and can do nothing else, on every backend."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.storage.conftest import pieces

from cairn.storage.errors import StorageKeyInvalid
from cairn.storage.keys import KEY_LENGTH_MAX, checked_folder, checked_key
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


def test_what_cairn_names_its_objects_is_a_key() -> None:
    for key in (
        "a",
        "packs/ab/one.pack",
        "a/b=c/d@e/f+g/h~i/j-k",
        "-",
        "a" * 200,
        "a/" * ((KEY_LENGTH_MAX - 1) // 2) + "b",
    ):
        assert checked_key(key) == key


def test_the_longest_name_and_the_longest_key_are_the_last_that_pass() -> None:
    longest = "/".join(["a" * 174] * 4) + "b"
    assert len(longest) == KEY_LENGTH_MAX
    assert checked_key(longest) == longest
    for too_long in ("a" * 201, longest + "b"):
        with pytest.raises(StorageKeyInvalid):
            checked_key(too_long)


def test_a_line_break_at_the_end_does_not_slip_through() -> None:
    """A pattern that ends with ``$`` would let it pass, and headers and logs would be split by it."""
    for key in ("a\n", "a/b\n", "a\r"):
        with pytest.raises(StorageKeyInvalid):
            checked_key(key)


def test_a_refusal_does_not_repeat_a_key_of_any_length() -> None:
    with pytest.raises(StorageKeyInvalid) as caught:
        checked_key("x" * 1_000_000)
    assert len(caught.value.message) < 2 * KEY_LENGTH_MAX


def test_a_folder_ends_with_one_slash_and_nothing_is_everything() -> None:
    assert checked_folder("a/b") == checked_folder("a/b/") == "a/b/"
    assert checked_folder("") == ""
    for prefix in ("/", "a//", "../", "a/../", ".git/"):
        with pytest.raises(StorageKeyInvalid):
            checked_folder(prefix)
