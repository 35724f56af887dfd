"""Places in organizations and teams over REST, in GitHub's shape: given, offered, answered, ended.

Owners invite who is no member (``pending``); site administrators add people at once (``active``), as on GitHub
Enterprise Server. Members get another role at once.
"""

from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize_organization, authorize_team
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.base.settings import Settings
from cairn.identity.api import require_account
from cairn.identity.invitation_limits import count_invitation
from cairn.identity.invitations import Invitation
from cairn.identity.joining import (
    end_place,
    find_invited,
    needs_invitation,
    place_in_organization,
    place_in_team,
    role_in_offered_team,
)
from cairn.identity.organization_members import Member, list_memberships, read_member
from cairn.identity.organization_schemas import (
    API,
    ORGANIZATION_ROLES,
    TEAM_ROLES,
    Json,
    membership_json,
    team_membership_json,
    unknown_word,
)
from cairn.identity.organizations import OrganizationView, find_organization
from cairn.identity.own_invitations import (
    NotInvited,
    OwnInvitation,
    accept_invitation,
    offers_to,
)
from cairn.identity.queries import find_account
from cairn.identity.team_members import TeamMemberView, read_team_member
from cairn.identity.teams_api import TEAM, team_named
from cairn.mail.outbox import Outbox
from cairn.web.api import Page, read_page
from cairn.web.context import RequestContext
from cairn.web.routing import api

PLACE = f"{API}/orgs/{{org:str}}/memberships/{{username:str}}"
TEAM_PLACE = f"{TEAM}/memberships/{{username:str}}"
OWN = f"{API}/user/memberships/orgs"
_MEMBERS: Any = {"action": Action.ORGANIZATION_EDIT_MEMBERS, "resource": "account"}


class RoleBody(msgspec.Struct, kw_only=True):
    """The body of giving a place: in organizations GitHub's ``member`` or ``admin``, in teams ``maintainer`` too."""

    role: str = "member"


class StateBody(msgspec.Struct, kw_only=True):
    """The body of accepting an invitation: ``active`` is the only state one can give oneself."""

    state: str


def make_route_handlers(outbox: Outbox) -> list[HTTPRouteHandler]:
    """Return these operations; the program's own outbox sends the mails."""

    @api.put(PLACE, **_MEMBERS)
    async def put_membership(
        context: RequestContext, session: AsyncSession, actor: Actor, org: str, username: str, body: RoleBody
    ) -> Json:
        """Change what a member is, or invite somebody to become one."""
        found = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT_MEMBERS)
        if body.role not in ORGANIZATION_ROLES:
            raise unknown_word("role", list(ORGANIZATION_ROLES))
        await _require_person(session, username)
        if await needs_invitation(session, actor, found.id, username):
            await count_invitation(context, found.id, username)
        role = ORGANIZATION_ROLES[body.role]
        place = await place_in_organization(session, outbox, actor, found.id, login=username, role=role)
        return _place(context.settings, found, place)

    @api.put(TEAM_PLACE, action=Action.TEAM_EDIT, resource="account")
    async def put_place(
        context: RequestContext,
        session: AsyncSession,
        actor: Actor,
        org: str,
        slug: str,
        username: str,
        body: RoleBody,
    ) -> Json:
        """Put a member of the organization into a team or change what they are in it; invite who is no member."""
        organization, team = await team_named(session, actor, org, slug)
        await authorize_team(session, actor, Action.TEAM_EDIT, team.id)
        if body.role not in TEAM_ROLES:
            raise unknown_word("role", list(TEAM_ROLES))
        await _require_person(session, username)
        if await needs_invitation(session, actor, organization.id, username):
            await authorize_organization(session, actor, Action.ORGANIZATION_EDIT_MEMBERS, organization.id)
            await count_invitation(context, organization.id, username)
        role = TEAM_ROLES[body.role]
        place = await place_in_team(session, outbox, actor, team.id, login=username, role=role)
        is_member = isinstance(place, TeamMemberView)
        return team_membership_json(
            context.settings.origin,
            organization.login,
            team.slug,
            login=place.login,
            role=place.role if isinstance(place, TeamMemberView) else role,
            state="active" if is_member else "pending",
        )

    return [put_membership, put_place, *_HANDLERS]


async def _require_person(session: AsyncSession, login: str) -> None:
    """Return if somebody has the name. Errors: NotFound, as GitHub says it; MemberInvalid for an organization."""
    if await find_account(session, login) is None:
        raise NotFound("Not Found")


