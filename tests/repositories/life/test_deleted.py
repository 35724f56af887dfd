"""Restoring and erasing: who may, under which name, and that nothing is missing or left."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.organizations import join_organization, make_organization

from cairn.access.models import Grant
from cairn.access.roles import OrganizationRole, Role, Visibility
from cairn.base.actor import ANONYMOUS, SYSTEM, Actor
from cairn.base.errors import Forbidden, Invalid, NotFound
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.models import ManifestEntry, Ref
from cairn.identity.models import Account
from cairn.repositories.create import NewRepository, RepositoryExists, create_repository
from cairn.repositories.delete import delete_repository
from cairn.repositories.fork import NewFork, fork_repository
from cairn.repositories.life.deleted import (
    OwnerGone,
    erase_due,
    erase_repository,
    list_all_deleted,
    list_deleted,
    restore_repository,
)
from cairn.repositories.life.models import RepositoryDeletion, RepositoryStar
from cairn.repositories.life.stars import star
from cairn.repositories.models import Repository
from cairn.repositories.queries import RepositoryMoved, RepositoryView, find_repository, find_repository_by_id
from cairn.repositories.update import RepositoryChange, update_repository


async def person(database: Database, login: str, *, is_site_admin: bool = False) -> Actor:
    async with database.write() as session:
        return actor_of(await make_account(session, login, is_site_admin=is_site_admin))


async def make(
    database: Database, engine: Engine, maker: Actor, name: str = "engine", **options: object
) -> RepositoryView:
    wanted = NewRepository(name=name, with_readme=True, **options)  # type: ignore[arg-type]  # a test's options
    return await create_repository(database, engine, maker, wanted)


async def delete(database: Database, engine: Engine, actor: Actor, repository: RepositoryView) -> None:
    async with database.write() as session:
        await delete_repository(session, engine, actor, repository.id)


async def count(database: Database, table: type) -> int:
    async with database.read() as session:
        return int(await session.scalar(select(func.count()).select_from(table)) or 0)


async def test_what_is_restored_has_everything_it_had(database: Database, engine: Engine) -> None:
    alice, bob = await person(database, "alice"), await person(database, "bob")
    made = await make(database, engine, alice, visibility=Visibility.PRIVATE)
    async with database.write() as session:
        row = await session.get_one(Repository, made.id)
        account = (await session.scalars(select(Grant))).first()
        assert account is None
        assert bob.account_id is not None
        session.add(Grant(repository_id=row.id, account_id=bob.account_id, role=Role.WRITE, granted_at=row.created_at))
        await session.flush()
        await star(session, bob, made.id)
    before = await engine.snapshot(await engine.state(made.store_id))
    await delete(database, engine, alice, made)
    async with database.read() as session:
        (listed,) = await list_deleted(session, alice, made.owner_id)
        assert (listed.full_name, listed.deleted_by, listed.visibility) == ("alice/engine", "alice", Visibility.PRIVATE)
        assert listed.erase_at - listed.deleted_at == timedelta(days=14)
        assert listed.bytes > 0
    async with database.write() as session:
        back = await restore_repository(session, alice, made.id)
    assert (back.id, back.full_name, back.stars_count) == (made.id, "alice/engine", 1)
    async with database.read() as session:
        found = await find_repository(session, bob, "alice", "engine")
        assert (found.role, found.is_starred) == (Role.WRITE, True)
        assert await list_deleted(session, alice, made.owner_id) == []
    after = await engine.snapshot(await engine.state(made.store_id))
    assert [(ref.name, ref.oid) for ref in after.refs] == [(ref.name, ref.oid) for ref in before.refs] != []


async def test_an_old_address_leads_nowhere_until_what_it_led_to_is_restored(
    database: Database, engine: Engine
) -> None:
    alice = await person(database, "alice")
    made = await make(database, engine, alice)
    for name in ("mill", "store"):
        async with database.write() as session:
            await update_repository(session, engine, alice, made.id, RepositoryChange(name=name))
    await delete(database, engine, alice, made)
    for name in ("engine", "mill", "store"):
        async with database.read() as session:
            with pytest.raises(NotFound) as absent:
                await find_repository(session, alice, "alice", name)
            assert not isinstance(absent.value, RepositoryMoved)
    other = await make(database, engine, alice, "mill")
    async with database.write() as session:
        await restore_repository(session, alice, made.id)
    async with database.read() as session:
        with pytest.raises(RepositoryMoved) as moved:
            await find_repository(session, alice, "alice", "engine")
        assert (moved.value.owner, moved.value.name) == ("alice", "store")
        assert (await find_repository(session, alice, "alice", "mill")).id == other.id


async def test_a_name_that_was_taken_asks_for_another(database: Database, engine: Engine) -> None:
    alice = await person(database, "alice")
    made = await make(database, engine, alice)
    await delete(database, engine, alice, made)
    other = await make(database, engine, alice)
    for name in ("", "Engine"):
        with pytest.raises(RepositoryExists):
            async with database.write() as session:
                await restore_repository(session, alice, made.id, name=name)
    async with database.write() as session:
        assert (await restore_repository(session, alice, made.id, name="engine-2")).full_name == "alice/engine-2"
    async with database.read() as session:
        assert (await find_repository(session, alice, "alice", "engine")).id == other.id


async def test_who_may_restore(database: Database, engine: Engine) -> None:
    alice, bob, boss = [await person(database, name, is_site_admin=name == "boss") for name in ("alice", "bob", "boss")]
    made = await make(database, engine, alice)
    async with database.write() as session:
        row = await session.get_one(Repository, made.id)
        assert bob.account_id is not None
        session.add(Grant(repository_id=row.id, account_id=bob.account_id, role=Role.ADMIN, granted_at=row.created_at))
    await delete(database, engine, bob, made)
    narrow = [with_token(alice, "public_repo"), with_token(alice, "repo", repository_ids=frozenset({made.id}))]
    for actor in (bob, ANONYMOUS, *narrow):
        with pytest.raises(NotFound):
            async with database.write() as session:
                await restore_repository(session, actor, made.id)
        with pytest.raises(NotFound):
            async with database.write() as session:
                await erase_repository(session, engine, actor, made.id, typed="alice/engine")
    with pytest.raises(Forbidden):
        async with database.write() as session:
            await restore_repository(session, alice, made.id, owner="bob")
    for actor in (with_token(alice, "repo"), boss, SYSTEM):
        async with database.write() as session:
            await restore_repository(session, actor, made.id)
        await delete(database, engine, alice, made)
    async with database.write() as session:
        assert [one.id for one in await list_all_deleted(session, boss)] == [made.id]
        with pytest.raises(NotFound):
            await list_all_deleted(session, alice)


async def test_owners_restore_what_belonged_to_their_organization(database: Database, engine: Engine) -> None:
    async with database.write() as session:
        ada, ben = await make_account(session, "ada"), await make_account(session, "ben")
        guild = await make_organization(session, "guild", owner=ada)
        await join_organization(session, guild, ben, OrganizationRole.MEMBER)
        login, guild_id = guild.login, guild.id
    made = await make(database, engine, actor_of(ada), owner=login)
    await delete(database, engine, actor_of(ada), made)
    with pytest.raises(NotFound):
        async with database.write() as session:
            await restore_repository(session, actor_of(ben), made.id)
    async with database.write() as session:
        assert [one.id for one in await list_deleted(session, actor_of(ada), guild_id)] == [made.id]
        assert (await restore_repository(session, actor_of(ada), made.id)).id == made.id


async def test_what_an_account_left_behind_comes_back_under_another(database: Database, engine: Engine) -> None:
    alice, boss = await person(database, "alice"), await person(database, "boss", is_site_admin=True)
    made = await make(database, engine, alice)
    await delete(database, engine, alice, made)
    async with database.write() as session:
        row = await session.get_one(Repository, made.id)

        moment = await database_now(session)
        await session.execute(update(Account).where(Account.id == row.owner_id).values(deleted_at=moment))
    with pytest.raises(OwnerGone):
        async with database.write() as session:
            await restore_repository(session, boss, made.id)
    async with database.write() as session:
        assert (await restore_repository(session, boss, made.id, owner="boss")).full_name == "boss/engine"


async def test_what_is_due_is_erased_and_nothing_else(database: Database, engine: Engine) -> None:
    alice = await person(database, "alice")
    due, kept = await make(database, engine, alice, "due"), await make(database, engine, alice, "kept")
    async with database.write() as session:
        await star(session, alice, due.id)
    for one in (due, kept):
        await delete(database, engine, alice, one)
    assert await erase_due(database, engine, SYSTEM) == 0
    async with database.write() as session:
        moment = await database_now(session) - timedelta(seconds=1)
        mine = RepositoryDeletion.repository_id == due.id
        await session.execute(update(RepositoryDeletion).where(mine).values(erase_at=moment))
    assert await erase_due(database, engine, SYSTEM) == 1
    assert await erase_due(database, engine, SYSTEM) == 0
    for table in (Repository, RepositoryDeletion, Ref, ManifestEntry):
        assert await count(database, table) == 1, table
    assert await count(database, RepositoryStar) == 0
    async with database.write() as session:
        with pytest.raises(NotFound):
            await restore_repository(session, alice, due.id)
    async with database.write() as session:
        await restore_repository(session, alice, kept.id)


async def test_erasing_wants_the_whole_name(database: Database, engine: Engine) -> None:
    alice = await person(database, "alice")
    made = await make(database, engine, alice)
    with pytest.raises(NotFound):
        async with database.write() as session:
            await erase_repository(session, engine, alice, made.id, typed="alice/engine")
    await delete(database, engine, alice, made)
    with pytest.raises(Invalid, match="Type alice/engine"):
        async with database.write() as session:
            await erase_repository(session, engine, alice, made.id, typed="engine")
    async with database.write() as session:
        await erase_repository(session, engine, alice, made.id, typed="Alice/engine")
    assert await count(database, Repository) == 0


async def test_forks_stay_where_deletion_left_them(database: Database, engine: Engine) -> None:
    """G6: a fork of a deleted parent is alone; the restored parent does not get it back, it may be wider by now."""
    alice, bob, cleo = [await person(database, name) for name in ("alice", "bob", "cleo")]
    parent = await make(database, engine, alice)
    forked = (await fork_repository(database, engine, bob, parent, NewFork())).repository
    await delete(database, engine, alice, parent)
    async with database.read() as session:
        alone = await find_repository_by_id(session, cleo, forked.id)
    assert (alone.parent_id, alone.source_id) == (None, None)
    async with database.write() as session:
        back = await restore_repository(session, alice, parent.id)
    assert back.forks_count == 0
    # A deleted fork keeps its place below a parent that is still there, and does not stop another one.
    second = (await fork_repository(database, engine, cleo, back, NewFork())).repository
    await delete(database, engine, cleo, second)
    third = (await fork_repository(database, engine, cleo, back, NewFork())).repository
    assert third.id != second.id
    async with database.write() as session:
        restored = await restore_repository(session, cleo, second.id, name="second")
    assert restored.parent_id == parent.id
