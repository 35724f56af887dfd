import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.factories import git_repositories
from tests.factories.git_repositories import StockRepository
from tests.factories.raw_packs import COMMIT, TREE, object_id, raw_pack, ref_delta, whole

from cairn.git import closure
from cairn.git.closure import check_closure
from cairn.git.commands import GitCommand
from cairn.git.quarantine import Limit, ObjectMissing, PackLimits, index_pack, open_quarantine
from cairn.git.runner import GitRunner
from cairn.git.types import Oid

BIG = Limit(1 << 30, "CAIRN_X")
LIMITS = PackLimits(pack_bytes=BIG, objects=BIG, file_bytes=BIG, delta_depth=BIG)
LINES = [f"line {number}\n" for number in range(2000)]


class CountingRunner(GitRunner):
    """A runner that remembers which subcommands it started."""

    started: list[str]

    def _start(self, command: GitCommand, *rest: object) -> object:  # type: ignore[override]  # only counts
        self.started.append(command.name)
        return super()._start(command, *rest)  # type: ignore[arg-type]  # handed through


@dataclass
class Server:
    """A repository on the server's side and its view: everything packed, reachable or not."""

    repository: StockRepository
    runner: CountingRunner
    folder: Path
    roots_asked: int = 0
    roots: list[Oid] = field(default_factory=list)

    async def all_roots(self) -> Sequence[Oid]:
        self.roots_asked += 1
        return self.roots

    async def push(
        self, tips: Sequence[Oid], pack: bytes | None, *, known: Sequence[Oid] = (), loses_view: bool = False
    ) -> None:
        async with open_quarantine(self.folder / "q", alternates=[self.repository.objects]) as quarantine:
            indexed = None
            if pack is not None:

                async def chunks() -> AsyncIterator[bytes]:
                    yield pack

                indexed = await index_pack(self.runner, quarantine, chunks(), limits=LIMITS)
            self.runner.started = []
            if loses_view:
                shutil.rmtree(self.repository.objects)
            await check_closure(self.runner, quarantine, tips=tips, pack=indexed, known=known, all_roots=self.all_roots)

    def forget(self, oid: Oid) -> None:
        """Move main back to ``oid``: what was after it lies in the view, reachable from no root."""
        self.repository.git("reset", "-q", "--hard", oid)
        self.repository.repack()
        self.roots = [oid]


@pytest.fixture
def server(tmp_path: Path) -> Server:
    runner = CountingRunner(home=tmp_path / "home")
    runner.started = []
    return Server(git_repositories.init(tmp_path / "server"), runner, tmp_path)


@pytest.fixture
def client(server: Server, tmp_path: Path) -> Callable[[], StockRepository]:
    def make() -> StockRepository:
        server.repository.repack()
        server.roots = [server.repository.oid("HEAD")]
        return git_repositories.clone(server.repository, tmp_path / "client")

    return make


def pushed_delta(base: Oid, base_bytes: int, *, parent: Oid) -> tuple[Oid, bytes]:
    """A commit on ``parent`` with one file, sent as a delta against ``base``."""
    person = b"A <a@b> 1 +0000"
    tree = b"100644 f\0" + bytes.fromhex(object_id("blob", b"guess"))
    lines = [b"tree " + object_id("tree", tree).encode(), b"parent " + parent.encode()]
    commit = b"\n".join([*lines, b"author " + person, b"committer " + person, b"", b"m"])
    objects = [whole(COMMIT, commit), whole(TREE, tree), ref_delta(base, base_bytes, b"guess")]
    return object_id("commit", commit), raw_pack(objects)


async def test_an_ordinary_push_costs_one_child(server: Server, client: Callable[[], StockRepository]) -> None:
    old = server.repository.commit({"a": "".join(LINES), "d/b": "x"})
    mine = client()
    new = mine.commit({"a": "".join([*LINES, "more\n"])})
    await server.push([new], mine.pack([new], without=[old], thin=True), known=[old])
    assert server.runner.started == ["rev-list"]
    assert server.roots_asked == 0


async def test_a_push_of_refs_to_known_tips_costs_no_child(server: Server) -> None:
    old = server.repository.commit({"a": "x"})
    await server.push([old], None, known=[old])
    assert server.runner.started == []


async def test_a_first_push_is_its_own_closure(server: Server, tmp_path: Path) -> None:
    mine = git_repositories.init(tmp_path / "client")
    mine.commit({"a": "x"})
    tip = mine.commit({"b": "y"})
    await server.push([tip], mine.pack([tip]))
    assert server.runner.started == []


