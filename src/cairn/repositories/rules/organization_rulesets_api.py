"""Rulesets of organizations and what they found in their repositories, over REST, in GitHub's shape: for owners."""

from typing import Any

from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.settings import Settings
from cairn.identity.organizations import find_organization
from cairn.repositories.rules.holder import (
    Holder,
    create_for,
    delete_for,
    list_for,
    organization_holder,
    read_for,
    update_for,
)
from cairn.repositories.rules.ruleset_json import full_ruleset_json, read_ruleset_json
from cairn.repositories.rules.rulesets_api import page_of_rulesets
from cairn.repositories.rules.suites import read_suite_of_owner
from cairn.repositories.rules.suites_api import full_suite_json, page_of_suites
from cairn.repositories.serializers import API, Json
from cairn.web.api import Page, decode_body
from cairn.web.context import RequestContext, WebRequest
from cairn.web.routing import api

_RULESETS = f"{API}/orgs/{{org:str}}/rulesets"
_RULESET = f"{_RULESETS}/{{ruleset_id:int}}"
_SUITES = f"{_RULESETS}/rule-suites"
_EDIT: Any = {"action": Action.ORGANIZATION_EDIT, "resource": "account"}


async def _holder(session: AsyncSession, actor: Actor, org: str) -> Holder:
    return organization_holder(await find_organization(session, actor, org, Action.ORGANIZATION_EDIT))


@api.get(_RULESETS, **_EDIT)
async def list_(
    context: RequestContext, session: AsyncSession, settings: Settings, actor: Actor, org: str
) -> Page[Json]:
    """Answer the rulesets of an organization, by number; ``targets`` keeps some, as of a repository."""
    holder = await _holder(session, actor, org)
    return page_of_rulesets(context, settings, holder, await list_for(session, holder))


@api.post(_RULESETS, **_EDIT, status=201)
async def create(session: AsyncSession, settings: Settings, actor: Actor, request: WebRequest, org: str) -> Json:
    """Give the organization another ruleset, for all its repositories unless ``repository_name`` says which."""
    holder = await _holder(session, actor, org)
    content = read_ruleset_json(decode_body(await request.body(), dict[str, Any]))
    made = await create_for(session, actor, holder, content)
    return full_ruleset_json(settings.origin, holder, made, may_edit=True)


@api.get(_RULESET, **_EDIT)
async def read(session: AsyncSession, settings: Settings, actor: Actor, org: str, ruleset_id: int) -> Json:
    """Answer one ruleset with its rules and who may bypass it."""
    holder = await _holder(session, actor, org)
    return full_ruleset_json(settings.origin, holder, await read_for(session, holder, ruleset_id), may_edit=True)


@api.put(_RULESET, **_EDIT)
async def update(
    session: AsyncSession, settings: Settings, actor: Actor, request: WebRequest, org: str, ruleset_id: int
) -> Json:
    """Change a ruleset of the organization; what the body leaves out stays."""
    holder = await _holder(session, actor, org)
    before = await read_for(session, holder, ruleset_id)
    content = read_ruleset_json(decode_body(await request.body(), dict[str, Any]), before=before.content)
    changed = await update_for(session, actor, holder, ruleset_id, content, expected_version=before.version)
    return full_ruleset_json(settings.origin, holder, changed, may_edit=True)


@api.delete(_RULESET, **_EDIT)
async def delete(session: AsyncSession, actor: Actor, org: str, ruleset_id: int) -> None:
    """Forget a ruleset of the organization."""
    await delete_for(session, actor, await _holder(session, actor, org), ruleset_id)


@api.get(_SUITES, **_EDIT)
async def list_suites(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Page[Json]:
    """Answer changes in the organization's repositories that a ruleset had something against, the newest first.

    The query is as for one repository, with ``repository_name`` besides.
    """
    return await page_of_suites(context, session, await _holder(session, actor, org))


@api.get(f"{_SUITES}/{{suite_id:int}}", **_EDIT)
async def read_suite(session: AsyncSession, actor: Actor, org: str, suite_id: int) -> Json:
    """Answer one of them, with what each rule had against it."""
    holder = await _holder(session, actor, org)
    return full_suite_json(await read_suite_of_owner(session, holder.owner_id, suite_id))


route_handlers: list[HTTPRouteHandler] = [list_, create, read, update, delete, list_suites, read_suite]
