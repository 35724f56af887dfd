"""The other side of an invitation: whose it is, what accepting gives, and what happens when two things race."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.actors import fine_grained
from tests.factories.outcomes import act, outcome
from tests.identity.test_email_addresses import OUTBOX
from tests.identity.test_invitations import ADDRESS, cast_of, grow_old

from cairn.access.models import OrganizationMember, TeamMember
from cairn.access.roles import OrganizationRole, TeamRole
from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS, Actor
from cairn.base.errors import Forbidden, NotFound, Unauthenticated
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.identity.deletion import delete_account
from cairn.identity.invitations import LIFETIME, cancel_invitation, invite, list_invitations
from cairn.identity.models import Account, AccountEmail, OrganizationInvitation
from cairn.identity.one_time_links import LinkUnusable
from cairn.identity.own_invitations import (
    NotInvited,
    accept_invitation,
    decline_invitation,
    find_own_invitation,
    list_own_invitations,
    offers_to,
    read_invitation_of_link,
)

OWNER, MEMBER = OrganizationRole.OWNER, OrganizationRole.MEMBER


async def claim(database: Database, account: Account, email: str, *, is_proved: bool) -> None:
    """Give an account another address."""
    async with database.write() as session:
        row = AccountEmail(account_id=account.id, email=email, email_key=email.lower(), is_primary=False)
        row.verified_at = await database_now(session) if is_proved else None
        session.add(row)


async def test_only_who_is_invited_may_answer(any_database: Database) -> None:
    """Attack: somebody else, or a claimed address nobody proved, takes a place that was meant for another."""
    cast, guild, owner = await cast_of(any_database)
    stranger, reader = cast.actors["stranger"], cast.actors["reader"]
    await claim(any_database, cast.accounts["triager"], "triager@corp.test", is_proved=False)
    await claim(any_database, cast.accounts["reader"], ADDRESS.upper(), is_proved=True)
    async with any_database.write() as session:
        await invite(session, OUTBOX, owner, guild, "stranger")
        await invite(session, OUTBOX, owner, guild, "triager@corp.test")
        await invite(session, OUTBOX, owner, guild, ADDRESS)
    async with any_database.read() as session:
        assert [one.login for one in await offers_to(session, stranger)] == ["guild"]
        for nobody in (ANONYMOUS, with_token(stranger, "repo"), cast.actors["deploy key"]):
            assert await offers_to(session, nobody) == []
    # The order of the table: who, seeing, accepting and declining.
    for name, actor, sees, answers in [
        ("by name", stranger, None, None),
        ("by a proved address", reader, None, None),
        ("by an address that is not proved", cast.actors["triager"], NotInvited, NotInvited),
        ("another one", cast.actors["maintainer"], NotInvited, NotInvited),
        ("site administrator", cast.actors["site administrator"], NotInvited, NotInvited),
        ("anonymous", ANONYMOUS, Unauthenticated, Unauthenticated),
        ("deploy key", cast.actors["deploy key"], Unauthenticated, Unauthenticated),
        ("writing token", with_token(stranger, "write:org"), None, None),
        ("reading token", with_token(stranger, "read:org"), None, Forbidden),
        ("narrow token", with_token(stranger, "repo", "user"), Forbidden, Forbidden),
        ("fine-grained token", fine_grained(stranger, guild, members="write"), Forbidden, Forbidden),
    ]:
        for tried, wanted in (
            (act(find_own_invitation, actor, guild), sees),
            (act(accept_invitation, actor, guild), answers),
            (act(decline_invitation, actor, guild), answers),
        ):
            assert await outcome(any_database, tried) is wanted, name


async def test_a_suspended_person_cannot_accept(database: Database) -> None:
    cast, guild, owner = await cast_of(database)
    async with database.write() as session:
        await invite(session, OUTBOX, owner, guild, "stranger")
        at = await database_now(session)
        await session.execute(update(Account).where(Account.id == cast.accounts["stranger"].id).values(suspended_at=at))
        shut_out = await session.get_one(Account, cast.accounts["stranger"].id, populate_existing=True)
    for verb in (accept_invitation, decline_invitation):
        assert await outcome(database, act(verb, actor_of(shut_out), guild)) is NotFound
    assert await outcome(database, act(list_own_invitations, actor_of(shut_out))) is NotFound


async def test_accepting_joins_the_organization_and_its_teams(any_database: Database) -> None:
    cast, guild, owner = await cast_of(any_database)
    stranger = cast.actors["stranger"]
    async with any_database.write() as session:
        teams = {cast.team.id: TeamRole.MAINTAINER, cast.child_team.id: TeamRole.MEMBER}
        await invite(session, OUTBOX, owner, guild, "stranger", teams=teams)
    async with any_database.read() as session:
        (offer,) = await list_own_invitations(session, stranger)
    assert (offer.login, offer.role, offer.inviter) == ("guild", MEMBER, "owner")
    async with any_database.write() as session:
        joined = await accept_invitation(session, stranger, guild)
    assert (joined.login, joined.role) == ("stranger", MEMBER)
    async with any_database.read() as session:
        places = await session.scalars(select(TeamMember).where(TeamMember.account_id == stranger.account_id))
        assert {place.team_id: place.role for place in places} == teams
        assert await list_own_invitations(session, stranger) == []
        actions = (await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))).all()
        types = (await session.scalars(select(EventRow.type).order_by(EventRow.id))).all()
    assert actions == [
        "organization.invite",
        "organization.member",
        "team.member",
        "team.member",
        "organization.accept_invitation",
    ]
    assert types[-1] == "organization_invitation_closed"
    assert await outcome(any_database, act(accept_invitation, stranger, guild)) is NotInvited


async def test_an_owner_maintains_the_teams_they_join(database: Database) -> None:
    cast, guild, owner = await cast_of(database)
    stranger = cast.actors["stranger"]
    async with database.write() as session:
        await invite(session, OUTBOX, owner, guild, "stranger", role=OWNER, teams={cast.team.id: TeamRole.MEMBER})
        assert (await accept_invitation(session, stranger, guild)).role is OWNER
        place = await session.get_one(TeamMember, (cast.team.id, stranger.account_id))
        assert place.role is TeamRole.MAINTAINER


async def test_who_is_invited_by_name_and_by_address_answers_once(any_database: Database) -> None:
    cast, guild, owner = await cast_of(any_database)
    stranger = cast.actors["stranger"]
    await claim(any_database, cast.accounts["stranger"], ADDRESS, is_proved=True)
    async with any_database.write() as session:
        await invite(session, OUTBOX, owner, guild, "stranger", teams={cast.team.id: TeamRole.MEMBER})
        await invite(session, OUTBOX, owner, guild, ADDRESS, role=OWNER)
    async with any_database.write() as session:
        assert [one.role for one in await list_own_invitations(session, stranger)] == [OWNER]
        assert (await accept_invitation(session, stranger, guild)).role is OWNER
        assert await session.get(TeamMember, (cast.team.id, stranger.account_id)) is not None
        assert (await list_invitations(session, owner, guild)).total == 0


async def test_an_owner_invited_by_an_address_stays_one(database: Database) -> None:
    """Attack: demote an owner by having them accept a member's place under another of their addresses."""
    cast, guild, owner = await cast_of(database)
    await claim(database, cast.accounts["owner"], ADDRESS, is_proved=True)
    async with database.write() as session:
        await invite(session, OUTBOX, cast.actors["site administrator"], guild, ADDRESS)
        assert (await accept_invitation(session, owner, guild)).role is OWNER


