"""A store is examined with the large objects beside it, if it is a repository's own."""

from hashlib import sha256

from sqlalchemy import update
from tests.factories.forge import Forge
from tests.lfs.test_collection import pointer, send

from cairn.git.engine import Engine
from cairn.lfs.models import LfsUsage
from cairn.repositories.health import examine_store, mend_store
from cairn.repositories.update import RepositoryChange, update_repository


async def test_git_and_large_objects_are_examined_together(forge: Forge) -> None:
    ada = await forge.person("ada")
    made = await forge.repository(ada, "engine", files={"a.bin": pointer(b"a")}, may_lack_objects=True)
    [finding] = await examine_store(forge.engine, made.store_id)
    assert sha256(b"a").hexdigest() in finding.sentence
    async with forge.database.write() as session:
        await update_repository(session, forge.engine, ada.actor, made.id, RepositoryChange(allows_lost_lfs=True))
    assert await examine_store(forge.engine, made.store_id) == []


async def test_what_is_safe_is_mended(forge: Forge) -> None:
    ada = await forge.person("ada")
    made = await forge.repository(ada, "engine", files={"a": b"a"})
    await send(forge, made, ada, b"one")
    async with forge.database.write() as session:
        await session.execute(update(LfsUsage).values(objects=9))
    [finding] = await examine_store(forge.engine, made.store_id, is_deep=True)
    assert finding.is_mendable
    await mend_store(forge.engine, made.store_id)
    assert await examine_store(forge.engine, made.store_id) == []


async def test_a_store_of_no_repository_is_gits_alone(engine: Engine) -> None:
    async with engine.database.write() as session:
        store_id = await engine.create_store(session)
    assert await examine_store(engine, store_id) == []
