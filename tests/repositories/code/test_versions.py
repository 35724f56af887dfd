"""Two versions of a series as addresses name them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository, init

from cairn.git.range_diff import Series
from cairn.repositories.code.browse import Code, open_code
from cairn.repositories.code.revisions import RevisionNotFound
from cairn.repositories.code.versions import VersionsUnknown, compare_versions, read_versions


@pytest.fixture
async def stock(forge: Forge, tmp_path: Path) -> StockRepository:
    """ada/engine: ``v1`` and ``v2`` of a series, from two places of ``main``; ``alone`` has a history of its own."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    made = init(tmp_path / "stock")
    made.commit({"f": "0"}, "Begin")
    made.git("checkout", "-q", "-b", "v1")
    made.commit({"g": "1"}, "Add g")
    made.git("checkout", "-q", "main")
    made.commit({"f": "1"}, "Go on")
    made.git("checkout", "-q", "-b", "v2")
    made.commit({"g": "2"}, "Add g")
    made.git("checkout", "-q", "--orphan", "alone")
    made.commit({"h": "1"}, "Alone")
    await forge.push_refs(repository, made, *(f"refs/heads/{name}" for name in ("main", "v1", "v2", "alone")))
    return made


@pytest.fixture
async def code(forge: Forge, stock: StockRepository) -> AsyncIterator[Code]:
    async with forge.database.read() as session:
        from cairn.base.actor import SYSTEM
        from cairn.repositories.queries import find_repository

        repository = await find_repository(session, SYSTEM, "ada", "engine")
    async with open_code(forge.engine, repository.store_id) as opened:
        yield opened


async def test_bases_are_named_or_found(code: Code, stock: StockRepository) -> None:
    main, before, v1, v2 = (stock.oid(name) for name in ("main", "main~1", "v1", "v2"))
    for address, wanted in {
        f"{before}..v1...main..v2": (Series(before, v1), Series(main, v2)),
        "main..v1...v2": (Series(main, v1), Series(main, v2)),
        "v1...v2": (Series(main, v1), Series(main, v2)),
        "v1...main": (Series(before, v1), Series(before, main)),
    }.items():
        found = await read_versions(code, address.encode())
        assert (found.old.series, found.new.series) == wanted, address
    named = await read_versions(code, b"v1...v2")
    assert named.permanent_name == f"{main}..{v1}...{main}..{v2}"
    again = await read_versions(code, named.permanent_name.encode())
    assert (again.old.series, again.new.series) == (named.old.series, named.new.series)


@pytest.mark.parametrize(
    "address", ["", "v1", "v1..v2", "v1...", "...v2", "..v1...v2", "main..v1...main..", "a..b..c...d", "v1...main..v2"]
)
async def test_what_names_no_two_versions_is_refused(code: Code, address: str) -> None:
    with pytest.raises(VersionsUnknown):
        await read_versions(code, address.encode())


async def test_unknown_revisions_and_unrelated_histories_are_told(code: Code) -> None:
    with pytest.raises(RevisionNotFound):
        await read_versions(code, b"v1...nowhere")
    with pytest.raises(VersionsUnknown, match="no common history"):
        await read_versions(code, b"main...alone")


async def test_the_answer_is_kept(code: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    from cairn.git import range_diff

    versions = await read_versions(code, b"v1...v2")
    first = await compare_versions(code, versions)
    assert [pair.status.value for pair in first.pairs] == ["!"]

    async def never(*_: object) -> None:
        raise AssertionError("worked out again")

    monkeypatch.setattr(range_diff, "compare_series", never)
    assert await compare_versions(code, versions) == first
