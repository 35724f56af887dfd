import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.factories import git_repositories
from tests.factories.git_repositories import StockGitFailed, StockRepository

from cairn.git import merging
from cairn.git.merging import (
    Conflicted,
    HistoriesUnrelated,
    Merged,
    NothingToMerge,
    Rebased,
    RebaseTooLong,
    merge,
    rebase,
    squash,
)
from cairn.git.quarantine import open_quarantine, pack_new_objects
from cairn.git.runner import GitRunner
from cairn.git.types import Oid, Signature

BOT = Signature("Cairn", "cairn@example.org", datetime.fromtimestamp(1700000500, UTC))


class Scene:
    """A stock repository and the engine's side by side on the same commits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = git_repositories.init(folder / "r")
        self.runner = GitRunner(home=folder / "home")

    def branch(self, name: str, at: Oid) -> None:
        self.repository.git("checkout", "-q", "-B", name, at)

    async def merge(self, base: Oid, head: Oid) -> Merged | Conflicted:
        async with open_quarantine(self.folder / "q", alternates=[self.repository.objects]) as quarantine:
            result = await merge(
                self.runner, quarantine, base=base, head=head, author=BOT, committer=BOT, message="Merge"
            )
            if isinstance(result, Merged):
                assert await pack_new_objects(self.runner, quarantine, tips=[result.oid], roots=[base, head])
            return result

    async def squash(self, base: Oid, head: Oid) -> tuple[Merged | Conflicted, bytes]:
        """Return the result and, if clean, its parents."""
        async with open_quarantine(self.folder / "q", alternates=[self.repository.objects]) as quarantine:
            result = await squash(
                self.runner, quarantine, base=base, head=head, author=BOT, committer=BOT, message="Squash"
            )
            shown = b""
            if isinstance(result, Merged):
                shown = self.inside(quarantine.path, "log", "-1", "--format=%P", result.oid)
            return result, shown.strip()

    async def rebase(self, onto: Oid, head: Oid) -> tuple[Rebased | Conflicted, bytes]:
        """Return the result and, if clean, the replayed commits as the log shows them."""
        async with open_quarantine(self.folder / "q", alternates=[self.repository.objects]) as quarantine:
            result = await rebase(self.runner, quarantine, onto=onto, head=head, committer=BOT)
            shown = b""
            if isinstance(result, Rebased):
                shown = self.inside(quarantine.path, "log", LOG, f"{onto}..{result.oid}")
            return result, shown

    def inside(self, git_dir: Path, *arguments: str) -> bytes:
        environment = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self.repository.objects)}
        return StockRepository(git_dir).git(*arguments, env=environment)

    def stock_merge(self, base: Oid, head: Oid) -> Oid | None:
        """Return stock git's merged tree, None for a conflict."""
        self.branch("scratch", base)
        try:
            self.repository.git("merge", "-q", "--no-ff", "--no-edit", head)
        except StockGitFailed:
            self.repository.git("merge", "--abort")
            return None
        return self.repository.oid("HEAD^{tree}")

    def stock_squash(self, base: Oid, head: Oid) -> Oid | None:
        self.branch("scratch", base)
        try:
            self.repository.git("merge", "-q", "--squash", head)
        except StockGitFailed:
            self.repository.git("reset", "-q", "--hard", base)
            return None
        tree = Oid(self.repository.git("write-tree").decode().strip())
        self.repository.git("reset", "-q", "--hard", base)
        return tree

    def stock_rebase(self, onto: Oid, head: Oid) -> bytes | None:
        self.branch("scratch", head)
        try:
            self.repository.git("rebase", "-q", onto)
        except StockGitFailed:
            self.repository.git("rebase", "--abort")
            return None
        return self.repository.git("log", LOG, f"{onto}..HEAD")


LOG = "--format=%T|%an|%ae|%ad|%B"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def text(*changed: tuple[int, str]) -> str:
    lines = [f"line {number}" for number in range(12)]
    for number, line in changed:
        lines[number] = line
    return "\n".join(lines) + "\n"


# One step of a random history: what is done, to which file, with which variation.
STEP = st.tuples(
    st.sampled_from(["edit", "edit", "edit", "rename", "move folder", "mode", "delete", "add", "link"]),
    st.integers(0, 4),
    st.integers(0, 2),
)
BRANCH = st.lists(st.lists(STEP, min_size=0, max_size=3), min_size=1, max_size=3)


