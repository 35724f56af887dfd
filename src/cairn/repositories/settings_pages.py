"""Pages that change a repository: a new one, and its settings. Every change is a plain form."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.decide import decide, require
from cairn.access.roles import Visibility
from cairn.access.scopes import SITE
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, NotFound, Unauthenticated, Unavailable
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.types import show
from cairn.repositories.create import NewRepository, create_repository, list_possible_owners
from cairn.repositories.delete import delete_repository
from cairn.repositories.fork_progress import is_separating
from cairn.repositories.life.gitignores import NAMES as GITIGNORES
from cairn.repositories.life.licences import list_licences
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.repositories.queries import BRANCH_PREFIX, RepositoryView, find_repository
from cairn.repositories.topics import set_topics
from cairn.repositories.update import RepositoryChange, update_repository
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

BRANCHES_OFFERED = 200
_PATH = "/{owner:str}/{repo:str}/settings"


class NewForm(msgspec.Struct):
    """A repository to be."""

    name: Annotated[str, Meta(min_length=1)]
    owner: str = ""
    """The account that is to own it; the actor's own if empty."""
    description: str = ""
    visibility: Visibility = Visibility.PUBLIC
    readme: bool = False
    gitignore: str = ""
    license: str = ""


class GeneralForm(msgspec.Struct):
    """What people with the maintain role change."""

    description: str = ""
    homepage: str = ""
    topics: str = ""
    """Words with blanks or commas between them."""
    default_branch: str = ""
    is_template: bool = False


class RenameForm(msgspec.Struct):
    """Another name."""

    name: Annotated[str, Meta(min_length=1)]


class VisibilityForm(msgspec.Struct):
    """Who may read."""

    visibility: Visibility


class ArchiveForm(msgspec.Struct):
    """Whether nothing may change any more."""

    archived: bool = False


class DeleteForm(msgspec.Struct):
    """The whole name, typed, so that nobody deletes by a slip."""

    full_name: str = ""


