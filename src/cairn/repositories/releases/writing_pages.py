"""Forms that write releases: a new one, an edit, files, deletion. Everything works as a plain form."""

import mimetypes
from datetime import datetime
from typing import Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import CairnError, Conflict, Invalid, TooLarge
from cairn.base.ids import RowId
from cairn.base.settings import MIB
from cairn.git.blob_stream import file_chunks
from cairn.git.engine import Engine
from cairn.git.types import show
from cairn.repositories.code.browse import open_code
from cairn.repositories.editing.edit_frame import STALE_FORM, find_for_form, give_back
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.repositories.queries import RepositoryView, find_repository
from cairn.repositories.releases.assets import NewAsset, delete_asset, receive_asset
from cairn.repositories.releases.latest import MakeLatest
from cairn.repositories.releases.notes import generate_notes
from cairn.repositories.releases.pages import BASE
from cairn.repositories.releases.queries import ReleaseMissing, ReleaseView, find_release
from cairn.repositories.releases.releases import ReleaseMoved, Wanted, create_release, delete_release, update_release
from cairn.repositories.releases.rendering import notes_for_page
from cairn.repositories.releases.serializers import release_path
from cairn.web.context import RequestContext, WebRequest
from cairn.web.costs import Cost
from cairn.web.errors import explain
from cairn.web.forms import Form, blank_form, read_fields, read_form
from cairn.web.multipart import UploadedFile
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

_TAGS_OFFERED = 100
_PAGE_FIELDS = {"tag_name": "tag", "body": "notes", "target_commitish": "target"}


class ReleaseForm(msgspec.Struct):
    """A release as it is typed; ``do`` is the button, ``seen`` when what the form began with was written."""

    tag: str = ""
    target: str = ""
    name: str = ""
    notes: str = ""
    is_prerelease: bool = False
    make_latest: bool = False
    do: str = "publish"
    seen: str = ""


class DeleteForm(msgspec.Struct):
    """Whether the tag goes too."""

    with_tag: bool = False


class ChosenAsset(msgspec.Struct):
    """The file whose button was pressed."""

    asset: RowId


@page.get(f"{BASE}/new", action=Action.REPOSITORY_PUSH, resource="repository")
async def new(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, tag: str = ""
) -> Response[Any]:
    """Show the form for a release."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    repository = await _writable(context, actor, owner, repo)
    form = blank_form(ReleaseForm, tag=tag, make_latest=True)
    return await _form(context, actor, engine, repository, form, None)


@page.post(f"{BASE}/new", action=Action.REPOSITORY_PUSH, resource="repository", returns_stale_forms=True)
async def create(
    context: RequestContext, actor: Actor, engine: Engine, request: WebRequest, owner: str, repo: str
) -> Response[Any]:
    """Publish a release, keep it as a draft, or show the form again with notes or a preview."""
    form = await read_form(request, ReleaseForm)
    repository = await find_for_form(context, engine.database, actor, owner, repo, form, text_field="notes")
    if isinstance(repository, Response):
        return repository
    if (again := await _asked_again(context, actor, engine, repository, form, None)) is not None:
        return again
    try:
        wanted = _wanted(form.require())
        release_id = await create_release(engine, actor, repository, wanted)
    except CairnError as error:
        return await _refused(context, actor, engine, repository, form, error, None)
    return await _written(context, actor, repository, release_id)


@page.get(f"{BASE}/{{release_id:int}}/edit", action=Action.REPOSITORY_PUSH, resource="repository")
async def edit(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, release_id: int
) -> Response[Any]:
    """Show the form with a release in it."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    repository = await _writable(context, actor, owner, repo)
    release = await _find(context, actor, repository, release_id)
    form = blank_form(
        ReleaseForm,
        tag=release.tag_name,
        target=release.target,
        name=release.name,
        notes=release.notes,
        is_prerelease=release.is_prerelease,
        make_latest=release.is_latest or (release.is_draft and release.may_be_latest),
        seen=release.updated_at.isoformat(),
    )
    return await _form(context, actor, engine, repository, form, release)


