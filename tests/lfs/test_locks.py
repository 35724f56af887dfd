"""A path has one lock; whose it is releases it, and who maintains the repository does it by force, on record."""

import asyncio

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import actor_of, make_account
from tests.factories.lfs import LfsPlace, let

from cairn.access.actions import Action
from cairn.audit.models import AuditEntry
from cairn.base.actor import Actor, ActorKind, DeployKey
from cairn.base.errors import Forbidden, NotFound
from cairn.events.models import EventRow
from cairn.lfs.authorization import Authorize
from cairn.lfs.locks import CursorInvalid, Lock, PathInvalid, PathLocked, create_lock, list_locks, release_lock
from cairn.lfs.objects import forget_repository


def writer(actor: Actor) -> Authorize:
    """Return an authorization that lets an actor push and nothing more."""

    async def require(session: AsyncSession, action: Action) -> Actor:
        if action is not Action.REPOSITORY_PUSH:
            raise Forbidden("needs the maintain role")
        return actor

    return require


async def lock(place: LfsPlace, path: str, by: Actor | None = None, *, to: int | None = None) -> Lock:
    async with place.database.write() as session:
        return await create_lock(session, let(by or place.actor), to or place.first, path)


async def another(place: LfsPlace, login: str = "ben") -> Actor:
    async with place.database.write() as session:
        return actor_of(await make_account(session, login))


async def paths(place: LfsPlace, **options: str) -> list[str]:
    async with place.database.read() as session:
        return [found.path for found in (await list_locks(session, place.first, **options)).locks]  # type: ignore[arg-type]


async def test_a_path_is_locked_once(lfs_place: LfsPlace) -> None:
    ben = await another(lfs_place)
    mine = await lock(lfs_place, "art/Cover.psd")
    with pytest.raises(PathLocked) as taken:
        await lock(lfs_place, "art/Cover.psd", ben)
    assert (taken.value.lock.id, taken.value.lock.owner) == (mine.id, "ada")
    await lock(lfs_place, "art/cover.psd", ben)  # another path: git tells them apart
    await lock(lfs_place, "art/Cover.psd", ben, to=lfs_place.second)


async def test_of_many_who_lock_a_path_one_has_it(lfs_place: LfsPlace) -> None:
    people = [await another(lfs_place, f"p{number}") for number in range(4)]
    done = await asyncio.gather(*(lock(lfs_place, "one", person) for person in people), return_exceptions=True)
    assert sorted(isinstance(one, PathLocked) for one in done) == [False, True, True, True], done


async def test_another_persons_lock_goes_by_force_and_on_record(lfs_place: LfsPlace) -> None:
    ben = await another(lfs_place)
    made = await lock(lfs_place, "one")
    for authorize, force in ((let(ben), False), (writer(ben), True)):
        with pytest.raises(Forbidden):
            async with lfs_place.database.write() as session:
                await release_lock(session, authorize, lfs_place.first, made.id, force=force)
    assert await paths(lfs_place) == ["one"]
    async with lfs_place.database.write() as session:
        await release_lock(session, let(ben), lfs_place.first, made.id, force=True)
    assert await paths(lfs_place) == []
    async with lfs_place.database.read() as session:
        [entry] = (await session.scalars(select(AuditEntry))).all()
        [event] = (await session.scalars(select(EventRow))).all()
    assert (entry.action, entry.actor, entry.target) == ("lfs.force_unlock", "ben", "one")
    assert (event.type, event.payload["path"], event.payload["owner_id"]) == ("lfs_lock_forced", "one", made.account_id)


async def test_a_lock_of_another_repository_is_absent(lfs_place: LfsPlace) -> None:
    """Attack: release a lock by its id through a repository of one's own (CVE-2026-20897)."""
    made = await lock(lfs_place, "one")
    with pytest.raises(NotFound):
        async with lfs_place.database.write() as session:
            await release_lock(session, let(lfs_place.actor), lfs_place.second, made.id, force=True)
    assert await paths(lfs_place) == ["one"]


async def test_a_deploy_key_holds_no_lock(lfs_place: LfsPlace) -> None:
    machine = Actor(ActorKind.DEPLOY_KEY, deploy_key=DeployKey(1, lfs_place.first, can_write=True))
    with pytest.raises(Forbidden, match="belongs to a person"):
        await lock(lfs_place, "one", machine)


async def test_locks_come_in_pages_that_survive_a_release(lfs_place: LfsPlace) -> None:
    made = [await lock(lfs_place, f"{number}") for number in range(5)]
    async with lfs_place.database.read() as session:
        page = await list_locks(session, lfs_place.first, limit=2)
    assert [one.path for one in page.locks] == ["0", "1"]
    async with lfs_place.database.write() as session:
        await release_lock(session, let(lfs_place.actor), lfs_place.first, made[1].id, force=False)
    assert await paths(lfs_place, cursor=page.next_cursor) == ["2", "3", "4"]
    with pytest.raises(CursorInvalid):
        await paths(lfs_place, cursor="ä")


@pytest.mark.parametrize("path", ["", "/a", "a//b", "a/../b", ".", "a\0b", "a/", "ü" * 501])
async def test_what_is_no_path_is_refused(lfs_place: LfsPlace, path: str) -> None:
    with pytest.raises(PathInvalid):
        await lock(lfs_place, path)


async def test_locks_go_with_their_repository(lfs_place: LfsPlace) -> None:
    await lock(lfs_place, "one")
    async with lfs_place.database.write() as session:
        await forget_repository(session, lfs_place.first)
    assert await paths(lfs_place) == []
