"""Members come and go by who may decide it; the last owner stays, and who leaves takes nothing along."""

import asyncio

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import LONG_AGO, actor_of, make_account, with_token
from tests.factories.actors import ActorCast, fine_grained, make_cast
from tests.factories.organizations import join_organization, make_organization
from tests.factories.outcomes import act, outcome
from tests.factories.repositories import grant, make_repository

from cairn.access.authorize import granted_role
from cairn.access.models import Grant, OrganizationMember, TeamMember
from cairn.access.roles import OrganizationRole, Role
from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS, Actor
from cairn.base.errors import CairnError, Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.identity.models import Account
from cairn.identity.organization_members import (
    LastOwner,
    MemberInvalid,
    admit,
    list_members,
    list_memberships,
    list_outside_collaborators,
    publish_membership,
    put_member,
    read_member,
    remove_member,
    remove_outside_collaborator,
)
from cairn.repositories.models import ACCESS_COLUMNS, Repository

OWNER, MEMBER = OrganizationRole.OWNER, OrganizationRole.MEMBER
KEYS = {"deploy key", "writing deploy key", "deploy key for another repository"}


def expected(name: str, allowed: set[str]) -> type[CairnError] | None:
    if name in allowed:
        return None
    return NotFound if name in {"suspended", *KEYS} else Unauthenticated if name == "anonymous" else Forbidden


def people_of(cast: ActorCast) -> dict[str, Actor]:
    owner = cast.actors["owner"]
    return cast.actors | {
        "writing token": with_token(owner, "write:org"),
        "reading token": with_token(owner, "read:org"),
        "members token": fine_grained(owner, cast.organization.id, members="write"),
    }


async def test_who_may_decide_who_belongs_to_an_organization(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        guild = cast.organization.id
    may = {"owner", "site administrator", "system", "writing token", "members token"}
    for name, actor in people_of(cast).items():
        wanted = expected(name, may)
        added = await outcome(database, act(put_member, actor, guild, login="stranger", role=MEMBER))
        assert added is expected(name, {"site administrator", "system"}), f"{name}: the others have to invite"
        for tried in (
            act(put_member, actor, guild, login="boss", role=OWNER),
            act(list_outside_collaborators, actor, guild),
        ):
            assert await outcome(database, tried) is wanted, name
        # People may always leave by themselves; with a token only if it may write.
        removed = await outcome(database, act(remove_member, actor, guild, login="member"))
        assert removed is (None if name == "member" else wanted), name
        hidden = await outcome(
            database,
            act(publish_membership, actor, guild, login="member", is_public=False),
        )
        assert hidden is (None if name == "member" else wanted), name


async def test_only_people_themselves_show_their_membership(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        guild, member = cast.organization.id, cast.actors["member"]
        with pytest.raises(Forbidden):
            await publish_membership(session, cast.actors["owner"], guild, login="member", is_public=True)
        assert (await list_members(session, ANONYMOUS, guild)).items == []
        await publish_membership(session, member, guild, login="member", is_public=True)
        assert [one.login for one in (await list_members(session, ANONYMOUS, guild)).items] == ["member"]
        assert (await read_member(session, cast.actors["stranger"], guild, "member")).is_public
        for hidden in ("boss", "stranger", "nobody"):
            with pytest.raises(NotFound):
                await read_member(session, cast.actors["stranger"], guild, hidden)
        assert (await read_member(session, member, guild, "boss")).role is MEMBER
        boss = cast.actors["boss"]
        assert (await read_member(session, with_token(boss, "read:org"), guild, "boss")).role is MEMBER
        with pytest.raises(NotFound):
            await read_member(session, with_token(boss, "user"), guild, "boss")


async def test_members_see_all_members_and_pages_of_them(any_database: Database) -> None:
    async with any_database.write() as session:
        cast = await make_cast(session)
        guild, member = cast.organization.id, cast.actors["member"]
        everybody = ["boss", "member", "owner", "suspended", "writer"]
        found = await list_members(session, member, guild, per_page=2, page=2)
        assert ([one.login for one in found.items], found.total) == (everybody[2:4], 5)
        assert [one.login for one in (await list_members(session, member, guild, role=OWNER)).items] == ["owner"]
        assert [one.login for one in (await list_members(session, member, guild, text="RIT")).items] == ["writer"]
        assert (await list_members(session, member, guild, text="a%b")).items == []
        token = with_token(member, "repo")
        assert (await list_members(session, token, guild)).items == []
        await publish_membership(session, member, guild, login="member", is_public=True)
        own = await list_memberships(session, member, cast.accounts["member"].id)
        assert [(one.login, one.role, one.is_public) for one in own] == [("guild", MEMBER, True)]
        assert [one.login for one in await list_memberships(session, ANONYMOUS, cast.accounts["member"].id)] == [
            "guild"
        ]
        for actor, wanted in ((ANONYMOUS, []), (member, ["guild"]), (cast.actors["stranger"], [])):
            found_names = [one.login for one in await list_memberships(session, actor, cast.accounts["boss"].id)]
            assert found_names == wanted


async def test_a_change_of_role_is_told_once(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        guild, owner = cast.organization.id, cast.actors["owner"]
        for _ in range(2):
            assert (await put_member(session, owner, guild, login="Boss", role=OWNER)).role is OWNER
        entries = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "organization.member"))).all()
        assert [(entry.target, entry.changes) for entry in entries] == [("boss", {"role": ["member", "owner"]})]
        assert entries[0].organization_id == guild
        events = (await session.scalars(select(EventRow).where(EventRow.type == "organization_member_changed"))).all()
        assert [event.payload["new_role"] for event in events] == ["owner"]
        with pytest.raises(MemberInvalid):
            await put_member(session, owner, guild, login="nobody-here", role=MEMBER)
        other = await make_organization(session)
        with pytest.raises(MemberInvalid, match="no person"):
            await put_member(session, owner, guild, login=other.login, role=MEMBER)


