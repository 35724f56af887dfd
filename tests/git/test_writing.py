import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.factories.git_repositories import StockRepository

from cairn.git.quarantine import PackRefused, Quarantine, open_quarantine, pack_new_objects
from cairn.git.reading import ObjectReader
from cairn.git.runner import GitRunner
from cairn.git.types import ObjectKind, Oid, Signature
from cairn.git.writing import (
    EXECUTABLE_MODE,
    LINK_MODE,
    Changes,
    File,
    PathInvalid,
    SignatureInvalid,
    check_path,
    commit_files,
    format_signature,
    write_blob,
    write_commit,
    write_tag,
    write_tree,
)

ADA = Signature("Ada", "ada@example.org", datetime.fromtimestamp(1700000000, timezone(timedelta(hours=5, minutes=30))))


@pytest.fixture
async def quarantine(tmp_path: Path) -> AsyncIterator[Quarantine]:
    async with open_quarantine(tmp_path / "q") as made:
        yield made


def stock(quarantine: Quarantine) -> StockRepository:
    return StockRepository(quarantine.path)


async def test_a_commit_from_nothing_is_what_stock_git_would_read(quarantine: Quarantine) -> None:
    changes: Changes = {
        b"d/e": File(b"x"),
        b"d.x": File(b"y", EXECUTABLE_MODE),
        b"bad\xff": File(b"d/e", LINK_MODE),
    }
    tip = await commit_files(
        quarantine, parents=[], changes=changes, author=ADA, committer=ADA, message="Añadir\r\n\r\nbody\n\n"
    )
    git = stock(quarantine)
    git.git("fsck", "--strict", "--no-dangling", str(tip))
    shown = git.git("ls-tree", "-r", "-z", tip).split(b"\0")
    assert [line.split(b"\t")[1] for line in shown if line] == [b"bad\xff", b"d.x", b"d/e"]
    assert [line[:6] for line in shown if line] == [b"120000", b"100755", b"100644"]
    assert git.git("log", "-1", "--format=%an <%ae> %ad|%B", "--date=raw", tip).decode() == (
        "Ada <ada@example.org> 1700000000 +0530|Añadir\n\nbody\n\n"
    )
    child = await commit_files(
        quarantine, parents=[tip], changes={b"d/e": None}, author=ADA, committer=ADA, message="m"
    )
    assert git.git("ls-tree", "-r", "--name-only", "-z", child).split(b"\0")[:-1] == [b"bad\xff", b"d.x"]
    assert git.oid(f"{child}^") == tip


