"""The pages on which administrators look after a repository's rulesets."""

from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.repositories.queries import find_repository
from cairn.repositories.rules import rules_screens
from cairn.repositories.rules.holder import holder_of
from cairn.repositories.rules.rules_screens import Screen
from cairn.web.context import RequestContext
from cairn.web.routing import page

_PATH = "/{owner:str}/{repo:str}/settings/rules"
_RULESET = f"{_PATH}/{{ruleset_id:int}}"
_ADMINISTER: Any = {"action": Action.REPOSITORY_ADMINISTER, "resource": "repository"}


async def open_screen(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str
) -> Screen | Response[bytes]:
    """Return a page among the settings of a repository, or where it has moved to. Errors: NotFound, Forbidden."""
    opened = await open_repository_page(context, actor, owner, repo)
    if isinstance(opened, Response):
        return opened
    return await _screen(context, session, actor, opened.owner, opened.name)


async def _screen(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> Screen:
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    frame = header_of(context, actor, repository, "settings") | {
        "rules_frame": "repositories/rules/repository_frame.html",
        "section": "rules",
        "may_administer": True,
    }
    return Screen(context, session, actor, holder_of(repository), frame, repository)


@page.get(_PATH, **_ADMINISTER)
async def rules(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> Response[Any]:
    """Show the rulesets about a repository, which of them are about a ref somebody names, and some to begin with."""
    opened = await open_screen(context, session, actor, owner, repo)
    return opened if isinstance(opened, Response) else await rules_screens.show_list(opened)


@page.get(f"{_PATH}/new", **_ADMINISTER)
async def new(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, preset: str = ""
) -> Response[Any]:
    """Show the form of a new ruleset, filled with a preset if one is named."""
    opened = await open_screen(context, session, actor, owner, repo)
    return opened if isinstance(opened, Response) else await rules_screens.show_new(opened, preset)


@page.post(_PATH, **_ADMINISTER)
async def create(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> Response[Any]:
    """Give the repository the ruleset that the form says."""
    return await rules_screens.create(await _screen(context, session, actor, owner, repo))


@page.get(_RULESET, **_ADMINISTER)
async def ruleset(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, ruleset_id: int
) -> Response[Any]:
    """Show the form of a ruleset of the repository."""
    opened = await open_screen(context, session, actor, owner, repo)
    return opened if isinstance(opened, Response) else await rules_screens.show_ruleset(opened, ruleset_id)


@page.post(_RULESET, **_ADMINISTER)
async def save(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, ruleset_id: int
) -> Response[Any]:
    """Make the ruleset what the form says, unless somebody else changed it since the form was opened."""
    return await rules_screens.save(await _screen(context, session, actor, owner, repo), ruleset_id)


@page.post(f"{_RULESET}/delete", **_ADMINISTER)
async def delete(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, ruleset_id: int
) -> Response[Any]:
    """Forget a ruleset."""
    return await rules_screens.delete(await _screen(context, session, actor, owner, repo), ruleset_id)


@page.get(f"{_RULESET}/export", **_ADMINISTER)
async def export(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, ruleset_id: int
) -> Response[Any]:
    """Send a ruleset as the JSON file that import takes, here and on GitHub."""
    opened = await open_screen(context, session, actor, owner, repo)
    return opened if isinstance(opened, Response) else await rules_screens.export(opened, ruleset_id)


@page.post(f"{_PATH}/import", **_ADMINISTER)
async def import_(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> Response[Any]:
    """Show the form of a new ruleset filled from a JSON file; nothing is kept before it is looked at and saved."""
    return await rules_screens.import_(await _screen(context, session, actor, owner, repo))


route_handlers: list[HTTPRouteHandler] = [rules, new, create, ruleset, save, delete, export, import_]
