"""Pictures in the object store: written once, deleted when nobody shows them."""

from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories.accounts import actor_of, make_account, with_token
from tests.identity.test_avatar_images import picture

from cairn.base.actor import ANONYMOUS
from cairn.base.errors import Forbidden, NotFound, Unauthenticated
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.identity.avatar_images import PictureInvalid
from cairn.identity.avatars import (
    DISCARD_KIND,
    best_size,
    delete_if_unused,
    find_picture,
    read_picture,
    remove_picture,
    set_picture,
)
from cairn.identity.models import Account
from cairn.jobs.models import Job
from cairn.storage.storage import Storage, open_storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(Settings(data_dir=tmp_path))


async def make(database: Database, login: str = "ada") -> Account:
    async with database.write() as session:
        return await make_account(session, login)


async def run_jobs(database: Database, storage: Storage) -> None:
    """Do what the worker does with the discarding jobs, whenever they are due."""
    async with database.read() as session:
        jobs = (await session.scalars(select(Job).where(Job.kind == DISCARD_KIND))).all()
    for job in jobs:
        await delete_if_unused(database, storage, str(job.payload["avatar_id"]))


async def keys(storage: Storage) -> list[str]:
    return [found.key async for found in storage.list("avatars")]


async def test_the_newest_picture_stays_and_the_others_go(any_database: Database, storage: Storage) -> None:
    ada = await make(any_database)
    first = await set_picture(any_database, storage, actor_of(ada), ada.id, picture("PNG"))
    second = await set_picture(any_database, storage, actor_of(ada), ada.id, picture("JPEG"))
    assert await find_picture(any_database, "ADA") == second != first
    await run_jobs(any_database, storage)
    assert {key.split("/")[1] for key in await keys(storage)} == {second}
    assert (await read_picture(storage, second, 48))[:4] == b"RIFF"
    with pytest.raises(NotFound):
        await read_picture(storage, first, 48)
    async with any_database.write() as session:
        await remove_picture(session, actor_of(ada), ada.id)
    assert await find_picture(any_database, "ada") is None
    await run_jobs(any_database, storage)
    assert await keys(storage) == []


async def test_an_upload_that_was_cut_short_leaves_nothing(
    database: Database, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program dies between the objects and the row that names them."""
    ada = await make(database)

    async def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cairn.identity.avatars._replace", die)
    with pytest.raises(KeyboardInterrupt):
        await set_picture(database, storage, actor_of(ada), ada.id, picture("PNG"))
    assert await keys(storage) != []
    await run_jobs(database, storage)
    assert await keys(storage) == []


async def test_only_the_owner_changes_a_picture(database: Database, storage: Storage) -> None:
    ada, bob = await make(database), await make(database, "bob")
    for actor, error in [
        (ANONYMOUS, Unauthenticated),
        (actor_of(bob), Forbidden),
        (with_token(actor_of(ada), "repo"), Forbidden),
    ]:
        with pytest.raises(error):
            await set_picture(database, storage, actor, ada.id, picture("PNG"))
        with pytest.raises(error):
            async with database.write() as session:
                await remove_picture(session, actor, ada.id)
    with pytest.raises(PictureInvalid):
        await set_picture(database, storage, actor_of(ada), ada.id, b"nothing")
    assert await keys(storage) == []


@pytest.mark.parametrize("avatar_id", ["../../secret_key", "", "x" * 32, "A" * 32])
async def test_no_name_reaches_another_object(storage: Storage, avatar_id: str) -> None:
    with pytest.raises(NotFound):
        await read_picture(storage, avatar_id, 48)


def test_the_smallest_size_that_is_enough_is_chosen() -> None:
    assert [best_size(wanted) for wanted in (0, 1, 48, 49, 201, 460, 9999)] == [48, 48, 48, 96, 460, 460, 460]
