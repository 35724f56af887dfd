from pathlib import Path

import pytest
from tests.factories import git_repositories
from tests.factories.git_repositories import StockRepository

from cairn.git.history import Objects
from cairn.git.runner import GitFailed, GitRunner
from cairn.git.tree_listing import list_tree
from cairn.git.types import ObjectKind, Oid


@pytest.fixture
def runner(tmp_path: Path) -> GitRunner:
    return GitRunner(home=tmp_path / "home")


@pytest.fixture
def repository(tmp_path: Path) -> StockRepository:
    return git_repositories.init(tmp_path / "r")


async def test_a_listing_has_sizes_modes_and_kinds_as_git_has_them(
    runner: GitRunner, repository: StockRepository
) -> None:
    commit = repository.commit({"a\tb \u00e9": "12345", "src/x": "1", "src/deep/y": ""})
    link = repository.git("hash-object", "-w", "--stdin", stdin=b"src/x").decode().strip()
    repository.git("update-index", "--add", "--cacheinfo", f"120000,{link},link")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},module")
    tree = Oid(repository.git("write-tree").decode().strip())
    objects = Objects(repository.git_dir)
    listed = await list_tree(runner, objects, tree)
    assert not listed.is_truncated
    assert {entry.path: (entry.mode, entry.kind, entry.size_bytes) for entry in listed.entries} == {
        "a\tb \u00e9".encode(): (0o100644, ObjectKind.BLOB, 5),
        b"link": (0o120000, ObjectKind.BLOB, 5),
        b"module": (0o160000, ObjectKind.COMMIT, None),
        b"src": (0o040000, ObjectKind.TREE, None),
    }
    whole = await list_tree(runner, objects, tree, recursive=True)
    assert [entry.path for entry in whole.entries][3:] == [b"src", b"src/deep", b"src/deep/y", b"src/x"]
    assert whole.entries[5].size_bytes == 0


async def test_a_commit_lists_its_tree(runner: GitRunner, repository: StockRepository) -> None:
    commit = repository.commit({"a": "1"})
    listed = await list_tree(runner, Objects(repository.git_dir), commit)
    assert [entry.oid for entry in listed.entries] == [repository.oid("HEAD:a")]


async def test_a_listing_stops_at_its_bound_and_says_so(runner: GitRunner, repository: StockRepository) -> None:
    commit = repository.commit({f"{number:04}": "x" for number in range(50)})
    objects = Objects(repository.git_dir)
    cut = await list_tree(runner, objects, commit, max_entries=20)
    assert (len(cut.entries), cut.is_truncated, cut.entries[-1].path) == (20, True, b"0019")
    exact = await list_tree(runner, objects, commit, max_entries=50)
    assert (len(exact.entries), exact.is_truncated) == (50, False)


async def test_what_is_no_tree_is_not_listed(runner: GitRunner, repository: StockRepository) -> None:
    repository.commit({"a": "1"})
    with pytest.raises(GitFailed):
        await list_tree(runner, Objects(repository.git_dir), repository.oid("HEAD:a"))
