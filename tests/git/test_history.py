from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.factories import git_repositories
from tests.factories.git_repositories import StockRepository

from cairn.git.commands import GitCommand
from cairn.git.history import (
    Objects,
    count_ahead_behind,
    count_commits,
    find_unreachable,
    is_ancestor,
    merge_bases,
    read_log,
)
from cairn.git.reading import ObjectReader
from cairn.git.runner import GitFailed, GitRunner
from cairn.git.types import Oid

ABSENT = Oid("1" * 40)


@pytest.fixture
def runner(tmp_path: Path) -> GitRunner:
    return GitRunner(home=tmp_path / "home")


@pytest.fixture
def repository(tmp_path: Path) -> StockRepository:
    return git_repositories.init(tmp_path / "r")


def objects(repository: StockRepository) -> Objects:
    return Objects(repository.git_dir)


def stock_log(repository: StockRepository, *arguments: str) -> Sequence[str]:
    return repository.git("log", "--format=%H", *arguments).decode().split()


async def test_log_pages_join_to_what_stock_git_lists(runner: GitRunner, repository: StockRepository) -> None:
    for number in range(7):
        repository.commit({f"f{number % 2}": str(number)}, f"change {number}\n\nbody\n\x1e record \n")
    tip = repository.oid("HEAD")
    pages = [await read_log(runner, objects(repository), [tip], skip=skip, max_count=3) for skip in (0, 3, 6, 9)]
    assert [commit.oid for page in pages for commit in page] == stock_log(repository)
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert pages[0] == [await ObjectReader(repository.git_dir).read_commit(commit.oid) for commit in pages[0]]
    assert pages[0][0].author.at.utcoffset() == timedelta(hours=1)
    assert await read_log(runner, objects(repository), []) == []


async def test_log_of_a_path_is_literal(runner: GitRunner, repository: StockRepository) -> None:
    """Attack: a path with magic (":(top)*", "*") would list other files; one with a dash would be an option."""
    for name in ("a", "*", "-p", ":(top)a", "d/x"):
        repository.commit({name: name}, name)
    tip = repository.oid("HEAD")
    for path in (b"a", b"*", b"-p", b":(top)a", b"d", b"--all"):
        page = await read_log(runner, objects(repository), [tip], path=path)
        assert [commit.subject for commit in page] == ([path.decode().replace("d", "d/x")] if path != b"--all" else [])
        assert await count_commits(runner, objects(repository), [tip], path=path) == len(page)


async def test_ranges_counts_and_ancestry(runner: GitRunner, repository: StockRepository) -> None:
    base = repository.commit({"a": "1"})
    left = repository.commit({"a": "2"})
    repository.git("checkout", "-q", "-b", "other", base)
    repository.commit({"b": "1"})
    right = repository.commit({"b": "2"})
    where = objects(repository)
    assert await count_commits(runner, where, [left, right]) == 4
    assert await count_commits(runner, where, [left, right], max_count=2) == 2
    assert await count_commits(runner, where, []) == 0
    assert await count_ahead_behind(runner, where, head=right, base=left) == (2, 1)
    assert [commit.oid for commit in await read_log(runner, where, [right], without=[left])] == stock_log(
        repository, f"{left}..{right}"
    )
    assert await merge_bases(runner, where, left, right) == [base]
    assert await is_ancestor(runner, where, ancestor=base, descendant=right)
    assert not await is_ancestor(runner, where, ancestor=left, descendant=right)
    assert await is_ancestor(runner, where, ancestor=left, descendant=left)


async def test_unrelated_histories_have_no_merge_base(runner: GitRunner, repository: StockRepository) -> None:
    one = repository.commit({"a": "1"})
    repository.git("checkout", "-q", "--orphan", "other")
    assert await merge_bases(runner, objects(repository), one, repository.commit({"a": "2"})) == []


async def test_an_absent_commit_is_a_failure_not_an_answer(runner: GitRunner, repository: StockRepository) -> None:
    tip = repository.commit({"a": "1"})
    with pytest.raises(GitFailed):
        await is_ancestor(runner, objects(repository), ancestor=ABSENT, descendant=tip)


async def test_names_and_messages_that_are_no_utf8_are_shown_replaced(
    runner: GitRunner, repository: StockRepository
) -> None:
    tree = repository.git("write-tree").decode().strip()
    raw = b"tree %b\nauthor \xff <a@b> x +0000\ncommitter C <c> 1 -0130\n\nm\xff\n" % tree.encode()
    tip = Oid(repository.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=raw).decode().strip())
    (commit,) = await read_log(runner, objects(repository), [tip])
    assert (commit.author.name, commit.author.at.timestamp(), commit.message) == ("\ufffd", 0, "m\ufffd\n")
    assert commit.committer.at.utcoffset() == timedelta(hours=-1, minutes=-30)


async def test_reachability_of_every_kind_of_object(
    runner: GitRunner, repository: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = repository.commit({"old": "old"})
    repository.commit({"old": None, "new": "new"})
    repository.git("tag", "-am", "t", "t")
    tag, tip = repository.oid("refs/tags/t"), repository.oid("HEAD")
    secret = repository.commit({"secret": "secret"})
    inside = [first, tip, tag] + [repository.oid(name) for name in ("t^{tree}", "t:new", f"{first}:old")]
    outside = [secret, repository.oid(f"{secret}:secret"), repository.oid(f"{secret}^{{tree}}"), ABSENT]
    found = await find_unreachable(runner, objects(repository), [*inside, *outside], roots=[tag])
    assert found == set(outside)
    assert await find_unreachable(runner, objects(repository), [tip], roots=[]) == {tip}

    started: list[str] = []
    original = GitCommand.arguments

    def arguments(command: GitCommand) -> list[bytes]:
        started.append(command.name)
        return original(command)

    monkeypatch.setattr(GitCommand, "arguments", arguments)
    assert await find_unreachable(runner, objects(repository), [tip, tag], roots=[tag, tip]) == set()
    assert started == []
    assert await find_unreachable(runner, objects(repository), [inside[4]], roots=[tip]) == set()
    assert len(started) == 1


async def test_a_log_is_cut_at_two_moments(runner: GitRunner, repository: StockRepository) -> None:
    dates = {number: f"{1_700_000_000 + number * 100} +0200" for number in range(4)}
    made = {}
    for number, date in dates.items():
        repository.write("a", str(number))
        repository.git("add", "-A")
        repository.git("commit", "-q", "-m", "change", env={"GIT_COMMITTER_DATE": date})
        made[number] = repository.oid("HEAD")
    since, until = (datetime.fromtimestamp(1_700_000_000 + number * 100, UTC) for number in (1, 2))
    found = await read_log(runner, objects(repository), [made[3]], since=since, until=until)
    assert [commit.oid for commit in found] == [made[2], made[1]]
    early = datetime.fromtimestamp(-5, UTC)
    assert len(await read_log(runner, objects(repository), [made[3]], since=early)) == 4
    assert await read_log(runner, objects(repository), [made[3]], until=early) == []
