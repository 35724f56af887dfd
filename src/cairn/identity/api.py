"""Accounts over REST, in GitHub's shape: the caller's own account, other accounts, addresses, SSH keys."""

from collections.abc import Sequence
from typing import TypeVar

from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.decide import decide
from cairn.access.scopes import AccountScope
from cairn.base.actor import Actor
from cairn.base.errors import Unauthenticated
from cairn.base.settings import Settings
from cairn.identity.email_addresses import show_email
from cairn.identity.profile import update_profile
from cairn.identity.public_keys import list_public_keys
from cairn.identity.queries import AccountMoved, primary_email, read_profile, read_profile_by_id
from cairn.identity.schemas import (
    CountRepositories,
    NewKey,
    PrivateUser,
    ProfileBody,
    PublicKeyJson,
    PublicUser,
    SshKeyJson,
    private_user,
    public_key_json,
    public_user,
    ssh_key_json,
)
from cairn.identity.ssh_keys import add_key, delete_key, list_keys, read_key
from cairn.web.api import DOCUMENTATION_URL, ApiAnswer, Page, read_page
from cairn.web.context import RequestContext
from cairn.web.routing import api

T = TypeVar("T")


def make_route_handlers(count_repositories: CountRepositories) -> list[HTTPRouteHandler]:
    """Return these operations; ``count_repositories`` comes from above."""

    @api.get("/api/v3/user", action=Action.ACCOUNT_READ, resource="none")
    async def get_own(session: AsyncSession, settings: Settings, actor: Actor) -> PublicUser:
        """Answer the caller's account: its private part too where the credential reaches that."""
        require_account(actor)
        return await _own(session, settings, actor, count_repositories)

    @api.patch("/api/v3/user", action=Action.ACCOUNT_EDIT, resource="none")
    async def change_own(session: AsyncSession, settings: Settings, actor: Actor, body: ProfileBody) -> PublicUser:
        """Change the caller's public profile."""
        account_id = require_account(actor)
        body.require_kept()
        await update_profile(session, actor, account_id, body.change())
        if body.email is not None:
            await show_email(session, actor, account_id, body.email)
        return await _own(session, settings, actor, count_repositories)

    @api.get("/api/v3/users/{username:str}", action=Action.ACCOUNT_READ, resource="account")
    async def get_user(
        session: AsyncSession, settings: Settings, actor: Actor, username: str
    ) -> PublicUser | ApiAnswer:
        """Answer an account as everybody sees it; a name it gave up leads to where it is."""
        try:
            profile = await read_profile(session, actor, username)
        except AccountMoved as moved:
            # By its number, as GitHub redirects: the name may change again.
            address = f"{settings.origin}/api/v3/user/{moved.account_id}"
            body = {"message": "Moved Permanently", "url": address, "documentation_url": DOCUMENTATION_URL}
            return ApiAnswer(body, status=301, headers={"Location": address})
        return public_user(settings.origin, profile, await count_repositories(session, profile.id))

    @api.get("/api/v3/user/{account_id:int}", action=Action.ACCOUNT_READ, resource="account")
    async def get_user_by_number(
        session: AsyncSession, settings: Settings, actor: Actor, account_id: int
    ) -> PublicUser:
        """Answer an account by its number, which never changes."""
        profile = await read_profile_by_id(session, actor, account_id)
        return public_user(settings.origin, profile, await count_repositories(session, profile.id))

    return [
        get_own,
        change_own,
        get_user,
        get_user_by_number,
        list_own_keys,
        add_own_key,
        get_own_key,
        delete_own_key,
        list_keys_of_user,
    ]


def require_account(actor: Actor) -> int:
    """Return whose credential it is; Unauthenticated in GitHub's words if there is none."""
    if actor.account_id is None:
        raise Unauthenticated("Requires authentication")
    return actor.account_id


async def _own(
    session: AsyncSession, settings: Settings, actor: Actor, count_repositories: CountRepositories
) -> PublicUser | PrivateUser:
    account_id = require_account(actor)
    profile = await read_profile(session, actor, actor.label)
    counts = await count_repositories(session, account_id)
    scope = AccountScope(account_id)
    if not decide(actor, Action.ACCOUNT_READ_PRIVATE, scope).allowed:
        return public_user(settings.origin, profile, counts)
    may_read_emails = decide(actor, Action.ACCOUNT_READ_EMAILS, scope).allowed
    email = await primary_email(session, account_id) if may_read_emails else profile.public_email or None
    return private_user(settings.origin, profile, counts, email=email)


@api.get("/api/v3/user/keys", action=Action.ACCOUNT_READ_KEYS, resource="none")
async def list_own_keys(
    context: RequestContext, session: AsyncSession, settings: Settings, actor: Actor
) -> Page[SshKeyJson]:
    """Answer the caller's SSH keys, the oldest first."""
    keys = await list_keys(session, actor, require_account(actor))
    return _page(context, [ssh_key_json(settings.origin, key) for key in keys])


@api.post("/api/v3/user/keys", action=Action.ACCOUNT_EDIT_KEYS, resource="none", sudo=True)
async def add_own_key(session: AsyncSession, settings: Settings, actor: Actor, body: NewKey) -> ApiAnswer:
    """Let a public key sign the caller in."""
    added = await add_key(session, actor, require_account(actor), title=body.title, text=body.key)
    answer = ssh_key_json(settings.origin, added)
    return ApiAnswer(answer, status=201, headers={"Location": answer.url})


@api.get("/api/v3/user/keys/{key_id:int}", action=Action.ACCOUNT_READ_KEYS, resource="none")
async def get_own_key(session: AsyncSession, settings: Settings, actor: Actor, key_id: int) -> SshKeyJson:
    """Answer one of the caller's keys."""
    return ssh_key_json(settings.origin, await read_key(session, actor, require_account(actor), key_id))


@api.delete("/api/v3/user/keys/{key_id:int}", action=Action.ACCOUNT_EDIT_KEYS, resource="none", sudo=True)
async def delete_own_key(session: AsyncSession, actor: Actor, key_id: int) -> None:
    """Stop one of the caller's keys from signing in."""
    await delete_key(session, actor, require_account(actor), key_id)


@api.get("/api/v3/users/{username:str}/keys", action=Action.ACCOUNT_READ, resource="account")
async def list_keys_of_user(
    context: RequestContext, session: AsyncSession, actor: Actor, username: str
) -> Page[PublicKeyJson]:
    """Answer the keys by which an account is known, for everybody."""
    keys = await list_public_keys(session, actor, username)
    return _page(context, [public_key_json(key) for key in keys])


def _page(context: RequestContext, items: Sequence[T]) -> Page[T]:
    """Return the page that was asked for of a list that the domain has bounded."""
    asked = read_page(context)
    return Page(items[asked.offset : asked.offset + asked.per_page], asked, total=len(items))