async def test_a_first_push_that_lacks_an_object_is_refused(server: Server, tmp_path: Path) -> None:
    mine = git_repositories.init(tmp_path / "client")
    first = mine.commit({"a": "x"})
    second = mine.commit({"b": "y"})
    cut = mine.pack([second], without=[first])
    for tips in ([second], [first, second]):
        with pytest.raises(ObjectMissing):
            await server.push(tips, cut)


async def test_a_first_push_that_names_a_tip_it_does_not_send_is_refused(server: Server, tmp_path: Path) -> None:
    mine = git_repositories.init(tmp_path / "client")
    first = mine.commit({"a": "x"})
    second = mine.commit({"b": "y"})
    with pytest.raises(ObjectMissing, match=second):
        await server.push([first, second], mine.pack([first]))


@pytest.mark.parametrize("is_packed", [True, False])
async def test_what_lies_beside_an_only_push_is_not_its_own(server: Server, tmp_path: Path, *, is_packed: bool) -> None:
    """Attack: the repository has no refs any more; a first push builds on what it still holds."""
    secret = server.repository.commit({"secret": "x"})
    if is_packed:
        server.repository.repack()
    mine = git_repositories.clone(server.repository, tmp_path / "client")
    own = mine.commit({"b": "y"})
    with pytest.raises(ObjectMissing):
        await server.push([own], mine.pack([own], without=[secret]))


async def test_a_view_that_goes_meanwhile_makes_no_push_an_only_one(server: Server, tmp_path: Path) -> None:
    """Attack: somebody empties the node's cache after a pack was found to build on what lies in it, unreachable."""
    secret = server.repository.commit({"secret": "x"})
    server.repository.repack()
    mine = git_repositories.clone(server.repository, tmp_path / "client")
    own = mine.commit({"b": "y"})
    with pytest.raises(ObjectMissing):
        await server.push([own], mine.pack([own], without=[secret]), loses_view=True)


async def test_a_branch_on_old_history_needs_no_pack(server: Server) -> None:
    old = server.repository.commit({"a": "x"})
    server.repository.commit({"a": "y"})
    head = server.repository.commit({"a": "z"})
    server.repository.repack()
    await server.push([old], None, known=[head])
    assert server.roots_asked == 0


async def test_a_branch_from_another_root_is_settled_by_asking_for_all_roots(
    server: Server, client: Callable[[], StockRepository]
) -> None:
    main = server.repository.commit({"a": "x"})
    server.repository.git("checkout", "-q", "--orphan", "other")
    other = server.repository.commit({"a": None, "b": "other\n" * 100})
    mine = client()
    new = mine.commit({"c": "new"})
    server.roots = [main, other]
    await server.push([new], mine.pack([new], without=[other]), known=[main])
    assert server.roots_asked == 1


async def test_an_old_version_brought_back_is_found_by_the_full_walk(server: Server) -> None:
    """A client with bitmaps leaves out a blob that only old history holds: the edges do not have it."""
    first = server.repository.commit({"a": "old\n"})
    head = server.repository.commit({"a": "new\n"})
    server.repository.repack()
    server.roots = [head]
    reverted = Oid(
        server.repository.git("commit-tree", f"{first}^{{tree}}", "-p", head, "-m", "revert").decode().strip()
    )
    only_commit = server.repository.git("pack-objects", "--stdout", "-q", stdin=f"{reverted}\n".encode())
    await server.push([reverted], only_commit, known=[head])


async def test_a_ref_to_an_unreachable_commit_is_refused(server: Server) -> None:
    """Attack: an empty pack and "create ref -> secret id" would turn a private commit into an ordinary branch."""
    public = server.repository.commit({"a": "x"})
    secret = server.repository.commit({"secret": "s"})
    server.forget(public)
    with pytest.raises(ObjectMissing, match="is missing, fetch and push again"):
        await server.push([secret], None, known=[public])


@pytest.mark.parametrize("what", ["commit", "tree", "blob"])
async def test_smuggling_a_secret_below_an_own_commit_is_refused(server: Server, what: str) -> None:
    """Attack: the pack holds a new commit (or tree) that names a secret object as parent, tree or file."""
    public = server.repository.commit({"a": "x"})
    secret = server.repository.commit({"a": "x", "secret": "s"})
    blob = server.repository.oid(f"{secret}:secret")
    git = server.repository.git
    tree = git("mktree", stdin=f"100644 blob {blob}\tmine\n".encode()).decode().strip()
    plain = server.repository.oid(f"{public}^{{tree}}")
    parent, own_tree = {
        "commit": (secret, plain),
        "tree": (public, server.repository.oid(f"{secret}^{{tree}}")),
        "blob": (public, Oid(tree)),
    }[what]
    tip = Oid(git("commit-tree", own_tree, "-p", parent, "-m", "smuggle").decode().strip())
    own = f"{tip}\n{tree if what == 'blob' else ''}\n".strip() + "\n"
    pack = git("pack-objects", "--stdout", "-q", stdin=own.encode())
    server.forget(public)
    with pytest.raises(ObjectMissing) as caught:
        await server.push([tip], pack, known=[public])
    assert caught.value.oid in {secret, blob, server.repository.oid(f"{secret}^{{tree}}")}


