"""Invitations as owners make them: who may, whom, what goes out, and what is left of them in the end."""

import asyncio
import re
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import actor_of, make_account
from tests.factories.actors import ActorCast, make_cast
from tests.factories.organizations import make_organization, make_team
from tests.factories.outcomes import act, outcome
from tests.identity.test_email_addresses import OUTBOX
from tests.identity.test_organization_members import expected, people_of

from cairn.access.roles import OrganizationRole, TeamRole
from cairn.audit.models import AuditEntry
from cairn.base.actor import SYSTEM, Actor
from cairn.base.errors import NotFound
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.identity import invitations
from cairn.identity.deletion import delete_account
from cairn.identity.emails import EmailInvalid
from cairn.identity.invitations import (
    KEPT_UNANSWERED,
    LIFETIME,
    Invitation,
    InvitationInvalid,
    cancel_invitation,
    delete_unanswered,
    invite,
    list_invitation_teams,
    list_invitations,
    list_team_invitations,
    offer_role,
    offer_team,
    read_invitation,
    resend_invitation,
)
from cairn.identity.models import Account, LinkPurpose, OneTimeLink, OrganizationInvitation
from cairn.identity.one_time_links import LinkUnusable, find_link
from cairn.identity.organization_members import MemberInvalid
from cairn.identity.organizations import delete_organization
from cairn.mail.compose import Composed
from cairn.mail.outbox import list_mails

OWNER, MEMBER = OrganizationRole.OWNER, OrganizationRole.MEMBER
ADDRESS = "New.Hire@Example.test"


async def cast_of(database: Database) -> tuple[ActorCast, int, Actor]:
    """Return a cast, the number of its organization, and the owner."""
    async with database.write() as session:
        cast = await make_cast(session)
    return cast, cast.organization.id, cast.actors["owner"]


async def mails(database: Database) -> list[tuple[str, Composed]]:
    """Return recipients and words of what stands in the outbox, the oldest first."""
    async with database.read() as session:
        rows = reversed(await list_mails(session, SYSTEM))
        return [(row.recipient, await OUTBOX.read(session, SYSTEM, row.id)) for row in rows]


def secret_in(mail: Composed) -> str:
    """Return the secret of the link in a mail."""
    found = re.search(r"/join\?invitation=([\w-]+)&next=/orgs/guild/invitation", mail.text)
    assert found is not None, mail.text
    return found[1]


async def grow_old(session: AsyncSession, by: timedelta) -> None:
    """Make every invitation and its link older."""
    for row in (await session.scalars(select(OrganizationInvitation))).all():
        row.expires_at -= by
    for link in (await session.scalars(select(OneTimeLink))).all():
        link.expires_at -= by
    await session.flush()


async def test_who_may_invite_and_see_who_is_invited(database: Database) -> None:
    cast, guild, owner = await cast_of(database)
    async with database.write() as session:
        waiting = await invite(session, OUTBOX, owner, guild, "reader", teams={cast.team.id: TeamRole.MEMBER})
    may = {"owner", "site administrator", "system", "writing token", "members token"}
    for name, actor in people_of(cast).items():
        for tried in (
            act(invite, OUTBOX, actor, guild, "stranger"),
            act(invite, OUTBOX, actor, guild, ADDRESS),
            act(resend_invitation, OUTBOX, actor, guild, waiting.id),
            act(offer_role, actor, guild, waiting.id, OWNER),
            act(cancel_invitation, actor, guild, waiting.id),
            act(list_invitations, actor, guild),
            act(read_invitation, actor, guild, waiting.id),
            act(list_invitation_teams, actor, guild, waiting.id),
        ):
            assert await outcome(database, tried) is expected(name, may), name
        # Maintainers of a team see who is to join it, from outside and without the right nobody learns of the team.
        seen = await outcome(database, act(list_team_invitations, actor, cast.team.id))
        assert (seen is None) == (name in may | {"boss"}), name


async def test_a_person_gets_a_mail_without_a_secret_and_an_address_one_with_a_link(any_database: Database) -> None:
    cast, guild, owner = await cast_of(any_database)
    async with any_database.write() as session:
        teams = {cast.team.id: TeamRole.MAINTAINER}
        person = await invite(session, OUTBOX, owner, guild, "@Stranger", role=OWNER, teams=teams)
        address = await invite(session, OUTBOX, owner, guild, f" {ADDRESS} ")
    assert (person.login, person.email, person.role, person.teams) == ("stranger", "", OWNER, ("builders",))
    assert (address.login, address.email, address.role, address.teams) == ("", ADDRESS, MEMBER, ())
    assert (person.inviter, person.is_open, person.expires_at - person.created_at) == ("owner", True, LIFETIME)
    (to_person, first), (to_address, second) = await mails(any_database)
    assert (to_person, to_address) == ("stranger@example.test", ADDRESS)
    assert first.subject == second.subject == "owner invites you to guild"
    assert "https://cairn.test/orgs/guild/invitation\n" in first.text
    assert ("as one of its owners" in first.text, "as one of its owners" in second.text) == (True, False)
    assert "/join?" not in first.text
    secret = secret_in(second)
    assert secret in second.html
    async with any_database.read() as session:
        link = await find_link(session, LinkPurpose.ORGANIZATION_INVITATION, secret)
        kept = (await session.scalars(select(OneTimeLink.secret_sha256))).all()
        told = (await session.scalars(select(EventRow).where(EventRow.type == "organization_invited"))).all()
        noted = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "organization.invite"))).all()
    assert (link.email, link.invitation_id) == (ADDRESS.lower(), address.id)
    assert secret not in str(kept)
    assert [event.payload["account_id"] for event in told] == [cast.accounts["stranger"].id, None]
    assert ADDRESS.lower() not in str([event.payload for event in told]).lower(), "events may leave the installation"
    assert [(entry.target, entry.organization_id) for entry in noted] == [("stranger", guild), (ADDRESS, guild)]