def play(repository: StockRepository, steps: Sequence[tuple[str, int, int]]) -> None:
    root = repository.path
    for action, which, variation in steps:
        files = sorted(path for path in root.rglob("*") if ".git" not in path.parts and not path.is_dir())
        if not files:
            return
        target = files[which % len(files)]
        if action == "edit" and not target.is_symlink():
            lines = target.read_text().splitlines()
            lines[min(variation * 5, len(lines) - 1)] = f"edited {which} {variation}"
            target.write_text("\n".join(lines) + "\n")
        elif action == "rename" and not (root / f"renamed{variation}").exists():
            target.rename(root / f"renamed{variation}")
        elif action == "move folder" and (root / "d").is_dir() and not (root / f"moved{variation}").exists():
            (root / "d").rename(root / f"moved{variation}")
        elif action == "mode" and not target.is_symlink():
            target.chmod(0o755 if variation else 0o644)
        elif action == "delete":
            target.unlink()
        elif action == "add":
            repository.write(f"d/added{variation}", f"added {which}\n" * 5)
        elif action == "link":
            target.unlink()
            target.symlink_to(f"elsewhere{variation}")


def grow(scene: Scene, name: str, start: Oid, branch: Sequence[Sequence[tuple[str, int, int]]]) -> Oid:
    scene.branch(name, start)
    for number, steps in enumerate(branch):
        play(scene.repository, steps)
        scene.repository.commit({}, f"{name} {number}\n\nbody", f"--date=17000{number}0000 +0200")
    return scene.repository.oid("HEAD")


@settings(max_examples=20, deadline=None)
@given(BRANCH, BRANCH)
async def test_merge_squash_and_rebase_give_what_stock_git_gives(
    ours: Sequence[Sequence[tuple[str, int, int]]], theirs: Sequence[Sequence[tuple[str, int, int]]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder))
        start = scene.repository.commit({name: f"{name}\n{text()}" for name in ("a", "b", "d/c", "d/e")})
        base, head = grow(scene, "ours", start, ours), grow(scene, "theirs", start, theirs)
        merged = await scene.merge(base, head)
        assert (merged.tree_oid if isinstance(merged, Merged) else None) == scene.stock_merge(base, head)
        squashed, parents = await scene.squash(base, head)
        assert (squashed.tree_oid if isinstance(squashed, Merged) else None) == scene.stock_squash(base, head)
        assert parents in {b"", base.encode()}
        rebased, shown = await scene.rebase(base, head)
        expected = scene.stock_rebase(base, head)
        assert (shown if isinstance(rebased, Rebased) else None) == expected


async def test_a_merge_has_both_parents_and_conflicts_name_their_paths(scene: Scene) -> None:
    start = scene.repository.commit({"a": text(), "b": text()})
    scene.branch("x", start)
    base = scene.repository.commit({"a": text((1, "ours")), "b": text((1, "ours"))})
    scene.branch("y", start)
    clean = scene.repository.commit({"a": text((9, "theirs"))})
    clash = scene.repository.commit({"a": text((1, "theirs")), "b": None})
    assert isinstance(await scene.merge(base, clean), Merged)
    assert await scene.merge(base, clash) == Conflicted((b"a", b"b"))


async def test_nothing_to_merge_and_unrelated_histories_are_said(scene: Scene) -> None:
    first = scene.repository.commit({"a": "1"})
    second = scene.repository.commit({"a": "2"})
    with pytest.raises(NothingToMerge):
        await scene.merge(second, first)
    scene.repository.git("checkout", "-q", "--orphan", "other")
    with pytest.raises(HistoriesUnrelated):
        await scene.merge(second, scene.repository.commit({"a": "3"}))


async def test_a_criss_cross_history_merges_over_several_bases(scene: Scene) -> None:
    start = scene.repository.commit({"a": text(), "b": text()})
    scene.branch("x", start)
    left = scene.repository.commit({"a": text((1, "left"))})
    scene.branch("y", start)
    right = scene.repository.commit({"a": text((9, "right"))})
    scene.repository.git("merge", "-q", "--no-edit", left)
    head = scene.repository.commit({"b": text((1, "y"))})
    scene.branch("x", left)
    scene.repository.git("merge", "-q", "--no-edit", right)
    base = scene.repository.commit({"b": text((9, "x"))})
    merged = await scene.merge(base, head)
    assert isinstance(merged, Merged)
    assert merged.tree_oid == scene.stock_merge(base, head)


