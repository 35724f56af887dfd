import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.factories import git_repositories
from tests.factories.git_repositories import StockRepository

from cairn.git.diff import (
    Compared,
    Diff,
    DiffBounds,
    DiffTooLarge,
    FileDiff,
    FileStatus,
    Line,
    LineKind,
    PatchReader,
    diff_of,
    list_changes,
    parse_changes,
    read_hunks,
)
from cairn.git.history import Objects
from cairn.git.runner import GitLimits, GitRunner
from cairn.git.types import Oid


@pytest.fixture
def runner(tmp_path: Path) -> GitRunner:
    return GitRunner(home=tmp_path / "home")


@pytest.fixture
def repository(tmp_path: Path) -> StockRepository:
    return git_repositories.init(tmp_path / "r")


TRICKY = [b"a", b"b", b"", b"--- a/x", b"+++ b/x", b"diff --git a/x b/x", b"@@ -1 +1 @@", b"\\ No newline", b"-", b"+ "]
CONTENT = st.tuples(st.lists(st.sampled_from(TRICKY), max_size=25), st.booleans()).map(
    lambda made: b"\n".join(made[0]) + (b"\n" if made[1] else b"")
)


async def read_diff(
    runner: GitRunner,
    objects: Objects,
    *,
    old: Oid | None,
    new: Oid,
    skip_files: int = 0,
    bounds: DiffBounds | None = None,
    ignore_whitespace: bool = False,
) -> Diff:
    """Return a slice of a diff with its lines."""
    compared, bounds = Compared(old=old, new=new, ignore_whitespace=ignore_whitespace), bounds or DiffBounds()
    files = parse_changes(await list_changes(runner, objects, compared))
    shown = files[skip_files : skip_files + bounds.files]
    return diff_of(files, await read_hunks(runner, objects, compared, shown, bounds))


def apply(old: bytes, file: FileDiff) -> bytes:
    """Rebuild the new content from the old one and the hunks."""
    source = old.split(b"\n")
    if source[-1] == b"":
        source.pop()
    made: list[bytes] = []
    taken = 0
    ends_open = bool(old) and not old.endswith(b"\n")
    for hunk in file.hunks:
        upto = hunk.old_start - (1 if hunk.old_count else 0)
        made += source[taken:upto]
        taken = upto
        for line in hunk.lines:
            if line.kind is not LineKind.ADDED:
                assert source[taken] == line.content
                taken += 1
                assert line.old_number == taken
            if line.kind is not LineKind.REMOVED:
                made.append(line.content)
                assert line.new_number == len(made)
                ends_open = line.ends_without_newline
    if source[taken:]:
        made += source[taken:]
        ends_open = not old.endswith(b"\n")
    return b"\n".join(made) + (b"" if ends_open or not made else b"\n")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(CONTENT, CONTENT), min_size=1, max_size=4))
