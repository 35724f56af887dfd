"""Pages that make, edit, rename and delete a file: a form first, an editor where the browser can.

Whatever is refused comes back with everything that was typed. A file that changed meanwhile is shown with what changed,
and merged, resolved or kept on a branch of its own, as its editor chooses.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import CairnError, FieldProblem, Invalid, NotFoundHere
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.types import ZERO_OID, ObjectKind, show
from cairn.repositories.code.browse import FileContent, open_code
from cairn.repositories.code.code_links import code_url
from cairn.repositories.code.renamed_branches import follows_branch_renames
from cairn.repositories.code.rendered_files import render_file, text_kind
from cairn.repositories.code.revisions import Place, Revision, RevisionKind
from cairn.repositories.editing.change_preview import ChangePreview, preview_change
from cairn.repositories.editing.changes import FileMissing, StaleFile
from cairn.repositories.editing.commit_changes import HeadMoved, commit_changes
from cairn.repositories.editing.edit_frame import (
    FORM_BYTES_MAX,
    STALE_FORM,
    EditPlace,
    done,
    find_branch,
    give_back,
    message_of,
    no_branch,
    offer,
    open_edit_form,
    open_edit_page,
    place_of,
    read_choices,
    reject,
    wants_new_branch,
)
from cairn.repositories.editing.editable_text import EDITABLE_BYTES_MAX, EditableText, NotEditable
from cairn.repositories.editing.edited_file import (
    Began,
    EditForm,
    Moved,
    changes_of,
    open_file,
    path_of,
    title_of,
    what_moved,
)
from cairn.repositories.page_frame import address_of
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.markup.documents import Rendered
from cairn.web.render import redirect, render
from cairn.web.routing import page

_MARKERS = ("<<<<<<< your change", ">>>>>>> ")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page shows beside the form: a preview, or what changed meanwhile."""

    rendered: Rendered | None = None
    changes: ChangePreview | None = None
    moved: Moved | None = None
    note: str = ""


@page.get("/{owner:str}/{repo:str}/new/{address:path}", action=Action.REPOSITORY_READ, resource="repository")
@follows_branch_renames
async def new_file(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, address: str, filename: str = ""
) -> Response[Any]:
    """Show an empty file of a folder; ``filename`` fills in its name."""
    del address  # read from the raw path, as bytes
    header = await open_edit_page(context, actor, owner, repo)
    if isinstance(header, Response):
        return header
    async with open_code(engine, header["repository"].store_id) as code:
        place = await find_branch(code, header, address_of(context))
    if place is None:
        return no_branch(context, header)
    folder = show(place.path) + "/" if place.path else ""
    return await _show(context, engine, Began(place, EditableText()), _blank(place, path=folder + filename))


@page.get("/{owner:str}/{repo:str}/edit/{address:path}", action=Action.REPOSITORY_READ, resource="repository")
@follows_branch_renames
async def edit_file(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, address: str, encoding: str = ""
) -> Response[Any]:
    """Show a file in an editor, or why it cannot be edited here; ``encoding`` names another one than is assumed."""
    del address  # read from the raw path, as bytes
    header = await open_edit_page(context, actor, owner, repo)
    if isinstance(header, Response):
        return header
    async with open_code(engine, header["repository"].store_id) as code:
        place = await find_branch(code, header, address_of(context))
        if place is None or place.revision is None:
            return no_branch(context, header)
        try:
            entry = await code.entry(Place(place.revision, place.path))
            if entry.kind is ObjectKind.TREE:
                return redirect(code_url(header["base"], "tree", place.revision, place.path))
            text = await open_file(code, entry, encoding)
        except NotEditable as error:
            return _not_editable(context, place, error)
    form = _blank(place, path=show(place.path), content=text.text, encoding=encoding)
    return await _show(context, engine, Began(place, text, entry.oid), form)


def _not_editable(context: RequestContext, place: EditPlace, error: NotEditable) -> Response[Any]:
    assert place.revision is not None, "an unborn branch has no file"
    href = code_url(place.header["base"], "blob", place.revision, place.path)
    return render(
        context,
        "repositories/edit_closed.html",
        **place.header,
        why="file",
        name=show(place.path),
        reason=error.message,
        file_href=href,
        delete_href=code_url(place.header["base"], "delete", place.revision, place.path),
        upload_href=code_url(place.header["base"], "upload", place.revision, place.path.rpartition(b"/")[0]),
    )


def _blank(place: EditPlace, **values: object) -> Form[EditForm]:
    return blank_form(EditForm, branch=show(place.branch), head=place.head or "", **values)


