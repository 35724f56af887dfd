"""Pages of imports: asking for one, watching it, trying again, giving up."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.roles import Visibility
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, Forbidden, Invalid, Unauthenticated
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.identity.outgoing_keys import find_outgoing_key
from cairn.identity.settings_frame import own_account
from cairn.repositories.create import NewRepository, list_possible_owners
from cairn.repositories.fork_api import require_creation
from cairn.repositories.imports.credentials import check_credentials
from cairn.repositories.imports.login import read_ssh_facts
from cairn.repositories.imports.models import FailureKind, ImportState, ImportStep, RepositoryImport
from cairn.repositories.imports.start import (
    ImportsOff,
    NoImport,
    Wanted,
    cancel_import,
    import_new,
    read_import,
    retry_import,
    start_import,
)
from cairn.repositories.mirrors.edit import MirrorsOff
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.repositories.queries import RepositoryView, find_repository
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

_PATH = "/{owner:str}/{repo:str}/import"
_ADMINISTER: Any = {"action": Action.REPOSITORY_ADMINISTER, "resource": "repository"}

STEPS = [
    (ImportStep.WAITING, "Waiting for a worker"),
    (ImportStep.LISTING, "Asking the source for its branches and tags"),
    (ImportStep.FETCHING, "Fetching"),
    (ImportStep.LANDING, "Checking and storing"),
    (ImportStep.LFS, "Large files (Git LFS)"),
    (ImportStep.WIKI, "Wiki"),
]
_ORDER = [step for step, _ in STEPS] + [ImportStep.DONE]
_WANTS_CREDENTIALS = frozenset({FailureKind.UNAUTHORIZED, FailureKind.NOT_FOUND})


class SourceForm(msgspec.Struct):
    """Where from, and what of it; for a repository that is there already."""

    url: Annotated[str, Meta(min_length=1)]
    user: str = ""
    password: str = ""
    lfs: bool = False
    wiki: bool = False
    default_branch_only: bool = False


class ImportForm(SourceForm):
    """The same, with the repository that is to be made."""

    name: Annotated[str, Meta(min_length=1)] = ""
    owner: str = ""
    visibility: Visibility = Visibility.PRIVATE
    mirror: bool = False
    """The repository follows its source from then on."""


class RetryForm(msgspec.Struct):
    """What the source wants to see this time; nothing was kept."""

    user: str = ""
    password: str = ""


@page.get("/new/import", action=Action.REPOSITORY_CREATE, resource="none")
async def new_import(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[str]:
    """Show the form that imports a repository, under the account ``owner`` names."""
    if not actor.is_signed_in:
        raise Unauthenticated("Sign in to import a repository.")
    asked = context.request.query_params
    form = blank_form(
        ImportForm,
        owner=asked.get("owner", "") or actor.login or "",
        url=asked.get("url", ""),
        lfs=True,
        wiki=True,
        visibility=Visibility.PRIVATE.value,
    )
    return await _show_new(context, session, actor, form)


async def _show_new(
    context: RequestContext, session: AsyncSession, actor: Actor, form: Form[ImportForm]
) -> Response[str]:
    owners = await list_possible_owners(session, actor)
    wanted = str(form.values["owner"])
    chosen = next((one for one in owners if one.login.lower() == wanted.lower()), owners[0])
    if chosen.login.lower() != wanted.lower():
        form.problems.setdefault("owner", f"You may not make repositories under {wanted[:60]}.")
    form.values["owner"], form.values["password"] = chosen.login, ""
    return render(
        context,
        "repositories/import_new.html",
        status=422 if form.has_problems else 200,
        headers={"Cache-Control": "no-store"},
        form=form,
        owners=owners,
        outgoing_key=await find_outgoing_key(session, own_account(actor)),
        is_off=context.settings.imports == "off",
        may_mirror=context.settings.mirrors == "on",
    )


@page.post("/new/import", action=Action.REPOSITORY_CREATE, resource="none")
async def begin_new(
    context: RequestContext, database: Database, engine: Engine, actor: Actor, request: WebRequest
) -> Response[Any]:
    """Make the repository, begin its import and show how far it is."""
    require_creation(actor)
    form = await read_form(request, ImportForm)
    form.values["owner"] = str(form.values["owner"]) or actor.login or ""
    try:
        wanted = form.require()
        _require_one_mind(wanted)
        repository = NewRepository(
            name=wanted.name, visibility=wanted.visibility, owner=str(form.values["owner"]) or None
        )
        made = await import_new(database, engine, actor, repository, _wanted(wanted), follows=wanted.mirror)
    except (Invalid, Conflict, ImportsOff, MirrorsOff) as error:
        async with database.read() as session:
            return await _show_new(context, session, actor, rejected(form, error))
    return redirect(path_join(made.owner, made.name) + "/import")


@page.get(_PATH, **_ADMINISTER)
async def show_import(
    context: RequestContext, database: Database, actor: Actor, owner: str, repo: str
) -> Response[Any]:
    """Show how far the import is, why it failed, or the form that begins one."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    async with database.read() as session:
        await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    form = blank_form(SourceForm, lfs=True, wiki=True)
    return await _show(context, database, actor, repository, form, blank_form(RetryForm))


