"""What a change brings, read from git: which commits are new, and what each of them changes itself."""

from pathlib import Path

import pytest
from tests.factories.git_repositories import StockRepository, init

from cairn.git.quarantine import Quarantine
from cairn.git.runner import GitRunner
from cairn.git.types import Oid
from cairn.repositories.rules import new_commits
from cairn.repositories.rules.new_commits import ChangedFile, TooMuchToExamine, changed_files, walk_new


@pytest.fixture
def runner(tmp_path: Path) -> GitRunner:
    return GitRunner(home=tmp_path / "home")


@pytest.fixture
def stock(tmp_path: Path) -> StockRepository:
    return init(tmp_path / "stock")


def place(stock: StockRepository) -> Quarantine:
    return Quarantine(stock.git_dir)


async def test_new_is_what_no_known_commit_reaches_and_each_tip_has_its_own(
    runner: GitRunner, stock: StockRepository
) -> None:
    root, second = stock.commit({"a": "1"}), stock.commit({"a": "2"})
    stock.git("checkout", "-qb", "side", root)
    side = stock.commit({"b": "1"})
    found = await walk_new(runner, place(stock), [second, side], [root])
    assert dict(found.parents) == {second: [root], side: [root]}
    assert found.reached_from(second) == [second]
    assert found.reached_from(side) == [side]
    assert found.reached_from(root) == []
    assert (await walk_new(runner, place(stock), [root], [second])).parents == {}
    blob = Oid(stock.git("rev-parse", f"{second}:a").decode().strip())
    assert (await walk_new(runner, place(stock), [blob], [])).parents == {}


async def test_changes_are_what_a_commit_adds_or_changes_itself(runner: GitRunner, stock: StockRepository) -> None:
    root = stock.commit({"a": "1", "dir/b\n:x": "2", "gone": "3"})
    stock.git("checkout", "-qb", "side")
    side = stock.commit({"side": "s"})
    stock.git("checkout", "-q", "-")
    second = stock.commit({"a": "changed", "gone": None})
    stock.git("merge", "-q", "--no-commit", "side")
    stock.write("evil", "e")
    stock.git("add", "-A")
    stock.git("commit", "-qm", "merge")
    merge = stock.oid("HEAD")
    stock.git("update-index", "--add", "--cacheinfo", f"160000,{root},module")
    stock.git("commit", "-qm", "module")
    module = stock.oid("HEAD")

    def blob(commit: Oid, path: str) -> Oid:
        return Oid(stock.git("rev-parse", f"{commit}:{path}").decode().strip())

    found = await changed_files(runner, place(stock), [module, merge, second, side, root])
    assert found == [
        ChangedFile(module, b"module", None),
        ChangedFile(merge, b"evil", blob(merge, "evil")),
        ChangedFile(second, b"a", blob(second, "a")),
        ChangedFile(side, b"side", blob(side, "side")),
        ChangedFile(root, b"a", blob(root, "a")),
        ChangedFile(root, b"dir/b\n:x", blob(root, "dir/b\n:x")),
        ChangedFile(root, b"gone", blob(root, "gone")),
    ]
    assert await changed_files(runner, place(stock), []) == []


async def test_more_than_the_bounds_is_refused(
    runner: GitRunner, stock: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock.commit({"a": "1"})
    tip = stock.commit({"a": "2", "b": "1"})
    monkeypatch.setattr(new_commits, "COMMITS_MAX", 1)
    monkeypatch.setattr(new_commits, "CHANGES_MAX", 1)
    with pytest.raises(TooMuchToExamine, match="more than 1 commits"):
        await walk_new(runner, place(stock), [tip], [])
    with pytest.raises(TooMuchToExamine, match="more than 1 files"):
        await changed_files(runner, place(stock), [tip])
