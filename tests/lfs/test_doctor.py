"""The doctor finds each kind of damage of large objects, names it, and finds nothing where all is well."""

from hashlib import sha256

import pytest
from sqlalchemy import update
from tests.factories.forge import Forge, Person
from tests.lfs.test_collection import pointer, send

from cairn.lfs.doctor import examine_objects, mend_objects
from cairn.lfs.models import LfsObject, LfsUsage
from cairn.lfs.objects import find_objects
from cairn.repositories.queries import RepositoryView

ONE, TWO = b"one large object", b"another one"


@pytest.fixture
async def ada(forge: Forge) -> Person:
    return await forge.person("ada")


@pytest.fixture
async def engine(forge: Forge, ada: Person) -> RepositoryView:
    """Her repository with two objects, each named by a pointer; one only in the history."""
    made = await forge.repository(ada, "engine")
    for data in (ONE, TWO):
        await send(forge, made, ada, data)
    await forge.commit(ada, made, {"one.bin": pointer(ONE), "two.bin": pointer(TWO)})
    await forge.commit(ada, made, {"two.bin": None})
    return made


async def sentences(
    forge: Forge, engine: RepositoryView, *, is_deep: bool = False, may_lack_objects: bool = False
) -> list[str]:
    found = await examine_objects(
        forge.engine, engine.id, engine.store_id, is_deep=is_deep, may_lack_objects=may_lack_objects
    )
    return [finding.sentence for finding in found]


async def key_of(forge: Forge, engine: RepositoryView, data: bytes) -> str:
    oid = sha256(data).hexdigest()
    async with forge.database.read() as session:
        return (await find_objects(session, engine.id, [oid]))[oid].key


async def test_a_healthy_repository_has_no_findings(forge: Forge, engine: RepositoryView) -> None:
    assert await sentences(forge, engine, is_deep=True) == []


async def test_missing_and_cut_bytes_are_named(forge: Forge, engine: RepositoryView) -> None:
    key = await key_of(forge, engine, ONE)
    await forge.engine.storage.put(key, b"cut")
    [finding] = await sentences(forge, engine)
    assert f"{key} has 3 bytes instead of 16" in finding
    await forge.engine.storage.delete(key)
    [finding] = await sentences(forge, engine)
    assert f"{sha256(ONE).hexdigest()}: {key} is missing from the object store; restore this key" in finding


async def test_other_bytes_are_found_by_reading_them(forge: Forge, engine: RepositoryView) -> None:
    key = await key_of(forge, engine, ONE)
    await forge.engine.storage.put(key, ONE.upper())
    assert await sentences(forge, engine) == []
    [finding] = await sentences(forge, engine, is_deep=True)
    assert f"{key} has other bytes than its SHA-256 says" in finding


async def test_sums_that_are_wrong_are_mended(forge: Forge, engine: RepositoryView) -> None:
    async with forge.database.write() as session:
        await session.execute(update(LfsUsage).values(objects=7, object_bytes=1))
    found = await examine_objects(forge.engine, engine.id, engine.store_id)
    assert [(one.sentence, one.is_mendable) for one in found] == [
        ("Quotas count 7 large objects of 1 bytes where there are 2 of 27.", True)
    ]
    await mend_objects(forge.database, engine.id)
    assert await sentences(forge, engine) == []


async def test_sizes_that_disagree_are_named(forge: Forge, engine: RepositoryView) -> None:
    async with forge.database.write() as session:
        of_one = LfsObject.oid == sha256(ONE).hexdigest()
        await session.execute(update(LfsObject).where(of_one).values(size=1))
    found = await sentences(forge, engine)
    assert "the repository counts 1 bytes where" in found[0]


async def test_what_the_history_names_and_is_not_here_is_told(
    forge: Forge, ada: Person, engine: RepositoryView
) -> None:
    await forge.commit(ada, engine, {"lost.bin": pointer(b"lost")}, may_lack_objects=True)
    await forge.commit(ada, engine, {"lost.bin": None})
    [finding] = await sentences(forge, engine)
    assert finding.startswith(f"Large object {sha256(b'lost').hexdigest()} (4 bytes) is named in the history")
    assert await sentences(forge, engine, may_lack_objects=True) == []