async def test_nobody_is_invited_twice_or_into_what_is_not_there(database: Database) -> None:
    cast, guild, owner = await cast_of(database)
    async with database.write() as session:
        other = await make_organization(session, "other", owner=cast.accounts["owner"])
        foreign = await make_team(session, other, "foreign")
        await invite(session, OUTBOX, owner, guild, "stranger")
        await invite(session, OUTBOX, owner, guild, ADDRESS)
        await invite(session, OUTBOX, owner, other.id, ADDRESS)
    for invitee, teams, error in [
        ("Stranger", {}, InvitationInvalid),
        (ADDRESS.upper(), {}, InvitationInvalid),
        ("member", {}, InvitationInvalid),
        ("nobody", {}, MemberInvalid),
        ("other", {}, MemberInvalid),
        ("", {}, MemberInvalid),
        ("a@b@c", {}, EmailInvalid),
        ("reader", {foreign.id: TeamRole.MEMBER}, InvitationInvalid),
        ("reader", {999: TeamRole.MEMBER}, InvitationInvalid),
        ("reader", dict.fromkeys(range(51), TeamRole.MEMBER), InvitationInvalid),
    ]:
        assert await outcome(database, act(invite, OUTBOX, owner, guild, invitee, teams=teams)) is error, invitee
    async with database.read() as session:
        assert (await list_invitations(session, owner, guild)).total == 2
        assert (await list_invitations(session, owner, guild, role=OWNER)).items == []


