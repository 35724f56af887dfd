"""Forms for branches and tags: make, rename, delete. The lists of ``code.ref_pages`` lead here."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from cairn.access.actions import Action
from cairn.access.decide import require
from cairn.base.actor import Actor
from cairn.base.errors import CairnError, Conflict, FieldProblem, Invalid, NotFoundHere
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.ref_queries import RefValue
from cairn.git.types import RefName, parse_oid, show
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.revisions import RevisionNotFound
from cairn.repositories.editing.change_refs import create_ref, delete_ref, rename_branch
from cairn.repositories.editing.commit_changes import branch_missing, require_branch
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.repositories.queries import BRANCH_PREFIX, RepositoryView, branch_ref, find_repository
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

_REPOSITORY = "/{owner:str}/{repo:str}"
_TAG_PREFIX = b"refs/tags/"


class NewBranchForm(msgspec.Struct):
    """A branch to be, and the branch, tag or commit where it begins."""

    name: Annotated[str, Meta(min_length=1)]
    start: str = ""


class RenameForm(msgspec.Struct):
    """A branch and the name it is to have."""

    branch: str
    name: Annotated[str, Meta(min_length=1)]


class ChosenRef(msgspec.Struct):
    """A branch or tag that is to be deleted; ``oid`` is where it was when that was asked."""

    name: str
    oid: str


@page.get(f"{_REPOSITORY}/branches/new", action=Action.REPOSITORY_PUSH, resource="repository")
async def new_branch(
    context: RequestContext, actor: Actor, owner: str, repo: str, start: str = "", name: str = ""
) -> Response[Any]:
    """Show the form for a new branch."""
    repository = await _open(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    form = blank_form(NewBranchForm, name=name, start=start or repository.default_branch)
    return _show_new(context, actor, repository, form)


def _show_new(
    context: RequestContext, actor: Actor, repository: RepositoryView, form: Form[NewBranchForm]
) -> Response[Any]:
    status = 422 if form.has_problems else 200
    header = header_of(context, actor, repository, "branches")
    return render(context, "repositories/branch_new.html", status=status, **header, form=form)


@page.post(f"{_REPOSITORY}/branches/new", action=Action.REPOSITORY_PUSH, resource="repository")
async def make_branch(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    database: Database,
    request: WebRequest,
    owner: str,
    repo: str,
) -> Response[Any]:
    """Make the branch and show its files."""
    form = await read_form(request, NewBranchForm)
    repository = await _find(database, actor, owner, repo)
    try:
        wanted = form.require()
        name = branch_ref(wanted.name.strip())
        require_branch(engine, name)
        async with open_code(engine, repository.store_id) as code:
            begin = (await code.place(wanted.start.strip().encode("utf-8", "replace"))).revision
        made = await create_ref(engine, actor, repository, name, begin.commit_oid)
    except RevisionNotFound:
        message = f"There is no branch, tag or commit {str(form.values['start'])[:100]!r} here."
        return _show_new(context, actor, repository, form.reject(_problem("start", message)))
    except (Invalid, Conflict) as error:
        return _show_new(context, actor, repository, form.reject(_at(error, "name")))
    context.flash(f"The branch {_short(made.name)} begins at {made.oid[:10]}.")
    return redirect(path_join(repository.owner, repository.name, "tree", made.name.removeprefix(BRANCH_PREFIX)))


@page.get(f"{_REPOSITORY}/branches/edit", action=Action.REPOSITORY_PUSH, resource="repository")
async def edit_branch(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, name: str = ""
) -> Response[Any]:
    """Show what can be done to a branch: another name, or its end."""
    repository = await _open(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    ref = await engine.refs.find(repository.store_id, branch_ref(name))
    if ref is None:
        raise branch_missing(branch_ref(name))
    form = blank_form(RenameForm, branch=name, name=name)
    return _show_edit(context, actor, repository, ref, form)


def _show_edit(
    context: RequestContext,
    actor: Actor,
    repository: RepositoryView,
    ref: RefValue,
    form: Form[RenameForm],
    *,
    problem: str = "",
) -> Response[Any]:
    return render(
        context,
        "repositories/branch_edit.html",
        status=422 if form.has_problems or problem else 200,
        **header_of(context, actor, repository, "branches"),
        form=form,
        ref=ref,
        name=_short(ref.name),
        is_default=ref.name == repository.head_target,
        problem=problem,
    )


@page.post(f"{_REPOSITORY}/branches/rename", action=Action.REPOSITORY_PUSH, resource="repository")
async def rename(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    database: Database,
    request: WebRequest,
    owner: str,
    repo: str,
) -> Response[Any]:
    """Give a branch another name."""
    form = await read_form(request, RenameForm)
    repository = await _find(database, actor, owner, repo)
    old = branch_ref(str(form.values["branch"]))
    ref = await engine.refs.find(repository.store_id, old)
    if ref is None:
        raise branch_missing(old)
    try:
        wanted = form.require()
        renamed = await rename_branch(engine, actor, repository, old, branch_ref(wanted.name.strip()))
    except (Invalid, Conflict) as error:
        return _show_edit(context, actor, repository, ref, form.reject(_at(error, "name")))
    context.flash(f"{_short(old)} is {_short(renamed.name)} now. Clones follow with: git branch -m, git fetch --prune.")
    return redirect(path_join(repository.owner, repository.name, "branches"))


@page.post(f"{_REPOSITORY}/branches/delete", action=Action.REPOSITORY_PUSH, resource="repository")
async def delete_branch(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    database: Database,
    request: WebRequest,
    owner: str,
    repo: str,
) -> Response[Any]:
    """Delete a branch that is where it was when that was asked."""
    form = await read_form(request, ChosenRef)
    repository = await _find(database, actor, owner, repo)
    chosen = form.require()
    name = branch_ref(chosen.name)
    ref = await engine.refs.find(repository.store_id, name)
    if ref is None:
        raise branch_missing(name)
    try:
        await delete_ref(engine, actor, repository, name, expected=parse_oid(chosen.oid))
    except (Invalid, Conflict) as error:
        blank = blank_form(RenameForm, branch=chosen.name, name=chosen.name)
        return _show_edit(context, actor, repository, ref, blank, problem=error.message)
    context.flash(f"The branch {_short(name)} is deleted. It was at {ref.oid}.")
    return redirect(path_join(repository.owner, repository.name, "branches"))


@page.get(f"{_REPOSITORY}/tags/delete", action=Action.REPOSITORY_PUSH, resource="repository")
async def ask_tag(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, name: str = ""
) -> Response[Any]:
    """Ask whether a tag is to be deleted."""
    repository = await _open(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    return _show_tag(context, actor, repository, await _tag(engine, repository, _tag_ref(name)))


def _show_tag(
    context: RequestContext, actor: Actor, repository: RepositoryView, ref: RefValue, *, problem: str = ""
) -> Response[Any]:
    return render(
        context,
        "repositories/tag_delete.html",
        status=422 if problem else 200,
        **header_of(context, actor, repository, "tags"),
        ref=ref,
        name=show(ref.name.removeprefix(_TAG_PREFIX)),
        problem=problem,
    )


@page.post(f"{_REPOSITORY}/tags/delete", action=Action.REPOSITORY_PUSH, resource="repository")
async def delete_tag(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    database: Database,
    request: WebRequest,
    owner: str,
    repo: str,
) -> Response[Any]:
    """Delete a tag that is where it was when that was asked."""
    form = await read_form(request, ChosenRef)
    repository = await _find(database, actor, owner, repo)
    chosen = form.require()
    ref = await _tag(engine, repository, _tag_ref(chosen.name))
    try:
        await delete_ref(engine, actor, repository, ref.name, expected=parse_oid(chosen.oid))
    except (Invalid, Conflict) as error:
        return _show_tag(context, actor, repository, ref, problem=error.message)
    context.flash(f"The tag {chosen.name} is deleted. It was at {ref.oid}.")
    return redirect(path_join(repository.owner, repository.name, "tags"))


async def _open(context: RequestContext, actor: Actor, owner: str, repo: str) -> RepositoryView | Response[bytes]:
    repository = await open_repository_page(context, actor, owner, repo)
    if not isinstance(repository, Response):
        require(actor, Action.REPOSITORY_PUSH, repository.scope)
    return repository


async def _find(database: Database, actor: Actor, owner: str, repo: str) -> RepositoryView:
    async with database.read() as session:
        return await find_repository(session, actor, owner, repo, Action.REPOSITORY_PUSH)


async def _tag(engine: Engine, repository: RepositoryView, name: RefName) -> RefValue:
    found = await engine.refs.find(repository.store_id, name)
    if found is None:
        raise NotFoundHere(f"there is no tag {show(name.removeprefix(_TAG_PREFIX))} here")
    return found


def _tag_ref(name: str) -> RefName:
    return _TAG_PREFIX + name.encode("utf-8", "replace")


def _short(name: RefName) -> str:
    return show(name.removeprefix(BRANCH_PREFIX))


def _at(error: CairnError, field: str) -> Invalid:
    """Return a refusal as the problem of one field, in its own words."""
    if isinstance(error, Invalid) and any(problem.message for problem in error.problems):
        return _problem(field, " ".join(problem.message for problem in error.problems))
    return _problem(field, error.message)


def _problem(field: str, message: str) -> Invalid:
    return Invalid(message, FieldProblem(field, "invalid", message))


route_handlers: list[HTTPRouteHandler] = [
    new_branch,
    make_branch,
    edit_branch,
    rename,
    delete_branch,
    ask_tag,
    delete_tag,
]