@page.post(
    f"{BASE}/{{release_id:int}}/edit", action=Action.REPOSITORY_PUSH, resource="repository", returns_stale_forms=True
)
async def save(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    request: WebRequest,
    owner: str,
    repo: str,
    release_id: int,
) -> Response[Any]:
    """Change a release, or show the form again with notes or a preview."""
    form = await read_form(request, ReleaseForm)
    repository = await find_for_form(context, engine.database, actor, owner, repo, form, text_field="notes")
    if isinstance(repository, Response):
        return repository
    try:
        release = await _find(context, actor, repository, release_id)
    except ReleaseMissing:
        return give_back(context, form, 404, "Somebody deleted this release meanwhile.", text_field="notes")
    if (again := await _asked_again(context, actor, engine, repository, form, release)) is not None:
        return again
    try:
        await update_release(engine, actor, repository, release_id, _wanted(form.require(), release))
    except ReleaseMoved as error:
        release = await _find(context, actor, repository, release_id)
        form.values["seen"], form.summary = release.updated_at.isoformat(), error.message
        return await _form(context, actor, engine, repository, form, release, status=409, theirs=release.notes)
    except CairnError as error:
        return await _refused(context, actor, engine, repository, form, error, release)
    return await _written(context, actor, repository, release_id)


@page.post(f"{BASE}/{{release_id:int}}/delete", action=Action.REPOSITORY_PUSH, resource="repository")
async def delete(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    request: WebRequest,
    owner: str,
    repo: str,
    release_id: int,
) -> Response[Any]:
    """Delete a release with its files, and its tag if that is wanted."""
    form = (await read_form(request, DeleteForm)).require()
    repository = await _writable(context, actor, owner, repo)
    release = await _find(context, actor, repository, release_id)
    try:
        await delete_release(engine, actor, repository, release_id, with_tag=form.with_tag)
    except (Invalid, Conflict) as error:
        context.flash(error.message, "danger")
        return redirect(release_path(repository, release))
    context.flash(f"{release.title} was deleted" + (", and its tag too." if form.with_tag else "; its tag stays."))
    return redirect(path_join(repository.owner, repository.name, "releases"))


@page.post(
    f"{BASE}/{{release_id:int}}/assets",
    action=Action.REPOSITORY_PUSH,
    resource="repository",
    # Files of forms wait on the node's disk: all of one form have no more than one file may.
    max_body_bytes=lambda settings: settings.max_release_asset_bytes + MIB,
)
async def add_files(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, release_id: int
) -> Response[Any]:
    """Give a release the files of the form."""
    repository = await _writable(context, actor, owner, repo)
    await _find(context, actor, repository, release_id)  # before anything is taken in
    fields = await read_fields(context)
    sent = [file for file in fields.get("files", []) if isinstance(file, UploadedFile) and file.filename]
    added: list[str] = []
    try:
        for file in sent:
            kind, _ = mimetypes.guess_type(file.filename)
            new = NewAsset(name=file.filename, content_type=kind or "", size=file.size_bytes)
            await receive_asset(engine, actor, repository, release_id, new, file_chunks(file.path))
            added.append(file.filename)
    except (Invalid, TooLarge, Conflict) as error:
        said = error.problems[0].message if isinstance(error, Invalid) and error.problems else error.message
        context.flash(f"{sent[len(added)].filename} was not added: {said}", "danger")
    else:
        context.flash(
            f"Added: {', '.join(added)}." if added else "Choose a file first.", "success" if added else "notice"
        )
    return redirect(path_join(repository.owner, repository.name, "releases", str(release_id), "edit") + "#files")


@page.post(f"{BASE}/{{release_id:int}}/assets/delete", action=Action.REPOSITORY_PUSH, resource="repository")
async def delete_file(
    context: RequestContext, actor: Actor, request: WebRequest, owner: str, repo: str, release_id: int
) -> Response[Any]:
    """Take a file away from a release."""
    form = await read_form(request, ChosenAsset)
    repository = await _writable(context, actor, owner, repo)
    async with context.site.database.write() as session:
        await delete_asset(session, actor, repository, form.require().asset)
    context.flash("The file was deleted.")
    return redirect(path_join(repository.owner, repository.name, "releases", str(release_id), "edit") + "#files")


async def _writable(context: RequestContext, actor: Actor, owner: str, repo: str) -> RepositoryView:
    async with context.site.database.read() as session:
        return await find_repository(session, actor, owner, repo, Action.REPOSITORY_PUSH)


