"""The settings page of a wiki: whether there is one, and who may write it."""

from typing import Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.decide import decide, require
from cairn.base.actor import Actor
from cairn.git.engine import Engine
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.repositories.queries import find_repository
from cairn.repositories.update import RepositoryChange, update_repository
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

_PATH = "/{owner:str}/{repo:str}/settings/wiki"


class WikiForm(msgspec.Struct):
    """Whether there is a wiki, and whether everybody who is signed in may edit it."""

    has_wiki: bool = False
    is_wiki_open: bool = False


@page.get(_PATH, action=Action.REPOSITORY_MAINTAIN, resource="repository")
async def wiki_settings(context: RequestContext, actor: Actor, owner: str, repo: str) -> Response[Any]:
    """Show the settings of the wiki."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    require(actor, Action.REPOSITORY_MAINTAIN, repository.scope)
    form = blank_form(WikiForm, has_wiki=repository.has_wiki, is_wiki_open=repository.is_wiki_open)
    return render(
        context,
        "repositories/wiki/settings.html",
        **header_of(context, actor, repository, "settings"),
        may_administer=decide(actor, Action.REPOSITORY_ADMINISTER, repository.scope).allowed,
        form=form,
    )


@page.post(_PATH, action=Action.REPOSITORY_MAINTAIN, resource="repository")
async def save_wiki_settings(
    context: RequestContext,
    session: AsyncSession,
    engine: Engine,
    actor: Actor,
    request: WebRequest,
    owner: str,
    repo: str,
) -> Response[Any]:
    """Keep whether there is a wiki, and who may edit it."""
    wanted = (await read_form(request, WikiForm)).require()
    repository = await find_repository(session, actor, owner, repo)
    change = RepositoryChange(has_wiki=wanted.has_wiki, is_wiki_open=wanted.is_wiki_open)
    await update_repository(session, engine, actor, repository.id, change)
    context.flash("The settings of the wiki are saved.")
    return redirect(path_join(repository.owner, repository.name, "settings", "wiki"))


route_handlers: list[HTTPRouteHandler] = [wiki_settings, save_wiki_settings]
