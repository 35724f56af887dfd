"""Forms for invitations into organizations: owners make them on the people page, the invited answer on a page of its
own.
"""

from typing import Any, Literal

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.roles import TeamRole
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, Invalid, NotFound, RateLimited, Unauthenticated
from cairn.identity.invitation_limits import count_invitation
from cairn.identity.invitations import cancel_invitation, invite, read_invitation, resend_invitation
from cairn.identity.joining import add_at_once
from cairn.identity.organization_pages import PATH, InviteForm, show_people
from cairn.identity.organizations import OrganizationView, find_organization
from cairn.identity.own_invitations import (
    NotInvited,
    OwnInvitation,
    accept_invitation,
    decline_invitation,
    find_own_invitation,
)
from cairn.identity.queries import AccountMoved, read_profile
from cairn.mail.outbox import Outbox
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

ONE = f"{PATH}/invitations/{{invitation_id:int}}"
ANSWER = f"{PATH}/invitation"
_MEMBERS: Any = {"action": Action.ORGANIZATION_EDIT_MEMBERS, "resource": "account"}


class AnswerForm(msgspec.Struct):
    """What somebody says to an invitation."""

    answer: Literal["accept", "decline"]


def make_route_handlers(outbox: Outbox) -> list[HTTPRouteHandler]:
    """Return these pages; the program's own outbox sends the mails."""

    @page.post(f"{PATH}/invitations", **_MEMBERS)
    async def send(
        context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str
    ) -> Response[Any]:
        """Invite a person or an address; a site administrator may add a person at once."""
        form = await read_form(request, InviteForm)
        organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT_MEMBERS)
        try:
            await _send(context, session, outbox, actor, organization, form.require())
        except Invalid as error:
            return await show_people(context, session, actor, organization, form.reject(error))
        except (Conflict, RateLimited) as error:
            context.flash(error.message, "warning")
        return _back(organization)

    @page.post(f"{ONE}/resend", **_MEMBERS)
    async def resend(
        context: RequestContext, session: AsyncSession, actor: Actor, org: str, invitation_id: int
    ) -> Response[Any]:
        """Send the mail again, and give it another seven days."""
        organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT_MEMBERS)
        waiting = await read_invitation(session, actor, organization.id, invitation_id)
        try:
            await count_invitation(context, organization.id, waiting.invitee)
            await resend_invitation(session, outbox, actor, organization.id, invitation_id)
        except (Invalid, RateLimited) as error:
            context.flash(error.message, "warning")
        else:
            context.flash(f"The invitation of {waiting.invitee} was sent again.")
        return _back(organization)

    return [send, resend, cancel, show, answer]


async def _send(
    context: RequestContext,
    session: AsyncSession,
    outbox: Outbox,
    actor: Actor,
    organization: OrganizationView,
    wanted: InviteForm,
) -> None:
    if wanted.at_once:
        login = wanted.invitee.strip().removeprefix("@")
        made = await add_at_once(session, actor, organization.id, login=login, role=wanted.role, teams=wanted.teams)
        context.flash(f"{made.login} is a member now.")
        return
    await count_invitation(context, organization.id, wanted.invitee)
    teams = dict.fromkeys(wanted.teams, TeamRole.MEMBER)
    invited = await invite(session, outbox, actor, organization.id, wanted.invitee, role=wanted.role, teams=teams)
    context.flash(f"{invited.invitee} is invited.")


@page.post(f"{ONE}/cancel", **_MEMBERS)
async def cancel(
    context: RequestContext, session: AsyncSession, actor: Actor, org: str, invitation_id: int
) -> Response[Any]:
    """Take an invitation back."""
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT_MEMBERS)
    waiting = await read_invitation(session, actor, organization.id, invitation_id)
    await cancel_invitation(session, actor, organization.id, invitation_id)
    context.flash(f"The invitation of {waiting.invitee} is taken back.")
    return _back(organization)


@page.get(ANSWER, action=Action.ACCOUNT_READ_INVITATIONS, resource="none")
async def show(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Response[Any]:
    """Show what the reader is offered, with the buttons that answer it; a mail may carry an older name."""
    try:
        organization, offer = await _own(session, actor, org)
    except NotInvited:
        return render(context, "identity/invitation_none.html", status=404)
    except NotFound:
        return redirect(path_join("orgs", await _newer_name(session, actor, org), "invitation"), status=301)
    return render(context, "identity/invitation.html", organization=organization, offer=offer)


@page.post(ANSWER, action=Action.ACCOUNT_ANSWER_INVITATIONS, resource="none")
async def answer(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str
) -> Response[Any]:
    """Accept the invitation and open the organization, or decline it."""
    form = await read_form(request, AnswerForm)
    organization, _ = await _own(session, actor, org)
    if form.require().answer == "decline":
        await decline_invitation(session, actor, organization.id)
        context.flash(f"You declined the invitation of {organization.login}.")
        return redirect("/settings/organizations")
    await accept_invitation(session, actor, organization.id)
    context.flash(f"You are a member of {organization.login} now.")
    return redirect(path_join(organization.login))


async def _own(session: AsyncSession, actor: Actor, org: str) -> tuple[OrganizationView, OwnInvitation]:
    """Return an organization and what the actor is offered there. Errors: Unauthenticated, NotFound; NotInvited."""
    if not actor.is_signed_in:
        raise Unauthenticated("Sign in to see the invitation.")
    organization = await find_organization(session, actor, org)
    return organization, await find_own_invitation(session, actor, organization.id)


async def _newer_name(session: AsyncSession, actor: Actor, org: str) -> str:
    """Return what an organization is called now that gave up a name. Errors: NotFound if none did."""
    try:
        await read_profile(session, actor, org)
    except AccountMoved as moved:
        return moved.login
    raise NotFound("Not Found")


def _back(organization: OrganizationView) -> Response[bytes]:
    return redirect(path_join("orgs", organization.login, "people"))
