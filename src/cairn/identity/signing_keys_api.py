"""Keys that sign, over REST, in GitHub's shape: GPG keys and SSH signing keys, one's own and anybody's."""

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.identity.api import require_account
from cairn.identity.gpg_keys import (
    GpgKeyRow,
    add_gpg_key,
    delete_gpg_key,
    list_gpg_keys,
    list_gpg_keys_of,
    read_gpg_key,
)
from cairn.identity.schemas import NewKey
from cairn.identity.signing_keys import (
    SigningKeyRow,
    add_signing_key,
    delete_signing_key,
    list_signing_keys,
    list_signing_keys_of,
    read_signing_key,
)
from cairn.web.api import ApiAnswer, Page, api_time, read_page
from cairn.web.context import RequestContext
from cairn.web.routing import api

GPG_KEYS = "/api/v3/user/gpg_keys"
SIGNING_KEYS = "/api/v3/user/ssh_signing_keys"

Json = dict[str, Any]
T = TypeVar("T")


class NewGpgKey(msgspec.Struct, kw_only=True):
    """The body of POST /user/gpg_keys."""

    armored_public_key: str
    name: str = ""


@api.get(GPG_KEYS, action=Action.ACCOUNT_READ_GPG_KEYS, resource="none")
async def list_own_gpg_keys(context: RequestContext, session: AsyncSession, actor: Actor) -> Page[Json]:
    """Answer the caller's GPG keys, the oldest first."""
    return _page(context, [gpg_key_json(key) for key in await list_gpg_keys(session, actor, require_account(actor))])


@api.post(GPG_KEYS, action=Action.ACCOUNT_EDIT_GPG_KEYS, resource="none", sudo=True)
async def add_own_gpg_key(session: AsyncSession, actor: Actor, body: NewGpgKey) -> ApiAnswer:
    """Let signatures by a GPG key count as the caller's."""
    added = await add_gpg_key(session, actor, require_account(actor), title=body.name, text=body.armored_public_key)
    return ApiAnswer(gpg_key_json(added), status=201)


@api.get(f"{GPG_KEYS}/{{gpg_key_id:int}}", action=Action.ACCOUNT_READ_GPG_KEYS, resource="none")
async def get_own_gpg_key(session: AsyncSession, actor: Actor, gpg_key_id: int) -> Json:
    """Answer one of the caller's GPG keys."""
    return gpg_key_json(await read_gpg_key(session, actor, require_account(actor), gpg_key_id))


@api.delete(f"{GPG_KEYS}/{{gpg_key_id:int}}", action=Action.ACCOUNT_EDIT_GPG_KEYS, resource="none", sudo=True)
async def delete_own_gpg_key(session: AsyncSession, actor: Actor, gpg_key_id: int) -> None:
    """Let signatures by one of the caller's GPG keys no longer count."""
    await delete_gpg_key(session, actor, require_account(actor), gpg_key_id)


@api.get("/api/v3/users/{username:str}/gpg_keys", action=Action.ACCOUNT_READ, resource="account")
async def list_gpg_keys_of_user(
    context: RequestContext, session: AsyncSession, actor: Actor, username: str
) -> Page[Json]:
    """Answer the GPG keys of an account, for everybody."""
    return _page(context, [gpg_key_json(key) for key in await list_gpg_keys_of(session, actor, username)])


@api.get(SIGNING_KEYS, action=Action.ACCOUNT_READ_SIGNING_KEYS, resource="none")
async def list_own_signing_keys(context: RequestContext, session: AsyncSession, actor: Actor) -> Page[Json]:
    """Answer the caller's SSH signing keys, the oldest first."""
    keys = await list_signing_keys(session, actor, require_account(actor))
    return _page(context, [signing_key_json(key) for key in keys])


@api.post(SIGNING_KEYS, action=Action.ACCOUNT_EDIT_SIGNING_KEYS, resource="none", sudo=True)
async def add_own_signing_key(session: AsyncSession, actor: Actor, body: NewKey) -> ApiAnswer:
    """Let signatures by an SSH key count as the caller's."""
    added = await add_signing_key(session, actor, require_account(actor), title=body.title, text=body.key)
    return ApiAnswer(signing_key_json(added), status=201)


@api.get(f"{SIGNING_KEYS}/{{ssh_signing_key_id:int}}", action=Action.ACCOUNT_READ_SIGNING_KEYS, resource="none")
async def get_own_signing_key(session: AsyncSession, actor: Actor, ssh_signing_key_id: int) -> Json:
    """Answer one of the caller's SSH signing keys."""
    return signing_key_json(await read_signing_key(session, actor, require_account(actor), ssh_signing_key_id))


@api.delete(
    f"{SIGNING_KEYS}/{{ssh_signing_key_id:int}}",
    action=Action.ACCOUNT_EDIT_SIGNING_KEYS,
    resource="none",
    sudo=True,
)
async def delete_own_signing_key(session: AsyncSession, actor: Actor, ssh_signing_key_id: int) -> None:
    """Let signatures by one of the caller's SSH signing keys no longer count."""
    await delete_signing_key(session, actor, require_account(actor), ssh_signing_key_id)


@api.get("/api/v3/users/{username:str}/ssh_signing_keys", action=Action.ACCOUNT_READ, resource="account")
async def list_signing_keys_of_user(
    context: RequestContext, session: AsyncSession, actor: Actor, username: str
) -> Page[Json]:
    """Answer the SSH signing keys of an account, for everybody."""
    return _page(context, [signing_key_json(key) for key in await list_signing_keys_of(session, actor, username)])


def gpg_key_json(key: GpgKeyRow) -> Json:
    """Return a GPG key as GitHub has it; a subkey has neither name nor armored text."""
    is_primary = key.primary_id is None
    return {
        "id": key.id,
        **({"name": key.title} if is_primary else {}),
        "primary_key_id": key.primary_id,
        "key_id": key.key_id.upper(),
        "public_key": key.public_key,
        "emails": [{"email": email, "verified": is_verified} for email, is_verified in key.emails],
        "subkeys": [gpg_key_json(subkey) for subkey in key.subkeys],
        "can_sign": key.can_sign,
        "can_encrypt_comms": key.can_encrypt_comms,
        "can_encrypt_storage": key.can_encrypt_storage,
        "can_certify": key.can_certify,
        "created_at": api_time(key.created_at),
        "expires_at": api_time(key.expires_at),
        "revoked": key.is_revoked,
        "raw_key": key.text if is_primary else None,
    }


def signing_key_json(key: SigningKeyRow) -> Json:
    """Return an SSH signing key as GitHub has it."""
    return {"id": key.id, "key": key.text, "title": key.title, "created_at": api_time(key.created_at)}


def _page(context: RequestContext, items: Sequence[T]) -> Page[T]:
    asked = read_page(context)
    return Page(items[asked.offset : asked.offset + asked.per_page], asked, total=len(items))


route_handlers: list[HTTPRouteHandler] = [
    list_own_gpg_keys,
    add_own_gpg_key,
    get_own_gpg_key,
    delete_own_gpg_key,
    list_gpg_keys_of_user,
    list_own_signing_keys,
    add_own_signing_key,
    get_own_signing_key,
    delete_own_signing_key,
    list_signing_keys_of_user,
]
