"""Two versions of a series, compared; stock git's own range-diff is the judge of what is paired."""

from pathlib import Path

import pytest
from tests.factories import git_repositories
from tests.factories.git_repositories import StockRepository

from cairn.git import range_diff
from cairn.git.history import Objects
from cairn.git.range_diff import Pair, PairStatus, Part, PatchLine, Series, SeriesTooLong, Side, compare_series
from cairn.git.runner import GitRunner
from cairn.git.types import Oid

LINES = b"".join(b"line %d\n" % number for number in range(12))


@pytest.fixture
def runner(tmp_path: Path) -> GitRunner:
    return GitRunner(home=tmp_path / "home")


@pytest.fixture
def stock(tmp_path: Path) -> StockRepository:
    """``old`` and ``new`` are two versions of a series from ``main``."""
    made = git_repositories.init(tmp_path / "r")
    made.commit({"f": LINES, "g": "x\n"}, "Begin")
    made.git("checkout", "-q", "-b", "old")
    made.commit({"f": LINES.replace(b"line 2\n", b"two\n")}, "Say two\n\nBecause it is shorter.")
    made.commit({"g": "x\ny\n"}, "Add y")
    made.commit({"gone": "gone\n"}, "Left out later")
    made.git("checkout", "-q", "-b", "new", "main")
    made.commit({"g": "x\ny\n"}, "Add y")
    made.commit({"f": LINES.replace(b"line 2\n", b"TWO\n")}, "Say two\n\nBecause it is louder.")
    made.commit({"h": b"\0\1", "odd - name: x": "1\n"}, "Begin with 1:  1234567 = 1:  1234567 too")
    return made


def series(stock: StockRepository, tip: str, base: str = "main") -> Series:
    return Series(stock.oid(base), stock.oid(tip))


def objects(stock: StockRepository) -> Objects:
    return Objects(stock.git_dir)


async def test_each_commit_is_paired_with_what_it_became(runner: GitRunner, stock: StockRepository) -> None:
    found = await compare_series(runner, objects(stock), series(stock, "old"), series(stock, "new"))
    told = [(pair.status, pair.old_oid, pair.new_oid) for pair in found.pairs]
    assert set(told) == {
        (PairStatus.EQUAL, stock.oid("old~1"), stock.oid("new~2")),
        (PairStatus.CHANGED, stock.oid("old~2"), stock.oid("new~1")),
        (PairStatus.DROPPED, stock.oid("old"), None),
        (PairStatus.ADDED, None, stock.oid("new")),
    }
    stocks = stock.git("range-diff", "--no-color", "-s", "main..old", "main..new").decode().splitlines()
    assert {tuple(line.split()[2:4]) for line in stocks} == {
        (pair.status.value, f"{pair.new_number or '-'}:") for pair in found.pairs
    }
    assert {pair.subject.decode() for pair in found.pairs} == {line.split(maxsplit=5)[5] for line in stocks}
    assert not found.is_equal
    assert [found.count(status) for status in PairStatus] == [1, 1, 1, 1]


async def test_the_changed_pair_has_its_message_and_its_patch(runner: GitRunner, stock: StockRepository) -> None:
    found = await compare_series(runner, objects(stock), series(stock, "old"), series(stock, "new"))
    [pair] = [pair for pair in found.pairs if pair.status is PairStatus.CHANGED]
    told = [(line.side, line.part, line.content) for line in pair.lines]
    assert (Side.OLD, Part.TEXT, b"Because it is shorter.") in told
    assert (Side.NEW, Part.TEXT, b"Because it is louder.") in told
    assert (Side.BOTH, Part.HEADING, b"f") in told
    assert (Side.BOTH, Part.REMOVED, b"line 2") in told
    assert (Side.OLD, Part.ADDED, b"two") in told
    assert (Side.NEW, Part.ADDED, b"TWO") in told
    assert told[0] == (Side.GAP, Part.HUNK, b"Metadata")
    assert not pair.is_truncated


async def test_the_same_series_on_another_base_is_equal(runner: GitRunner, stock: StockRepository) -> None:
    stock.git("checkout", "-q", "main")
    stock.commit({"unrelated": "1\n"}, "Go on")
    stock.git("checkout", "-q", "-b", "rebased", "old")
    stock.git("rebase", "-q", "main")
    found = await compare_series(runner, objects(stock), series(stock, "old", "old~3"), series(stock, "rebased"))
    assert found.is_equal
    assert [pair.old_number for pair in found.pairs] == [1, 2, 3]
    assert all(pair.lines == [] for pair in found.pairs)


async def test_another_order_or_a_merge_is_not_equal(runner: GitRunner, stock: StockRepository) -> None:
    both = series(stock, "new", "new~2")
    stock.git("checkout", "-q", "-b", "swapped", "new~2")
    stock.git("cherry-pick", "new", "new~1")
    swapped = await compare_series(runner, objects(stock), both, series(stock, "swapped", "new~2"))
    assert {pair.status for pair in swapped.pairs} == {PairStatus.EQUAL}
    assert not swapped.is_equal
    stock.git("merge", "-q", "-X", "ours", "-m", "Merge", "old")
    merged = await compare_series(runner, objects(stock), both, Series(both.base, stock.oid("swapped")))
    assert (merged.old_merges, merged.new_merges) == (0, 1)
    assert not merged.is_equal