async def test_declining_leaves_nothing_behind(any_database: Database) -> None:
    cast, guild, owner = await cast_of(any_database)
    stranger = cast.actors["stranger"]
    async with any_database.write() as session:
        await invite(session, OUTBOX, owner, guild, "stranger")
        await decline_invitation(session, stranger, guild)
        assert await session.get(OrganizationMember, (guild, stranger.account_id)) is None
        assert (await list_invitations(session, owner, guild)).total == 0
        noted = await session.scalar(select(AuditEntry).where(AuditEntry.action == "organization.decline_invitation"))
        assert noted is not None
        assert (noted.target, noted.organization_id) == ("stranger", guild)
        await invite(session, OUTBOX, owner, guild, "stranger")


async def test_an_old_invitation_is_none(any_database: Database) -> None:
    cast, guild, owner = await cast_of(any_database)
    async with any_database.write() as session:
        made = await invite(session, OUTBOX, owner, guild, "stranger")
        assert await read_invitation_of_link(session, made.id) == ("guild", "")
        await grow_old(session, LIFETIME)
    assert await outcome(any_database, act(accept_invitation, cast.actors["stranger"], guild)) is NotInvited
    assert await outcome(any_database, act(read_invitation_of_link, made.id)) is LinkUnusable
    async with any_database.read() as session:
        assert await list_own_invitations(session, cast.actors["stranger"]) == []