async def _find(context: RequestContext, actor: Actor, repository: RepositoryView, release_id: int) -> ReleaseView:
    async with context.site.database.read() as session:
        return await find_release(session, actor, repository, release_id)


def _wanted(form: ReleaseForm, release: ReleaseView | None = None) -> Wanted:
    latest = MakeLatest.TRUE if form.make_latest else None
    if not form.make_latest and (release is None or release.is_latest or release.is_draft):
        latest = MakeLatest.FALSE
    # A tag that is no UTF-8 stays what it is as long as nobody types another.
    keeps_tag = release is not None and form.tag.strip() == release.tag_name
    return Wanted(
        tag=release.tag if release is not None and keeps_tag else form.tag.strip().encode(),
        target=form.target.strip(),
        name=form.name.strip(),
        notes=form.notes,
        is_draft=form.do == "draft",
        is_prerelease=form.is_prerelease,
        make_latest=latest,
        seen_at=None if release is None else _seen_at(form),
    )


def _seen_at(form: ReleaseForm) -> datetime | None:
    try:
        return datetime.fromisoformat(form.seen) if form.seen else None
    except ValueError:
        raise ReleaseMoved from None  # nobody knows what this form began with


async def _asked_again(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    repository: RepositoryView,
    form: Form[ReleaseForm],
    release: ReleaseView | None,
) -> Response[Any] | None:
    """Return the form once more, with nothing of what was typed lost, if its button asks for notes or for a preview, or
    if it is older than the session."""
    if context.form_is_stale:
        form.summary = STALE_FORM
        return await _form(context, actor, engine, repository, form, release, status=403)
    typed = form.value
    if typed is None or typed.do not in {"notes", "preview"}:
        return None
    if typed.do == "notes":
        await context.pay(Cost.HISTORY)
        try:
            notes = await generate_notes(
                context, repository, tag=typed.tag.strip().encode(), target=typed.target.strip()
            )
        except CairnError as error:
            return await _refused(context, actor, engine, repository, form, error, release)
        form.values["notes"] = f"{typed.notes}\n\n{notes.body}".strip() if typed.notes.strip() else notes.body
        form.values["name"] = typed.name or notes.name
    return await _form(context, actor, engine, repository, form, release, is_preview=typed.do == "preview")


async def _refused(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    repository: RepositoryView,
    form: Form[ReleaseForm],
    error: CairnError,
    release: ReleaseView | None,
) -> Response[Any]:
    if isinstance(error, Invalid) and error.problems:
        for problem in error.problems:
            form.problems[_PAGE_FIELDS.get(problem.field, problem.field)] = problem.message
    else:
        form.summary = explain(error).message
    return await _form(context, actor, engine, repository, form, release, status=explain(error).status)


async def _form(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    repository: RepositoryView,
    form: Form[ReleaseForm],
    release: ReleaseView | None,
    *,
    is_preview: bool = False,
    status: int = 0,
    theirs: str | None = None,
) -> Response[Any]:
    async with open_code(engine, repository.store_id) as code:
        tags = [show(ref.name.removeprefix(b"refs/tags/")) for ref in code.tags[-_TAGS_OFFERED:]]
        branches = [show(ref.name.removeprefix(b"refs/heads/")) for ref in code.branches[:_TAGS_OFFERED]]
    notes = str(form.values.get("notes", ""))
    tag = str(form.values.get("tag", "")).encode() or repository.default_branch.encode()
    return render(
        context,
        "repositories/releases/form.html",
        status=status or (422 if form.has_problems else 200),
        **header_of(context, actor, repository, "releases"),
        form=form,
        release=release,
        theirs=theirs,
        tags=tags[::-1],
        branches=branches,
        preview=await notes_for_page(context, repository, notes, tag) if is_preview else None,
        bytes_max=context.settings.max_release_asset_bytes,
    )


async def _written(context: RequestContext, actor: Actor, repository: RepositoryView, release_id: int) -> Response[Any]:
    release = await _find(context, actor, repository, release_id)
    if release.is_draft:
        context.flash(f"{release.title} is kept as a draft. Add its files, then publish it.")
        return redirect(path_join(repository.owner, repository.name, "releases", str(release_id), "edit"))
    context.flash(f"{release.title} is published.")
    return redirect(release_path(repository, release))


route_handlers: list[HTTPRouteHandler] = [new, create, edit, save, delete, add_files, delete_file]
