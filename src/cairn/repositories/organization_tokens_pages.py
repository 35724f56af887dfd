"""The page on which owners see the fine-grained tokens that reach their organization, and take their access away.

It stands among the organization's settings, in the frame of ``identity``.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.base.ids import RowId
from cairn.identity.names import is_login
from cairn.identity.organization_settings_pages import PATH as SETTINGS
from cairn.identity.organization_settings_pages import settings_frame
from cairn.identity.organization_tokens import (
    OrganizationToken,
    OrganizationTokens,
    TokenFilter,
    list_organization_tokens,
    revoke_token_access,
)
from cairn.identity.organizations import OrganizationView, find_organization
from cairn.identity.team_pages import paging
from cairn.identity.token_policy import exceeds, shortest
from cairn.repositories.queries import find_repository
from cairn.repositories.token_choice import repository_names
from cairn.web.api import PageRequest, read_page
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

PATH = f"{SETTINGS}/tokens"
PER_PAGE = 30
TEXT_LENGTH_MAX = 100
_EDIT: Any = {"action": Action.ORGANIZATION_EDIT, "resource": "account"}


class TokenForm(msgspec.Struct):
    """The token a button stands beside."""

    id: RowId


@dataclass(frozen=True, slots=True)
class ShownToken:
    """A token as the page tells it."""

    row: OrganizationToken
    repositories: list[str]
    """Names of those it was made for that are still there."""
    is_too_long: bool
    """It was made to live longer than a policy of today allows, and is refused."""


@page.get(PATH, **_EDIT)
async def tokens_page(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Response[str]:
    """Show the tokens that reach an organization; ``person`` and ``repository`` keep some."""
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT)
    person, repository = _text(context, "person"), _text(context, "repository")
    asked = PageRequest(read_page(context).page, PER_PAGE)
    found = await _find(session, actor, organization, person, repository, asked)
    return render(
        context,
        "repositories/organization_tokens.html",
        headers={"Cache-Control": "no-store"},
        **await settings_frame(session, actor, organization, "tokens"),
        **paging(asked, len(found.items), found.total),
        tokens=await _shown(context, session, actor, organization, found.items),
        total=found.total,
        person=person,
        repository=repository,
    )


def _text(context: RequestContext, name: str) -> str:
    text = context.request.query_params.get(name, "").strip()[:TEXT_LENGTH_MAX]
    return text if text.isprintable() else ""


async def _find(
    session: AsyncSession,
    actor: Actor,
    organization: OrganizationView,
    person: str,
    repository: str,
    asked: PageRequest,
) -> OrganizationTokens:
    repository_id = None
    if person and not is_login(person):
        return OrganizationTokens([], 0)
    if repository:
        name = repository.removeprefix(f"{organization.login}/")
        try:
            repository_id = (await find_repository(session, actor, organization.login, name, Action.REPOSITORY_SEE)).id
        except NotFound:
            return OrganizationTokens([], 0)
    wanted = TokenFilter(logins=frozenset({person} if person else ()), repository_id=repository_id)
    return await list_organization_tokens(
        session, actor, organization.id, wanted, page=asked.page, per_page=asked.per_page
    )


async def _shown(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    organization: OrganizationView,
    tokens: list[OrganizationToken],
) -> list[ShownToken]:
    days = shortest(context.settings.token_lifetime_max_days, organization.token_lifetime_max_days)
    ids = frozenset[int]().union(*(token.repository_ids or () for token in tokens))
    names = await repository_names(session, actor, organization.id, ids) if ids else {}
    return [
        ShownToken(
            token,
            [name for one, name in names.items() if one in (token.repository_ids or ())],
            is_too_long=exceeds(token.created_at, token.expires_at, days),
        )
        for token in tokens
    ]


@page.post(f"{PATH}/revoke", **_EDIT)
async def revoke_token(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, org: str
) -> Response[Any]:
    """Take from a token what it reaches of the organization."""
    chosen = (await read_form(request, TokenForm)).require()
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT)
    await revoke_token_access(session, actor, organization.id, [chosen.id])
    context.flash(f"The token no longer reaches {organization.login}.")
    return redirect(path_join("organizations", organization.login, "settings", "tokens"))


route_handlers: list[HTTPRouteHandler] = [tokens_page, revoke_token]
