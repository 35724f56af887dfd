from pathlib import Path

import pytest
from tests.factories import git_repositories
from tests.factories.git_repositories import StockRepository

from cairn.git.binary_changes import read_binary_changes
from cairn.git.history import Objects
from cairn.git.runner import GitRunner
from cairn.git.types import ZERO_OID


@pytest.fixture
def runner(tmp_path: Path) -> GitRunner:
    return GitRunner(home=tmp_path / "home")


@pytest.fixture
def stock(tmp_path: Path) -> StockRepository:
    return git_repositories.init(tmp_path / "r")


async def test_binary_files_are_found_with_their_blobs(runner: GitRunner, stock: StockRepository) -> None:
    odd = "a\tb " + "1" * 40
    first = stock.commit({"x": b"\0one", "text": "1\n", "1" * 40: b"\0"}, "One")
    second = stock.commit({"x": b"\0two", odd: b"\0odd", "text": "2\n"}, "Two")
    third = stock.commit({"x": None, "text": "3\n"}, "Three")
    text = stock.commit({"text": "4\n"}, "Text")
    nothing = stock.commit({}, "Nothing")
    found = await read_binary_changes(runner, Objects(stock.git_dir), [first, second, third, text, nothing])
    one, two = stock.oid(f"{first}:x"), stock.oid(f"{second}:x")
    assert found[first] == {b"x": (ZERO_OID, one), b"1" * 40: (ZERO_OID, stock.oid(f"{first}:{'1' * 40}"))}
    assert found[second] == {b"x": (one, two), odd.encode(): (ZERO_OID, stock.oid(f"{second}:{odd}"))}
    assert found[third] == {b"x": (two, ZERO_OID)}
    assert found[text] == {}
    assert found.get(nothing, {}) == {}
    assert await read_binary_changes(runner, Objects(stock.git_dir), []) == {}