@api.get(PLACE, action=Action.ORGANIZATION_READ_PRIVATE, resource="account")
async def get_membership(session: AsyncSession, settings: Settings, actor: Actor, org: str, username: str) -> Json:
    """Answer what somebody is in the organization; members may ask, owners learn of the invited too."""
    found = await find_organization(session, actor, org, Action.ORGANIZATION_READ_PRIVATE)
    invited = await find_invited(session, actor, found.id, username)
    return _place(settings, found, invited or await read_member(session, actor, found.id, username))


@api.delete(PLACE, **_MEMBERS)
async def remove(session: AsyncSession, actor: Actor, org: str, username: str) -> None:
    """End a membership with all that came by it, or take an invitation back."""
    found = await find_organization(session, actor, org)
    await end_place(session, actor, found.id, username)


@api.get(TEAM_PLACE, action=Action.TEAM_READ, resource="account")
async def get_place(
    session: AsyncSession, settings: Settings, actor: Actor, org: str, slug: str, username: str
) -> Json:
    """Answer somebody's place in a team; owners learn of the invited too."""
    organization, team = await team_named(session, actor, org, slug)
    invited = await find_invited(session, actor, organization.id, username, team_id=team.id)
    if invited is not None:
        login, state = invited.login, "pending"
        role = await role_in_offered_team(session, invited.id, team.id)
    else:
        place = await read_team_member(session, actor, team.id, username)
        login, role, state = place.login, place.role, "active"
    return team_membership_json(settings.origin, organization.login, team.slug, login=login, role=role, state=state)


@api.get(OWN, action=Action.ACCOUNT_READ, resource="none")
async def list_own(context: RequestContext, session: AsyncSession, settings: Settings, actor: Actor) -> Page[Json]:
    """Answer what the caller is in which organization, and is invited to; ``state`` keeps one of both."""
    account_id = require_account(actor)
    state = context.request.query_params.get("state", "")
    if state not in {"", "active", "pending"}:
        raise unknown_word("state", ["active", "pending"])
    items: list[Json] = []
    if state != "pending":
        places = await list_memberships(session, actor, account_id)
        person = (account_id, actor.label)
        items += [membership_json(settings.origin, one, role=one.role, person=person) for one in places]
    if state != "active":
        items += [_offered(settings, actor, one) for one in await offers_to(session, actor)]
    asked = read_page(context)
    return Page(items[asked.offset : asked.offset + asked.per_page], asked, total=len(items))


@api.get(f"{OWN}/{{org:str}}", action=Action.ORGANIZATION_READ, resource="account")
async def get_own(session: AsyncSession, settings: Settings, actor: Actor, org: str) -> Json:
    """Answer what the caller is in an organization, or is offered there."""
    require_account(actor)
    found = await find_organization(session, actor, org)
    for offer in await offers_to(session, actor):
        if offer.organization_id == found.id:
            return _offered(settings, actor, offer)
    return _place(settings, found, await read_member(session, actor, found.id, actor.label))


@api.patch(f"{OWN}/{{org:str}}", action=Action.ACCOUNT_ANSWER_INVITATIONS, resource="none")
async def accept(session: AsyncSession, settings: Settings, actor: Actor, org: str, body: StateBody) -> Json:
    """Accept an invitation; a member stays what they are."""
    require_account(actor)
    if body.state != "active":
        raise unknown_word("state", ["active"])
    found = await find_organization(session, actor, org)
    try:
        return _place(settings, found, await accept_invitation(session, actor, found.id))
    except NotInvited:
        return _place(settings, found, await read_member(session, actor, found.id, actor.label))


def _place(settings: Settings, found: OrganizationView, place: Member | Invitation) -> Json:
    assert place.account_id is not None, "who was invited by an address is not found by name"
    return membership_json(
        settings.origin,
        found,
        role=place.role,
        person=(place.account_id, place.login),
        state="pending" if isinstance(place, Invitation) else "active",
    )


def _offered(settings: Settings, actor: Actor, offer: OwnInvitation) -> Json:
    assert actor.account_id is not None
    person = (actor.account_id, actor.label)
    return membership_json(settings.origin, offer, role=offer.role, person=person, state="pending")


_HANDLERS: list[HTTPRouteHandler] = [get_membership, remove, get_place, list_own, get_own, accept]
