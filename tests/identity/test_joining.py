"""Who is asked before they get a place, and who is not; the doors are tested beside them."""

import pytest
from tests.factories.organizations import make_organization, make_team
from tests.factories.outcomes import act, outcome
from tests.identity.test_email_addresses import OUTBOX
from tests.identity.test_invitations import ADDRESS, cast_of
from tests.identity.test_organization_members import expected, people_of

from cairn.access.models import OrganizationMember
from cairn.access.roles import OrganizationRole, TeamRole
from cairn.base.errors import Forbidden, NotFound
from cairn.db.database import Database
from cairn.identity.invitations import Invitation, invite
from cairn.identity.joining import (
    add_at_once,
    end_place,
    find_invited,
    needs_invitation,
    place_in_organization,
    place_in_team,
    role_in_offered_team,
)
from cairn.identity.organization_members import Member, MemberInvalid
from cairn.identity.own_invitations import NotInvited, accept_invitation
from cairn.identity.team_members import TeamMemberView

OWNER, MEMBER = OrganizationRole.OWNER, OrganizationRole.MEMBER


async def test_who_is_asked(database: Database) -> None:
    cast, guild, owner = await cast_of(database)
    admin = cast.actors["site administrator"]
    async with database.write() as session:
        assert not await needs_invitation(session, owner, guild, "member")
        assert await needs_invitation(session, owner, guild, "stranger")
        assert not await needs_invitation(session, admin, guild, "stranger")
        place = await place_in_organization(session, OUTBOX, owner, guild, login="member", role=OWNER)
        assert isinstance(place, Member)
        place = await place_in_organization(session, OUTBOX, admin, guild, login="reader", role=MEMBER)
        assert isinstance(place, Member)
        place = await place_in_organization(session, OUTBOX, owner, guild, login="stranger", role=MEMBER)
        assert isinstance(place, Invitation)
        assert not await needs_invitation(session, owner, guild, "stranger")
        assert await session.get(OrganizationMember, (guild, cast.accounts["stranger"].id)) is None
        with pytest.raises(MemberInvalid):
            await needs_invitation(session, owner, guild, "guild")


async def test_who_may_give_places(database: Database) -> None:
    cast, guild, _ = await cast_of(database)
    may = {"owner", "site administrator", "system", "writing token", "members token"}
    for name, actor in people_of(cast).items():
        tried = act(place_in_organization, OUTBOX, actor, guild, login="stranger", role=MEMBER)
        assert await outcome(database, tried) is expected(name, may), name
        ended = act(end_place, actor, guild, "writer")
        assert await outcome(database, ended) is (None if name == "writer" else expected(name, may)), name
        at_once = act(add_at_once, actor, guild, login="stranger", role=MEMBER, teams=[cast.team.id])
        assert await outcome(database, at_once) is expected(name, {"site administrator", "system"}), name
        in_team = act(place_in_team, OUTBOX, actor, cast.team.id, login="stranger", role=TeamRole.MEMBER)
        assert (await outcome(database, in_team) is None) == (name in may), name
    # The maintainer of a team puts members into it, and is told why not others.
    boss = cast.actors["boss"]
    for login, wanted in (("member", None), ("stranger", Forbidden)):
        tried = act(place_in_team, OUTBOX, boss, cast.team.id, login=login, role=TeamRole.MEMBER)
        assert await outcome(database, tried) is wanted


async def test_a_team_is_added_to_what_is_offered(database: Database) -> None:
    cast, guild, owner = await cast_of(database)
    async with database.write() as session:
        await place_in_organization(session, OUTBOX, owner, guild, login="stranger", role=OWNER)
        place = await place_in_team(session, OUTBOX, owner, cast.team.id, login="stranger", role=TeamRole.MAINTAINER)
        assert isinstance(place, Invitation)
        assert (place.role, place.teams) == (OWNER, ("builders",))
        assert await role_in_offered_team(session, place.id, cast.team.id) is TeamRole.MAINTAINER
        assert await find_invited(session, owner, guild, "stranger", team_id=cast.team.id) == place
        assert await find_invited(session, owner, guild, "stranger", team_id=cast.child_team.id) is None
        assert await find_invited(session, cast.actors["member"], guild, "stranger") is None
        member = await place_in_team(session, OUTBOX, owner, cast.team.id, login="member", role=TeamRole.MEMBER)
        assert isinstance(member, TeamMemberView)


async def test_ending_a_place_leaves_an_address_alone(database: Database) -> None:
    cast, guild, owner = await cast_of(database)
    async with database.write() as session:
        await invite(session, OUTBOX, owner, guild, ADDRESS)
        await place_in_organization(session, OUTBOX, owner, guild, login="stranger", role=MEMBER)
        await end_place(session, owner, guild, "stranger")
        assert await find_invited(session, owner, guild, "stranger") is None
        await end_place(session, owner, guild, "member")
        assert await session.get(OrganizationMember, (guild, cast.accounts["member"].id)) is None
    assert await outcome(database, act(end_place, owner, guild, ADDRESS)) is NotFound
    assert await outcome(database, act(end_place, owner, guild, "stranger")) is NotFound


async def test_who_is_added_at_once_is_no_longer_invited(database: Database) -> None:
    """Attack: somebody invited as an owner is added as a member, removed, and comes back by what still waits."""
    cast, guild, owner = await cast_of(database)
    admin, stranger = cast.actors["site administrator"], cast.accounts["stranger"]
    ways = (
        act(place_in_organization, OUTBOX, admin, guild, login="stranger", role=MEMBER),
        act(place_in_team, OUTBOX, admin, cast.team.id, login="stranger", role=TeamRole.MEMBER),
        act(add_at_once, admin, guild, login="stranger", role=MEMBER, teams=[]),
    )
    for way in ways:
        async with database.write() as session:
            await invite(session, OUTBOX, owner, guild, "stranger", role=OWNER)
        async with database.write() as session:
            await way(session)
        async with database.write() as session:
            assert await find_invited(session, owner, guild, "stranger") is None
            await end_place(session, owner, guild, "stranger")
            assert await session.get(OrganizationMember, (guild, stranger.id)) is None
        assert await outcome(database, act(accept_invitation, cast.actors["stranger"], guild)) is NotInvited


async def test_nobody_is_added_to_the_team_of_another_organization(database: Database) -> None:
    cast, guild, _ = await cast_of(database)
    async with database.write() as session:
        other = await make_organization(session, "other", owner=cast.accounts["stranger"])
        foreign = await make_team(session, other, "foreign")
    admin = cast.actors["site administrator"]
    tried = act(add_at_once, admin, guild, login="reader", role=MEMBER, teams=[foreign.id])
    assert await outcome(database, tried) is NotFound
