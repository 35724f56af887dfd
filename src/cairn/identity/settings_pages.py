"""Settings of whoever is signed in: sessions, SSH keys. The rest has files of its own."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.decide import decide
from cairn.access.scopes import AccountScope
from cairn.base.actor import Actor
from cairn.base.errors import Invalid
from cairn.identity.browsers import describe_browser
from cairn.identity.gpg_keys import list_gpg_keys
from cairn.identity.outgoing_keys import list_known_hosts, read_outgoing_key
from cairn.identity.sessions import SessionRow, list_sessions, revoke_other_sessions, revoke_session
from cairn.identity.settings_frame import ChosenKey, own_account, show_settings
from cairn.identity.signing_keys import list_signing_keys
from cairn.identity.ssh_keys import add_key, delete_key, list_keys
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import blank_form, read_form
from cairn.web.render import redirect
from cairn.web.routing import page

Filled = Annotated[str, Meta(min_length=1)]


class KeyForm(msgspec.Struct):
    """A public key to be added."""

    key: Filled
    title: str = ""


class ChosenSession(msgspec.Struct):
    """Which session a button stands beside."""

    session_id: Filled


@dataclass(frozen=True, slots=True)
class ShownSession:
    """A session as the page tells it."""

    row: SessionRow
    browser: str
    is_current: bool


@page.get("/settings", action=Action.ACCOUNT_EDIT, resource="none")
async def settings_page(actor: Actor) -> Response[Any]:
    """Go to the first of the settings."""
    own_account(actor)
    return redirect("/settings/profile")


@page.get("/settings/sessions", action=Action.ACCOUNT_EDIT_SECURITY, resource="none")
async def sessions_page(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Show every signed-in browser."""
    rows = await list_sessions(session, actor, own_account(actor))
    current = context.authentication.session_key
    shown = [ShownSession(row, describe_browser(row.user_agent), row.id == current) for row in rows]
    shown.sort(key=lambda one: not one.is_current)
    return show_settings(context, "sessions.html", "sessions", sessions=shown)


@page.post("/settings/sessions/revoke", action=Action.ACCOUNT_EDIT_SECURITY, resource="none")
async def end_session(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
) -> Response[Any]:
    """Sign one browser out."""
    account_id = own_account(actor)
    chosen = (await read_form(request, ChosenSession)).require()
    await revoke_session(session, actor, account_id, chosen.session_id)
    context.flash("That session has ended.")
    return redirect("/settings/sessions")


@page.post("/settings/sessions/revoke-others", action=Action.ACCOUNT_EDIT_SECURITY, resource="none")
async def end_other_sessions(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Sign out every browser but this one."""
    account_id = own_account(actor)
    current = context.authentication.session_key
    ended = await revoke_other_sessions(session, actor, account_id, keep_session_id=current)
    context.flash(f"{ended} other session{'' if ended == 1 else 's'} ended.")
    return redirect("/settings/sessions")


@page.get("/settings/keys", action=Action.ACCOUNT_READ_KEYS, resource="none")
async def keys_page(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Show every key: those that sign in, and those that sign commits."""
    account_id = own_account(actor)

    def may(action: Action) -> bool:
        return decide(actor, action, AccountScope(account_id)).allowed  # a token may reach one list and not another

    return show_settings(
        context,
        "keys.html",
        "keys",
        keys=await list_keys(session, actor, account_id),
        signing_keys=await list_signing_keys(session, actor, account_id)
        if may(Action.ACCOUNT_READ_SIGNING_KEYS)
        else [],
        gpg_keys=await list_gpg_keys(session, actor, account_id) if may(Action.ACCOUNT_READ_GPG_KEYS) else [],
        outgoing_key=await read_outgoing_key(session, actor, account_id),
        known_hosts=await list_known_hosts(session, actor, account_id),
        now=context.site.clock(),
    )


@page.get("/settings/keys/new", action=Action.ACCOUNT_EDIT_KEYS, resource="none", sudo=True)
async def new_key_page(context: RequestContext, actor: Actor) -> Response[Any]:
    """Show the form that adds a key."""
    own_account(actor)
    return show_settings(context, "new_key.html", "keys", form=blank_form(KeyForm))


@page.post("/settings/keys/new", action=Action.ACCOUNT_EDIT_KEYS, resource="none", sudo=True)
async def save_key(context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Let a key sign its owner in."""
    account_id = own_account(actor)
    form = await read_form(request, KeyForm)
    try:
        wanted = form.require()
        added = await add_key(session, actor, account_id, title=wanted.title, text=wanted.key)
    except Invalid as error:
        return show_settings(context, "new_key.html", "keys", status=422, form=form.reject(error))
    context.flash(f"The key {added.title!r} signs you in from now on.")
    return redirect("/settings/keys")


@page.post("/settings/keys/delete", action=Action.ACCOUNT_EDIT_KEYS, resource="none", sudo=True)
async def remove_key(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
) -> Response[Any]:
    """Make a key stop signing its owner in."""
    account_id = own_account(actor)
    chosen = (await read_form(request, ChosenKey)).require()
    await delete_key(session, actor, account_id, chosen.id)
    context.flash("The key no longer signs you in.")
    return redirect("/settings/keys")


route_handlers: list[HTTPRouteHandler] = [
    settings_page,
    sessions_page,
    end_session,
    end_other_sessions,
    keys_page,
    new_key_page,
    save_key,
    remove_key,
]
