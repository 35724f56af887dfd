"""The fine-grained tokens that reach an organization, over REST, for its owners: listed, and their access revoked."""

from typing import Annotated, Any, Literal

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.permissions import PERMISSIONS
from cairn.base.actor import Actor
from cairn.base.errors import NotFound, Unauthenticated
from cairn.base.ids import RowId
from cairn.identity.names import is_login
from cairn.identity.organization_schemas import organization_token_json
from cairn.identity.organization_tokens import (
    REVOKED_AT_ONCE_MAX,
    OrganizationTokens,
    TokenFilter,
    list_organization_tokens,
    read_organization_token,
    revoke_token_access,
)
from cairn.identity.organizations import OrganizationView, find_organization
from cairn.repositories.api_routes import choose, read_moment, refused
from cairn.repositories.fork_api import whole_repository
from cairn.repositories.lists import RepositoryFilter, RepositoryPage, list_repositories
from cairn.repositories.queries import find_repository
from cairn.repositories.serializers import API, Json
from cairn.web.api import Page, PageRequest, read_page
from cairn.web.context import RequestContext
from cairn.web.routing import api

TOKENS = f"{API}/orgs/{{org:str}}/personal-access-tokens"
TOKEN = f"{TOKENS}/{{pat_id:int}}"
OWNERS_MAX = 10
TOKEN_IDS_MAX = 50
_EDIT: Any = {"action": Action.ORGANIZATION_EDIT, "resource": "account"}


class TokenChange(msgspec.Struct, kw_only=True):
    """The body about one token; there is one thing to be done to it."""

    action: Literal["revoke"]


class TokensChange(TokenChange, kw_only=True):
    """The body about some tokens."""

    pat_ids: Annotated[list[RowId], Meta(min_length=1, max_length=REVOKED_AT_ONCE_MAX)]


@api.get(TOKENS, **_EDIT)
async def list_tokens(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Page[Json]:
    """Answer the tokens that reach an organization, those granted last first; the query filters them as GitHub's."""
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT)
    asked = read_page(context)
    found = await _find(context, session, actor, organization, asked)
    origin = context.settings.origin
    items = [organization_token_json(origin, organization.login, token) for token in found.items]
    return Page(items, asked, total=found.total)


async def _find(
    context: RequestContext, session: AsyncSession, actor: Actor, organization: OrganizationView, asked: PageRequest
) -> OrganizationTokens:
    choose(context, "sort", {"created_at": None}, "created_at")
    descending: bool = choose(context, "direction", {"asc": False, "desc": True}, "desc")
    owners = _texts(context, "owner", OWNERS_MAX)
    permission = context.request.query_params.get("permission", "")
    if permission and permission not in PERMISSIONS:
        raise refused("permission", f"permission must be one of: {', '.join(PERMISSIONS)}.")
    repository_id = None
    if name := context.request.query_params.get("repository", ""):
        try:
            repository_id = (await find_repository(session, actor, organization.login, name, Action.REPOSITORY_SEE)).id
        except (NotFound, Unauthenticated):
            return OrganizationTokens([], 0)
    wanted = TokenFilter(
        logins=frozenset(filter(is_login, owners)),
        token_ids=_token_ids(context),
        permission=permission,
        repository_id=repository_id,
        used_before=read_moment(context, "last_used_before"),
        used_after=read_moment(context, "last_used_after"),
    )
    if owners and not wanted.logins:
        return OrganizationTokens([], 0)  # nobody is called so
    return await list_organization_tokens(
        session, actor, organization.id, wanted, descending=descending, page=asked.page, per_page=asked.per_page
    )


def _texts(context: RequestContext, name: str, most: int) -> list[str]:
    """Return every value of a parameter that may be repeated, with GitHub's brackets or without."""
    query = context.request.query_params
    found: list[str] = [*query.getall(f"{name}[]", []), *query.getall(name, [])]
    if len(found) > most:
        raise refused(name, f"{name} may be given at most {most} times.")
    return found


def _token_ids(context: RequestContext) -> frozenset[int]:
    texts = _texts(context, "token_id", TOKEN_IDS_MAX)
    if not all(text.isascii() and text.isdecimal() and len(text) <= 18 for text in texts):
        raise refused("token_id", "token_id must be a number.")
    return frozenset(map(int, texts))


@api.post(TOKENS, status=202, **_EDIT)
async def revoke_some(session: AsyncSession, actor: Actor, org: str, body: TokensChange) -> Json:
    """Take from tokens what they reach of the organization; from none of them if one is not there."""
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT)
    await revoke_token_access(session, actor, organization.id, body.pat_ids)
    return {}


@api.post(TOKEN, status=204, **_EDIT)
async def revoke(session: AsyncSession, actor: Actor, org: str, pat_id: int, body: TokenChange) -> None:
    """Take from a token what it reaches of the organization."""
    del body  # it can say nothing else
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT)
    await revoke_token_access(session, actor, organization.id, [pat_id])


@api.get(f"{TOKEN}/repositories", **_EDIT)
async def list_reached(
    context: RequestContext, session: AsyncSession, actor: Actor, org: str, pat_id: int
) -> Page[Json]:
    """Answer the organization's repositories that a token reaches; none if it may only read what is public."""
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT)
    token = await read_organization_token(session, actor, organization.id, pat_id)
    asked = read_page(context)
    wanted = RepositoryFilter(owner_id=organization.id, ids=token.repository_ids)
    found = RepositoryPage([], 0)
    if token.repository_ids != frozenset():
        found = await list_repositories(session, actor, wanted, page=asked.page, per_page=asked.per_page)
    return Page([await whole_repository(context, session, one) for one in found.items], asked, total=found.total)


route_handlers: list[HTTPRouteHandler] = [list_tokens, revoke_some, revoke, list_reached]