async def test_the_last_owner_can_neither_leave_nor_step_down(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        guild, owner = cast.organization.id, cast.actors["owner"]
        # A suspended owner cannot act, so they are none that would do.
        retired = await make_account(session, "retired", suspended_at=LONG_AGO)
        await join_organization(session, cast.organization, retired, OWNER)
    for actor in (owner, cast.actors["site administrator"]):
        for tried in (
            act(remove_member, actor, guild, login="owner"),
            act(put_member, actor, guild, login="owner", role=MEMBER),
        ):
            assert await outcome(database, tried) is LastOwner
    async with database.write() as session:
        await admit(session, owner, guild, cast.accounts["boss"], OWNER)
        await remove_member(session, owner, guild, login="owner")
    assert await outcome(database, act(remove_member, cast.actors["boss"], guild, login="boss")) is (LastOwner)


async def test_two_owners_who_leave_at_once_leave_one_behind(any_database: Database) -> None:
    async with any_database.write() as session:
        ada, bob = await make_account(session, "ada"), await make_account(session, "bob")
        guild = await make_organization(session, owner=ada)
        await join_organization(session, guild, bob, OWNER)

    async def leave(account: Account) -> bool:
        async def change(session: AsyncSession) -> None:
            await remove_member(session, actor_of(account), guild.id, login=account.login)

        try:
            await any_database.write_retrying(change)
        except LastOwner:
            return False
        return True

    assert sorted(await asyncio.gather(leave(ada), leave(bob))) == [False, True]
    async with any_database.read() as session:
        assert len((await session.scalars(select(OrganizationMember))).all()) == 1


@pytest.mark.parametrize("keep_grants", [False, True])
async def test_who_is_removed_keeps_no_way_in(database: Database, keep_grants: bool) -> None:
    """Attack: somebody who left has a team, a grant on one repository and a membership that came back to life."""
    async with database.write() as session:
        cast = await make_cast(session)
        guild, writer = cast.organization, cast.accounts["writer"]
        await grant(session, cast.other_repository, writer, Role.MAINTAIN)
        elsewhere = await make_repository(session, cast.accounts["stranger"])
        await grant(session, elsewhere, writer, Role.READ)
        foreign = await make_organization(session)
        await join_organization(session, foreign, writer)
        await remove_member(session, cast.actors["owner"], guild.id, login="writer", keep_grants=keep_grants)
    async with database.write() as session:
        rows = await session.execute(select(Repository.id, granted_role(cast.actors["writer"], ACCESS_COLUMNS)))
        roles = {repository_id: role for repository_id, role in rows if role is not None}
        wanted = {elsewhere.id: Role.READ} | ({cast.other_repository.id: Role.MAINTAIN} if keep_grants else {})
        assert roles == wanted
        places = await session.scalars(select(TeamMember.team_id).where(TeamMember.account_id == writer.id))
        assert places.all() == []
        outside = await list_outside_collaborators(session, cast.actors["owner"], guild.id)
        assert ("writer" in {one.login for one in outside}) is keep_grants
        # Back again: nothing of before comes back by itself.
        await admit(session, cast.actors["owner"], guild.id, writer, MEMBER)
        rows = await session.execute(select(Repository.id, granted_role(cast.actors["writer"], ACCESS_COLUMNS)))
        assert {repository_id: role for repository_id, role in rows if role is not None} == wanted


async def test_outside_collaborators_are_those_with_grants_and_no_membership(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        guild, owner = cast.organization.id, cast.actors["owner"]
        await grant(session, cast.other_repository, cast.accounts["reader"], Role.ADMIN)
        await grant(session, cast.other_repository, cast.accounts["member"], Role.READ)
        found = await list_outside_collaborators(session, owner, guild)
        assert [(one.login, one.repositories) for one in found] == [
            ("administrator", 1),
            ("maintainer", 1),
            ("reader", 2),
            ("triager", 1),
        ]
        await remove_outside_collaborator(session, owner, guild, login="reader")
        left = await session.scalars(select(Grant).where(Grant.account_id == cast.accounts["reader"].id))
        assert left.all() == []
        with pytest.raises(NotFound):
            await remove_outside_collaborator(session, owner, guild, login="reader")
        with pytest.raises(MemberInvalid):
            await remove_outside_collaborator(session, owner, guild, login="member")
        with pytest.raises(Forbidden):
            await remove_outside_collaborator(session, cast.actors["member"], guild, login="triager")


async def test_removing_who_is_no_member_says_so(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        for login in ("stranger", "nobody", "guild"):
            with pytest.raises(NotFound):
                await remove_member(session, cast.actors["owner"], cast.organization.id, login=login)
