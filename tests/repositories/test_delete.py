"""Deleting a repository: only its administrators, absent at once, its name free again."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.repositories import grant

from cairn.access.models import Grant
from cairn.access.roles import Role, Visibility
from cairn.base.actor import ANONYMOUS, SYSTEM
from cairn.base.errors import CairnError, Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.git.engine import Engine
from cairn.git.models import ManifestEntry, Ref
from cairn.repositories.create import NewRepository, create_repository
from cairn.repositories.delete import delete_repository
from cairn.repositories.life.models import RepositoryDeletion
from cairn.repositories.lists import RepositoryFilter, list_owned, list_repositories
from cairn.repositories.models import Repository, RepositoryRename
from cairn.repositories.queries import find_repository, find_repository_by_id


async def count(database: Database, table: type) -> int:
    async with database.read() as session:
        return int(await session.scalar(select(func.count()).select_from(table)) or 0)


async def test_a_deleted_repository_is_absent_and_keeps_what_it_has(database: Database, engine: Engine) -> None:
    async with database.write() as session:
        alice, bob = await make_account(session, "alice"), await make_account(session, "bob")
        boss = await make_account(session, "boss", is_site_admin=True)
    wanted = NewRepository(name="engine", with_readme=True)
    made = await create_repository(database, engine, actor_of(alice), wanted)
    async with database.write() as session:
        await grant(session, await session.get_one(Repository, made.id), bob, Role.WRITE)
        session.add(RepositoryRename(owner_id=alice.id, name_key="old", repository_id=made.id))
    async with database.write() as session:
        await delete_repository(session, engine, actor_of(alice), made.id)
    for table in (Repository, RepositoryRename, Grant, Ref, ManifestEntry):
        assert await count(database, table) == 1, table
    async with database.read() as session:
        for actor in (actor_of(alice), actor_of(bob), actor_of(boss), SYSTEM, ANONYMOUS):
            for name in ("engine", "old", f"~{made.id}"):
                with pytest.raises(NotFound):
                    await find_repository(session, actor, "alice", name)
            with pytest.raises(NotFound):
                await find_repository_by_id(session, actor, made.id)
            assert (await list_repositories(session, actor, RepositoryFilter())).items == []
        assert await list_owned(session, alice.id) == []
        last = (await session.scalars(select(EventRow).order_by(EventRow.id.desc()))).first()
        row = await session.get_one(RepositoryDeletion, made.id)
    assert (row.deleted_by_id, row.erase_at - row.deleted_at) == (alice.id, timedelta(days=14))
    assert last is not None
    assert (last.type, last.payload["full_name"]) == ("repository_deleted", "alice/engine")
    again = await create_repository(database, engine, actor_of(alice), wanted)
    assert again.id != made.id
    assert again.store_id != made.store_id
    with pytest.raises(NotFound):
        async with database.write() as session:
            await delete_repository(session, engine, actor_of(alice), made.id)


async def test_who_may_delete(database: Database, engine: Engine) -> None:
    async with database.write() as session:
        alice, bob = actor_of(await make_account(session, "alice")), await make_account(session, "bob")
    made = await create_repository(database, engine, alice, NewRepository(name="engine"))
    hidden = await create_repository(
        database, engine, alice, NewRepository(name="hidden", visibility=Visibility.PRIVATE)
    )
    async with database.write() as session:
        await grant(session, await session.get_one(Repository, made.id), bob, Role.MAINTAIN)
    table: list[tuple[object, int, type[CairnError]]] = [
        (ANONYMOUS, made.id, Unauthenticated),
        (ANONYMOUS, hidden.id, NotFound),
        (actor_of(bob), made.id, Forbidden),
        (actor_of(bob), hidden.id, NotFound),
        (with_token(alice, "repo"), made.id, Forbidden),
        (with_token(alice, "delete_repo"), hidden.id, NotFound),
        (alice, 10**6, NotFound),
    ]
    for actor, repository_id, error in table:
        with pytest.raises(error) as refused:
            async with database.write() as session:
                await delete_repository(session, engine, actor, repository_id)  # type: ignore[arg-type]  # actors
        assert type(refused.value) is error
    assert await count(database, RepositoryDeletion) == 0
    async with database.write() as session:
        await delete_repository(session, engine, with_token(alice, "delete_repo"), made.id)
    assert await count(database, RepositoryDeletion) == 1
