"""Settings of whoever is signed in: the key with which Cairn logs in to other servers, and the hosts it knows."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.identity.outgoing_keys import delete_outgoing_key, forget_known_host, make_outgoing_key
from cairn.identity.settings_frame import own_account
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import read_form
from cairn.web.render import redirect
from cairn.web.routing import page

_PATH = "/settings/keys/outgoing"
_KEYS = "/settings/keys#keys-outgoing"


class ChosenHost(msgspec.Struct):
    """Which host a button stands beside: its name and port."""

    host: Annotated[str, Meta(min_length=1, max_length=260)]


@page.post(_PATH, action=Action.ACCOUNT_EDIT_KEYS, resource="none", sudo=True)
async def make_key(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Make the key, or another one in its place."""
    made = await make_outgoing_key(session, context.settings, actor, own_account(actor))
    context.flash(f"The key {made.fingerprint} was made. Add it at the other server before you import or mirror.")
    return redirect(_KEYS)


@page.post(f"{_PATH}/delete", action=Action.ACCOUNT_EDIT_KEYS, resource="none", sudo=True)
async def remove_key(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Let Cairn log in to other servers no more."""
    await delete_outgoing_key(session, actor, own_account(actor))
    context.flash("The key for other servers was deleted.")
    return redirect(_KEYS)


@page.post("/settings/keys/hosts/forget", action=Action.ACCOUNT_EDIT_KEYS, resource="none", sudo=True)
async def forget_host(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
) -> Response[Any]:
    """Believe the next key that a host shows."""
    account_id = own_account(actor)
    chosen = (await read_form(request, ChosenHost)).require()
    await forget_known_host(session, actor, account_id, chosen.host)
    context.flash(f"The host key of {chosen.host} was forgotten. The next one it shows is kept.")
    return redirect(_KEYS)


route_handlers: list[HTTPRouteHandler] = [make_key, remove_key, forget_host]
