"""Pages for people without a session, or about to lose it: join, sign in, sign out, the first administrator.

The settings of somebody who is signed in are in ``settings_pages.py``.
"""

from contextlib import suppress
from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, Invalid, RateLimited, Unavailable
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.identity.accounts import (
    administrator_exists,
    create_first_administrator,
    sign_up,
)
from cairn.identity.authenticate import AccountSuspended, Authenticator, BadCredentials
from cairn.identity.devices import known_device, remember_device
from cairn.identity.email_addresses import send_verification
from cairn.identity.first_run import SETUP_PATH
from cairn.identity.models import LinkPurpose
from cairn.identity.one_time_links import LinkUnusable, find_link, link_works
from cairn.identity.own_invitations import read_invitation_of_link
from cairn.identity.passwords import Passwords
from cairn.identity.registration import RegistrationClosed, read_registration
from cairn.identity.session_cookies import begin_session, end_session, session_cookie
from cairn.identity.sessions import sign_in, sign_out
from cairn.mail.outbox import Outbox
from cairn.web.context import RequestContext, WebRequest
from cairn.web.counters import Rule
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.rate_limits import network_of
from cairn.web.render import redirect, render
from cairn.web.routing import PUBLIC, page
from cairn.web.urls import SIGN_IN_PATH

SIGN_UPS_PER_ADDRESS = Rule("sign-up", 60, 3600)
"""Filled-in sign-up forms: a course behind one address stays below it, a script does not get far."""

Filled = Annotated[str, Meta(min_length=1)]


class SignInForm(msgspec.Struct):
    """The sign-in form; ``name`` is the login or an e-mail address."""

    name: Filled
    password: Filled
    next: str = "/"


class JoinForm(msgspec.Struct):
    """The sign-up form, and the one of the first administrator."""

    login: Filled
    email: Filled
    password: Filled
    invitation: str = ""
    next: str = "/"


def make_route_handlers(authenticator: Authenticator, passwords: Passwords, outbox: Outbox) -> list[HTTPRouteHandler]:
    """Return these pages; the program's own authenticator, password hasher and outbox do the work."""

    @page.post(SIGN_IN_PATH, action=Action.SITE_SIGN_IN, resource="none")
    async def sign_in_here(context: RequestContext, request: WebRequest, database: Database) -> Response[Any]:
        """Open a session for whoever has the password, and go where they wanted to."""
        form = await read_form(request, SignInForm)
        return await _sign_in(context, database, authenticator, form)

    @page.post("/join", action=Action.SITE_SIGN_IN, resource="none")
    async def join(context: RequestContext, request: WebRequest, database: Database) -> Response[Any]:
        """Create an account for a stranger and sign them in."""
        form = await read_form(request, JoinForm)
        return await _join(context, database, authenticator, passwords, outbox, form)

    @page.post(SETUP_PATH + "{secret:str}", action=Action.SITE_SIGN_IN, resource="none")
    async def set_up(context: RequestContext, request: WebRequest, database: Database, secret: str) -> Response[Any]:
        """Create the first administrator and sign them in."""
        form = await read_form(request, JoinForm)
        return await _set_up(context, database, authenticator, passwords, secret, form)

    return [sign_in_page, sign_in_here, sign_out_here, join_page, join, set_up_page, set_up]


@page.get(SIGN_IN_PATH, action=PUBLIC, resource="none")
async def sign_in_page(context: RequestContext, actor: Actor, next: str = "/") -> Response[Any]:  # noqa: A002 (the parameter's public name)
    """Show the sign-in form; who is signed in already goes on."""
    if actor.is_signed_in:
        return redirect(context.own_path(next))
    return _sign_in_form(context, blank_form(SignInForm, name="", next=context.own_path(next)))


def _sign_in_form(context: RequestContext, form: Form[SignInForm], **answer: Any) -> Response[str]:  # noqa: ANN401 (render's)
    return render(context, "identity/sign_in.html", form=form, **answer)


async def _sign_in(
    context: RequestContext, database: Database, authenticator: Authenticator, form: Form[SignInForm]
) -> Response[Any]:
    form.values["next"] = context.own_path(form.values.get("next"))
    try:
        wanted = form.require()
        await _open_session(context, database, authenticator, wanted.name, wanted.password)
    except Invalid as error:
        return _sign_in_form(context, form.reject(error), status=422)
    except BadCredentials as error:
        form.summary = error.message
        return _sign_in_form(context, form, status=422)
    except AccountSuspended as error:
        form.summary = error.message
        return _sign_in_form(context, form, status=403)
    except RateLimited as error:
        form.summary = error.message
        return _sign_in_form(context, form, status=429, headers={"Retry-After": str(error.retry_after_seconds)})
    return redirect(form.values["next"])


async def _open_session(
    context: RequestContext, database: Database, authenticator: Authenticator, name: str, password: str
) -> None:
    signed_in = await sign_in(
        database,
        authenticator,
        context.settings,
        name=name,
        password=password,
        address=context.client_address,
        user_agent=context.request.headers.get("user-agent", ""),
        old_cookie=session_cookie(context),
        device_of=lambda account_id: known_device(context, account_id),
    )
    begin_session(context, signed_in)
    assert signed_in.actor.account_id is not None
    remember_device(context, signed_in.actor.account_id)


