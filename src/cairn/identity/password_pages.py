"""Changing a password: by the one before, or by a mail when it is forgotten."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Invalid, RateLimited
from cairn.db.database import Database
from cairn.identity.accounts import change_password
from cairn.identity.authenticate import Authenticator, BadCredentials
from cairn.identity.devices import known_device
from cairn.identity.email_addresses import notify
from cairn.identity.models import Account, LinkPurpose
from cairn.identity.one_time_links import LinkUnusable, link_works
from cairn.identity.password_reset import RESET_PATH, request_reset, reset_password
from cairn.identity.passwords import Passwords
from cairn.identity.session_cookies import begin_session, end_session
from cairn.identity.sessions import rotate_session
from cairn.identity.settings_frame import own_account, show_settings
from cairn.mail.outbox import Outbox
from cairn.web.context import RequestContext, Via, WebRequest
from cairn.web.counters import Rule
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.rate_limits import network_of
from cairn.web.render import redirect, render
from cairn.web.routing import PUBLIC, page
from cairn.web.urls import SIGN_IN_PATH

FORGOT_PATH = "/password/forgot"
RESETS_PER_ADDRESS = Rule("password reset", 20, 3600)
"""Links asked for from one address in an hour."""
_NO_STORE = {"Cache-Control": "no-store"}

Filled = Annotated[str, Meta(min_length=1)]


class PasswordForm(msgspec.Struct):
    """The change of a password; ``password`` is the new one."""

    current: Filled
    password: Filled


class ForgotForm(msgspec.Struct):
    """Whose password is forgotten: a name or an address."""

    name: Annotated[str, Meta(min_length=1, max_length=254)]


class ResetForm(msgspec.Struct):
    """The new password, and the link's secret."""

    secret: Filled
    password: Filled


def make_route_handlers(authenticator: Authenticator, passwords: Passwords, outbox: Outbox) -> list[HTTPRouteHandler]:
    """Return these pages; the program's own authenticator, password hasher and outbox do the work."""

    @page.post("/settings/password", action=Action.ACCOUNT_EDIT_SECURITY, resource="none")
    async def choose_password(
        context: RequestContext, request: WebRequest, database: Database, actor: Actor
    ) -> Response[Any]:
        """Change the password, end the other sessions, and give this one another cookie."""
        own_account(actor)
        form = await read_form(request, PasswordForm)
        return await _choose_password(context, database, authenticator, passwords, outbox, actor, form)

    @page.post(RESET_PATH, action=Action.SITE_SIGN_IN, resource="none")
    async def reset(context: RequestContext, request: WebRequest, database: Database) -> Response[Any]:
        """Change the password by a mail's link; whoever is signed in to the account is signed out."""
        form = await read_form(request, ResetForm)
        try:
            wanted = form.require()
            await reset_password(database, passwords, outbox, wanted.secret, wanted.password)
        except Invalid as error:
            return _reset_form(context, form.reject(error), status=422)
        except LinkUnusable:
            return _unusable(context)
        if context.actor.is_signed_in:
            end_session(context)
        context.flash("Your password is changed. Sign in with it.")
        return redirect(SIGN_IN_PATH)

    return [password_page, choose_password, forgot_page, forgot, reset_page, reset]


@page.get("/settings/password", action=Action.ACCOUNT_EDIT_SECURITY, resource="none")
async def password_page(context: RequestContext, actor: Actor) -> Response[Any]:
    """Show the form that changes the password."""
    own_account(actor)
    return _password_form(context, blank_form(PasswordForm))


def _password_form(context: RequestContext, form: Form[PasswordForm], *, status: int = 200) -> Response[str]:
    return show_settings(context, "password.html", "password", status=status, form=form)


async def _choose_password(
    context: RequestContext,
    database: Database,
    authenticator: Authenticator,
    passwords: Passwords,
    outbox: Outbox,
    actor: Actor,
    form: Form[PasswordForm],
) -> Response[Any]:
    session_key = context.authentication.session_key
    try:
        wanted = form.require()
        # Counted like a sign-in: an open browser that somebody left must not be a place to guess.
        await authenticator.prove_password(
            actor.label,
            wanted.current,
            address=context.client_address,
            device_of=lambda account_id: known_device(context, account_id),
        )
        await change_password(
            database, passwords, actor, current=wanted.current, new=wanted.password, keep_session_id=session_key
        )
    except Invalid as error:
        return _password_form(context, form.reject(error), status=422)
    except BadCredentials:
        form.problems["current"] = "This is not your current password."
        return _password_form(context, form, status=422)
    except RateLimited as error:
        form.summary = error.message
        return _password_form(context, form, status=429)
    async with database.write() as session:
        account = await session.get_one(Account, actor.account_id)
        await notify(session, outbox, account, "Your password was changed")
        if context.authentication.via is Via.SESSION:
            begin_session(context, await rotate_session(session, actor, session_key, is_proof=True))
    context.flash("Your password is changed, and your other sessions have ended.")
    return redirect("/settings/password")


@page.get(FORGOT_PATH, action=PUBLIC, resource="none")
async def forgot_page(context: RequestContext) -> Response[Any]:
    """Ask for the name or address whose password is forgotten."""
    return render(context, "identity/forgot_password.html", form=blank_form(ForgotForm), is_sent=False)


@page.post(FORGOT_PATH, action=Action.SITE_SIGN_IN, resource="none")
async def forgot(context: RequestContext, request: WebRequest, session: AsyncSession) -> Response[Any]:
    """Have a link sent, if the name is somebody's; the answer and the work are the same if it is nobody's."""
    form = await read_form(request, ForgotForm)
    message = "Too many links were asked for from your address; try again in an hour."
    try:
        wanted = form.require()
        await context.site.limits.require(RESETS_PER_ADDRESS, network_of(context.client_address), message)
    except Invalid as error:
        return render(context, "identity/forgot_password.html", status=422, form=form.reject(error), is_sent=False)
    await request_reset(session, wanted.name)
    return render(context, "identity/forgot_password.html", form=form, is_sent=True)


@page.get(RESET_PATH, action=PUBLIC, resource="none")
async def reset_page(context: RequestContext, session: AsyncSession, secret: str = "") -> Response[Any]:
    """Show the form that a mail's link opens; opening it uses nothing up."""
    if not await link_works(session, LinkPurpose.RESET_PASSWORD, secret):
        return _unusable(context)
    return _reset_form(context, blank_form(ResetForm, secret=secret))


def _reset_form(context: RequestContext, form: Form[ResetForm], *, status: int = 200) -> Response[str]:
    return render(context, "identity/reset_password.html", status=status, headers=_NO_STORE, form=form)


def _unusable(context: RequestContext) -> Response[str]:
    return render(context, "identity/reset_unusable.html", status=404, headers=_NO_STORE)
