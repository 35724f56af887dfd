"""The pages on which owners look after the rulesets of an organization, and see what they found."""

from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.identity.organization_settings_pages import PATH as SETTINGS
from cairn.identity.organization_settings_pages import settings_frame
from cairn.identity.organizations import find_organization
from cairn.repositories.rules import insights_pages, rules_screens
from cairn.repositories.rules.holder import organization_holder
from cairn.repositories.rules.rules_screens import Screen
from cairn.web.context import RequestContext
from cairn.web.routing import page

_PATH = f"{SETTINGS}/rules"
_RULESET = f"{_PATH}/{{ruleset_id:int}}"
_EDIT: Any = {"action": Action.ORGANIZATION_EDIT, "resource": "account"}


async def _screen(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Screen:
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT)
    frame = await settings_frame(session, actor, organization, "rules") | {
        "rules_frame": "repositories/rules/organization_frame.html"
    }
    return Screen(context, session, actor, organization_holder(organization), frame)


@page.get(_PATH, **_EDIT)
async def rules(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Response[Any]:
    """Show the rulesets of an organization, and some to begin with."""
    return await rules_screens.show_list(await _screen(context, session, actor, org))


@page.get(f"{_PATH}/new", **_EDIT)
async def new(
    context: RequestContext, session: AsyncSession, actor: Actor, org: str, preset: str = ""
) -> Response[Any]:
    """Show the form of a new ruleset, filled with a preset if one is named."""
    return await rules_screens.show_new(await _screen(context, session, actor, org), preset)


@page.post(_PATH, **_EDIT)
async def create(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Response[Any]:
    """Give the organization the ruleset that the form says."""
    return await rules_screens.create(await _screen(context, session, actor, org))


@page.get(_RULESET, **_EDIT)
async def ruleset(
    context: RequestContext, session: AsyncSession, actor: Actor, org: str, ruleset_id: int
) -> Response[Any]:
    """Show the form of a ruleset of the organization."""
    return await rules_screens.show_ruleset(await _screen(context, session, actor, org), ruleset_id)


@page.post(_RULESET, **_EDIT)
async def save(
    context: RequestContext, session: AsyncSession, actor: Actor, org: str, ruleset_id: int
) -> Response[Any]:
    """Make the ruleset what the form says, unless somebody else changed it since the form was opened."""
    return await rules_screens.save(await _screen(context, session, actor, org), ruleset_id)


@page.post(f"{_RULESET}/delete", **_EDIT)
async def delete(
    context: RequestContext, session: AsyncSession, actor: Actor, org: str, ruleset_id: int
) -> Response[Any]:
    """Forget a ruleset."""
    return await rules_screens.delete(await _screen(context, session, actor, org), ruleset_id)


@page.get(f"{_RULESET}/export", **_EDIT)
async def export(
    context: RequestContext, session: AsyncSession, actor: Actor, org: str, ruleset_id: int
) -> Response[Any]:
    """Send a ruleset as the JSON file that import takes, here and on GitHub."""
    return await rules_screens.export(await _screen(context, session, actor, org), ruleset_id)


@page.post(f"{_PATH}/import", **_EDIT)
async def import_(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Response[Any]:
    """Show the form of a new ruleset filled from a JSON file; nothing is kept before it is looked at and saved."""
    return await rules_screens.import_(await _screen(context, session, actor, org))


@page.get(f"{_PATH}/insights", **_EDIT)
async def insights(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Response[Any]:
    """Show a page of what rulesets found in the organization's repositories, the newest first."""
    return await insights_pages.show_insights(await _screen(context, session, actor, org))


route_handlers: list[HTTPRouteHandler] = [rules, new, create, ruleset, save, delete, export, import_, insights]