@page.post(
    "/{owner:str}/{repo:str}/new/{address:path}",
    action=Action.REPOSITORY_PUSH,
    resource="repository",
    max_body_bytes=FORM_BYTES_MAX,
    returns_stale_forms=True,
)
async def make_file(
    context: RequestContext,
    database: Database,
    engine: Engine,
    actor: Actor,
    request: WebRequest,
    owner: str,
    repo: str,
    address: str,
) -> Response[Any]:
    """Commit a new file, or show it as it would be."""
    del address  # read from the raw path, as bytes
    form = await read_form(request, EditForm)
    header = await open_edit_form(context, database, actor, owner, repo, form)
    if isinstance(header, Response):
        return header
    try:
        place = await place_of(engine, header, address_of(context), form)
    except CairnError as error:
        return give_back(context, form, 409, error.message)
    return await _take(context, engine, Began(place, EditableText()), form)


@page.post(
    "/{owner:str}/{repo:str}/edit/{address:path}",
    action=Action.REPOSITORY_PUSH,
    resource="repository",
    max_body_bytes=FORM_BYTES_MAX,
    returns_stale_forms=True,
)
async def save_file(
    context: RequestContext,
    database: Database,
    engine: Engine,
    actor: Actor,
    request: WebRequest,
    owner: str,
    repo: str,
    address: str,
) -> Response[Any]:
    """Commit a file's new text or name, or show what would change."""
    del address  # read from the raw path, as bytes
    form = await read_form(request, EditForm)
    header = await open_edit_form(context, database, actor, owner, repo, form)
    if isinstance(header, Response):
        return header
    try:
        place = await place_of(engine, header, address_of(context), form)
        began = await _began(engine, place, form)
    except CairnError as error:
        return give_back(context, form, 409, error.message)
    return await _take(context, engine, began, form)


async def _began(engine: Engine, place: EditPlace, form: Form[EditForm]) -> Began:
    """Return the file as it was where the form began."""
    encoding = str(form.values.get("encoding", ""))
    if place.head is None:
        raise NotFoundHere(f"There is no file {show(place.path)!r} to edit.")
    async with open_code(engine, place.repository.store_id) as code:
        entry = await code.entry(Place(Revision(RevisionKind.COMMIT, place.head.encode(), place.head), place.path))
        text = await open_file(code, entry, encoding)
    return Began(place, text, entry.oid)


async def _take(context: RequestContext, engine: Engine, began: Began, form: Form[EditForm]) -> Response[Any]:
    """Do what a form's button says; whatever comes of it, what was typed is in the answer."""
    if context.form_is_stale:
        form.summary = STALE_FORM
        return await _show(context, engine, began, form, status=403)
    if form.value is None:
        return await _show(context, engine, began, form, status=422)
    try:
        data = await _bytes_of(began, form.value)
        try:
            return await _act(context, engine, began, form, form.value, data)
        except (StaleFile, HeadMoved, FileMissing):
            if began.is_new:
                raise
            return await _show_moved(context, engine, began, form, data)
    except CairnError as error:
        return await _show(context, engine, began, form, status=reject(form, error))


async def _act(
    context: RequestContext, engine: Engine, began: Began, form: Form[EditForm], wanted: EditForm, data: bytes
) -> Response[Any]:
    match wanted.do:
        case "preview":
            return await _show(context, engine, began, form, Shown(**await _rendered(context, began, wanted, data)))
        case "changes":
            old = None if began.is_new else began.text.original
            changes = await asyncio.to_thread(preview_change, path_of(began, wanted), old, data)
            return await _show(context, engine, began, form, Shown(changes=changes))
        case "merge" | "resolve":
            return await _take_theirs(context, engine, began, form, wanted, data)
        case _:
            return await _commit(context, engine, began, wanted, data)


async def _bytes_of(began: Began, wanted: EditForm) -> bytes:
    text = began.text.as_utf8() if wanted.utf8 else began.text
    data = await asyncio.to_thread(text.bytes_of, wanted.content)
    if len(data) > EDITABLE_BYTES_MAX:
        message = f"{len(data):,} bytes are more than the {EDITABLE_BYTES_MAX:,} that can be written here."
        raise Invalid(message, FieldProblem("content", "invalid", message))
    return data


async def _rendered(context: RequestContext, began: Began, wanted: EditForm, data: bytes) -> dict[str, Any]:
    path = path_of(began, wanted)
    folder, _, name = path.rpartition(b"/")
    place, base = began.place, began.place.header["base"]
    if text_kind(name) is None:
        return {"note": "A file of this name has no rendered view: it is shown as its text."}
    content = FileContent(name, ZERO_OID, 0o100644, len(data), data)
    revision = place.revision or Revision(RevisionKind.BRANCH, place.branch, ZERO_OID)
    return {"rendered": await render_file(context, base, Place(revision, path), content, folder=folder)}


