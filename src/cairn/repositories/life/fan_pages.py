"""The buttons of a repository's head that star and watch it, and the pages of who does."""

from typing import Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Invalid
from cairn.db.database import Database
from cairn.repositories.life.models import WatchLevel, WatchSubject
from cairn.repositories.life.stars import list_stargazers, star, unstar
from cairn.repositories.life.watching import list_watchers, read_watch, set_watch
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.repositories.queries import RepositoryView, find_repository
from cairn.web.api import PageRequest, read_page
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

PER_PAGE = 50
_PATH = "/{owner:str}/{repo:str}"
_READ: Any = {"action": Action.REPOSITORY_READ, "resource": "repository"}


class StarForm(msgspec.Struct):
    """Whether the repository is to be starred, and where the button stood."""

    starred: bool = False
    next: str = ""


class WatchForm(msgspec.Struct):
    """How much somebody wants to hear, and where the button stood."""

    level: WatchLevel
    subjects: list[str] = msgspec.field(default_factory=list)
    next: str = ""


@page.post(f"{_PATH}/star", **_READ)
async def star_it(
    context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest, owner: str, repo: str
) -> Response[Any]:
    """Star the repository, or take the star back, and show the page the button stands on."""
    wanted = (await read_form(request, StarForm)).require()
    repository = await find_repository(session, actor, owner, repo)
    await (star if wanted.starred else unstar)(session, actor, repository.id)
    return _back(context, repository, wanted.next)


@page.post(f"{_PATH}/watch", **_READ)
async def watch(
    context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest, owner: str, repo: str
) -> Response[Any]:
    """Hear this much of the repository from now on."""
    form = await read_form(request, WatchForm)
    repository = await find_repository(session, actor, owner, repo)
    try:
        wanted = form.require()
        chosen = [one for one in WatchSubject if one.value in wanted.subjects]
        await set_watch(session, actor, repository.id, wanted.level, chosen)
    except Invalid as error:
        return _watching(context, actor, repository, form.reject(error))
    return _back(context, repository, wanted.next)


def _back(context: RequestContext, repository: RepositoryView, place: str) -> Response[Any]:
    return redirect(context.own_path(place, default=path_join(repository.owner, repository.name)))


@page.get(f"{_PATH}/watch", **_READ)
async def watching(context: RequestContext, database: Database, actor: Actor, owner: str, repo: str) -> Response[Any]:
    """Show the form with every level and subject."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    async with database.read() as session:
        row = await read_watch(session, actor, repository.id)
    subjects = row.subjects.split() if row is not None else []
    form = blank_form(WatchForm, level=repository.watch_level.value, subjects=subjects)
    return _watching(context, actor, repository, form)


def _watching(
    context: RequestContext, actor: Actor, repository: RepositoryView, form: Form[WatchForm]
) -> Response[Any]:
    return render(
        context,
        "repositories/watch.html",
        status=422 if form.has_problems else 200,
        **header_of(context, actor, repository, ""),
        form=form,
        subjects=[one.value for one in WatchSubject],
    )


@page.get(f"{_PATH}/stargazers", **_READ)
async def stargazers(context: RequestContext, database: Database, actor: Actor, owner: str, repo: str) -> Response[Any]:
    """Show who starred the repository."""
    return await _people(context, database, actor, (owner, repo), are_watchers=False)


@page.get(f"{_PATH}/watchers", **_READ)
async def watchers(context: RequestContext, database: Database, actor: Actor, owner: str, repo: str) -> Response[Any]:
    """Show who watches the repository."""
    return await _people(context, database, actor, (owner, repo), are_watchers=True)


async def _people(
    context: RequestContext, database: Database, actor: Actor, place: tuple[str, str], *, are_watchers: bool
) -> Response[Any]:
    repository = await open_repository_page(context, actor, *place)
    if isinstance(repository, Response):
        return repository
    asked = PageRequest(read_page(context).page, PER_PAGE)
    list_people: Any = list_watchers if are_watchers else list_stargazers
    async with database.read() as session:
        people = await list_people(session, repository, page=asked.page, per_page=PER_PAGE)
    total = repository.watchers_count if are_watchers else repository.stars_count
    return render(
        context,
        "repositories/fans.html",
        **header_of(context, actor, repository, ""),
        people=people,
        are_watchers=are_watchers,
        total=total,
        number=asked.page,
        has_more=asked.offset + len(people) < total and len(people) == PER_PAGE,
    )


route_handlers: list[HTTPRouteHandler] = [star_it, watch, watching, stargazers, watchers]
