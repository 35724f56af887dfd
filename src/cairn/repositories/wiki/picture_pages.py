"""The page that puts pictures into a wiki and says what to write to show them."""

from typing import Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import CairnError
from cairn.base.settings import MIB
from cairn.git.engine import Engine
from cairn.repositories.editing.edit_frame import reject
from cairn.repositories.wiki.access import require_wiki_edit
from cairn.repositories.wiki.frame import WIKI, open_wiki_page
from cairn.repositories.wiki.pictures import PICTURES_BYTES_MAX, PICTURES_MAX, add_pictures, markdown_of
from cairn.web.context import RequestContext
from cairn.web.forms import Form, blank_form, read_fields
from cairn.web.multipart import UploadedFile
from cairn.web.render import render
from cairn.web.routing import page


class PicturesForm(msgspec.Struct):
    """The files, which no struct holds."""

    files: str = ""


@page.get(f"{WIKI}/_upload", action=Action.REPOSITORY_PUSH, resource="repository")
async def choose_pictures(context: RequestContext, actor: Actor, owner: str, repo: str) -> Response[Any]:
    """Ask for the pictures."""
    opened = await open_wiki_page(context, actor, owner, repo)
    if isinstance(opened, Response):
        return opened
    repository, header = opened
    require_wiki_edit(actor, repository.scope, is_open=repository.is_wiki_open)
    return _show(context, header, blank_form(PicturesForm))


@page.post(
    f"{WIKI}/_upload",
    action=Action.REPOSITORY_PUSH,
    resource="repository",
    max_body_bytes=PICTURES_BYTES_MAX + MIB,
    returns_stale_forms=True,
)
async def upload_pictures(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str
) -> Response[Any]:
    """Commit the pictures and show what to write. Sent again, the same pictures change nothing."""
    opened = await open_wiki_page(context, actor, owner, repo)
    if isinstance(opened, Response):
        return opened
    repository, header = opened
    require_wiki_edit(actor, repository.scope, is_open=repository.is_wiki_open)
    form = blank_form(PicturesForm)
    if context.form_is_stale:
        form.summary = "You signed in anew after this form was made. Choose the pictures again."
        return _show(context, header, form, status=403)
    sent = (await read_fields(context)).get("files", [])
    files = [file for file in sent if isinstance(file, UploadedFile) and file.filename]
    try:
        paths = await add_pictures(engine, actor, repository, files)
    except CairnError as error:
        return _show(context, header, form, status=reject(form, error))
    added = [(file.filename, markdown_of(path, file.filename)) for path, file in zip(paths, files, strict=True)]
    return _show(context, header, form, added=added)


def _show(
    context: RequestContext,
    header: dict[str, Any],
    form: Form[PicturesForm],
    *,
    added: list[tuple[str, str]] | None = None,
    status: int = 200,
) -> Response[Any]:
    context.robots = "noindex, nofollow"
    return render(
        context,
        "repositories/wiki/upload.html",
        status=status,
        **header,
        form=form,
        added=added or [],
        files_max=PICTURES_MAX,
        bytes_max=PICTURES_BYTES_MAX,
    )


route_handlers: list[HTTPRouteHandler] = [choose_pictures, upload_pictures]
