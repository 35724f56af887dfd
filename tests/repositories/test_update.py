"""Changing settings: who may change what, renames that redirect, the default branch that must exist."""

import asyncio

import pytest
from sqlalchemy import select
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.organizations import make_organization
from tests.factories.repositories import grant

from cairn.access.roles import Role, Visibility
from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS, SYSTEM, Actor
from cairn.base.errors import CairnError, Forbidden, Invalid, NotFound
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.git.engine import Engine
from cairn.git.models import Ref
from cairn.identity.models import Account
from cairn.repositories.create import InternalNotPossible, NewRepository, RepositoryExists, create_repository
from cairn.repositories.models import Repository
from cairn.repositories.queries import RepositoryMoved, RepositoryView, find_repository
from cairn.repositories.update import BranchUnknown, RepositoryChange, update_repository


async def cast(database: Database) -> dict[str, Actor]:
    async with database.write() as session:
        return {name: actor_of(await make_account(session, name)) for name in ("alice", "maintainer", "writer")}


async def make(database: Database, engine: Engine, owner: Actor, name: str = "engine") -> RepositoryView:
    return await create_repository(database, engine, owner, NewRepository(name=name, with_readme=True))


async def change(
    database: Database, engine: Engine, actor: Actor, made: RepositoryView, wanted: RepositoryChange
) -> RepositoryView:
    async with database.write() as session:
        return await update_repository(session, engine, actor, made.id, wanted)


async def test_everything_changes_at_once_and_is_told(database: Database, engine: Engine) -> None:
    alice = (await cast(database))["alice"]
    made = await make(database, engine, alice)
    wanted = RepositoryChange(
        name="Motor", description=" d ", homepage="https://h.test", visibility=Visibility.PRIVATE, is_archived=True
    )
    found = await change(database, engine, alice, made, wanted)
    assert (found.full_name, found.description, found.homepage) == ("alice/Motor", "d", "https://h.test")
    assert (found.visibility, found.is_archived) == (Visibility.PRIVATE, True)
    assert found.updated_at > made.updated_at
    async with database.read() as session:
        events = list(await session.scalars(select(EventRow).order_by(EventRow.id)))
        entry = (await session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()))).first()
    assert [one.type for one in events] == ["repository_created", "pushed", "repository_renamed", "repository_edited"]
    assert events[-1].payload["changes"]["visibility"] == ["public", "private"]  # type: ignore[index]  # JSON
    assert entry is not None
    assert entry.changes is not None
    assert entry.changes["name"] == ["engine", "Motor"]


async def test_nothing_changed_tells_nothing(database: Database, engine: Engine) -> None:
    alice = (await cast(database))["alice"]
    made = await make(database, engine, alice)
    await change(database, engine, alice, made, RepositoryChange(name="engine", visibility=Visibility.PUBLIC))
    async with database.read() as session:
        assert {row.type for row in await session.scalars(select(EventRow))} == {"repository_created", "pushed"}


DESCRIPTION = RepositoryChange(description="x")
VISIBILITY = RepositoryChange(visibility=Visibility.PRIVATE)
BRANCH = RepositoryChange(default_branch="main")


async def test_who_may_change_what(database: Database, engine: Engine) -> None:
    actors = await cast(database)
    alice = actors["alice"]
    made = await make(database, engine, alice)
    async with database.write() as session:
        repository = await session.get_one(Repository, made.id)
        for name, role in (("maintainer", Role.MAINTAIN), ("writer", Role.WRITE)):
            account_id = actors[name].account_id
            assert account_id is not None
            await grant(session, repository, await session.get_one(Account, account_id), role)
    table: list[tuple[Actor, RepositoryChange, bool]] = [
        (ANONYMOUS, DESCRIPTION, False),
        (actors["writer"], DESCRIPTION, False),
        (actors["maintainer"], DESCRIPTION, True),
        (actors["maintainer"], BRANCH, True),
        (actors["maintainer"], VISIBILITY, False),
        (actors["maintainer"], RepositoryChange(name="taken-over"), False),
        (actors["maintainer"], RepositoryChange(description="x", is_archived=True), False),
        (with_token(alice), DESCRIPTION, False),
        (with_token(alice, "public_repo"), DESCRIPTION, True),
        # A token that could not see the result must not make it.
        (with_token(alice, "public_repo"), VISIBILITY, False),
        (with_token(alice, "repo"), VISIBILITY, True),
        (SYSTEM, DESCRIPTION, True),
    ]
    for actor, wanted, is_allowed in table:
        try:
            await change(database, engine, actor, made, wanted)
        except CairnError:
            assert not is_allowed, (actor, wanted)
        else:
            assert is_allowed, (actor, wanted)