async def test_a_changed_mode_and_a_changed_author_are_told(runner: GitRunner, stock: StockRepository) -> None:
    stock.git("checkout", "-q", "-b", "other", "old~2")
    (stock.path / "f").chmod(0o755)
    stock.git("commit", "-q", "-a", "--amend", "--no-edit", "--author", "Bob <bob@example.org>")
    found = await compare_series(runner, objects(stock), series(stock, "old~2"), series(stock, "other"))
    [pair] = found.pairs
    assert pair.status is PairStatus.CHANGED
    assert PatchLine(Side.NEW, Part.TEXT, b"Author: Bob <bob@example.org>") in pair.lines
    assert PatchLine(Side.OLD, Part.TEXT, b"Author: Ada <ada@example.org>") in pair.lines
    assert PatchLine(Side.NEW, Part.HEADING, b"f (mode change 100644 => 100755)") in pair.lines


async def test_another_binary_file_or_white_space_is_not_equal(runner: GitRunner, tmp_path: Path) -> None:
    """The attack: a version that was approved is replaced by one that git's patches as text take for the same."""
    stock = git_repositories.init(tmp_path / "binary")
    stock.commit({"f": "x\n"}, "Begin")
    for name, picture, space in (("old", b"\0old", ""), ("new", b"\0new", " "), ("same", b"\0old", "")):
        stock.git("checkout", "-q", "-B", name, "main")
        stock.commit({"p": picture}, "Add a picture")
        stock.commit({"f": f"x\ny{space}\n"}, "Add y")
    old, new, same = (series(stock, name) for name in ("old", "new", "same"))
    found = await compare_series(runner, objects(stock), old, new)
    assert [pair.status for pair in found.pairs] == [PairStatus.CHANGED, PairStatus.CHANGED]
    assert not found.is_equal
    blob = stock.oid("new:p")[:10]
    assert PatchLine(Side.NEW, Part.TEXT, f"Binary file, from 0000000000 to {blob}".encode()) in found.pairs[0].lines
    assert (await compare_series(runner, objects(stock), old, same)).is_equal


async def test_a_series_without_commits_is_all_added_or_all_dropped(runner: GitRunner, stock: StockRepository) -> None:
    nothing = Series(stock.oid("main"), stock.oid("main"))
    added = await compare_series(runner, objects(stock), nothing, series(stock, "new"))
    assert [pair.status for pair in added.pairs] == [PairStatus.ADDED] * 3
    dropped = await compare_series(runner, objects(stock), series(stock, "new"), nothing)
    assert [pair.status for pair in dropped.pairs] == [PairStatus.DROPPED] * 3
    assert (await compare_series(runner, objects(stock), nothing, nothing)).pairs == []


async def test_a_series_beyond_the_bound_is_refused_by_name(
    runner: GitRunner, stock: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(range_diff, "COMMITS_MAX", 2)
    short = series(stock, "old~1")
    with pytest.raises(SeriesTooLong, match="The new version has more than 2 commits"):
        await compare_series(runner, objects(stock), short, series(stock, "new"))
    with pytest.raises(SeriesTooLong, match="The old version"):
        await compare_series(runner, objects(stock), series(stock, "new"), short)


async def test_lines_beyond_the_bounds_are_left_out_and_told(
    runner: GitRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = git_repositories.init(tmp_path / "long")
    stock.commit({"f": "x\n"}, "Begin")
    for name in ("old", "new"):
        stock.git("checkout", "-q", "-B", name, "main")
        same = "".join(f"{number} same\n" for number in range(200))
        stock.commit({"f": same + f"{name} {'long ' * 1000}\n" + same + f"{name}\n"}, "One")
        stock.commit({"h": same + f"{name}\n"}, "Two")
    both = series(stock, "old"), series(stock, "new")
    whole = await compare_series(runner, objects(stock), *both)
    [long] = [line for line in whole.pairs[0].lines if line.content.startswith(b"old long")]
    assert (len(long.content), long.cut_bytes) == (2000, 3004)
    monkeypatch.setattr(range_diff, "LINES_OF_PAIR_MAX", 3)
    cut = await compare_series(runner, objects(stock), *both)
    assert [(len(pair.lines), pair.is_truncated) for pair in cut.pairs] == [(3, True), (3, True)]
    monkeypatch.setattr(range_diff, "LINES_MAX", 4)
    cut = await compare_series(runner, objects(stock), *both)
    assert [(len(pair.lines), pair.is_truncated) for pair in cut.pairs] == [(3, True), (1, True)]
    assert [pair.new_oid for pair in cut.pairs] == [stock.oid("new~1"), stock.oid("new")]


def test_what_is_kept_says_the_same_when_it_is_read_again() -> None:
    pair = Pair(PairStatus.CHANGED, 1, Oid("1" * 40), 2, Oid("2" * 40), b"\xff", [PatchLine(Side.NEW, Part.TEXT, b"x")])
    found = range_diff.RangeDiff([pair], 1, 0)
    assert range_diff._decode(range_diff._encode(found)) == found