@page.post("/logout", action=Action.SITE_SIGN_IN, resource="none")
async def sign_out_here(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[Any]:
    """End this browser's session."""
    await sign_out(session, actor, session_cookie(context))
    end_session(context)
    return redirect("/")


@page.get("/join", action=PUBLIC, resource="none")
async def join_page(
    context: RequestContext,
    session: AsyncSession,
    settings: Settings,
    actor: Actor,
    invitation: str = "",
    next: str = "/",  # noqa: A002 (the parameter's public name)
) -> Response[Any]:
    """Show the sign-up form, or say kindly why there is none."""
    if actor.is_signed_in:
        return redirect(context.own_path(next))
    next_path = context.own_path(next)
    mode = (await read_registration(session, settings)).mode
    if mode == "closed":
        return _no_form(context, "closed", next_path)
    if mode == "invite" and not invitation:
        return _no_form(context, "uninvited", next_path)
    organization, email = await _invited_to(session, invitation)
    if mode == "invite" and not organization and not await link_works(session, LinkPurpose.INVITATION, invitation):
        return _no_form(context, "unusable", next_path, status=404)
    form = blank_form(JoinForm, invitation=invitation, next=next_path, email=email)
    return _join_form(context, form, organization)


async def _invited_to(session: AsyncSession, secret: str) -> tuple[str, str]:
    """Return the organization that the link of a mail invites to, and the address it went to; two empty texts else."""
    try:
        link = await find_link(session, LinkPurpose.ORGANIZATION_INVITATION, secret)
        return await read_invitation_of_link(session, link.invitation_id)
    except LinkUnusable:
        return "", ""


def _join_form(
    context: RequestContext,
    form: Form[JoinForm],
    organization: str = "",
    **answer: Any,  # noqa: ANN401 (render's)
) -> Response[str]:
    return render(context, "identity/join.html", form=form, organization=organization, **answer)


def _no_form(context: RequestContext, reason: str, next_path: str, *, status: int = 200) -> Response[str]:
    return render(context, "identity/join_closed.html", status=status, reason=reason, next=next_path)


async def _join(
    context: RequestContext,
    database: Database,
    authenticator: Authenticator,
    passwords: Passwords,
    outbox: Outbox,
    form: Form[JoinForm],
) -> Response[Any]:
    form.values["next"] = context.own_path(form.values.get("next"))
    try:
        wanted = form.require()
        await context.site.limits.require(
            SIGN_UPS_PER_ADDRESS,
            network_of(context.client_address),
            "Too many accounts are being made from your address; try again later.",
        )
        actor = await sign_up(
            database,
            passwords,
            context.settings,
            login=wanted.login,
            email=wanted.email,
            password=wanted.password,
            invitation=wanted.invitation,
        )
    except Invalid as error:
        async with database.read() as session:
            organization, _ = await _invited_to(session, form.values["invitation"])
        return _join_form(context, form.reject(error), organization, status=422)
    except RateLimited as error:
        form.summary = error.message
        return _join_form(context, form, status=429, headers={"Retry-After": str(error.retry_after_seconds)})
    except RegistrationClosed:
        async with database.read() as session:
            mode = (await read_registration(session, context.settings)).mode
        reason = "closed" if mode == "closed" else "uninvited"
        return _no_form(context, reason, form.values["next"], status=403)
    except LinkUnusable:
        return _no_form(context, "unusable", form.values["next"], status=404)
    # Who came by a mail that invited the address has proved it.
    with suppress(Conflict):
        async with database.write() as session:
            assert actor.account_id is not None
            await send_verification(session, outbox, context.settings, actor, actor.account_id, wanted.email)
    return await _welcome(context, database, authenticator, actor, wanted)


async def _welcome(
    context: RequestContext, database: Database, authenticator: Authenticator, actor: Actor, wanted: JoinForm
) -> Response[Any]:
    """Sign somebody in whose account was just made; if that fails now, the account is there all the same."""
    try:
        await _open_session(context, database, authenticator, wanted.login, wanted.password)
    except (RateLimited, Unavailable):
        context.flash("Your account is ready. Sign in to use it.")
        return redirect(SIGN_IN_PATH)
    rest = " You administer this Cairn: see Administration in your menu." if actor.is_site_admin else ""
    context.flash(f"Welcome, {actor.login}.{rest}")
    return redirect(context.own_path(wanted.next))


@page.get(SETUP_PATH + "{secret:str}", action=PUBLIC, resource="none")
async def set_up_page(context: RequestContext, session: AsyncSession, secret: str) -> Response[Any]:
    """Show the form that makes the first administrator, or say what to do when the link no longer works."""
    works = await link_works(session, LinkPurpose.FIRST_ADMINISTRATOR, secret)
    if not works or await administrator_exists(session):
        return render(context, "identity/set_up_unusable.html", status=404)
    return _set_up_form(context, blank_form(JoinForm))


def _set_up_form(context: RequestContext, form: Form[JoinForm], **answer: Any) -> Response[str]:  # noqa: ANN401 (render's)
    return render(context, "identity/set_up.html", form=form, **answer)


async def _set_up(
    context: RequestContext,
    database: Database,
    authenticator: Authenticator,
    passwords: Passwords,
    secret: str,
    form: Form[JoinForm],
) -> Response[Any]:
    try:
        wanted = form.require()
        actor = await create_first_administrator(
            database, passwords, secret, login=wanted.login, email=wanted.email, password=wanted.password
        )
    except Invalid as error:
        return _set_up_form(context, form.reject(error), status=422)
    except (LinkUnusable, Conflict):
        return render(context, "identity/set_up_unusable.html", status=404)
    return await _welcome(context, database, authenticator, actor, wanted)
