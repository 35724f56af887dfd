"""Invitations into organizations over REST, for owners, in GitHub's shape. Who is invited answers in
``memberships_api``.
"""

from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.roles import OrganizationRole, TeamRole
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, NotFound
from cairn.base.ids import RowId
from cairn.base.settings import Settings
from cairn.identity.invitation_limits import count_invitation
from cairn.identity.invitations import (
    InvitationPage,
    cancel_invitation,
    invite,
    list_invitation_teams,
    list_invitations,
    list_team_invitations,
)
from cairn.identity.organization_schemas import (
    API,
    INVITED_ROLES,
    Json,
    invitation_json,
    team_mention,
    unknown_word,
)
from cairn.identity.organizations import find_organization
from cairn.identity.queries import read_profile_by_id
from cairn.identity.teams_api import TEAM, team_named
from cairn.mail.outbox import Outbox
from cairn.web.api import Page, PageRequest, read_page
from cairn.web.context import RequestContext
from cairn.web.routing import api

ORG = f"{API}/orgs/{{org:str}}"
ONE = f"{ORG}/invitations/{{invitation_id:int}}"
_MEMBERS: Any = {"action": Action.ORGANIZATION_EDIT_MEMBERS, "resource": "account"}


class InvitationBody(msgspec.Struct, kw_only=True):
    """The body of inviting somebody: by the number of their account or by an address, one of both."""

    invitee_id: RowId | None = None
    email: str | None = None
    role: str = "direct_member"
    team_ids: list[RowId] = []


def make_route_handlers(outbox: Outbox) -> list[HTTPRouteHandler]:
    """Return these operations; the program's own outbox sends the mails."""

    @api.post(f"{ORG}/invitations", **_MEMBERS)
    async def create(
        context: RequestContext, session: AsyncSession, actor: Actor, org: str, body: InvitationBody
    ) -> Json:
        """Invite a person or an address."""
        found = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT_MEMBERS)
        role = _role(body.role)
        invitee = await _invitee(session, actor, body)
        await count_invitation(context, found.id, invitee)
        teams = dict.fromkeys(body.team_ids, TeamRole.MEMBER)
        made = await invite(session, outbox, actor, found.id, invitee, role=role, teams=teams)
        return invitation_json(context.settings.origin, found.login, made)

    return [create, *_HANDLERS]


async def _invitee(session: AsyncSession, actor: Actor, body: InvitationBody) -> str:
    if (body.invitee_id is None) == (body.email is None):
        message = "Send either invitee_id or email."
        raise Invalid(message, FieldProblem("invitee_id", "missing_field", message, "OrganizationInvitation"))
    if body.email is not None:
        if "@" not in body.email[1:]:
            message = f"{body.email[:60]!r} is not an e-mail address."
            raise Invalid(message, FieldProblem("email", "invalid", message, "OrganizationInvitation"))
        return body.email
    assert body.invitee_id is not None
    try:
        return (await read_profile_by_id(session, actor, body.invitee_id)).login
    except NotFound:
        message = f"There is no person with the number {body.invitee_id}."
        problem = FieldProblem("invitee_id", "invalid", message, "OrganizationInvitation")
        raise Invalid(message, problem) from None


@api.get(f"{ORG}/invitations", **_MEMBERS)
async def list_open(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Page[Json]:
    """Answer the invitations that wait for an answer; ``role`` keeps ``admin`` or ``direct_member``."""
    return await _list(context, session, actor, org, is_open=True)


@api.get(f"{ORG}/failed_invitations", **_MEMBERS)
async def list_failed(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Page[Json]:
    """Answer the invitations that nobody answered in time."""
    return await _list(context, session, actor, org, is_open=False)


@api.delete(ONE, **_MEMBERS)
async def cancel(session: AsyncSession, actor: Actor, org: str, invitation_id: int) -> None:
    """Take an invitation back."""
    found = await find_organization(session, actor, org)
    await cancel_invitation(session, actor, found.id, invitation_id)


@api.get(f"{ONE}/teams", **_MEMBERS)
async def teams(
    context: RequestContext, session: AsyncSession, settings: Settings, actor: Actor, org: str, invitation_id: int
) -> Page[Json]:
    """Answer the teams that an invitation leads into."""
    found, asked = await find_organization(session, actor, org), read_page(context)
    led = await list_invitation_teams(session, actor, found.id, invitation_id)
    shown = led[asked.offset : asked.offset + asked.per_page]
    return Page([team_mention(settings.origin, found.login, team) for team in shown], asked, total=len(led))


@api.get(f"{TEAM}/invitations", action=Action.TEAM_EDIT, resource="account")
async def list_of_team(context: RequestContext, session: AsyncSession, actor: Actor, org: str, slug: str) -> Page[Json]:
    """Answer the open invitations that lead into a team, to who may change it."""
    organization, team = await team_named(session, actor, org, slug)
    asked = read_page(context)
    found = await list_team_invitations(session, actor, team.id, page=asked.page, per_page=asked.per_page)
    return _answer(context, organization.login, found, asked)


async def _list(context: RequestContext, session: AsyncSession, actor: Actor, org: str, *, is_open: bool) -> Page[Json]:
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT_MEMBERS)
    asked = read_page(context)
    word = context.request.query_params.get("role", "all")
    found = await list_invitations(
        session,
        actor,
        organization.id,
        is_open=is_open,
        role=None if word == "all" else _role(word),
        page=asked.page,
        per_page=asked.per_page,
    )
    return _answer(context, organization.login, found, asked)


def _answer(context: RequestContext, organization: str, found: InvitationPage, asked: PageRequest) -> Page[Json]:
    items = [invitation_json(context.settings.origin, organization, one) for one in found.items]
    return Page(items, asked, total=found.total)


def _role(word: str) -> OrganizationRole:
    if word not in INVITED_ROLES:
        raise unknown_word("role", list(INVITED_ROLES))
    return INVITED_ROLES[word]


_HANDLERS: list[HTTPRouteHandler] = [list_open, list_failed, cancel, teams, list_of_team]
