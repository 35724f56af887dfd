"""Collaborators: roles given, changed and taken by administrators; anybody may leave."""

import asyncio

import pytest
from sqlalchemy import select
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.actors import fine_grained
from tests.factories.repositories import grant, make_repository

from cairn.access.roles import Role, Visibility
from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS
from cairn.base.errors import Forbidden, NotFound
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.identity.models import Account, AccountKind
from cairn.repositories.collaborators import (
    CollaboratorInvalid,
    put_collaborator,
    remove_collaborator,
    role_of,
)
from cairn.repositories.models import Repository
from cairn.repositories.queries import load_scope


async def cast(database: Database) -> tuple[Account, Account, Repository]:
    async with database.write() as session:
        alice, bob = await make_account(session, "alice"), await make_account(session, "bob")
        return alice, bob, await make_repository(session, alice, visibility=Visibility.PRIVATE)


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_is_given_changed_and_taken(database: Database, role: Role) -> None:
    alice, bob, repository = await cast(database)
    async with database.write() as session:
        owner = actor_of(alice)
        await put_collaborator(session, owner, repository.id, login="BOB", role=role)
        scope = await load_scope(session, actor_of(bob), repository.id)
        assert scope is not None
        assert scope.role is role
        assert await role_of(session, owner, repository.id, login="bob") is role
        other = Role.READ if role is not Role.READ else Role.WRITE
        await put_collaborator(session, owner, repository.id, login="bob", role=other)
        assert await role_of(session, owner, repository.id, login="bob") is other
        await remove_collaborator(session, owner, repository.id, login="bob")
        assert await role_of(session, owner, repository.id, login="bob") is None
        assert await role_of(session, owner, repository.id, login="alice") is Role.ADMIN
    async with database.read() as session:
        told = [(row.payload["old_role"], row.payload["new_role"]) for row in await session.scalars(select(EventRow))]
        entries = list(await session.scalars(select(AuditEntry)))
    assert told == [("", role.value), (role.value, other.value), (other.value, "")]
    assert {entry.repository_id for entry in entries} == {repository.id}


async def test_the_same_role_again_tells_nothing(database: Database) -> None:
    alice, _, repository = await cast(database)
    async with database.write() as session:
        first = await put_collaborator(session, actor_of(alice), repository.id, login="bob", role=Role.READ)
        assert await put_collaborator(session, actor_of(alice), repository.id, login="bob", role=Role.READ) == first
    async with database.read() as session:
        assert len(list(await session.scalars(select(EventRow)))) == 1


async def test_owner_organization_and_nobody_cannot_be_collaborators(database: Database) -> None:
    alice, bob, repository = await cast(database)
    async with database.write() as session:
        (await session.get_one(Account, bob.id)).kind = AccountKind.ORGANIZATION
        for login in ("alice", "bob", "nobody", "a/b"):
            with pytest.raises(CollaboratorInvalid):
                await put_collaborator(session, actor_of(alice), repository.id, login=login, role=Role.READ)


async def test_who_may_handle_collaborators(database: Database) -> None:
    """Attack: a maintainer gives themselves, or a friend, the admin role."""
    alice, bob, repository = await cast(database)
    async with database.write() as session:
        await grant(session, repository, bob, Role.MAINTAIN)
        stranger = actor_of(await make_account(session, "stranger"))
    table = [
        (ANONYMOUS, NotFound),
        (stranger, NotFound),
        (actor_of(bob), Forbidden),
        (with_token(actor_of(alice), "public_repo"), NotFound),
        (with_token(actor_of(alice), "delete_repo"), NotFound),
    ]
    async with database.write() as session:
        for actor, error in table:
            for login in ("bob", "stranger"):
                with pytest.raises(error):
                    await put_collaborator(session, actor, repository.id, login=login, role=Role.ADMIN)
            with pytest.raises(error):
                await role_of(session, actor, repository.id, login="bob")
            if actor != actor_of(bob):
                with pytest.raises(error):
                    await remove_collaborator(session, actor, repository.id, login="bob")


async def test_a_collaborator_may_leave_but_send_nobody_away(database: Database) -> None:
    alice, bob, repository = await cast(database)
    async with database.write() as session:
        other = await make_account(session, "other")
        for account in (bob, other):
            await grant(session, repository, account, Role.READ)
        with pytest.raises(Forbidden):
            await remove_collaborator(session, actor_of(bob), repository.id, login="other")
        await remove_collaborator(session, actor_of(bob), repository.id, login="bob")
        with pytest.raises(NotFound):
            await remove_collaborator(session, actor_of(alice), repository.id, login="bob")
        with pytest.raises(NotFound):
            await remove_collaborator(session, actor_of(alice), repository.id, login="nobody")


@pytest.mark.parametrize("visibility", [Visibility.PUBLIC, Visibility.PRIVATE])
async def test_a_token_that_may_only_read_takes_nobody_out(database: Database, visibility: Visibility) -> None:
    """Attack: a leaked token without any right to write ends its owner's role."""
    async with database.write() as session:
        alice, bob = await make_account(session, "alice"), await make_account(session, "bob")
        repository = await make_repository(session, alice, visibility=visibility)
        await grant(session, repository, bob, Role.WRITE)
        tokens = [
            with_token(actor_of(bob)),
            with_token(actor_of(bob), "user"),
            fine_grained(actor_of(bob), alice.id, contents="read"),
            fine_grained(actor_of(bob), bob.id, administration="write"),
        ]
        for token in tokens:
            with pytest.raises((Forbidden, NotFound)):
                await remove_collaborator(session, token, repository.id, login="bob")
            assert await role_of(session, actor_of(alice), repository.id, login="bob") is Role.WRITE
        await remove_collaborator(session, with_token(actor_of(bob), "repo"), repository.id, login="bob")
        assert await role_of(session, actor_of(alice), repository.id, login="bob") is None


async def test_grants_at_once_end_in_one_of_them(database: Database) -> None:
    alice, _, repository = await cast(database)

    async def put(role: Role) -> None:
        async with database.write() as session:
            await put_collaborator(session, actor_of(alice), repository.id, login="bob", role=role)

    await asyncio.gather(*(put(role) for role in Role))
    async with database.read() as session:
        assert await role_of(session, actor_of(alice), repository.id, login="bob") in set(Role)
