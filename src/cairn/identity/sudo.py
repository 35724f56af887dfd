"""Proving again who sits at the browser, before what an open browser that somebody left must not be enough for.

A route says ``sudo=True``; the toolkit then asks ``WebAuthentication.ask_again``, which comes here. A proof is good for
``CAIRN_SUDO_MINUTES``. Each proof gives the session another cookie. The only proof so far is the password; a second
factor belongs beside it in ``_prove``.
"""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Forbidden, RateLimited, Unauthenticated
from cairn.identity.authenticate import Authenticator, BadCredentials
from cairn.identity.devices import known_device
from cairn.identity.session_cookies import begin_session
from cairn.identity.sessions import is_proved_lately, rotate_session
from cairn.web.context import RequestContext, Via, WebRequest
from cairn.web.forms import CSRF_FIELD, Form, blank_form, read_fields, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page

SUDO_PATH = "/-/sudo"
_READING = frozenset({"GET", "HEAD"})


class ProofWanted(Forbidden):
    """The session's last proof is too old for this, and a program cannot be asked."""


class SudoForm(msgspec.Struct):
    """The question for the password, beside whatever was being sent."""

    sudo_password: str = ""


class ReturningForm(msgspec.Struct):
    """The same on a page of its own, which leads on to ``next``."""

    sudo_password: str = ""
    next: str = "/"


async def ask_again(context: RequestContext, authenticator: Authenticator) -> Response[Any] | None:
    """Return None if the caller proved lately who they are, else the answer that asks for the proof.

    A page that was asked for comes after the proof; a form that was sent is sent on with it (files excepted, which
    browsers let nobody fill in). A credential that came with the request itself is proof.
    Errors: ProofWanted for an API call with a session.
    """
    if context.authentication.via is not Via.SESSION or await _is_proved(context):
        return None
    if context.is_api:
        raise ProofWanted("This session has not proved lately who uses it; do this on its page, or with a token.")
    if context.request.method in _READING:
        return redirect(f"{SUDO_PATH}?next={quote(context.path_and_query, safe='/')}")
    form = await read_form(context.request, SudoForm)
    if "sudo_password" in await read_fields(context):
        await _prove(context, authenticator, form)
        if not form.has_problems:
            return None
    kept = {
        name: values
        for name, values in (await read_fields(context)).items()
        if name not in {CSRF_FIELD, "sudo_password"} and all(isinstance(value, str) for value in values)
    }
    return _show(context, form, kept=kept, status=403)


async def _is_proved(context: RequestContext) -> bool:
    within = timedelta(minutes=context.settings.sudo_minutes)
    async with context.site.database.read() as session:
        return await is_proved_lately(session, context.authentication.session_key, within=within)


async def _prove(context: RequestContext, authenticator: Authenticator, form: Form[Any]) -> None:
    """Give the session a fresh proof and another cookie; what is wrong stands in the form."""
    password = str(form.values.get("sudo_password") or "")
    try:
        proven = await authenticator.prove_password(
            context.actor.label,
            password,
            address=context.client_address,
            device_of=lambda account_id: known_device(context, account_id),
        )
    except BadCredentials:
        form.problems["sudo_password"] = "This is not your password."  # noqa: S105 (a message)
        return
    except RateLimited as error:
        form.summary = error.message
        return
    assert proven.actor.account_id == context.actor.account_id
    async with context.site.database.write() as session:
        renewed = await rotate_session(session, context.actor, context.authentication.session_key, is_proof=True)
    begin_session(context, renewed)


def _show(context: RequestContext, form: Form[Any], *, kept: dict[str, list[str]], status: int) -> Response[str]:
    return render(
        context,
        "identity/sudo.html",
        status=status,
        headers={"Cache-Control": "no-store"},
        form=form,
        kept=kept,
        target=context.path_and_query,
        minutes=context.settings.sudo_minutes,
    )


def make_route_handlers(authenticator: Authenticator) -> list[HTTPRouteHandler]:
    """Return the page that asks before a page is shown."""

    @page.get(SUDO_PATH, action=Action.SITE_SIGN_IN, resource="none")
    async def sudo_page(context: RequestContext, actor: Actor, next: str = "/") -> Response[Any]:  # noqa: A002 (the parameter's public name)
        """Ask for the password; who gave it lately goes on."""
        _require_session(actor, context)
        if await _is_proved(context):
            return redirect(context.own_path(next))
        kept = {"next": [context.own_path(next)]}
        return _show(context, blank_form(ReturningForm), kept=kept, status=200)

    @page.post(SUDO_PATH, action=Action.SITE_SIGN_IN, resource="none")
    async def prove_here(context: RequestContext, request: WebRequest, actor: Actor) -> Response[Any]:
        """Take the password and go where the person wanted to."""
        _require_session(actor, context)
        form = await read_form(request, ReturningForm)
        target = context.own_path(form.values.get("next"))
        await _prove(context, authenticator, form)
        if form.has_problems:
            return _show(context, form, kept={"next": [target]}, status=422)
        return redirect(target)

    return [sudo_page, prove_here]


def _require_session(actor: Actor, context: RequestContext) -> None:
    if not actor.is_signed_in or context.authentication.via is not Via.SESSION:
        raise Unauthenticated("Sign in to go on.")
