"""The key for other servers and the hosts it knows, over REST. GitHub has neither; the words are ours."""

from typing import Any

from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.identity.api import require_account
from cairn.identity.outgoing_keys import (
    KnownHostRow,
    OutgoingKeyRow,
    delete_outgoing_key,
    forget_known_host,
    list_known_hosts,
    make_outgoing_key,
    read_outgoing_key,
)
from cairn.web.api import ApiAnswer, Page, api_time, read_page
from cairn.web.context import RequestContext
from cairn.web.routing import api

_KEY = "/api/v3/user/outgoing_key"
_HOSTS = "/api/v3/user/known_hosts"

Json = dict[str, Any]


@api.get(_KEY, action=Action.ACCOUNT_READ_KEYS, resource="none")
async def read_key(session: AsyncSession, actor: Actor) -> Json:
    """Answer the public half of the caller's key for other servers."""
    found = await read_outgoing_key(session, actor, require_account(actor))
    if found is None:
        raise NotFound("There is no key for other servers.")
    return outgoing_key_json(found)


@api.post(_KEY, action=Action.ACCOUNT_EDIT_KEYS, resource="none", sudo=True)
async def make_key(context: RequestContext, session: AsyncSession, actor: Actor) -> ApiAnswer:
    """Make the caller's key for other servers, or another one in its place."""
    made = await make_outgoing_key(session, context.settings, actor, require_account(actor))
    return ApiAnswer(outgoing_key_json(made), 201)


@api.delete(_KEY, action=Action.ACCOUNT_EDIT_KEYS, resource="none", sudo=True)
async def remove_key(session: AsyncSession, actor: Actor) -> None:
    """Delete the caller's key for other servers."""
    await delete_outgoing_key(session, actor, require_account(actor))


@api.get(_HOSTS, action=Action.ACCOUNT_READ_KEYS, resource="none")
async def list_hosts(context: RequestContext, session: AsyncSession, actor: Actor) -> Page[Json]:
    """Answer the host keys that other servers showed the caller, by host."""
    asked, found = read_page(context), await list_known_hosts(session, actor, require_account(actor))
    shown = [known_host_json(one) for one in found[asked.offset : asked.offset + asked.per_page]]
    return Page(shown, asked, total=len(found))


@api.delete(_HOSTS, action=Action.ACCOUNT_EDIT_KEYS, resource="none", sudo=True)
async def forget_host(context: RequestContext, session: AsyncSession, actor: Actor) -> None:
    """Forget the key of the host that ``?host=NAME:PORT`` names: the next one it shows is kept."""
    place = context.request.query_params.get("host", "")
    await forget_known_host(session, actor, require_account(actor), place)


def outgoing_key_json(key: OutgoingKeyRow) -> Json:
    """Return the public half."""
    return {"key": key.text, "fingerprint": key.fingerprint, "created_at": api_time(key.created_at)}


def known_host_json(host: KnownHostRow) -> Json:
    """Return what a host showed."""
    return {
        "host": host.place,
        "key": host.text,
        "fingerprint": host.fingerprint,
        "created_at": api_time(host.created_at),
    }


route_handlers: list[HTTPRouteHandler] = [read_key, make_key, remove_key, list_hosts, forget_host]
