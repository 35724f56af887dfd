"""The doctor names files of releases that lack their bytes, bytes that lack their row, and sizes that differ."""

from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from tests.factories.forge import Forge
from tests.repositories.releases.support import CONTENT, RELEASES, stored_keys, upload

from cairn.repositories.queries import RepositoryView
from cairn.repositories.releases.examine import examine_files
from cairn.repositories.releases.models import ReleaseAsset, ReleaseFile

Released = tuple[RepositoryView, Any]
STRAY = f"releases/ab/ab{'0' * 30}"


async def told(forge: Forge, repository_id: int | None = None) -> list[str]:
    found = examine_files(forge.database, forge.engine.storage, repository_id=repository_id)
    return sorted([problem.sentence async for problem in found])


def each_begins(sentences: Iterable[str], beginnings: Iterable[str]) -> bool:
    return all(one.startswith(other) for one, other in zip(sentences, sorted(beginnings), strict=True))


async def test_whole_files_are_well_also_while_one_is_on_its_way_out(forge: Forge, released: Released) -> None:
    kept = await upload(forge, released[1], "a.bin")
    gone = (await upload(forge, released[1], "b.bin")).json()
    assert kept.status_code == 201
    await forge.api(forge.people["ada"]).call("DELETE", f"{RELEASES}/assets/{gone['id']}")
    assert len(await stored_keys(forge)) == 2
    assert await told(forge) == []


async def test_what_is_lost_cut_or_nobody_s_is_named(
    forge: Forge, released: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("examine", "files"):
        monkeypatch.setattr(f"cairn.repositories.releases.{module}.BATCH_ROWS", 1)  # every batch has a next one
    keys: list[str] = []
    for name in ("lost.bin", "cut.bin", "well.bin"):
        await upload(forge, released[1], name)
        keys += set(await stored_keys(forge)) - set(keys)
    lost, cut, _ = keys
    await forge.engine.storage.delete(lost)
    await forge.engine.storage.put(cut, b"cut")
    await forge.engine.storage.put(STRAY, b"stray")
    number = released[1]["id"]
    of_repository = [
        f"{lost} (The file 'lost.bin' of release {number}) is missing from the object store; restore this key",
        f"{cut} (The file 'cut.bin' of release {number}) has 3 bytes instead of {len(CONTENT):,}; restore this key",
    ]
    assert each_begins(await told(forge), [*of_repository, f"No row knows {STRAY} (5 bytes)"])
    # A stray belongs to no repository.
    assert each_begins(await told(forge, released[0].id), of_repository)
    other = await forge.repository(forge.people["ada"], "other")
    assert await told(forge, other.id) == []


async def test_rows_that_disagree_are_named(forge: Forge, released: Released) -> None:
    for name in ("a.bin", "b.bin"):
        await upload(forge, released[1], name)
    async with forge.database.write() as session:
        first, second = await session.scalars(select(ReleaseAsset.file_id).order_by(ReleaseAsset.id))
        await session.execute(delete(ReleaseFile).where(ReleaseFile.id == first))
        await session.execute(update(ReleaseAsset).where(ReleaseAsset.file_id == second).values(size=7))
    sentences = await told(forge, released[0].id)
    assert "names bytes that no row has any more" in sentences[0]
    assert f"disagree: 7 and {len(CONTENT):,} bytes" in sentences[1]