async def test_hunks_rebuild_the_new_file_whatever_it_holds(pairs: Sequence[tuple[bytes, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        repository = git_repositories.init(Path(folder) / "r")
        runner = GitRunner(home=Path(folder) / "home")
        old = repository.commit({f"f{number}": before for number, (before, _) in enumerate(pairs)})
        new = repository.commit({f"f{number}": after for number, (_, after) in enumerate(pairs)})
        diff = await read_diff(runner, Objects(repository.git_dir), old=old, new=new)
        changed = {f"f{number}".encode(): pair for number, pair in enumerate(pairs) if pair[0] != pair[1]}
        assert {file.path for file in diff.files} == set(changed)
        assert not diff.is_truncated
        for file in diff.files:
            before, after = changed[file.path]
            assert apply(before, file) == after
            added = sum(line.kind is LineKind.ADDED for hunk in file.hunks for line in hunk.lines)
            assert file.additions == added


async def test_every_kind_of_change_is_told_apart(runner: GitRunner, repository: StockRepository) -> None:
    text = "".join(f"line {number}\n" for number in range(50))
    repository.commit(
        {"gone": "x\n", "mode": "m\n", "old name": text, "to link": "target", "bin": b"\0\1" * 100, "same": "s"}
    )
    old = repository.oid("HEAD")
    (repository.path / "mode").chmod(0o755)
    (repository.path / "old name").rename(repository.path / "new\nname\t\xff")
    (repository.path / "new\nname\t\xff").write_text(text + "more\n")
    (repository.path / "to link").unlink()
    (repository.path / "to link").symlink_to("same")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    (repository.path / "module").mkdir()
    new = repository.commit({"gone": None, "added": "a\nb\n", "bin": b"\0\2" * 100, "empty": b""})
    diff = await read_diff(runner, Objects(repository.git_dir), old=old, new=new)
    files = {file.path: file for file in diff.files}
    assert {path: file.status.value for path, file in files.items()} == {
        b"added": "A", b"bin": "M", b"empty": "A", b"gone": "D", b"mode": "M", b"module": "A",
        "new\nname\t\xff".encode(): "R", b"to link": "T",
    }  # fmt: skip
    assert (files[b"mode"].old_mode, files[b"mode"].new_mode, files[b"mode"].hunks) == (0o100644, 0o100755, ())
    assert files[b"bin"].is_binary
    assert files[b"bin"].hunks == ()
    moved = files["new\nname\t\xff".encode()]
    assert (moved.old_path, moved.additions, moved.deletions) == (b"old name", 1, 0)
    assert moved.similarity_percent is not None
    assert [line.content for line in moved.hunks[0].lines][-1] == b"more"
    assert [line.content for hunk in files[b"to link"].hunks for line in hunk.lines] == [b"target", b"same"]
    assert files[b"gone"].new_oid is None
    assert files[b"module"].new_mode == 0o160000
    assert (diff.total_files, diff.is_truncated) == (8, False)


async def test_a_first_commit_is_compared_with_nothing(runner: GitRunner, repository: StockRepository) -> None:
    new = repository.commit({"a": "1\n2\n", "d/b": "3\n"})
    diff = await read_diff(runner, Objects(repository.git_dir), old=None, new=new)
    assert [(file.path, file.status, file.additions) for file in diff.files] == [
        (b"a", FileStatus.ADDED, 2),
        (b"d/b", FileStatus.ADDED, 1),
    ]


async def test_pages_of_files_join_to_the_whole(runner: GitRunner, repository: StockRepository) -> None:
    old = repository.commit({f"f{number}": f"{number}\n" * 20 for number in range(10)})
    for number in range(3):
        (repository.path / f"f{number}").rename(repository.path / f"g{number}")
    new = repository.commit({f"f{number}": f"{number}\n" * 21 for number in range(3, 10)})
    where = Objects(repository.git_dir)
    whole = await read_diff(runner, where, old=old, new=new)
    pages = [
        await read_diff(runner, where, old=old, new=new, skip_files=skip, bounds=DiffBounds(files=4))
        for skip in (0, 4, 8, 12)
    ]
    assert tuple(file for page in pages for file in page.files) == whole.files
    assert all(page.is_truncated and page.total_additions == whole.total_additions for page in pages)


@pytest.mark.parametrize(
    "bounds", [DiffBounds(lines=15), DiffBounds(lines_of_file=5), DiffBounds(patch_bytes=300), DiffBounds(files=1)]
)
async def test_what_a_bound_leaves_out_is_flagged(
    runner: GitRunner, repository: StockRepository, bounds: DiffBounds
) -> None:
    old = repository.commit({})
    new = repository.commit({name: f"{name}\n" * 10 for name in ("a", "b", "c")})
    diff = await read_diff(runner, Objects(repository.git_dir), old=old, new=new, bounds=bounds)
    assert diff.is_truncated
    assert (diff.total_files, diff.total_additions) == (3, 30)
    assert len(diff.files) <= bounds.files
    lines = [sum(len(hunk.lines) for hunk in file.hunks) for file in diff.files]
    assert sum(lines) <= bounds.lines
    for file, count in zip(diff.files, lines, strict=True):
        assert count <= bounds.lines_of_file
        assert file.is_truncated == (count < 10)


async def test_a_file_is_read_in_pieces_that_join_to_the_whole(runner: GitRunner, repository: StockRepository) -> None:
    old = repository.commit({"a": "".join(f"{number}\n" for number in range(100))})
    new = repository.commit({"a": "".join(f"{number if number % 7 else 'x'}\n" for number in range(100))})
    where, compared = Objects(repository.git_dir), Compared(old=old, new=new)
    files = parse_changes(await list_changes(runner, where, compared))
    whole = (await read_hunks(runner, where, compared, files, DiffBounds()))[0]
    lines = [line for hunk in whole.hunks for line in hunk.lines]
    joined: list[Line] = []
    is_truncated = True
    while is_truncated:
        bounds = DiffBounds(lines_of_file=13, skip_lines=len(joined))
        piece = (await read_hunks(runner, where, compared, files, bounds))[0]
        joined += [line for hunk in piece.hunks for line in hunk.lines]
        is_truncated = piece.is_truncated
        for hunk in piece.hunks:
            assert hunk.old_count == sum(line.kind is not LineKind.ADDED for line in hunk.lines)
            assert hunk.new_start == next(line.new_number for line in hunk.lines if line.new_number is not None)
    assert joined == lines


async def test_of_a_long_line_its_beginning_is_kept_and_the_rest_counted(
    runner: GitRunner, repository: StockRepository
) -> None:
    old = repository.commit({"a": "short\n"})
    new = repository.commit({"a": "x" * 3_000_000 + "\nshort\n" + "y" * 500})
    where, compared = Objects(repository.git_dir), Compared(old=old, new=new)
    files = parse_changes(await list_changes(runner, where, compared))
    bounds = DiffBounds(line_bytes=100)
    (file,) = await read_hunks(runner, where, compared, files, bounds)
    lines = [line for hunk in file.hunks for line in hunk.lines]
    assert [(len(line.content), line.cut_bytes) for line in lines] == [(100, 2_999_900), (5, 0), (100, 400)]
    assert [line.ends_without_newline for line in lines] == [False, False, True]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1), st.sampled_from([None, 3]))
def test_a_patch_reads_the_same_however_it_is_cut_into_pieces(sizes: list[int], line_bytes: int | None) -> None:
    patch = (
        b"diff --git a/a b/a\nindex %b..%b 100644\n--- a/a\n+++ b/a\n"
        b"@@ -1,2 +1,2 @@ def f()\n-x long line\n+-- not a header\n \xc3\xa4 z\n\\ No newline at end of file\n"
    ) % (b"1" * 40, b"2" * 40)
    whole, pieces = PatchReader(DiffBounds(line_bytes=line_bytes)), PatchReader(DiffBounds(line_bytes=line_bytes))
    whole.feed(patch)
    at = 0
    for size in itertools.cycle(sizes):
        pieces.feed(patch[at : at + size])
        at += size
        if at >= len(patch):
            break
    whole.end()
    pieces.end()
    assert [section.hunks for section in pieces.sections] == [section.hunks for section in whole.sections]
    assert whole.sections[0].hunks[0].lines[-1].ends_without_newline


async def test_a_page_of_files_sees_the_renames_that_the_whole_list_saw(
    runner: GitRunner, repository: StockRepository
) -> None:
    """Of thousands of files git finds exact renames only; a page of a few must not find others."""
    text = "".join(f"line {number}\n" for number in range(40))
    old = repository.commit({"a": text, "b": text.replace("7", "seven"), "keep": "k\n"})
    for name in ("a", "b"):
        (repository.path / name).rename(repository.path / f"new {name}")
    (repository.path / "new b").write_text(text.replace("7", "seven") + "more\n")
    new = repository.commit({})
    where, compared = Objects(repository.git_dir), Compared(old=old, new=new)
    listed = parse_changes(await list_changes(runner, where, compared))
    assert [file.status for file in listed] == [FileStatus.RENAMED, FileStatus.RENAMED]
    # As if the list had seen the second as deleted and added.
    moved = listed[1]
    apart = [
        replace(moved, status=FileStatus.DELETED, new_path=None, new_oid=None, new_mode=None, similarity_percent=None),
        replace(moved, status=FileStatus.ADDED, old_path=None, old_oid=None, old_mode=None, similarity_percent=None),
    ]
    found = await read_hunks(runner, where, compared, [listed[0], *apart], DiffBounds())
    assert [file.is_truncated for file in found] == [False, False, False]
    assert [sum(len(hunk.lines) for hunk in file.hunks) for file in found] == [0, 40, 41]


async def test_ignored_white_space_leaves_files_without_hunks(runner: GitRunner, repository: StockRepository) -> None:
    old = repository.commit({"a": "x y\n", "b": "1\n", "c": "p q\n"})
    new = repository.commit({"a": "x  y\n", "b": "2\n", "c": "p   q\n"})
    diff = await read_diff(runner, Objects(repository.git_dir), old=old, new=new, ignore_whitespace=True)
    assert [(file.path, len(file.hunks), file.is_truncated) for file in diff.files] == [
        (b"a", 0, False),
        (b"b", 1, False),
        (b"c", 0, False),
    ]


async def test_more_files_than_can_be_listed_are_refused_by_name(
    runner: GitRunner, repository: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: folders that hold the same folder ten times, eight deep, are a hundred million files in nine objects."""
    oid, mode = repository.git("hash-object", "-w", "--stdin", stdin=b"x").strip(), b"100644 blob"
    for _ in range(8):
        lines = b"".join(b"%b %b\tf%d\n" % (mode, oid, number) for number in range(10))
        oid, mode = repository.git("mktree", stdin=lines).strip(), b"040000 tree"
    monkeypatch.setattr("cairn.git.diff.DIFF_LIMITS", GitLimits(memory_bytes=64 << 20, cpu_seconds=30))
    with pytest.raises(DiffTooLarge, match="more files than can be compared"):
        await read_diff(runner, Objects(repository.objects.parent), old=None, new=Oid(oid.decode()))