@page.get("/new", action=Action.REPOSITORY_CREATE, resource="none")
async def new(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[str]:
    """Show the form for a new repository, under the account ``owner`` names; who is not signed in is asked to."""
    if not actor.is_signed_in:
        raise Unauthenticated("Sign in to create a repository.")
    wanted = context.request.query_params.get("owner", "") or actor.login or ""
    return await _show_new(context, session, actor, blank_form(NewForm, owner=wanted))


async def _show_new(context: RequestContext, session: AsyncSession, actor: Actor, form: Form[NewForm]) -> Response[str]:
    """Return the form for a new repository; an owner that cannot be chosen is told at its field."""
    owners = await list_possible_owners(session, actor)
    status = 422 if form.has_problems else 200
    wanted = str(form.values["owner"])
    chosen = next((one for one in owners if one.login.lower() == wanted.lower()), owners[0])
    if chosen.login.lower() != wanted.lower():
        form.problems.setdefault("owner", f"You may not make repositories under {wanted[:60]}.")
    form.values["owner"] = chosen.login
    return render(
        context,
        "repositories/new.html",
        status=status,
        form=form,
        owners=owners,
        gitignores=[("", "None"), *((name, name) for name in GITIGNORES)],
        licences=[("", "None"), *((one.key, one.name) for one in list_licences())],
    )


@page.post("/new", action=Action.REPOSITORY_CREATE, resource="none")
async def create(
    context: RequestContext, database: Database, engine: Engine, actor: Actor, request: WebRequest
) -> Response[Any]:
    """Create the repository and open it."""
    form = await read_form(request, NewForm)
    name, owner = str(form.values["name"]), str(form.values["owner"]) or actor.login or ""
    form.values["owner"] = owner
    try:
        wanted = form.require()
        made = NewRepository(
            name=wanted.name,
            description=wanted.description,
            visibility=wanted.visibility,
            with_readme=wanted.readme,
            gitignore=wanted.gitignore,
            license=wanted.license,
            owner=owner or None,
        )
        repository = await create_repository(database, engine, actor, made)
    except Invalid as error:
        async with database.read() as session:
            return await _show_new(context, session, actor, form.reject(error))
    except Unavailable as error:
        # Without its README it exists all the same; anything else that is away stays an error.
        async with database.read() as session:
            try:
                repository = await find_repository(session, actor, owner, name)
            except NotFound:
                raise error from None
        context.flash(error.message, "warning")
    return redirect(path_join(repository.owner, repository.name))


@page.get(_PATH, action=Action.REPOSITORY_MAINTAIN, resource="repository")
async def settings(context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str) -> Response[Any]:
    """Show everything that can be changed about a repository."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    return await _show(context, actor, engine, repository)


async def _show(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    repository: RepositoryView,
    *,
    wrong: Form[Any] | None = None,
) -> Response[Any]:
    """Return the settings page; ``wrong`` stands in place of the form it came from, and makes it a 422."""
    may_administer = decide(actor, Action.REPOSITORY_ADMINISTER, repository.scope).allowed
    if not may_administer:
        require(actor, Action.REPOSITORY_MAINTAIN, repository.scope)
    forms: dict[type, Form[Any]] = {
        GeneralForm: blank_form(
            GeneralForm,
            description=repository.description,
            homepage=repository.homepage,
            topics=" ".join(repository.topics),
            default_branch=repository.default_branch,
            is_template=repository.is_template,
        ),
        RenameForm: blank_form(RenameForm, name=repository.name),
        VisibilityForm: blank_form(VisibilityForm, visibility=repository.visibility.value),
        ArchiveForm: blank_form(ArchiveForm),
        DeleteForm: blank_form(DeleteForm),
    }
    if wrong is not None:
        forms[wrong.kind] = wrong
    snapshot = await engine.snapshot(await engine.state(repository.store_id))
    heads = [ref.name for ref in snapshot.refs if ref.name.startswith(BRANCH_PREFIX)]
    branches = [show(name.removeprefix(BRANCH_PREFIX)) for name in heads[: BRANCHES_OFFERED + 1]]
    if branches and repository.default_branch not in branches:
        branches.insert(0, repository.default_branch)
    return render(
        context,
        "repositories/settings.html",
        status=200 if wrong is None else 422,
        **header_of(context, actor, repository, "settings"),
        deleted_kept_days=context.settings.deleted_kept_days,
        general=forms[GeneralForm],
        rename=forms[RenameForm],
        visibility=forms[VisibilityForm],
        archive=forms[ArchiveForm],
        deletion=forms[DeleteForm],
        branches=[(name, name) for name in branches] if len(heads) <= BRANCHES_OFFERED else [],
        may_administer=may_administer,
        is_separating=await is_separating(context, repository),
        may_delete=decide(actor, Action.REPOSITORY_DELETE, repository.scope).allowed,
        may_purge=decide(actor, Action.SITE_ADMINISTER, SITE).allowed,
    )


async def _apply(
    context: RequestContext,
    session: AsyncSession,
    engine: Engine,
    actor: Actor,
    place: tuple[str, str],
    form: Form[Any],
    said: str,
) -> Response[Any]:
    """Apply a settings form and come back to the page; with the form as it was typed if it is refused."""
    repository = await find_repository(session, actor, *place)
    try:
        wanted = form.require()
        changed = await update_repository(session, engine, actor, repository.id, _change(wanted))
        if isinstance(wanted, GeneralForm):
            await set_topics(session, actor, repository.id, wanted.topics.replace(",", " ").split())
    except Invalid as error:
        return await _show(context, actor, engine, repository, wrong=form.reject(error))
    context.flash(said)
    return redirect(path_join(changed.owner, changed.name, "settings"))


def _change(wanted: GeneralForm | RenameForm | VisibilityForm | ArchiveForm) -> RepositoryChange:
    match wanted:
        case GeneralForm():
            return RepositoryChange(
                description=wanted.description,
                homepage=wanted.homepage,
                default_branch=wanted.default_branch or None,
                is_template=wanted.is_template,
            )
        case RenameForm():
            return RepositoryChange(name=wanted.name)
        case VisibilityForm():
            return RepositoryChange(visibility=wanted.visibility)
        case ArchiveForm():
            return RepositoryChange(is_archived=wanted.archived)


@page.post(_PATH, action=Action.REPOSITORY_MAINTAIN, resource="repository")
async def save_general(
    context: RequestContext,
    session: AsyncSession,
    engine: Engine,
    actor: Actor,
    request: WebRequest,
    owner: str,
    repo: str,
) -> Response[Any]:
    """Keep description, homepage, topics and default branch."""
    form = await read_form(request, GeneralForm)
    return await _apply(context, session, engine, actor, (owner, repo), form, "The settings are saved.")


@page.post(f"{_PATH}/rename", action=Action.REPOSITORY_ADMINISTER, resource="repository")
async def rename(
    context: RequestContext,
    session: AsyncSession,
    engine: Engine,
    actor: Actor,
    request: WebRequest,
    owner: str,
    repo: str,
) -> Response[Any]:
    """Give the repository another name; the old one redirects."""
    form = await read_form(request, RenameForm)
    said = "The repository has its new name; the old one leads here."
    return await _apply(context, session, engine, actor, (owner, repo), form, said)


@page.post(f"{_PATH}/visibility", action=Action.REPOSITORY_ADMINISTER, resource="repository")
async def change_visibility(
    context: RequestContext,
    session: AsyncSession,
    engine: Engine,
    actor: Actor,
    request: WebRequest,
    owner: str,
    repo: str,
) -> Response[Any]:
    """Change who may read the repository."""
    form = await read_form(request, VisibilityForm)
    return await _apply(context, session, engine, actor, (owner, repo), form, "The visibility is changed.")


@page.post(f"{_PATH}/archive", action=Action.REPOSITORY_ADMINISTER, resource="repository")
async def archive(
    context: RequestContext,
    session: AsyncSession,
    engine: Engine,
    actor: Actor,
    request: WebRequest,
    owner: str,
    repo: str,
) -> Response[Any]:
    """Make the repository read-only, or open it again."""
    form = await read_form(request, ArchiveForm)
    is_archiving = form.value is not None and form.value.archived
    said = "The repository is archived: everybody can read it as before, nobody can change it."
    if not is_archiving:
        said = "The repository is open for changes again."
    return await _apply(context, session, engine, actor, (owner, repo), form, said)


@page.post(f"{_PATH}/delete", action=Action.REPOSITORY_DELETE, resource="repository", sudo=True)
async def delete(
    context: RequestContext,
    session: AsyncSession,
    engine: Engine,
    actor: Actor,
    request: WebRequest,
    owner: str,
    repo: str,
) -> Response[Any]:
    """Delete the repository if its whole name was typed."""
    form = await read_form(request, DeleteForm)
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_DELETE)
    typed = form.require().full_name.strip()
    if typed.lower() != repository.full_name.lower():
        problem = FieldProblem("full_name", "invalid", f"Type {repository.full_name} to delete it.")
        return await _show(context, actor, engine, repository, wrong=form.reject(Invalid(problem.message, problem)))
    await delete_repository(session, engine, actor, repository.id)
    context.flash(
        f"{repository.full_name} is deleted. Until it is gone for good, it is under “Deleted repositories” in the "
        f"settings of {repository.owner}."
    )
    return redirect(path_join(repository.owner))


route_handlers: list[HTTPRouteHandler] = [
    new,
    create,
    settings,
    save_general,
    rename,
    change_visibility,
    archive,
    delete,
]
