"""Administration of people: look for them, make an account, suspend, sign out, hand over rights, reset a password."""

from collections.abc import Awaitable
from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import SITE
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import CairnError, Conflict, Forbidden, Invalid
from cairn.db.database import Database
from cairn.identity.accounts import INVITATION_PATH as INVITATION
from cairn.identity.accounts import REASON_LENGTH_MAX, create_account, invite, suspend, unsuspend
from cairn.identity.administration import (
    find_person,
    find_suspension_reason,
    search_accounts,
    set_site_admin,
    sign_out_everywhere,
)
from cairn.identity.models import AccountKind
from cairn.identity.password_reset import request_reset
from cairn.identity.passwords import Passwords
from cairn.identity.queries import primary_email
from cairn.ops.admin_frame import PATH, PER_PAGE, show
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect
from cairn.web.routing import page
from cairn.web.urls import path_join

_ADMINISTER: Any = {"action": Action.SITE_ADMINISTER, "resource": "site"}
_PERSON: Any = {"action": Action.SITE_ADMINISTER, "resource": "account"}
Filled = Annotated[str, Meta(min_length=1)]


class PersonForm(msgspec.Struct):
    """An account to be made."""

    login: Filled
    email: Filled
    password: Filled
    is_site_admin: bool = False


class ReasonForm(msgspec.Struct):
    """Why somebody is shut out or let in."""

    reason: Annotated[str, Meta(max_length=REASON_LENGTH_MAX)] = ""


def make_route_handlers(passwords: Passwords) -> list[HTTPRouteHandler]:
    """Return these pages; the program's own password hasher does the work."""

    @page.post(PATH + "/users/new", **_ADMINISTER, sudo=True)
    async def create(context: RequestContext, request: WebRequest, database: Database, actor: Actor) -> Response[Any]:
        """Make an account."""
        form = await read_form(request, PersonForm)
        try:
            wanted = form.require()
            await create_account(
                database,
                passwords,
                actor,
                login=wanted.login,
                email=wanted.email,
                password=wanted.password,
                is_site_admin=wanted.is_site_admin,
            )
        except Invalid as error:
            return _new(context, form.reject(error), status=422)
        context.flash(f"{wanted.login} has an account now.")
        return redirect(_path(wanted.login))

    return [users_page, organizations_page, new_page, create, invite_here, person_page, *_CHANGES]


@page.get(PATH + "/users", **_ADMINISTER)
async def users_page(
    context: RequestContext, session: AsyncSession, actor: Actor, text: str = "", after: str = ""
) -> Response[str]:
    """Show people by name."""
    return await _list(context, session, actor, AccountKind.USER, text, after)


@page.get(PATH + "/organizations", **_ADMINISTER)
async def organizations_page(
    context: RequestContext, session: AsyncSession, actor: Actor, text: str = "", after: str = ""
) -> Response[str]:
    """Show organizations by name."""
    return await _list(context, session, actor, AccountKind.ORGANIZATION, text, after)


async def _list(
    context: RequestContext, session: AsyncSession, actor: Actor, kind: AccountKind, text: str, after: str
) -> Response[str]:
    found = list(
        await search_accounts(session, actor, kind=kind, text=text.strip()[:100], after=after, limit=PER_PAGE + 1)
    )
    older = found[PER_PAGE - 1].login if len(found) > PER_PAGE else ""
    template, section = {
        AccountKind.USER: ("admin_users.html", "/users"),
        AccountKind.ORGANIZATION: ("admin_organizations.html", "/organizations"),
    }[kind]
    return show(context, template, section, accounts=found[:PER_PAGE], text=text, after=after, older=older)