async def test_a_thin_delta_against_a_secret_is_refused(server: Server) -> None:
    """Attack: the server copies a secret delta base into the pusher's own pack, where "is it in the pack?" finds it."""
    public = server.repository.commit({"a": "x"})
    secret = "".join(LINES).encode()
    server.repository.commit({"s": secret})
    blob = server.repository.oid("HEAD:s")
    server.forget(public)
    tip, pack = pushed_delta(blob, len(secret), parent=public)
    with pytest.raises(ObjectMissing) as caught:
        await server.push([tip], pack, known=[public])
    assert caught.value.oid == blob


@pytest.mark.parametrize("entries_max", [5000, 3])
async def test_thin_bases_in_a_large_tree_are_found_by_a_child(
    server: Server, client: Callable[[], StockRepository], monkeypatch: pytest.MonkeyPatch, entries_max: int
) -> None:
    old = server.repository.commit({f"d{n}/f": "".join(LINES) + str(n) for n in range(10)})
    mine = client()
    new = mine.commit({"d9/f": "".join([*LINES, "9 more\n"])})
    monkeypatch.setattr(closure, "EDGE_ENTRIES_MAX", entries_max)
    await server.push([new], mine.pack([new], without=[old], thin=True), known=[old])
    assert server.runner.started == ["rev-list"] * (1 if entries_max == 5000 else 2)


async def test_thin_bases_in_old_history_are_found_by_the_full_walk(server: Server) -> None:
    old = "".join(LINES).encode()
    server.repository.commit({"a": old})
    blob = server.repository.oid("HEAD:a")
    head = server.repository.commit({"a": "short"})
    server.repository.repack()
    server.roots = [head]
    tip, pack = pushed_delta(blob, len(old), parent=head)
    await server.push([tip], pack, known=[head])
    assert server.roots_asked == 1


async def test_tags_of_tags_trees_and_blobs_are_closed_too(
    server: Server, client: Callable[[], StockRepository]
) -> None:
    old = server.repository.commit({"a": "x", "d/b": "y"})
    mine = client()
    mine.git("tag", "-am", "one", "one")
    mine.git("tag", "-am", "two", "two", "one")
    mine.git("tag", "-am", "tree", "tree", "HEAD^{tree}")
    blob = Oid(mine.git("hash-object", "-w", "--stdin", stdin=b"loose").decode().strip())
    mine.git("tag", "-am", "blob", "blob", blob)
    tips = [mine.oid(f"refs/tags/{name}") for name in ("two", "tree", "blob")]
    await server.push([*tips, blob], mine.pack([*tips, blob], without=[old]), known=[old])


async def test_a_tag_of_an_unreachable_object_is_refused(server: Server) -> None:
    public = server.repository.commit({"a": "x"})
    secret = server.repository.commit({"secret": "s"})
    server.repository.git("tag", "-am", "t", "t", f"{secret}:secret")
    tag = server.repository.oid("refs/tags/t")
    pack = server.repository.git("pack-objects", "--stdout", "-q", stdin=f"{tag}\n".encode())
    server.forget(public)
    with pytest.raises(ObjectMissing):
        await server.push([tag], pack, known=[public])


async def test_links_to_submodules_are_no_objects(server: Server, client: Callable[[], StockRepository]) -> None:
    old = server.repository.commit({"a": "x"})
    mine = client()
    mine.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    mine.git("commit", "-qm", "link")
    new = mine.oid("HEAD")
    await server.push([new], mine.pack([new], without=[old]), known=[old])


async def test_a_push_from_a_shallow_clone_builds_on_history_only_the_server_has(
    server: Server, tmp_path: Path
) -> None:
    server.repository.commit({"a": "1"})
    server.repository.commit({"a": "2"})
    head = server.repository.commit({"a": "3"})
    server.repository.repack()
    server.roots = [head]
    shallow = git_repositories.clone(server.repository, tmp_path / "client", "--depth=1")
    new = shallow.commit({"a": "4"})
    await server.push([new], shallow.pack([new], without=[head], thin=True), known=[head])


async def test_a_tip_that_is_nowhere_is_missing_by_name(server: Server) -> None:
    old = server.repository.commit({"a": "x"})
    with pytest.raises(ObjectMissing, match=r"1{40} is missing"):
        await server.push([Oid("1" * 40)], None, known=[old])
