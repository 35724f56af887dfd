"""The list of a tree's paths: complete up to its bound, one line a path whatever its bytes."""

from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.factories.engines import engine
from tests.factories.git_repositories import init
from tests.factories.pushes import make_store, push_commit

from cairn.git import path_list
from cairn.git.engine import Engine
from cairn.git.path_list import pack_paths, read_path_list

__all__ = ["engine"]


async def test_every_file_is_listed_by_its_whole_path(engine: Engine, tmp_path: Path) -> None:
    client = init(tmp_path / "client")
    commit = client.commit({"a/b/c.txt": "1", "a/ü": "2", "z": "3"})
    index = f"160000 {commit}\tvendor".encode() + b"\0" + f"100644 {client.oid('HEAD:z')}\tx".encode() + b"\xff\n%\0"
    client.git("update-index", "--add", "-z", "--index-info", stdin=index)
    client.git("commit", "-q", "-m", "odd")
    store = await make_store(engine)
    await push_commit(engine, store, client)
    found = await read_path_list(engine, await engine.state(store), client.oid("HEAD^{tree}"))
    assert found.text().split("\n") == ["a/b/c.txt", "a/ü", "vendor", "x%FF%0A%25", "z"]
    assert (found.count, found.is_truncated) == (5, False)


async def test_an_empty_tree_has_no_paths(engine: Engine, tmp_path: Path) -> None:
    client = init(tmp_path / "client")
    client.commit({})
    store = await make_store(engine)
    await push_commit(engine, store, client)
    found = await read_path_list(engine, await engine.state(store), client.oid("HEAD^{tree}"))
    assert (found.text(), found.count, found.is_truncated) == ("", 0, False)


@pytest.mark.parametrize(("bound", "value", "count"), [("PATHS_MAX", 5, 5), ("PATH_LIST_BYTES_MAX", 8, None)])
async def test_a_list_that_ends_early_says_so(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: int, count: int | None
) -> None:
    monkeypatch.setattr(path_list, bound, value)
    client = init(tmp_path / "client")
    client.commit({f"{number:02}": "" for number in range(20)})
    store = await make_store(engine)
    await push_commit(engine, store, client)
    found = await read_path_list(engine, await engine.state(store), client.oid("HEAD^{tree}"))
    assert found.is_truncated
    lines = found.text().split("\n")
    assert lines == [f"{number:02}" for number in range(len(lines))]
    assert len(lines) == found.count == (count or found.count)


@given(st.lists(st.binary(min_size=1).filter(lambda path: b"\0" not in path), max_size=20))
def test_a_path_is_one_line_and_comes_back_as_it_was(paths: list[bytes]) -> None:
    found = pack_paths(b"".join(path + b"\0" for path in paths), is_cut=False)
    lines = found.text().split("\n") if paths else []
    assert len(lines) == found.count == len(paths)
    assert [unquote_to_bytes(line) for line in lines] == paths
    assert all(letter.isprintable() or ord(letter) > 0x7F for line in lines for letter in line)


def test_what_comes_after_the_last_end_is_left_out() -> None:
    found = pack_paths(b"whole\0piec", is_cut=True)
    assert (found.text(), found.count, found.is_truncated) == ("whole", 1, True)
