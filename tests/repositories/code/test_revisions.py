"""What stands in an address, turned into a commit and a path."""

import time
from pathlib import Path

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository, init

from cairn.repositories.code.browse import Code, open_code
from cairn.repositories.code.revisions import RevisionKind, RevisionNotFound
from cairn.repositories.queries import RepositoryView


@pytest.fixture
async def made(forge: Forge, tmp_path: Path) -> tuple[RepositoryView, StockRepository]:
    """Branches ``main``, ``feature`` beside a tag of that name, ``release/1``; a tag of a tree."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    stock = init(tmp_path / "stock")
    stock.commit({"a/b": "1"}, "First")
    stock.git("tag", "-a", "both", "-m", "tag")
    stock.git("tag", "tree", "HEAD^{tree}")
    stock.commit({"a/b": "2"}, "Second")
    stock.git("branch", "both")
    stock.git("branch", "release/1")
    names = ["refs/heads/main", "refs/heads/both", "refs/heads/release/1", "refs/tags/both", "refs/tags/tree"]
    await forge.push_refs(repository, stock, *names)
    return repository, stock


async def place(code: Code, address: bytes) -> tuple[RevisionKind, bytes, bytes]:
    found = await code.place(address)
    return found.revision.kind, found.revision.name, found.path


async def test_the_longest_branch_or_tag_name_wins(forge: Forge, made: tuple[RepositoryView, StockRepository]) -> None:
    repository, stock = made
    async with open_code(forge.engine, repository.store_id) as code:
        assert await place(code, b"") == (RevisionKind.BRANCH, b"main", b"")
        assert await place(code, b"main/a/b") == (RevisionKind.BRANCH, b"main", b"a/b")
        assert await place(code, b"release/1/a") == (RevisionKind.BRANCH, b"release/1", b"a")
        # A branch hides a tag of its name; the tag is there by its full name.
        assert (await code.revision(b"both")).commit_oid == stock.oid("refs/heads/both")
        assert (await code.revision(b"refs/tags/both")).commit_oid == stock.oid("refs/tags/both^{commit}")
        with pytest.raises(RevisionNotFound):
            await place(code, b"release/a")


async def test_a_commit_is_named_by_its_id_or_the_start_of_it(
    forge: Forge, made: tuple[RepositoryView, StockRepository]
) -> None:
    repository, stock = made
    first = stock.oid("main~1")
    async with open_code(forge.engine, repository.store_id) as code:
        for word in (first, first[:7], first[:20]):
            found = await code.place(f"{word}/a/b".encode())
            assert (found.revision.commit_oid, found.path, found.revision.label) == (first, b"a/b", first[:10])
        # An annotated tag's own id means its commit.
        assert (await code.revision(stock.oid("refs/tags/both").encode())).commit_oid == first


@pytest.mark.parametrize("word", [b"nowhere", b"1" * 40, b"1" * 7, b"abc", b"../main", b"main\0", b"HEAD~2", b"-x"])
async def test_what_names_no_commit_is_not_found(
    forge: Forge, made: tuple[RepositoryView, StockRepository], word: bytes
) -> None:
    async with open_code(forge.engine, made[0].store_id) as code:
        with pytest.raises(RevisionNotFound):
            await code.revision(word)


async def test_an_address_of_many_parts_does_not_cost_their_square(
    forge: Forge, made: tuple[RepositoryView, StockRepository]
) -> None:
    """Only a beginning that can be a ref's name is tried: 100,000 parts are read in the time of a few."""
    async with open_code(forge.engine, made[0].store_id) as code:
        started = time.process_time()
        kind, name, path = await place(code, b"release/1/" + b"x/" * 100_000)
        assert (kind, name, len(path)) == (RevisionKind.BRANCH, b"release/1", 199_999)
        assert time.process_time() - started < 2


async def test_a_tree_or_a_file_is_no_revision(forge: Forge, made: tuple[RepositoryView, StockRepository]) -> None:
    repository, stock = made
    async with open_code(forge.engine, repository.store_id) as code:
        for name in ("main^{tree}", "main:a/b"):
            with pytest.raises(RevisionNotFound):
                await code.revision(stock.oid(name).encode())


async def test_a_path_after_a_revision_is_not_part_of_its_name(
    forge: Forge, made: tuple[RepositoryView, StockRepository]
) -> None:
    async with open_code(forge.engine, made[0].store_id) as code:
        with pytest.raises(RevisionNotFound):
            await code.revision(b"main/a")


async def test_an_empty_repository_has_no_default_revision(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "empty")
    async with open_code(forge.engine, repository.store_id) as code:
        assert await code.default_revision() is None
        with pytest.raises(RevisionNotFound):
            await code.place(b"")


@pytest.mark.parametrize(
    "name",
    ["HEAD", "main", "HEAD~", "main~1", "main^", "main^1", "main^^2", "main~1^2", "main^0", "both~0", "release/1~2"],
)
async def test_steps_lead_where_git_says_they_do(forge: Forge, tmp_path: Path, name: str) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "merged")
    stock = init(tmp_path / "merged")
    first = stock.commit({"a": "1"}, "First")
    stock.git("branch", "side")
    stock.commit({"a": "2"}, "Second")
    stock.git("checkout", "-q", "side")
    stock.commit({"b": "1"}, "Beside")
    stock.git("checkout", "-q", "main")
    stock.git("merge", "-q", "--no-ff", "-m", "Merge", "side")
    stock.commit({"a": "3"}, "Third")
    stock.git("tag", "-a", "both", "-m", "tag")
    stock.git("branch", "release/1")
    await forge.push_refs(repository, stock, "refs/heads/main", "refs/heads/release/1", "refs/tags/both")
    async with open_code(forge.engine, repository.store_id) as code:
        found = await code.place(f"{name}/a/b".encode())
        assert (found.revision.commit_oid, found.path) == (stock.oid(f"{name}^{{commit}}"), b"a/b")
        assert (await code.revision(f"{first[:9]}~0".encode())).commit_oid == first
        for beyond in (f"{first}~", "main^3", "main~4", "main^2~9", "main~1001", "main~~x", "main@{1}", "nobody~1"):
            with pytest.raises(RevisionNotFound):
                await code.revision(beyond.encode())
