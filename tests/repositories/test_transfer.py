"""A repository goes only where somebody asked for it, keeps its redirects, and leaves the old owner's people behind."""

import asyncio

import pytest
from sqlalchemy import select
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.actors import make_cast
from tests.factories.organizations import join_organization, make_organization
from tests.factories.outcomes import act, outcome
from tests.factories.repositories import grant, make_repository

from cairn.access.authorize import granted_role
from cairn.access.models import Organization, TeamGrant
from cairn.access.roles import Role, Visibility
from cairn.audit.models import AuditEntry
from cairn.base.errors import CairnError, Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.identity.models import Account
from cairn.identity.organization_members import remove_member
from cairn.repositories.create import RepositoryExists
from cairn.repositories.models import ACCESS_COLUMNS, Repository, RepositoryRename
from cairn.repositories.names import RepositoryNameInvalid
from cairn.repositories.queries import RepositoryMoved, find_repository, load_scope
from cairn.repositories.transfer import TransferInvalid, transfer_repository


async def test_who_may_take_a_repository_out_of_an_organization(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
    hidden = {"anonymous", "stranger", "member", "suspended", "narrow token", "token for another repository",
              "deploy key for another repository", "fine-grained token for another owner"}  # fmt: skip
    for name, actor in cast.actors.items():
        wanted: type[CairnError] | None = Forbidden
        if name in hidden:
            wanted = NotFound
        elif name in {"owner", "administrator", "site administrator"}:
            wanted = None
        login = actor.login or "owner"
        found = await outcome(database, act(transfer_repository, actor, cast.repository.id, new_owner=login))
        if name == "system":
            assert found is None
        else:
            assert found is wanted, name


async def test_nobody_is_given_a_repository_they_did_not_ask_for(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        closed = await make_organization(session, "closed", members_can_create_repositories=False)
        await join_organization(session, closed, cast.accounts["stranger"])
        own = await make_repository(session, cast.accounts["stranger"], "own")
    stranger = cast.actors["stranger"]
    refused = dict.fromkeys(("owner", "guild", "closed"), Forbidden)
    for target, wanted in (refused | {"nobody": TransferInvalid, "stranger": TransferInvalid}).items():
        found = await outcome(database, act(transfer_repository, stranger, own.id, new_owner=target))
        assert found is wanted, target
    async with database.write() as session:
        (await session.get_one(Organization, closed.id)).members_can_create_repositories = True
    assert await outcome(database, act(transfer_repository, stranger, own.id, new_owner="closed")) is None
    narrow = with_token(stranger, "public_repo")
    assert await outcome(database, act(transfer_repository, narrow, own.id, new_owner="closed")) is None
    for scopes, wanted_error in ((("read:org",), Forbidden), (("gist",), Forbidden)):
        token = with_token(stranger, *scopes)
        assert await outcome(database, act(transfer_repository, token, own.id, new_owner="closed")) is wanted_error
    assert (
        await outcome(database, act(transfer_repository, cast.actors["anonymous"], own.id, new_owner="closed"))
        is Unauthenticated
    )


async def test_into_an_organization_and_out_again(any_database: Database) -> None:
    async with any_database.write() as session:
        cast = await make_cast(session)
        ada = await make_account(session, "ada")
        await join_organization(session, cast.organization, ada)
        own = await make_repository(session, ada, "Tool", visibility=Visibility.PRIVATE)
        await grant(session, own, cast.accounts["reader"], Role.READ)
        adas = actor_of(ada)

    async def role(session: object, account: Account, repository: Repository) -> Role | None:
        statement = select(granted_role(actor_of(account), ACCESS_COLUMNS)).where(Repository.id == repository.id)
        return await session.scalar(statement)  # type: ignore[attr-defined, no-any-return]

    async with any_database.write() as session:
        moved = await transfer_repository(session, adas, own.id, new_owner="guild")
        assert (moved.full_name, moved.role) == ("guild/Tool", Role.ADMIN)
        assert await role(session, ada, own) is Role.ADMIN
        assert await role(session, cast.accounts["owner"], own) is Role.ADMIN
        assert await role(session, cast.accounts["reader"], own) is Role.READ
        with pytest.raises(RepositoryMoved) as elsewhere:
            await find_repository(session, adas, "ada", "tool")
        assert (elsewhere.value.owner, elsewhere.value.name) == ("guild", "Tool")
    async with any_database.write() as session:
        session.add(
            TeamGrant(repository_id=own.id, team_id=cast.team.id, role=Role.MAINTAIN, granted_at=moved.created_at)
        )
        await session.flush()
        assert await role(session, cast.accounts["writer"], own) is Role.MAINTAIN
        back = await transfer_repository(session, adas, own.id, new_owner="ada", new_name="tool-2")
        assert back.full_name == "ada/tool-2"
        for name in ("owner", "writer"):
            assert await role(session, cast.accounts[name], own) is None
        assert await role(session, ada, own) is None
    async with any_database.read() as session:
        for owner, name in (("guild", "tool"), ("ada", "tool")):
            with pytest.raises(RepositoryMoved) as elsewhere:
                await find_repository(session, adas, owner, name)
            assert elsewhere.value.name == "tool-2"
        entries = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "repository.transfer"))).all()
        guild = cast.organization.id
        assert [(entry.target, entry.organization_id) for entry in entries] == [
            ("ada/Tool", None),
            ("guild/Tool", guild),
            ("guild/Tool", guild),
            ("ada/tool-2", None),
        ]
        told = await session.scalars(select(EventRow.payload).where(EventRow.type == "repository_transferred"))
        assert [event["new_full_name"] for event in told] == ["guild/Tool", "ada/tool-2"]


async def test_a_name_in_use_there_stays_with_who_has_it(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        own = await make_repository(session, cast.accounts["owner"], "Engine")
        session.add(RepositoryRename(owner_id=cast.organization.id, name_key="motor", repository_id=cast.repository.id))
    owner = cast.actors["owner"]
    for name, wanted in [(None, RepositoryExists), ("OTHER", RepositoryExists), ("..", RepositoryNameInvalid)]:
        found = await outcome(database, act(transfer_repository, owner, own.id, new_owner="guild", new_name=name))
        assert found is wanted, name
    async with database.write() as session:
        await transfer_repository(session, owner, own.id, new_owner="guild", new_name="motor")
        assert (await find_repository(session, owner, "guild", "motor")).id == own.id


async def test_who_is_removed_meanwhile_keeps_nothing_of_what_they_bring(any_database: Database) -> None:
    """Attack: a member sends a repository into the organization while an owner removes them."""
    async with any_database.write() as session:
        cast = await make_cast(session)
        own = await make_repository(session, cast.accounts["member"], "own")
    member, guild = cast.actors["member"], cast.organization.id
    brought = asyncio.Event()

    async def remove() -> None:
        await brought.wait()
        async with any_database.write() as session:
            await remove_member(session, cast.actors["owner"], guild, login="member")

    removal = asyncio.create_task(remove())
    async with any_database.write() as session:
        await transfer_repository(session, member, own.id, new_owner="guild")
        brought.set()
        # It waits for us; that it did not come before, no test can wait for.
        await asyncio.wait({removal}, timeout=0.5)
    await removal
    async with any_database.read() as session:
        found = await load_scope(session, member, own.id)
        assert found is not None
        assert found.role is None