async def test_an_organization_has_so_many_open_invitations(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, guild, owner = await cast_of(database)
    monkeypatch.setattr(invitations, "OPEN_MAX", 2)
    async with database.write() as session:
        for number in range(2):
            await invite(session, OUTBOX, owner, guild, f"person{number}@example.test")
    another = act(invite, OUTBOX, owner, guild, "person2@example.test")
    assert await outcome(database, another) is InvitationInvalid
    async with database.write() as session:
        await grow_old(session, LIFETIME)
    assert await outcome(database, another) is None


async def test_sending_again_gives_more_time_and_only_the_last_link_works(any_database: Database) -> None:
    _, guild, owner = await cast_of(any_database)
    async with any_database.write() as session:
        made = await invite(session, OUTBOX, owner, guild, ADDRESS)
        await grow_old(session, LIFETIME + timedelta(hours=1))
    async with any_database.read() as session:
        assert (await list_invitations(session, owner, guild)).items == []
        failed = (await list_invitations(session, owner, guild, is_open=False)).items
    assert [(one.id, one.is_open) for one in failed] == [(made.id, False)]
    async with any_database.write() as session:
        again = await resend_invitation(session, OUTBOX, owner, guild, made.id)
    assert again.is_open
    first, second = [secret_in(mail) for _, mail in await mails(any_database)]
    async with any_database.read() as session:
        with pytest.raises(LinkUnusable):
            await find_link(session, LinkPurpose.ORGANIZATION_INVITATION, first)
        assert (await find_link(session, LinkPurpose.ORGANIZATION_INVITATION, second)).invitation_id == made.id


async def test_an_invitation_that_nobody_answered_makes_way_for_another(any_database: Database) -> None:
    _, guild, owner = await cast_of(any_database)
    async with any_database.write() as session:
        old = await invite(session, OUTBOX, owner, guild, "stranger")
        await grow_old(session, LIFETIME)
    async with any_database.write() as session:
        new = await invite(session, OUTBOX, owner, guild, "stranger", role=OWNER)
        assert (await list_invitations(session, owner, guild, is_open=False)).items == []
        assert [one.role for one in (await list_invitations(session, owner, guild)).items] == [OWNER]
    assert new.id > old.id


async def test_another_role_and_another_team_are_offered_without_another_mail(database: Database) -> None:
    cast, guild, owner = await cast_of(database)
    async with database.write() as session:
        made = await invite(session, OUTBOX, owner, guild, "stranger")
        assert (await offer_role(session, owner, guild, made.id, OWNER)).role is OWNER
        await offer_team(session, owner, guild, made.id, cast.team, TeamRole.MEMBER)
        await offer_team(session, owner, guild, made.id, cast.team, TeamRole.MAINTAINER)
        assert [team.slug for team in await list_invitation_teams(session, owner, guild, made.id)] == ["builders"]
        assert [one.id for one in (await list_team_invitations(session, owner, cast.team.id)).items] == [made.id]
        assert (await list_team_invitations(session, owner, cast.child_team.id)).items == []
    async with database.read() as session:
        changed = select(AuditEntry.changes).where(AuditEntry.action == "organization.change_invitation")
        noted = (await session.scalars(changed.order_by(AuditEntry.id))).all()
    assert noted == [
        {"role": ["member", "owner"]},
        {"team builders": ["", "member"]},
        {"team builders": ["member", "maintainer"]},
    ]
    assert len(await mails(database)) == 1


async def test_a_cancelled_invitation_is_gone_with_its_link(any_database: Database) -> None:
    _, guild, owner = await cast_of(any_database)
    async with any_database.write() as session:
        made = await invite(session, OUTBOX, owner, guild, ADDRESS)
        other = await make_organization(session, "other", owner=await make_account(session))
    assert await outcome(any_database, act(cancel_invitation, SYSTEM, other.id, made.id)) is NotFound
    async with any_database.write() as session:
        await cancel_invitation(session, owner, guild, made.id)
    async with any_database.read() as session:
        assert (await list_invitations(session, owner, guild)).items == []
        assert await session.scalar(select(func.count()).select_from(OneTimeLink)) == 0
        closed = await session.scalar(select(EventRow).where(EventRow.type == "organization_invitation_closed"))
    assert closed is not None
    assert closed.payload["outcome"] == "cancelled"
    assert await outcome(any_database, act(cancel_invitation, owner, guild, made.id)) is NotFound
    assert await outcome(any_database, act(resend_invitation, OUTBOX, owner, guild, made.id)) is NotFound


async def test_invitations_go_with_the_organization_and_with_the_person(any_database: Database) -> None:
    async with any_database.write() as session:
        ada, bob, eve = [await make_account(session, login) for login in ("ada", "bob", "eve")]
        firm, club = [await make_organization(session, login, owner=ada) for login in ("firm", "club")]
        for organization in (firm, club):
            await invite(session, OUTBOX, actor_of(ada), organization.id, "bob")
        await invite(session, OUTBOX, actor_of(ada), firm.id, ADDRESS)
        await delete_organization(session, actor_of(ada), firm.id)
        assert await left(session) == 1

    async def owned(session: AsyncSession, account_id: int) -> list[tuple[int, str]]:
        return []

    await delete_account(any_database, OUTBOX, actor_of(bob), bob.id, list_repositories=owned)
    async with any_database.write() as session:
        assert await left(session) == 0
        await invite(session, OUTBOX, actor_of(ada), club.id, eve.login)


async def left(session: AsyncSession) -> int:
    """Return how many invitations there are."""
    return await session.scalar(select(func.count()).select_from(OrganizationInvitation)) or 0


async def test_unanswered_ones_are_shown_for_a_month(any_database: Database) -> None:
    _, guild, owner = await cast_of(any_database)
    async with any_database.write() as session:
        await invite(session, OUTBOX, owner, guild, ADDRESS)
        await grow_old(session, LIFETIME + KEPT_UNANSWERED - timedelta(hours=1))
    async with any_database.write() as session:
        assert await delete_unanswered(session) == 0
        await grow_old(session, timedelta(hours=2))
    async with any_database.write() as session:
        assert await delete_unanswered(session) == 1
        assert await left(session) == 0


async def test_of_two_owners_who_invite_somebody_at_once_one_is_told(any_database: Database) -> None:
    _, guild, owner = await cast_of(any_database)

    async def once() -> str:
        async def change(session: AsyncSession) -> Invitation:
            return await invite(session, OUTBOX, owner, guild, ADDRESS)

        try:
            await any_database.write_retrying(change)
        except InvitationInvalid as error:
            return error.message
        return "invited"

    told = sorted(await asyncio.gather(once(), once()))
    assert told == [f"{ADDRESS} is invited already.", "invited"]
    assert len(await mails(any_database)) == 1


async def test_who_has_no_address_is_invited_without_a_mail(database: Database) -> None:
    cast, guild, owner = await cast_of(database)
    async with database.write() as session:
        nameless = Account(login="quiet", login_key="quiet", created_at=await database_now(session))
        nameless.updated_at = nameless.created_at
        session.add(nameless)
        await session.flush()
        await session.execute(update(Account).where(Account.id == cast.accounts["stranger"].id).values(name="x"))
        made = await invite(session, OUTBOX, owner, guild, "quiet")
    assert made.login == "quiet"
    assert await mails(database) == []