async def test_rebase_skips_what_upstream_has_and_what_becomes_empty_but_keeps_what_was_empty(scene: Scene) -> None:
    start = scene.repository.commit({"a": text(), "b": text()})
    scene.branch("x", start)
    same = scene.repository.commit({"a": text((1, "same"))}, "same change")
    scene.repository.commit({"b": text((1, "one"))}, "half")
    onto = scene.repository.commit({"b": text((1, "one"), (2, "two"))}, "other half")
    scene.branch("y", start)
    equivalent = scene.repository.commit({"a": text((1, "same"))}, "cherry-picked")
    empty = scene.repository.commit({}, "empty from the start")
    becomes_empty = scene.repository.commit({"b": text((1, "one"), (2, "two"))}, "both halves")
    head = scene.repository.commit({"c": "new"}, "really new")
    assert same != equivalent
    result, shown = await scene.rebase(onto, head)
    assert isinstance(result, Rebased)
    assert set(result.dropped_oids) == {equivalent, becomes_empty}
    assert [old for old, _ in result.picked] == [empty, head]
    assert shown == scene.stock_rebase(onto, head)


async def test_rebase_linearises_merges_as_stock_git_does(scene: Scene) -> None:
    start = scene.repository.commit({"a": text()})
    scene.branch("x", start)
    onto = scene.repository.commit({"x": "x"})
    scene.branch("y", start)
    scene.repository.commit({"b": "b"}, "one")
    scene.repository.git("checkout", "-q", "-b", "side", start)
    scene.repository.commit({"c": "c"}, "side")
    scene.repository.git("checkout", "-q", "y")
    scene.repository.git("merge", "-q", "--no-edit", "side")
    head = scene.repository.commit({"d": "d"}, "last")
    result, shown = await scene.rebase(onto, head)
    assert isinstance(result, Rebased)
    assert len(result.picked) == 3
    assert shown == scene.stock_rebase(onto, head)


async def test_a_head_already_on_top_is_left_as_it_is(scene: Scene) -> None:
    onto = scene.repository.commit({"a": "1"})
    scene.repository.commit({"a": "2"})
    head = scene.repository.commit({"a": "3"})
    result, _ = await scene.rebase(onto, head)
    assert isinstance(result, Rebased)
    assert result.oid == head
    behind, _ = await scene.rebase(head, onto)
    assert behind == Rebased(head, (), ())


async def test_a_rebase_conflict_names_the_commit_and_its_paths(scene: Scene) -> None:
    start = scene.repository.commit({"a": text()})
    scene.branch("x", start)
    onto = scene.repository.commit({"a": text((1, "ours"))})
    scene.branch("y", start)
    scene.repository.commit({"b": "b"})
    bad = scene.repository.commit({"a": text((1, "theirs"))})
    head = scene.repository.commit({"c": "c"})
    assert (await scene.rebase(onto, head))[0] == Conflicted((b"a",), bad)


async def test_authors_and_messages_in_other_encodings_survive_a_rebase(scene: Scene) -> None:
    start = scene.repository.commit({"a": "1"})
    scene.branch("x", start)
    onto = scene.repository.commit({"b": "1"})
    scene.branch("y", start)
    scene.repository.write("c", "c")
    scene.repository.git("add", "-A")
    scene.repository.git("config", "i18n.commitEncoding", "ISO-8859-1")
    scene.repository.git("commit", "-q", "-F-", "--author", b"Jos\xe9 <j@e>", stdin=b"caf\xe9\n\nno end")
    scene.repository.git("config", "--unset", "i18n.commitEncoding")
    head = scene.repository.oid("HEAD")
    result, shown = await scene.rebase(onto, head)
    assert isinstance(result, Rebased)
    assert "José".encode() in shown
    assert "café".encode() in shown
    assert shown == scene.stock_rebase(onto, head)


async def test_a_rebase_of_too_many_commits_is_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    start = scene.repository.commit({"a": "1"})
    scene.branch("x", start)
    onto = scene.repository.commit({"b": "1"})
    scene.branch("y", start)
    for number in range(3):
        head = scene.repository.commit({"c": str(number)})
    monkeypatch.setattr(merging, "REBASE_COMMITS_MAX", 2)
    with pytest.raises(RebaseTooLong, match=r"3 commits .* limit is 2"):
        await scene.rebase(onto, head)
