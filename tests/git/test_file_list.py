"""The files of a tree: regular ones only, with sizes, listed once."""

from pathlib import Path

import pytest
from tests.factories.engines import engine
from tests.factories.git_repositories import init
from tests.factories.pushes import push

from cairn.git import file_list
from cairn.git.engine import Engine
from cairn.git.file_list import FileInTree, list_files
from cairn.git.types import ZERO_OID, Oid

__all__ = ["engine"]


async def test_regular_files_are_listed_by_path_once_for_a_node(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = init(tmp_path / "stock")
    commit = made.commit({"b/c": "123", "a": ""})
    link = made.git("hash-object", "-w", "--stdin", stdin=b"a").decode().strip()
    made.git("update-index", "--add", "--cacheinfo", f"120000,{link},link")
    made.git("update-index", "--add", "--cacheinfo", f"160000,{commit},module")
    made.git("commit", "-q", "-m", "More")
    async with engine.database.write() as session:
        store_id = await engine.create_store(session)
    await push(engine, store_id, [(b"refs/heads/main", ZERO_OID, made.oid("main"))], made.pack(["main"]))
    state, tree = await engine.state(store_id), Oid(made.oid("main^{tree}"))
    found = await list_files(engine, state, tree)
    assert found.files == [
        FileInTree(b"a", made.oid("main:a"), 0),
        FileInTree(b"b/c", made.oid("main:b/c"), 3),
    ]
    assert found.files[1].name == b"c"
    assert not found.is_truncated

    async def never(*args: object, **kwargs: object) -> None:
        raise AssertionError("it is listed")

    monkeypatch.setattr(file_list, "list_tree", never)
    assert await list_files(engine, state, tree) == found
