"""Pages that delete a file, or a folder with everything in it."""

from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import CairnError, NotFound, NotFoundHere
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.reading import TreeEntry
from cairn.git.types import ZERO_OID, ObjectKind, show
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.code_links import code_url
from cairn.repositories.code.renamed_branches import follows_branch_renames
from cairn.repositories.code.revisions import Place, Revision, RevisionKind
from cairn.repositories.editing.changes import DeleteFile, StaleFile
from cairn.repositories.editing.commit_changes import HeadMoved, commit_changes
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
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import render
from cairn.web.routing import page


class DeleteForm(CommitForm):
    """A deletion; nothing but what every commit has."""


@page.get("/{owner:str}/{repo:str}/delete/{address:path}", action=Action.REPOSITORY_READ, resource="repository")
@follows_branch_renames
async def confirm_deletion(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, address: str
) -> Response[Any]:
    """Ask whether a file, or a folder with everything in it, shall go."""
    del address  # read from the raw path, as bytes
    header = await open_edit_page(context, actor, owner, repo)
    if isinstance(header, Response):
        return header
    async with open_code(engine, header["repository"].store_id) as code:
        place = await find_branch(code, header, address_of(context))
        if place is None or place.revision is None or not place.path:
            return no_branch(context, header)
        entry = await code.entry(Place(place.revision, place.path))
    form = blank_form(DeleteForm, branch=show(place.branch), head=place.head or "")
    return await _ask(context, engine, place, entry, form)


@page.post(
    "/{owner:str}/{repo:str}/delete/{address:path}",
    action=Action.REPOSITORY_PUSH,
    resource="repository",
    returns_stale_forms=True,
)
async def delete_file(
    context: RequestContext,
    database: Database,
    engine: Engine,
    actor: Actor,
    request: WebRequest,
    owner: str,
    repo: str,
    address: str,
) -> Response[Any]:
    """Commit the deletion of a file or a folder that is what its reader saw."""
    del address  # read from the raw path, as bytes
    form = await read_form(request, DeleteForm)
    header = await open_edit_form(context, database, actor, owner, repo, form)
    if isinstance(header, Response):
        return header
    try:
        place = await place_of(engine, header, address_of(context), form)
        if place.head is None or not place.path:
            raise NotFoundHere("There is nothing to delete.")
        async with open_code(engine, place.repository.store_id) as code:
            began = Revision(RevisionKind.COMMIT, place.head.encode(), place.head)
            entry = await code.entry(Place(began, place.path))
    except CairnError as error:
        return give_back(context, form, 404 if isinstance(error, NotFound) else 409, error.message)
    if context.form_is_stale:
        form.summary = STALE_FORM
        return await _ask(context, engine, place, entry, form, status=403)
    wanted = form.require()
    try:
        new_branch = wants_new_branch(place, wanted)
        committed = await commit_changes(
            engine,
            actor,
            place.repository,
            branch=place.ref,
            changes=[DeleteFile(place.path, entry.oid, is_folder=entry.kind is ObjectKind.TREE)],
            message=message_of(wanted, f"Delete {show(place.path)}"),
            expected_head=place.head if new_branch else None,
            new_branch=new_branch,
            email=wanted.email or None,
            clock=context.site.clock,
        )
    except (StaleFile, HeadMoved):
        form.summary = f"{show(place.path)} changed on {show(place.branch)} meanwhile. Look at it before you delete it."
        return await _ask(context, engine, place, entry, form, status=409)
    except CairnError as error:
        return await _ask(context, engine, place, entry, form, status=reject(form, error))
    return done(context, place, wanted, committed, header["base"])


async def _ask(
    context: RequestContext,
    engine: Engine,
    place: EditPlace,
    entry: TreeEntry,
    form: Form[DeleteForm],
    *,
    status: int = 200,
) -> Response[Any]:
    choices = await read_choices(context, engine, place.repository)
    offer(form, choices)
    revision = Revision(RevisionKind.BRANCH, place.branch, place.head or ZERO_OID)
    is_folder = entry.kind is ObjectKind.TREE
    return render(
        context,
        "repositories/edit_delete.html",
        status=status,
        **place.header,
        form=form,
        branch=show(place.branch),
        path=show(place.path),
        is_folder=is_folder,
        choices=choices,
        back_href=code_url(place.header["base"], "tree" if is_folder else "blob", revision, place.path),
        is_unborn=False,
    )


route_handlers: list[HTTPRouteHandler] = [confirm_deletion, delete_file]