async def _commit(
    context: RequestContext, engine: Engine, began: Began, wanted: EditForm, data: bytes
) -> Response[Any]:
    place = began.place
    if wanted.resolving and any(line.startswith(_MARKERS) for line in wanted.content.split("\n")):
        message = "There are lines between <<<<<<< and >>>>>>> left: keep what is right and take the markers out."
        raise Invalid(message, FieldProblem("content", "invalid", message))
    new_branch = wants_new_branch(place, wanted)
    path = path_of(began, wanted)
    committed = await commit_changes(
        engine,
        context.actor,
        place.repository,
        branch=place.ref,
        changes=changes_of(began, wanted, data),
        message=message_of(wanted, title_of(began, wanted)),
        # A new branch begins where its writer began; elsewhere the file itself is what must not have moved.
        expected_head=place.head if new_branch else None,
        new_branch=new_branch,
        email=wanted.email or None,
        clock=context.site.clock,
    )
    revision = Revision(RevisionKind.BRANCH, place.branch, committed.oid)
    return done(context, place, wanted, committed, code_url(place.header["base"], "blob", revision, path))


async def _show_moved(
    context: RequestContext, engine: Engine, began: Began, form: Form[EditForm], data: bytes
) -> Response[Any]:
    """Show what happened to the file meanwhile, above what was typed."""
    assert form.value is not None, "it was about to be committed"
    moved = await what_moved(engine, began, form.value, data)
    return await _show(context, engine, began, form, Shown(moved=moved), status=409)


async def _take_theirs(
    context: RequestContext, engine: Engine, began: Began, form: Form[EditForm], wanted: EditForm, data: bytes
) -> Response[Any]:
    """Put what both sides make together into the editor, from now on based on the branch as it is."""
    moved = await what_moved(engine, began, wanted, data)
    if moved.theirs is None:
        # The file is gone: what was typed is a new one.
        base, word = began.place.header["base"], path_of(began, wanted)
        form.values |= {"head": moved.head, "do": "commit"}
        place = EditPlace(began.place.header, began.place.branch, b"", moved.head)
        fresh = Began(place, EditableText())
        revision = Revision(RevisionKind.BRANCH, place.branch, moved.head)
        note = "This is a new file now: the one that you began with is gone."
        action = code_url(base, "new", revision, word.rpartition(b"/")[0])
        return await _show(context, engine, fresh, form, Shown(note=note), action=action)
    form.values |= {"head": moved.head}
    if moved.merged is not None:
        form.values |= {"content": moved.merged, "resolving": "1" if moved.is_conflict else ""}
    async with open_code(engine, began.place.repository.store_id) as code:
        revision = Revision(RevisionKind.BRANCH, began.place.branch, moved.head)
        entry = await code.entry(Place(revision, began.place.path))
        text = await open_file(code, entry, wanted.encoding)
    place = EditPlace(began.place.header, began.place.branch, began.place.path, moved.head)
    note = (
        "Both sides are in the text now, between <<<<<<< and >>>>>>>: keep what is right, then commit."
        if moved.is_conflict
        else "Your change and theirs are in the text now. Look at it, then commit."
    )
    fresh = Began(place, text, entry.oid)
    written = await asyncio.to_thread(text.bytes_of, str(form.values["content"]))
    changes = await asyncio.to_thread(preview_change, began.place.path, text.original, written)
    return await _show(context, engine, fresh, form, Shown(note=note, changes=changes))


async def _show(
    context: RequestContext,
    engine: Engine,
    began: Began,
    form: Form[EditForm],
    shown: Shown | None = None,
    *,
    status: int = 200,
    action: str = "",
) -> Response[Any]:
    """Return the page with the form, as it was typed."""
    place = began.place
    context.allow_own_styles = True
    context.robots = "noindex, nofollow"
    choices = await read_choices(context, engine, place.repository)
    offer(form, choices)
    revision = place.revision or Revision(RevisionKind.BRANCH, place.branch, ZERO_OID)
    base = place.header["base"]
    back = code_url(base, "blob", revision, place.path) if not began.is_new else code_url(base, "tree", revision, b"")
    if place.head is None:
        back = base
    return render(
        context,
        "repositories/edit.html",
        status=status,
        **place.header,
        form=form,
        began=began,
        shown=shown or Shown(),
        branch=show(place.branch),
        path=show(place.path),
        choices=choices,
        action=action or context.path,
        back_href=back,
        delete_href="" if began.is_new else code_url(base, "delete", revision, place.path),
        bytes_max=EDITABLE_BYTES_MAX,
        is_unborn=place.head is None,
        offers_utf8=began.text.encoding != "UTF-8" and "content" in form.problems,
    )


route_handlers: list[HTTPRouteHandler] = [new_file, make_file, edit_file, save_file]
