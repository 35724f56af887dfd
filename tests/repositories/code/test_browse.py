"""Reading code for pages and the API."""

from pathlib import Path

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository, init

from cairn.base.errors import NotFound
from cairn.git.reading import ObjectNotFound
from cairn.git.runner import GitRunner
from cairn.git.types import ObjectKind, Oid
from cairn.repositories.code import browse
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.revisions import Place


async def test_a_folder_has_folders_first_and_the_best_readme(forge: Forge) -> None:
    ada = await forge.person("ada")
    files = {"a": b"1", "z/x": b"1", "README": b"plain", "readme.MD": b"# Best", "b": b"2"}
    repository = await forge.repository(ada, "engine", files=files)
    async with open_code(forge.engine, repository.store_id) as code:
        root = await code.folder(await code.entry(await code.place(b"")))
        assert [entry.name for entry in root.entries] == [b"z", b"README", b"a", b"b", b"readme.MD"]
        assert root.readme is not None
        assert (root.readme.name, root.readme.data) == (b"readme.MD", b"# Best")
        with pytest.raises(ObjectNotFound):
            await code.folder(await code.entry(await code.place(b"main/a")))


async def test_a_readme_that_is_binary_or_too_large_is_none(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await forge.person("ada")
    monkeypatch.setattr(browse, "README_BYTES_MAX", 5)
    repository = await forge.repository(ada, "engine", files={"README": b"too long", "bin/README": b"a\0b"})
    async with open_code(forge.engine, repository.store_id) as code:
        for address in (b"main", b"main/bin"):
            folder = await code.folder(await code.entry(await code.place(address)))
            assert folder.readme is None


async def test_a_file_beyond_the_bound_has_its_size_only(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"a": b"123456"})
    async with open_code(forge.engine, repository.store_id) as code:
        entry = await code.entry(await code.place(b"main/a"))
        cut = await code.file(entry, max_bytes=5)
        assert (cut.data, cut.size_bytes, cut.is_binary) == (None, 6, False)
        assert (await code.file(entry, max_bytes=6)).data == b"123456"


async def test_history_has_pages_and_keeps_to_a_path(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"a": b"0", "b": b"0"})
    made = [await forge.commit(ada, repository, {"a": str(number).encode()}, f"a {number}") for number in range(1, 4)]
    async with open_code(forge.engine, repository.store_id) as code:
        place = await code.place(b"main")
        first = await code.history(place, page=1, per_page=2)
        assert ([commit.oid for commit in first.commits], first.has_more) == ([made[2], made[1]], True)
        last = await code.history(place, page=2, per_page=2)
        assert ([commit.subject for commit in last.commits], last.has_more) == (["a 1", "First stone"], False)
        of_b = await code.history(await code.place(b"main/b"), page=1)
        assert [commit.subject for commit in of_b.commits] == ["First stone"]
        assert await code.count_commits(place.revision) == 4


@pytest.mark.parametrize("path", [b"../x", b"a/../../x", b"./a", b"a//b", b"a\0b", b"x" * 5000])
async def test_a_path_that_no_tree_has_is_absent_instead_of_making_git_fail(forge: Forge, path: bytes) -> None:
    """``git log -- ../x`` ends with an error, NUL stands on no command line, and a page of 20,000 folders is a bomb."""
    repository = await forge.repository(await forge.person("ada"), "engine", files={"a": b"0"})
    async with open_code(forge.engine, repository.store_id) as code:
        revision = (await code.place(b"main")).revision
        with pytest.raises(ObjectNotFound):
            await code.history(Place(revision, path), page=1)


async def test_only_what_a_root_reaches_is_proved(forge: Forge, tmp_path: Path) -> None:
    ada = await forge.person("ada")
    one = await forge.repository(ada, "one", files={"a": b"mine"})
    other = await forge.repository(ada, "other", files={"a": b"theirs"})
    stock = init(tmp_path / "stock")
    async with open_code(forge.engine, other.store_id) as code:
        theirs = (await code.entry(await code.place(b"main/a"))).oid
        assert await code.prove(theirs) is ObjectKind.BLOB
    async with open_code(forge.engine, one.store_id) as code:
        mine = await code.place(b"")
        assert await code.prove(mine.revision.commit_oid) is ObjectKind.COMMIT
        for absent in (theirs, Oid(stock.git("hash-object", "--stdin", stdin=b"nothing").decode().strip())):
            with pytest.raises(NotFound):
                await code.prove(absent)


async def test_the_last_commit_of_a_path_is_asked_of_git_once(
    forge: Forge, stock: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_code(forge.engine, 1) as code:
        place = await code.place(b"main/src/mill.py")
        nowhere = await code.place(b"main/nothing")
        root = await code.place(b"main")
        first = await code.latest(place)
        assert await code.latest(nowhere) == []
        count = await code.count_commits(root.revision)
        assert first[0].oid == stock.git("log", "-1", "--format=%H", "main", "--", "src/mill.py").decode().strip()
        assert count == int(stock.git("rev-list", "--count", "main"))
        monkeypatch.setattr(GitRunner, "spawn", None)
        assert await code.latest(place) == first
        assert await code.latest(nowhere) == []
        assert [commit.oid for commit in await code.latest(root)] == [stock.oid("main")]
        assert await code.count_commits(root.revision) == count