@page.get(PATH + "/users/new", **_ADMINISTER)
async def new_page(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[str]:
    """Show the form that makes an account."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    return _new(context, blank_form(PersonForm))


def _new(context: RequestContext, form: Form[PersonForm], *, status: int = 200) -> Response[str]:
    return show(context, "admin_new_user.html", "/users", status=status, form=form)


@page.post(PATH + "/users/invite", **_ADMINISTER, sudo=True)
async def invite_here(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[str]:
    """Make an invitation and show its link in this very answer."""
    secret = await invite(session, actor)
    link = f"{context.settings.origin}{INVITATION}{secret}"
    return show(context, "admin_invitation.html", "/users", link=link)


@page.get(PATH + "/users/{login:str}", **_PERSON)
async def person_page(context: RequestContext, session: AsyncSession, actor: Actor, login: str) -> Response[str]:
    """Show one person, with what can be done."""
    return await _person(context, session, actor, login)


async def _person(
    context: RequestContext, session: AsyncSession, actor: Actor, login: str, *, status: int = 200, problem: str = ""
) -> Response[str]:
    account, open_sessions = await find_person(session, actor, login)
    return show(
        context,
        "admin_user.html",
        "/users",
        status=status,
        account=account,
        open_sessions=open_sessions,
        email=await primary_email(session, account.id),
        reason=await find_suspension_reason(session, account),
        problem=problem,
    )


@page.post(PATH + "/users/{login:str}/suspend", **_PERSON, sudo=True)
async def suspend_here(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, login: str
) -> Response[Any]:
    """Shut somebody out."""
    reason = (await read_form(request, ReasonForm)).require().reason
    return await _change(context, session, actor, login, suspend(session, actor, login, reason=reason), "is shut out.")


@page.post(PATH + "/users/{login:str}/unsuspend", **_PERSON, sudo=True)
async def unsuspend_here(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, login: str
) -> Response[Any]:
    """Let somebody in again."""
    reason = (await read_form(request, ReasonForm)).require().reason
    work = unsuspend(session, actor, login, reason=reason)
    return await _change(context, session, actor, login, work, "may come in again.")


@page.post(PATH + "/users/{login:str}/sign-out", **_PERSON, sudo=True)
async def sign_out_here(context: RequestContext, session: AsyncSession, actor: Actor, login: str) -> Response[Any]:
    """End every session of somebody."""
    return await _change(context, session, actor, login, sign_out_everywhere(session, actor, login), "is signed out.")


@page.post(PATH + "/users/{login:str}/promote", **_PERSON, sudo=True)
async def promote_here(context: RequestContext, session: AsyncSession, actor: Actor, login: str) -> Response[Any]:
    """Make somebody an administrator."""
    work = set_site_admin(session, actor, login, is_site_admin=True)
    return await _change(context, session, actor, login, work, "administers this installation now.")


@page.post(PATH + "/users/{login:str}/demote", **_PERSON, sudo=True)
async def demote_here(context: RequestContext, session: AsyncSession, actor: Actor, login: str) -> Response[Any]:
    """Take somebody's administration away."""
    work = set_site_admin(session, actor, login, is_site_admin=False)
    return await _change(context, session, actor, login, work, "is no administrator any more.")


@page.post(PATH + "/users/{login:str}/reset-password", **_PERSON, sudo=True)
async def reset_here(context: RequestContext, session: AsyncSession, actor: Actor, login: str) -> Response[Any]:
    """Send somebody the link with which they choose another password."""
    account, _ = await find_person(session, actor, login)
    work = request_reset_for(session, actor, account.login, account.id)
    return await _change(context, session, actor, login, work, "gets a mail with a link; it stands under Mail, too.")


async def request_reset_for(session: AsyncSession, actor: Actor, login: str, account_id: int) -> None:
    """Have the link sent, and note on whose word."""
    await request_reset(session, login)
    record(session, actor, "account.send_reset", login, account_id=account_id)


async def _change(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    login: str,
    work: Awaitable[object],
    told: str,
) -> Response[Any]:
    """Do one thing to a person and go back to them; what is refused is said on their page."""
    try:
        await work
    except (Forbidden, Conflict) as error:
        return await _person(context, session, actor, login, status=_status(error), problem=error.message)
    context.flash(f"{login} {told}")
    return redirect(_path(login))


def _status(error: CairnError) -> int:
    return 409 if isinstance(error, Conflict) else 403


def _path(login: str) -> str:
    return f"{PATH}/users{path_join(login)}"


_CHANGES: list[HTTPRouteHandler] = [
    suspend_here,
    unsuspend_here,
    sign_out_here,
    promote_here,
    demote_here,
    reset_here,
]
