"""Changes as text: stock git takes them and makes the same trees of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.factories import git_repositories
from tests.factories.git_repositories import StockRepository, clone

from cairn.git import patches
from cairn.git.history import Objects
from cairn.git.patches import PatchTooLarge, diff_text, mail_text, series_text
from cairn.git.runner import GitRunner


@pytest.fixture
def runner(tmp_path: Path) -> GitRunner:
    return GitRunner(home=tmp_path / "home")


@pytest.fixture
def stock(tmp_path: Path) -> StockRepository:
    """``main`` with a beginning, then three commits of every kind of change, one of them with an odd message."""
    made = git_repositories.init(tmp_path / "r")
    made.commit({"a": "1\n2\n3\n", "old name": "same\n" * 9, "gone": "x\n"}, "Begin")
    made.git("tag", "begin")
    made.commit({"a": "1\ntwo\n3", "x.bin": bytes(range(256))}, "Zwei statt 2 für alle\n\nFrom here on.\n\n---\n\nOdd.")
    made.git("mv", "old name", "néw")
    (made.path / "a").chmod(0o755)
    made.commit({"gone": None}, "A very long subject " + "that goes on and on " * 6)
    made.commit({"x.bin": bytes(range(255, -1, -1)), "empty": ""}, "Third")
    return made


def objects(stock: StockRepository) -> Objects:
    return Objects(stock.git_dir)


async def whole(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


def start(stock: StockRepository, path: Path) -> StockRepository:
    made = clone(stock, path)
    made.git("checkout", "-q", "--detach", stock.oid("begin"))
    return made


async def test_a_series_makes_the_same_tree_and_messages(
    runner: GitRunner, stock: StockRepository, tmp_path: Path
) -> None:
    text = await whole(series_text(runner, objects(stock), base=stock.oid("begin"), tip=stock.oid("main")))
    other = start(stock, tmp_path / "other")
    other.git("am", "-q", "--keep-cr", stdin=text)
    assert other.oid("HEAD^{tree}") == stock.oid("main^{tree}")
    said = "--format=%an %ae %ad %s"
    assert other.git("log", said, "begin..HEAD") == stock.git("log", said, "begin..main")
    assert b"Subject: [PATCH 1/3] =?UTF-8?" in text


async def test_a_diff_makes_the_same_tree_binary_files_and_modes_too(
    runner: GitRunner, stock: StockRepository, tmp_path: Path
) -> None:
    text = await whole(diff_text(runner, objects(stock), old=stock.oid("begin"), new=stock.oid("main")))
    other = start(stock, tmp_path / "other")
    other.git("apply", "--index", stdin=text)
    assert other.git("write-tree").decode().strip() == stock.oid("main^{tree}")
    first = await whole(diff_text(runner, objects(stock), old=None, new=stock.oid("begin")))
    assert first.count(b"diff --git ") == 3


async def test_one_commit_is_one_mail_the_first_and_a_merge_too(
    runner: GitRunner, stock: StockRepository, tmp_path: Path
) -> None:
    stock.git("checkout", "-q", "-b", "side", "begin")
    stock.commit({"side": "1\n"}, "Side")
    stock.git("merge", "-q", "-m", "Merge main", "main")
    merge = await whole(mail_text(runner, objects(stock), stock.oid("side")))
    other = clone(stock, tmp_path / "other")
    other.git("checkout", "-q", "--detach", stock.oid("side~1"))
    other.git("am", "-q", "--keep-cr", stdin=merge)
    assert other.oid("HEAD^{tree}") == stock.oid("side^{tree}")
    first = await whole(mail_text(runner, objects(stock), stock.oid("begin")))
    assert first.startswith(b"From %s Mon Sep 17 00:00:00 2001\nFrom: Ada <" % stock.oid("begin").encode())
    assert b"Subject: [PATCH] Begin\n" in first
    bare = git_repositories.init(tmp_path / "new")
    bare.git("am", "-q", stdin=first)
    assert bare.oid("HEAD^{tree}") == stock.oid("begin^{tree}")


async def test_a_commit_that_changes_nothing_is_a_mail_without_a_patch(
    runner: GitRunner, stock: StockRepository
) -> None:
    oid = stock.commit({}, "Nothing")
    text = await whole(mail_text(runner, objects(stock), oid))
    assert b"Subject: [PATCH] Nothing" in text
    assert b"diff --git" not in text


async def test_what_is_beyond_the_bounds_is_refused_or_breaks_off(
    runner: GitRunner, stock: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = {"base": stock.oid("begin"), "tip": stock.oid("main")}
    monkeypatch.setattr(patches, "MAILS_MAX", 2)
    with pytest.raises(PatchTooLarge, match="At most 2 commits"):
        await whole(series_text(runner, objects(stock), **both))
    monkeypatch.setattr(patches, "PATCH_BYTES_MAX", 100)
    with pytest.raises(PatchTooLarge, match="more than the 100 bytes"):
        await whole(diff_text(runner, objects(stock), old=stock.oid("begin"), new=stock.oid("main")))
    assert runner.running == 0


async def test_a_reader_who_leaves_ends_the_child(runner: GitRunner, stock: StockRepository) -> None:
    chunks = series_text(runner, objects(stock), base=stock.oid("begin"), tip=stock.oid("main"))
    assert await anext(chunks)
    assert runner.running == 1
    await chunks.aclose()
    assert runner.running == 0
