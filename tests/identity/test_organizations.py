"""Organizations are founded, changed, renamed and deleted by who may, and by nobody else."""

import asyncio

import pytest
from sqlalchemy import func, select
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.actors import ActorCast, fine_grained, make_cast
from tests.factories.organizations import join_organization, make_organization, make_team
from tests.factories.outcomes import act, outcome
from tests.factories.repositories import make_repository

from cairn.access.actions import Action
from cairn.access.models import Organization, OrganizationMember, Team, TeamAncestor
from cairn.access.roles import BasePermission, OrganizationRole
from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS
from cairn.base.errors import CairnError, Forbidden, Invalid, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.identity.models import Account, AccountKind
from cairn.identity.names import LoginInvalid, NameTaken
from cairn.identity.organizations import (
    OrganizationChange,
    OrganizationNotEmpty,
    create_organization,
    delete_organization,
    find_organization,
    read_organization,
    rename_organization,
    update_organization,
)


async def test_who_founds_an_organization_owns_it(any_database: Database) -> None:
    async with any_database.write() as session:
        ada = await make_account(session, "ada")
        made = await create_organization(session, actor_of(ada), login="Guild", name=" The Guild ")
    async with any_database.read() as session:
        found = await find_organization(session, ANONYMOUS, "GUILD")
        assert (found.id, found.login, found.name) == (made.id, "Guild", "The Guild")
        assert found.base_permission is BasePermission.READ
        [member] = await session.scalars(select(OrganizationMember))
        assert (member.account_id, member.role, member.is_public) == (ada.id, OrganizationRole.OWNER, False)
        account = await session.get_one(Account, made.id)
        assert (account.kind, account.password_hash) == (AccountKind.ORGANIZATION, None)
        [entry] = await session.scalars(select(AuditEntry).where(AuditEntry.action == "organization.create"))
        assert (entry.actor, entry.target, entry.organization_id) == ("ada", "Guild", made.id)
        assert "organization_created" in set(await session.scalars(select(EventRow.type)))