NAMES = st.sampled_from([b"a", b"b", b"a.b", b"a-b", b"c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
CHANGES = st.dictionaries(PATHS, st.none() | st.binary(max_size=3).map(File), max_size=6)


@settings(max_examples=40, deadline=None)
@given(CHANGES, CHANGES)
async def test_changed_trees_equal_those_of_stock_git(first: Changes, second: Changes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with open_quarantine(Path(folder)) as quarantine:
            git, files, tree = stock(quarantine), dict[bytes, File](), None
            for changes in (first, second):
                try:
                    tree = await write_tree(quarantine, tree, changes)
                except PathInvalid:
                    continue
                for path in (path for path, file in changes.items() if file is None):
                    files = {p: f for p, f in files.items() if p != path and not p.startswith(path + b"/")}
                files |= {path: file for path, file in changes.items() if isinstance(file, File)}
                index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
                listing = b""
                for path, file in files.items():
                    blob = await write_blob(quarantine, file.content)
                    listing += b"%o %b\t%b\0" % (file.mode, blob.encode(), path)
                git.git("read-tree", "--empty", env=index)
                git.git("update-index", "-z", "--index-info", stdin=listing, env=index)
                assert git.git("write-tree", env=index).decode().strip() == tree


async def test_changes_that_clash_with_what_is_there_are_refused(quarantine: Quarantine) -> None:
    tree = await write_tree(quarantine, None, {b"file": File(b"x"), b"folder/in": File(b"y")})
    clashes: list[Changes] = [
        {b"folder": File(b"x")},
        {b"file/in": File(b"x")},
        {b"missing": None},
        {b"folder/missing": None},
        {b"new": File(b"x"), b"new/in": File(b"y")},
        {b"new/in": File(b"x"), b"new": File(b"y")},
    ]
    for changes in clashes:
        with pytest.raises(PathInvalid):
            await write_tree(quarantine, tree, changes)
    replaced = await write_tree(quarantine, tree, {b"folder": None, b"file": None})
    assert replaced == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    into_folder = await write_tree(quarantine, tree, {b"file": None, b"file/in": File(b"z")})
    assert stock(quarantine).git("ls-tree", "-r", "--name-only", into_folder).split() == [b"file/in", b"folder/in"]


@pytest.mark.parametrize(
    "path",
    [b"", b"/a", b"a/", b"a//b", b".", b"..", b"a/../b", b"a\0b", b".git", b".GIT/config", b"a/.git", b"git~1",
     b".git ", b".git.", b".git::$INDEX", ".g\u200cit".encode(), b"x" * 5000],
)  # fmt: skip
def test_paths_that_could_leave_the_tree_or_enter_git_are_refused(path: bytes) -> None:
    """Attack: a web edit writes ".git/config" or "../x" for whoever checks the commit out, on any file system."""
    with pytest.raises(PathInvalid):
        check_path(path)


@pytest.mark.parametrize("path", [b".gitignore", b".github/x", b"git", b"a/b", b"-x", b"..a", b"bad\xff", b"git~"])
def test_ordinary_paths_pass(path: bytes) -> None:
    check_path(path)


async def test_server_made_objects_pass_the_same_checks_as_pushed_ones(quarantine: Quarantine, tmp_path: Path) -> None:
    """Attack: a submodule URL that stock git refuses in a push is written by a web edit instead."""
    modules = b'[submodule "x"]\n\tpath = x\n\turl = --upload-pack=evil\n'
    tip = await commit_files(
        quarantine, parents=[], changes={b".gitmodules": File(modules)}, author=ADA, committer=ADA, message="m"
    )
    with pytest.raises(PackRefused, match="gitmodulesUrl"):
        await pack_new_objects(GitRunner(home=tmp_path / "home"), quarantine, tips=[tip], roots=[])


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_name_breaks_the_line_it_stands_in(name: str, email: str) -> None:
    """Attack: a name with a line end adds headers to the commit."""
    try:
        line = format_signature(Signature(name, email, datetime.fromtimestamp(5, UTC)))
    except SignatureInvalid:
        return
    assert line.count("<") == line.count(">") == 1
    assert "\n" not in line
    assert "\0" not in line
    assert line.endswith("> 5 +0000")


async def test_tags_are_written_with_their_target(quarantine: Quarantine) -> None:
    tree = await write_tree(quarantine, None, {b"a": File(b"x")})
    tip = await write_commit(quarantine, tree=tree, parents=[], author=ADA, committer=ADA, message="m\0\n")
    oid = await write_tag(quarantine, target=tip, kind=ObjectKind.COMMIT, name="v1", tagger=ADA, message="first")
    tag = await ObjectReader(quarantine.path).read_tag(oid)
    assert (tag.name, tag.target_oid, tag.message, tag.tagger) == (b"v1", tip, "first\n", ADA)
    stock(quarantine).git("fsck", "--strict", "--no-dangling", str(oid))


async def test_time_zones_west_and_odd_survive(quarantine: Quarantine) -> None:
    for minutes in (-570, -60, 0, 1, 345, 840):
        at = datetime.fromtimestamp(1700000000, timezone(timedelta(minutes=minutes)))
        signature = Signature("Ada", "a@b", at)
        tip = await write_commit(
            quarantine, tree=Oid("4b825dc642cb6eb9a060e54bf8d69288fbee4904"), parents=[], author=signature,
            committer=signature, message="m",
        )  # fmt: skip
        assert (await ObjectReader(quarantine.path).read_commit(tip)).author == signature
