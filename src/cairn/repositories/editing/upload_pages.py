"""Pages that upload files into a folder: several at once, whole folders where the browser's script sends them."""

from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import CairnError, FieldProblem, Invalid, NotFound
from cairn.base.settings import MIB
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.types import ZERO_OID, show
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.code_links import code_url
from cairn.repositories.code.renamed_branches import follows_branch_renames
from cairn.repositories.code.revisions import Revision, RevisionKind
from cairn.repositories.editing.changes import PutFile
from cairn.repositories.editing.commit_changes import commit_changes
from cairn.repositories.editing.edit_frame import (
    STALE_FORM,
    CommitForm,
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
from cairn.repositories.page_frame import address_of
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_fields, read_form
from cairn.web.multipart import UploadedFile
from cairn.web.render import render
from cairn.web.routing import page

UPLOAD_FILES_MAX = 100
UPLOAD_BYTES_MAX = 100 * MIB
"""All files of one upload together."""

_FIELDS_BYTES_MAX = MIB


class UploadForm(CommitForm):
    """The fields beside the files."""


class UploadTooLarge(Invalid):
    """More files, or more bytes, than one upload may have."""


@page.get("/{owner:str}/{repo:str}/upload/{address:path}", action=Action.REPOSITORY_READ, resource="repository")
@follows_branch_renames
async def choose_files(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, address: str
) -> Response[Any]:
    """Ask for the files to put into a folder."""
    del address  # read from the raw path, as bytes
    header = await open_edit_page(context, actor, owner, repo)
    if isinstance(header, Response):
        return header
    async with open_code(engine, header["repository"].store_id) as code:
        place = await find_branch(code, header, address_of(context))
    if place is None:
        return no_branch(context, header)
    form = blank_form(UploadForm, branch=show(place.branch), head=place.head or "")
    return await _ask(context, engine, place, form)


@page.post(
    "/{owner:str}/{repo:str}/upload/{address:path}",
    action=Action.REPOSITORY_PUSH,
    resource="repository",
    max_body_bytes=UPLOAD_BYTES_MAX + _FIELDS_BYTES_MAX,
    returns_stale_forms=True,
)
async def upload_files(
    context: RequestContext,
    database: Database,
    engine: Engine,
    actor: Actor,
    request: WebRequest,
    owner: str,
    repo: str,
    address: str,
) -> Response[Any]:
    """Commit the files that came, each in the place that its name says below the folder."""
    del address  # read from the raw path, as bytes
    form = await read_form(request, UploadForm)
    header = await open_edit_form(context, database, actor, owner, repo, form)
    if isinstance(header, Response):
        return header
    try:
        place = await place_of(engine, header, address_of(context), form)
    except CairnError as error:
        return give_back(context, form, 404 if isinstance(error, NotFound) else 409, error.message)
    if context.form_is_stale:
        form.summary = STALE_FORM + " Choose the files again."
        return await _ask(context, engine, place, form, status=403)
    wanted = form.require()
    try:
        files = _files_of((await read_fields(context)).get("files", []))
        new_branch = wants_new_branch(place, wanted)
        default = f"Add {files[0].filename}" if len(files) == 1 else f"Add {len(files)} files"
        committed = await commit_changes(
            engine,
            actor,
            place.repository,
            branch=place.ref,
            changes=[PutFile(_path_in(place, file), file.path) for file in files],
            message=message_of(wanted, default),
            expected_head=place.head if new_branch else None,
            new_branch=new_branch,
            email=wanted.email or None,
            clock=context.site.clock,
        )
    except CairnError as error:
        return await _ask(context, engine, place, form, status=reject(form, error))
    revision = Revision(RevisionKind.BRANCH, place.branch, committed.oid)
    return done(context, place, wanted, committed, code_url(header["base"], "tree", revision, place.path))


def _files_of(sent: list[Any]) -> list[UploadedFile]:
    files = [one for one in sent if isinstance(one, UploadedFile)]
    message = ""
    if not files:
        message = "Choose at least one file."
    elif len(files) > UPLOAD_FILES_MAX:
        message = f"{len(files)} files are more than the {UPLOAD_FILES_MAX} of one upload; send them in parts, or push."
    elif sum(file.size_bytes for file in files) > UPLOAD_BYTES_MAX:
        message = f"The files have more than {UPLOAD_BYTES_MAX // MIB} MiB together; send them in parts, or push."
    if message:
        raise UploadTooLarge(message, FieldProblem("files", "invalid", message))
    return files


def _path_in(place: EditPlace, file: UploadedFile) -> bytes:
    name = file.filename.strip("/").encode("utf-8", "replace")
    return place.path + b"/" + name if place.path else name


async def _ask(
    context: RequestContext, engine: Engine, place: EditPlace, form: Form[UploadForm], *, status: int = 200
) -> Response[Any]:
    choices = await read_choices(context, engine, place.repository)
    offer(form, choices)
    revision = Revision(RevisionKind.BRANCH, place.branch, place.head or ZERO_OID)
    is_unborn = place.head is None
    base = place.header["base"]
    return render(
        context,
        "repositories/upload.html",
        status=status,
        **place.header,
        form=form,
        branch=show(place.branch),
        path=show(place.path),
        choices=choices,
        is_unborn=is_unborn,
        files_max=UPLOAD_FILES_MAX,
        bytes_max=UPLOAD_BYTES_MAX,
        file_bytes_max=context.settings.max_file_bytes,
        back_href=base if is_unborn else code_url(base, "tree", revision, place.path),
    )


route_handlers: list[HTTPRouteHandler] = [choose_files, upload_files]