async def test_who_may_found_an_organization(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
    owner = cast.actors["owner"]
    wanted = dict.fromkeys(cast.actors, None) | {
        "anonymous": Unauthenticated,
        "system": Unauthenticated,
        "deploy key": Unauthenticated,
        "writing deploy key": Unauthenticated,
        "deploy key for another repository": Unauthenticated,
        "suspended": NotFound,
        "narrow token": Forbidden,
        "token for another repository": Forbidden,
        "fine-grained token": Forbidden,
        "fine-grained token for another owner": Forbidden,
        "org token": None,
    }
    for name, actor in (cast.actors | {"org token": with_token(owner, "admin:org")}).items():
        found = await outcome(database, act(create_organization, actor, login="fresh"))
        assert found is wanted[name], name


async def test_people_and_organizations_share_one_set_of_names(database: Database) -> None:
    async with database.write() as session:
        ada = actor_of(await make_account(session, "ada"))
        await create_organization(session, ada, login="guild")
    for login, error in [("ADA", NameTaken), ("Guild", NameTaken), ("settings", LoginInvalid), ("-x", LoginInvalid)]:
        assert await outcome(database, act(create_organization, ada, login=login)) is (error), login


async def test_two_who_want_one_name_at_once_do_not_both_get_it(database: Database) -> None:
    async with database.write() as session:
        people = [actor_of(await make_account(session)) for _ in range(4)]

    async def found(number: int) -> bool:
        try:
            async with database.write() as session:
                await create_organization(session, people[number], login="guild")
        except NameTaken:
            return False
        return True

    assert sorted(await asyncio.gather(*(found(number) for number in range(4)))) == [False, False, False, True]


OWNERS_ONLY = {"owner", "site administrator", "system"}
HIDDEN = {"suspended", "deploy key", "writing deploy key", "deploy key for another repository"}


def expected(name: str, allowed: set[str]) -> type[CairnError] | None:
    """Return what an actor must meet where only ``allowed`` may: an organization is no secret, its settings are."""
    if name in allowed:
        return None
    return NotFound if name in HIDDEN else Unauthenticated if name == "anonymous" else Forbidden


async def test_who_may_change_rename_and_delete_an_organization(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        empty = await make_organization(session, "empty", owner=cast.accounts["owner"])
        for name in ("member", "boss", "suspended"):
            await join_organization(session, empty, cast.accounts[name])
    change = OrganizationChange(base_permission=BasePermission.ADMIN)
    people = cast.actors | {
        "org token": with_token(cast.actors["owner"], "admin:org"),
        "writing org token": with_token(cast.actors["owner"], "write:org"),
        "administering token": fine_grained(
            cast.actors["owner"], empty.id, organization_administration="write", members="write"
        ),
        "administrator's token": with_token(cast.actors["site administrator"], "admin:org"),
    }
    allowed = OWNERS_ONLY | {"org token", "administering token"}
    for name, actor in people.items():
        for tried in (
            act(update_organization, actor, empty.id, change),
            act(rename_organization, actor, empty.id, "other-name"),
            act(delete_organization, actor, empty.id),
        ):
            assert await outcome(database, tried) is expected(name, allowed), name


async def test_a_change_is_told_with_before_and_after(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        owner, guild = cast.actors["owner"], cast.organization.id
        change = OrganizationChange(
            description="Makers", base_permission=BasePermission.READ, members_can_create_teams=False
        )
        changed = await update_organization(session, owner, guild, change)
        await update_organization(session, owner, guild, change)
        assert (changed.description, changed.base_permission) == ("Makers", BasePermission.READ)
        assert changed.members_can_create_repositories
        assert not changed.members_can_create_teams
        [entry] = await session.scalars(select(AuditEntry).where(AuditEntry.action == "organization.update"))
        assert entry.changes == {
            "description": ["", "Makers"],
            "base_permission": ["none", "read"],
            "members_can_create_teams": ["yes", "no"],
        }
        assert entry.organization_id == guild
    for wrong in (
        OrganizationChange(name="a\nb"),
        OrganizationChange(description="x" * 501),
        OrganizationChange(website="javascript:alert(1)"),
    ):
        assert await outcome(database, act(update_organization, owner, guild, wrong)) is (Invalid)


async def test_a_renamed_organization_keeps_its_old_name_for_itself(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        owner, guild = cast.actors["owner"], cast.organization.id
        await rename_organization(session, owner, guild, "Crafts")
        assert (await find_organization(session, ANONYMOUS, "crafts")).id == guild
        with pytest.raises(NotFound):
            await find_organization(session, ANONYMOUS, "guild")
        with pytest.raises(NameTaken):
            await create_organization(session, cast.actors["stranger"], login="guild")
        assert (await rename_organization(session, owner, guild, "guild")).login == "guild"


async def test_deleting_takes_teams_and_memberships_and_needs_an_empty_organization(any_database: Database) -> None:
    async with any_database.write() as session:
        ada = await make_account(session, "ada")
        guild = await make_organization(session, "guild", owner=ada)
        parent = await make_team(session, guild)
        await make_team(session, guild, parent=await make_team(session, guild, parent=parent))
        repository = await make_repository(session, guild)
        actor, repository_id = actor_of(ada), repository.id
    with pytest.raises(OrganizationNotEmpty, match="a repository"):
        async with any_database.write() as session:
            await delete_organization(session, actor, guild.id)
    async with any_database.write() as session:
        await session.delete(await session.get_one(type(repository), repository_id))
        await session.flush()
        await delete_organization(session, actor, guild.id)
    async with any_database.write() as session:
        for table in (Organization, OrganizationMember, Team, TeamAncestor):
            assert await session.scalar(select(func.count()).select_from(table)) == 0, table
        with pytest.raises(NotFound):
            await read_organization(session, actor, guild.id)
        with pytest.raises(NameTaken):
            await create_organization(session, actor, login="guild")
        [entry] = await session.scalars(select(AuditEntry).where(AuditEntry.action == "organization.delete"))
        assert (entry.target, entry.organization_id) == ("guild", guild.id)


async def test_a_person_is_no_organization(database: Database) -> None:
    async with database.write() as session:
        cast: ActorCast = await make_cast(session)
        with pytest.raises(NotFound):
            await find_organization(session, cast.actors["owner"], "owner")
        with pytest.raises(NotFound):
            await read_organization(session, cast.actors["owner"], cast.accounts["owner"].id, Action.ORGANIZATION_EDIT)