async def together(database: Database, *acts: Callable[[AsyncSession], Awaitable[object]]) -> list[str]:
    """Return how acts end that begin at once, each in a transaction of its own."""

    async def one(act: Callable[[AsyncSession], Awaitable[object]]) -> str:
        async def change(session: AsyncSession) -> None:
            await act(session)

        try:
            await database.write_retrying(change)
        except NotFound as error:
            return type(error).__name__
        return "done"

    return await asyncio.gather(*map(one, acts))


async def test_of_two_accepts_at_once_one_joins(any_database: Database) -> None:
    cast, guild, owner = await cast_of(any_database)
    stranger = cast.actors["stranger"]
    async with any_database.write() as session:
        await invite(session, OUTBOX, owner, guild, "stranger", teams={cast.team.id: TeamRole.MEMBER})
    results = await together(any_database, *[act(accept_invitation, stranger, guild) for _ in range(3)])
    assert sorted(results) == ["NotInvited", "NotInvited", "done"]
    async with any_database.read() as session:
        joined = select(AuditEntry).where(AuditEntry.action == "organization.accept_invitation")
        assert len((await session.scalars(joined)).all()) == 1


@pytest.mark.parametrize("answer", [accept_invitation, decline_invitation])
async def test_of_cancelling_and_answering_at_once_one_counts(
    any_database: Database, answer: Callable[[AsyncSession, Actor, int], Awaitable[object]]
) -> None:
    cast, guild, owner = await cast_of(any_database)
    stranger = cast.actors["stranger"]
    async with any_database.write() as session:
        made = await invite(session, OUTBOX, owner, guild, "stranger")

    async def cancel(session: AsyncSession) -> None:
        await cancel_invitation(session, owner, guild, made.id)

    async def reply(session: AsyncSession) -> None:
        await answer(session, stranger, guild)

    cancelled, answered = await together(any_database, cancel, reply)
    assert {cancelled, answered} in ({"done", "NotInvited"}, {"NotFound", "done"})
    async with any_database.read() as session:
        member = await session.get(OrganizationMember, (guild, stranger.account_id))
        left = (await session.scalars(select(OrganizationInvitation))).all()
        closed = (
            await session.scalars(select(EventRow).where(EventRow.type == "organization_invitation_closed"))
        ).all()
    assert (member is not None) == (answered == "done" and answer is accept_invitation)
    assert left == []
    assert len(closed) == 1


async def test_nobody_joins_by_an_account_that_was_deleted_meanwhile(any_database: Database) -> None:
    """A request that was authorized before the account went: the ghost must not be a member."""
    cast, guild, owner = await cast_of(any_database)
    stranger = cast.actors["stranger"]

    async def owned(session: AsyncSession, account_id: int) -> list[tuple[int, str]]:
        return []

    async with any_database.write() as session:
        await invite(session, OUTBOX, owner, guild, "stranger")
        account = await make_account(session, "late")
    await delete_account(any_database, OUTBOX, stranger, cast.accounts["stranger"].id, list_repositories=owned)
    assert await outcome(any_database, act(accept_invitation, stranger, guild)) is NotInvited
    await delete_account(any_database, OUTBOX, actor_of(account), account.id, list_repositories=owned)
    async with any_database.read() as session:
        members = set(await session.scalars(select(OrganizationMember.account_id)))
    assert not members & {account.id, cast.accounts["stranger"].id}