async def test_an_archived_repository_changes_only_by_coming_back(database: Database, engine: Engine) -> None:
    alice = (await cast(database))["alice"]
    made = await make(database, engine, alice)
    await change(database, engine, alice, made, RepositoryChange(is_archived=True))
    with pytest.raises(Forbidden, match="archived"):
        await change(database, engine, alice, made, DESCRIPTION)
    with pytest.raises(Forbidden, match="archived"):
        await change(database, engine, alice, made, RepositoryChange(name="other"))
    back = await change(database, engine, alice, made, RepositoryChange(is_archived=False, description="y"))
    assert (back.is_archived, back.description) == (False, "y")


async def test_an_old_name_redirects_until_it_is_used_again(database: Database, engine: Engine) -> None:
    alice = (await cast(database))["alice"]
    made = await make(database, engine, alice, "one")
    await change(database, engine, alice, made, RepositoryChange(name="two"))
    await change(database, engine, alice, made, RepositoryChange(name="Three"))
    async with database.read() as session:
        for old in ("one", "TWO"):
            with pytest.raises(RepositoryMoved) as moved:
                await find_repository(session, ANONYMOUS, "alice", old)
            assert moved.value.name == "Three"
    await change(database, engine, alice, made, RepositoryChange(name="one"))
    other = await make(database, engine, alice, "two")
    async with database.read() as session:
        assert (await find_repository(session, ANONYMOUS, "alice", "one")).id == made.id
        assert (await find_repository(session, ANONYMOUS, "alice", "two")).id == other.id
        with pytest.raises(RepositoryMoved):
            await find_repository(session, ANONYMOUS, "alice", "three")


async def test_a_name_may_change_its_case_and_not_become_anothers(database: Database, engine: Engine) -> None:
    alice = (await cast(database))["alice"]
    made = await make(database, engine, alice)
    await make(database, engine, alice, "other")
    assert (await change(database, engine, alice, made, RepositoryChange(name="ENGINE"))).name == "ENGINE"
    with pytest.raises(RepositoryExists):
        await change(database, engine, alice, made, RepositoryChange(name="Other"))
    with pytest.raises(Invalid):
        await change(database, engine, alice, made, RepositoryChange(name="a/b"))
    async with database.read() as session:
        assert (await find_repository(session, alice, "alice", "engine")).name == "ENGINE"


async def test_the_default_branch_must_exist_unless_nothing_does(database: Database, engine: Engine) -> None:
    alice = (await cast(database))["alice"]
    made = await make(database, engine, alice)
    with pytest.raises(BranchUnknown, match="'trunk'"):
        await change(database, engine, alice, made, RepositoryChange(default_branch="trunk"))
    async with database.write() as session:
        main = await session.scalar(select(Ref.oid))
        session.add(Ref(store_id=made.store_id, name=b"refs/heads/trunk", oid=main))
    found = await change(database, engine, alice, made, RepositoryChange(default_branch="trunk"))
    assert found.default_branch == "trunk"
    empty = await create_repository(database, engine, alice, NewRepository(name="empty"))
    found = await change(database, engine, alice, empty, RepositoryChange(default_branch="develop"))
    assert found.default_branch == "develop"
    for bad in ("..", "a b", "", "x" * 300):
        with pytest.raises(Invalid):
            await change(database, engine, alice, empty, RepositoryChange(default_branch=bad))


async def test_narrowing_visibility_forgets_cached_answers(database: Database, engine: Engine) -> None:
    alice = (await cast(database))["alice"]
    async with database.write() as session:
        await make_organization(session, "guild", owner=await session.get_one(Account, alice.account_id))
    made = await create_repository(database, engine, alice, NewRepository(name="engine", owner="guild"))
    epochs = []
    for visibility in (Visibility.INTERNAL, Visibility.PRIVATE, Visibility.PUBLIC):
        await change(database, engine, alice, made, RepositoryChange(visibility=visibility))
        epochs.append((await engine.state(made.store_id)).cache_epoch)
    assert epochs == [1, 2, 2]


async def test_only_organizations_make_a_repository_internal(database: Database, engine: Engine) -> None:
    alice = (await cast(database))["alice"]
    made = await make(database, engine, alice)
    with pytest.raises(InternalNotPossible):
        await change(database, engine, alice, made, RepositoryChange(visibility=Visibility.INTERNAL))


async def test_changes_at_once_wait_for_each_other(database: Database, engine: Engine) -> None:
    alice = (await cast(database))["alice"]
    made = await make(database, engine, alice)
    wanted = [RepositoryChange(name=f"name-{number}", default_branch="main") for number in range(4)]
    await asyncio.gather(*(change(database, engine, alice, made, one) for one in wanted))
    async with database.read() as session:
        with pytest.raises(RepositoryMoved) as moved:
            await find_repository(session, alice, "alice", "engine")
    assert moved.value.name in {one.name for one in wanted}


async def test_a_repository_that_is_gone_is_not_found(database: Database, engine: Engine) -> None:
    alice = (await cast(database))["alice"]
    async with database.write() as session:
        with pytest.raises(NotFound):
            await update_repository(session, engine, alice, 10**6, DESCRIPTION)
