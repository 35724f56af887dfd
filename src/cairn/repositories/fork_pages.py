"""Pages of forks: the form to make one, the list of them, a fork that is being made, the banner that syncs."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, Invalid, Unauthenticated
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.identity.queries import find_account
from cairn.repositories.fork import NewFork, fork_repository, free_name, owners_for
from cairn.repositories.fork_api import require_creation
from cairn.repositories.lists import RepositoryFilter, RepositorySort, list_repositories
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.repositories.queries import RepositoryView, find_repository
from cairn.repositories.sync import SyncKind, sync_fork
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

FORKS_SHOWN = 100


class ForkForm(msgspec.Struct):
    """A fork to be."""

    owner: str = ""
    name: Annotated[str, Meta(min_length=1)] = ""
    description: str = ""
    default_branch_only: bool = False


class SyncForm(msgspec.Struct):
    """The branch to sync."""

    branch: Annotated[str, Meta(min_length=1)]


@page.get("/{owner:str}/{repo:str}/fork", action=Action.REPOSITORY_READ, resource="repository")
async def new_fork(context: RequestContext, database: Database, actor: Actor, owner: str, repo: str) -> Response[Any]:
    """Show the form to fork a repository, to the account ``owner`` names; who is not signed in is told to."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    wanted = context.request.query_params.get("owner", "")
    async with database.read() as session:
        owners = await owners_for(session, actor, repository)
        chosen = next((login for login in owners if login.lower() == wanted.lower()), owners[0] if owners else "")
        account = await find_account(session, chosen) if chosen else None
        name = repository.name if account is None else await free_name(session, account.id, repository.name)
    form = blank_form(ForkForm, owner=chosen, name=name, description=repository.description, default_branch_only=True)
    if wanted and chosen.lower() != wanted.lower():
        form.problems["owner"] = f"You may not fork this repository to {wanted[:60]}."
    return await _show_form(context, database, actor, repository, form)


async def _show_form(
    context: RequestContext, database: Database, actor: Actor, repository: RepositoryView, form: Form[ForkForm]
) -> Response[Any]:
    async with database.read() as session:
        owners = await owners_for(session, actor, repository)
    return render(
        context,
        "repositories/fork.html",
        status=422 if form.has_problems else 200,
        **header_of(context, actor, repository, "code"),
        form=form,
        owners=owners,
        owner_options=[(login, login) for login in owners],
    )


@page.post("/{owner:str}/{repo:str}/fork", action=Action.REPOSITORY_READ, resource="repository")
async def make_fork(
    context: RequestContext,
    database: Database,
    engine: Engine,
    actor: Actor,
    request: WebRequest,
    owner: str,
    repo: str,
) -> Response[Any]:
    """Fork the repository and open the fork; or the one that is there already."""
    form = await read_form(request, ForkForm)
    async with database.read() as session:
        repository = await find_repository(session, actor, owner, repo)
    if not actor.is_signed_in:
        raise Unauthenticated("Sign in to fork a repository.")
    require_creation(actor)
    try:
        wanted = form.require()
        made = NewFork(
            owner=wanted.owner,
            name=wanted.name,
            description=wanted.description,
            default_branch_only=wanted.default_branch_only,
        )
        forked = await fork_repository(database, engine, actor, repository, made)
    except Invalid as error:
        return await _show_form(context, database, actor, repository, form.reject(error))
    if not forked.is_new:
        context.flash(f"{forked.repository.full_name} is your fork of {repository.full_name}.", "notice")
    return redirect(path_join(forked.repository.owner, forked.repository.name))


@page.get("/{owner:str}/{repo:str}/forks", action=Action.REPOSITORY_READ, resource="repository")
async def forks(context: RequestContext, database: Database, actor: Actor, owner: str, repo: str) -> Response[Any]:
    """Show who forked the repository, the newest first."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    async with database.read() as session:
        found = await list_repositories(
            session,
            actor,
            RepositoryFilter(parent_id=repository.id),
            sort=RepositorySort.CREATED,
            descending=True,
            per_page=FORKS_SHOWN,
        )
    header = header_of(context, actor, repository, "code")
    return render(context, "repositories/forks.html", **header, forks=found.items, total=found.total)


@page.post("/{owner:str}/{repo:str}/sync", action=Action.REPOSITORY_PUSH, resource="repository")
async def sync(
    context: RequestContext,
    database: Database,
    engine: Engine,
    actor: Actor,
    request: WebRequest,
    owner: str,
    repo: str,
) -> Response[Any]:
    """Bring a branch of a fork up to date with its parent's, or say what a person has to do."""
    form = await read_form(request, SyncForm)
    async with database.read() as session:
        repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_PUSH)
    try:
        branch = form.require().branch
        synced = await sync_fork(database, engine, actor, repository, branch)
    except (Conflict, Invalid) as error:
        context.flash(error.message, "warning")
    else:
        said = {
            SyncKind.FAST_FORWARD: f"{branch} has everything of {synced.upstream}.",
            SyncKind.MERGE: f"{synced.upstream} is merged into {branch}.",
            SyncKind.NONE: f"{branch} had everything of {synced.upstream} already.",
        }
        context.flash(said[synced.kind])
    return redirect(path_join(repository.owner, repository.name))


route_handlers: list[HTTPRouteHandler] = [new_fork, make_fork, forks, sync]