async def _show(
    context: RequestContext,
    database: Database,
    actor: Actor,
    repository: RepositoryView,
    form: Form[SourceForm],
    retry: Form[RetryForm],
) -> Response[Any]:
    async with database.read() as session:
        row = await read_import(session, repository.id)
        # Trying again happens in the name of whoever does so.
        is_anew = row is None or row.state in {ImportState.FAILED, ImportState.CANCELLED}
        account_id = row.account_id if row is not None and not is_anew else own_account(actor)
        ssh = await read_ssh_facts(session, account_id, row.url) if row is not None else None
        outgoing_key = await find_outgoing_key(session, account_id)
    form.values["password"] = retry.values["password"] = ""
    return render(
        context,
        "repositories/import.html",
        status=422 if form.has_problems or retry.has_problems else 200,
        headers={"Cache-Control": "no-store"},
        **header_of(context, actor, repository, "code"),
        row=row,
        steps=_steps(row) if row is not None else [],
        form=form,
        retry=retry,
        ssh=ssh,
        outgoing_key=outgoing_key,
        asks_credentials=row is not None and row.failure_kind in _WANTS_CREDENTIALS,
        is_off=context.settings.imports == "off",
    )


def _steps(row: RepositoryImport) -> list[tuple[str, str]]:
    """Return the steps of this import with ``done``, ``now`` or nothing."""
    left_out = {ImportStep.LFS: not row.with_lfs, ImportStep.WIKI: not row.with_wiki}
    at = _ORDER.index(row.step)
    shown = []
    for step, text in STEPS:
        if not left_out.get(step, False):
            place = _ORDER.index(step)
            shown.append((text, "done" if place < at else "now" if place == at else ""))
    return shown


@page.post(_PATH, **_ADMINISTER)
async def begin_here(
    context: RequestContext, database: Database, actor: Actor, request: WebRequest, owner: str, repo: str
) -> Response[Any]:
    """Begin an import into a repository that is empty."""
    form = await read_form(request, SourceForm)
    repository = await _find(database, actor, owner, repo)
    try:
        wanted = _wanted(form.require())
        async with database.write() as session:
            await start_import(session, context.settings, actor, repository.id, wanted)
    except (Invalid, Conflict, ImportsOff) as error:
        return await _show(context, database, actor, repository, rejected(form, error), blank_form(RetryForm))
    return redirect(path_join(repository.owner, repository.name) + "/import")


@page.post(f"{_PATH}/retry", **_ADMINISTER)
async def try_again(
    context: RequestContext, database: Database, actor: Actor, request: WebRequest, owner: str, repo: str
) -> Response[Any]:
    """Go on with an import that failed or was cancelled."""
    form = await read_form(request, RetryForm)
    repository = await _find(database, actor, owner, repo)
    try:
        given = form.require()
        credentials = check_credentials(given.user, given.password)
        async with database.write() as session:
            await retry_import(session, context.settings, actor, repository.id, credentials)
    except (Invalid, Conflict, ImportsOff) as error:
        return await _show(context, database, actor, repository, blank_form(SourceForm), rejected(form, error))
    return redirect(path_join(repository.owner, repository.name) + "/import")


@page.post(f"{_PATH}/cancel", **_ADMINISTER)
async def give_up(context: RequestContext, database: Database, actor: Actor, owner: str, repo: str) -> Response[Any]:
    """End an import that is under way; what has come stays."""
    repository = await _find(database, actor, owner, repo)
    try:
        async with database.write() as session:
            await cancel_import(session, actor, repository.id)
    except NoImport:
        context.flash("The import is over already.", "notice")
    return redirect(path_join(repository.owner, repository.name) + "/import")


async def _find(database: Database, actor: Actor, owner: str, repo: str) -> RepositoryView:
    async with database.read() as session:
        return await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)


def _wanted(form: SourceForm) -> Wanted:
    return Wanted(
        url=form.url,
        credentials=check_credentials(form.user, form.password),
        with_lfs=form.lfs,
        with_wiki=form.wiki,
        default_branch_only=form.default_branch_only,
    )


def _require_one_mind(wanted: ImportForm) -> None:
    if wanted.mirror and wanted.default_branch_only:
        raise Conflict("A mirror takes all branches and tags; untick one of the two, or choose them in its settings.")


def rejected(form: Form[Any], error: Invalid | Conflict | Forbidden) -> Form[Any]:
    """Return the form of another repository with the refusal: of its address at that field, of the rest on top."""
    if isinstance(error, Invalid) and (error.problems or form.value is None):
        return form.reject(error)
    if isinstance(error, Invalid):
        form.problems["url"] = error.message
    else:
        form.summary = error.message
    return form


route_handlers: list[HTTPRouteHandler] = [new_import, begin_new, show_import, begin_here, try_again, give_up]
