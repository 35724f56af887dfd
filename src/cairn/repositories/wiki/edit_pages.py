"""Pages that write a wiki: a new page, an edit, what came in between, a deletion. Every change is a plain form."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import CairnError, Conflict, Invalid, NotFoundHere
from cairn.git.engine import Engine
from cairn.git.types import Oid, is_oid
from cairn.repositories.editing.changes import FileMissing, PutFile, RenameFile, StaleFile
from cairn.repositories.editing.commit_changes import HeadMoved
from cairn.repositories.editing.edit_frame import STALE_FORM, find_for_form, give_back, let_go_of_draft, reject
from cairn.repositories.editing.editable_text import NotEditable, open_text
from cairn.repositories.page_frame import address_of
from cairn.repositories.queries import RepositoryView, find_repository_by_id
from cairn.repositories.wiki.access import require_wiki_edit
from cairn.repositories.wiki.edit import PageEdit, delete_page, merge_page, path_of_edit, save_page
from cairn.repositories.wiki.frame import DELETE, EDIT, WIKI, Asked, open_wiki_page, read_address, wiki_header
from cairn.repositories.wiki.page_names import FOOTER, FORMATS, HOME, SIDEBAR, WikiPage, full_title_of, name_of
from cairn.repositories.wiki.reading import OpenWiki, open_wiki, render_text
from cairn.web.context import RequestContext, WebRequest
from cairn.web.errors import explain
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

_BODY_BYTES_MAX = 4 << 20
"""A page of 1 MiB, as a form sends it."""

_NEW = b"_new"
_OID_OR_EMPTY = Annotated[str, Meta(pattern="^([0-9a-f]{40})?$")]


class PageForm(msgspec.Struct):
    """A page as somebody writes it. ``base`` and ``blob`` are the commit and the file they began with.

    ``draft`` is what their browser calls what it keeps of it.
    """

    title: Annotated[str, Meta(min_length=1)]
    text: str = ""
    format: str = "md"
    message: str = ""
    base: _OID_OR_EMPTY = ""
    blob: _OID_OR_EMPTY = ""
    draft: str = ""
    preview: bool = False


class DeleteForm(msgspec.Struct):
    """A page that is to go, as the file that its reader saw, and why."""

    blob: Annotated[str, Meta(pattern="^[0-9a-f]{40}$")]
    message: str = ""


@dataclass(frozen=True, slots=True)
class Met:
    """What somebody else did meanwhile: the page as it is now, and what the writer had typed."""

    theirs: str | None
    """None if a text field cannot hold it."""
    typed: str
    is_marked: bool
    """Both changed the same lines: these stand between git's markers in the text."""


@page.get(f"{WIKI}/_new", action=Action.REPOSITORY_PUSH, resource="repository")
async def new(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, title: str = ""
) -> Response[Any]:
    """Show the form for a new page; ``title`` is what it is to be called."""
    opened = await open_wiki_page(context, actor, owner, repo)
    if isinstance(opened, Response):
        return opened
    repository, header = opened
    require_wiki_edit(actor, repository.scope, is_open=repository.is_wiki_open)
    async with open_wiki(engine, repository) as wiki:
        wanted = title or (full_title_of(HOME) if not wiki.index.pages else "")
        form = blank_form(PageForm, title=wanted[:500], base=_commit_of(wiki))
        return await _form(context, header, wiki, form, None)


async def show_edit(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    repository: RepositoryView,
    header: dict[str, Any],
    asked: Asked,
) -> Response[Any]:
    """Show the form for a page as it is, or with ``?from=COMMIT`` with the text it had then."""
    require_wiki_edit(actor, repository.scope, is_open=repository.is_wiki_open)
    async with open_wiki(engine, repository) as wiki:
        found = wiki.index.find(asked.name)
        if found is None:
            return redirect(f"{header['wiki']}/_new?title={path_join(full_title_of(asked.name))[1:]}")
        former = context.request.query_params.get("from", "")
        try:
            text = await _text(wiki, found)
            if is_oid(former):
                then = await wiki.at(former)
                page_then = then.index.find(asked.name)
                text = text if page_then is None else await _text(then, page_then)
        except NotEditable as error:
            raise NotFoundHere(f"{full_title_of(found.name)} cannot be edited here. {error.message}") from None
        form = blank_form(
            PageForm,
            title=full_title_of(found.name),
            text=text,
            format=found.ending.decode(),
            base=_commit_of(wiki),
            blob=found.oid,
        )
        return await _form(context, header, wiki, form, found)


@page.post(
    f"{WIKI}/_new",
    f"{WIKI}/{{address:path}}",
    action=Action.REPOSITORY_PUSH,
    resource="repository",
    max_body_bytes=_BODY_BYTES_MAX,
    returns_stale_forms=True,
)
async def change(
    context: RequestContext, actor: Actor, engine: Engine, request: WebRequest, owner: str, repo: str
) -> Response[Any]:
    """Save a page (``/_new``, ``/PAGE/_edit``) or delete one (``/PAGE/_delete``)."""
    address = address_of(context)
    asked = read_address(address)
    if asked.word == DELETE:
        return await _delete(context, actor, engine, owner, repo, await read_form(request, DeleteForm), asked)
    form = await read_form(request, PageForm)
    repository = await find_for_form(
        context, engine.database, actor, owner, repo, form, action=Action.REPOSITORY_READ, text_field="text"
    )
    if isinstance(repository, Response):
        return repository
    if asked.word != EDIT and address != _NEW:
        raise NotFoundHere("There is nothing here that takes a form.")
    try:
        require_wiki_edit(actor, repository.scope, is_open=repository.is_wiki_open)
        header = wiki_header(context, actor, repository)
        return await _save(context, actor, engine, repository, header, form, asked)
    except CairnError as error:
        explained = explain(error)
        return give_back(context, form, explained.status, explained.message, text_field="text")


async def _delete(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, form: Form[DeleteForm], asked: Asked
) -> Response[Any]:
    """Delete a page that is what its reader saw; otherwise show it as it is now."""
    opened = await open_wiki_page(context, actor, owner, repo)
    if isinstance(opened, Response):
        return opened
    repository, header = opened
    require_wiki_edit(actor, repository.scope, is_open=repository.is_wiki_open)
    shown, title = redirect(header["wiki"] + path_join(asked.name)), full_title_of(asked.name)
    if context.form_is_stale:
        context.flash(
            f"You signed in anew meanwhile, so {title} is still here. Delete it again if it is to go.", "notice"
        )
        return shown
    wanted = form.require()
    try:
        await delete_page(engine, actor, repository, asked.name, expected=Oid(wanted.blob), message=wanted.message)
    except (StaleFile, HeadMoved):
        context.flash(f"Somebody changed {title} meanwhile. Look at it before you delete it.", "notice")
        return shown
    context.flash(f"{title} is deleted. Its history is still there.")
    return redirect(header["wiki"])


async def _save(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    repository: RepositoryView,
    header: dict[str, Any],
    form: Form[PageForm],
    asked: Asked,
) -> Response[Any]:
    """Save what was typed and open the page; or show the form again with all of it and what is wrong."""
    edited: WikiPage | None = None
    async with open_wiki(engine, repository) as wiki:
        found = wiki.index.find(asked.name) if asked.word == EDIT else None
        if asked.word == EDIT:
            edited = _edited(wiki, asked.name, found, form)
        if context.form_is_stale:
            form.summary = STALE_FORM
            return await _form(context, header, wiki, form, edited, status=403)
        try:
            wanted = form.require()
            if wanted.preview:
                return await _form(context, header, wiki, form, edited, is_preview=True)
            edit = PageEdit(
                title=wanted.title,
                ending=wanted.format,
                text=_with_line_end(wanted.text),
                message=wanted.message,
                page=edited,
                base=Oid(wanted.base) if wanted.base else None,
            )
            name = await save_page(engine, actor, repository, edit)
        except (StaleFile, FileMissing, HeadMoved):
            name = None
        except CairnError as error:
            return await _form(context, header, wiki, form, edited, status=reject(form, error))
    if name is None:
        # Opened anew: what is open may be from before somebody was faster.
        repository = await _read_again(context, actor, repository)
        async with open_wiki(engine, repository) as wiki:
            return await _meet(context, engine, repository, header, wiki, form, edit)
    let_go_of_draft(context, str(form.values.get("draft", "")))
    context.flash("The page is saved.")
    return redirect(header["base"] + (path_join("wiki", name) if name != HOME else "/wiki"))


async def _read_again(context: RequestContext, actor: Actor, repository: RepositoryView) -> RepositoryView:
    """Return the repository as it is now: its first page may have made the wiki's store meanwhile."""
    async with context.site.database.read() as session:
        return await find_repository_by_id(session, actor, repository.id)


def _edited(wiki: OpenWiki, name: bytes, found: WikiPage | None, form: Form[PageForm]) -> WikiPage:
    """Return the page as the writer saw it; its file may be another by now, or gone."""
    blob = str(form.values.get("blob", ""))
    if found is None:
        ending = str(form.values.get("format", "md"))
        path = name + b"." + (ending if ending in FORMATS else "md").encode()
        return WikiPage(path, blob if is_oid(blob) else "0" * 40, name)
    return WikiPage(found.path, blob if is_oid(blob) else found.oid, found.name)


async def _meet(
    context: RequestContext,
    engine: Engine,
    repository: RepositoryView,
    header: dict[str, Any],
    wiki: OpenWiki,
    form: Form[PageForm],
    edit: PageEdit,
) -> Response[Any]:
    """Show both sides of a page that somebody changed meanwhile, brought together as far as that goes; nothing is lost.

    What is saved from there expects the page as it is now: ``wiki``'s.
    """
    typed = edit.text
    if edit.page is None:
        form.summary = (
            "Somebody made a page of this title while you were writing. Choose another, or go on with theirs."
        )
        other = wiki.index.find(name_of(path_of_edit(edit)) or b"")
        met = None if other is None else Met(await _text_or_none(wiki, other), typed, is_marked=False)
        return await _form(context, header, wiki, form, None, status=409, met=met)
    form.summary = "Somebody changed this page while you were writing. Look at both below, then save again."
    found = wiki.index.find(edit.page.name)
    if found is None:
        form.summary = "Somebody deleted or renamed this page while you were writing. Saving makes a new page of it."
        form.values["blob"] = ""
        return await _form(context, header, wiki, form, None, status=409, met=Met("", typed, is_marked=False))
    theirs, merged, is_marked = await _text_or_none(wiki, found), None, False
    if theirs is None:
        form.summary = "Somebody made of this page what cannot be edited here. Save your text under another title."
        form.values["blob"] = ""
        return await _form(context, header, wiki, form, None, status=409, met=Met(None, typed, is_marked=False))
    try:
        sides = await merge_page(engine, repository, edit)
    except (Conflict, Invalid, NotFoundHere):
        sides = None  # the commit they saw is not there any more, or the page has moved
    if sides is not None:
        paths = {edit.page.path, found.path}
        for conflict in sides.conflicts:
            if conflict.path in paths and conflict.merged is not None:
                merged, is_marked = conflict.merged, True
        for one in sides.changes:
            if isinstance(one, PutFile | RenameFile) and isinstance(one.content, bytes) and one.path in paths:
                merged = one.content
    if merged is not None:
        form.values["text"] = open_text(merged).text
    form.values["base"], form.values["blob"] = _commit_of(wiki), found.oid
    return await _form(context, header, wiki, form, found, status=409, met=Met(theirs, typed, is_marked))


async def _form(
    context: RequestContext,
    header: dict[str, Any],
    wiki: OpenWiki,
    form: Form[PageForm],
    edited: WikiPage | None,
    *,
    status: int = 200,
    is_preview: bool = False,
    met: Met | None = None,
) -> Response[Any]:
    rendered = None
    # The editor's script puts previews into this page, and those may show pictures from elsewhere as pages do.
    context.allow_remote_images = True
    context.allow_own_styles = True
    if is_preview:
        ending = str(form.values["format"])
        name = edited.name if edited is not None else HOME
        path = name + b"." + (ending if ending in FORMATS else "md").encode()
        rendered = await render_text(context, header["base"], wiki, str(form.values["text"]), WikiPage(path, "", name))
    formats = list(FORMATS.items())
    if edited is not None and edited.ending.decode() not in FORMATS:
        formats.insert(0, (edited.ending.decode(), f"As it is (.{edited.ending.decode()})"))
    action = header["wiki"] + (path_join(edited.name, "_edit") if edited is not None else "/_new")
    return render(
        context,
        "repositories/wiki/edit.html",
        status=status,
        **header,
        form=form,
        page=edited,
        is_special=edited is not None and edited.name in {SIDEBAR, FOOTER},
        formats=formats,
        action=action,
        rendered=rendered,
        met=met,
        full_title=full_title_of,
    )


async def _text(wiki: OpenWiki, found: WikiPage) -> str:
    """Return a page's text for a text field. Errors: NotEditable."""
    content = await wiki.content(found)
    if content.data is None:
        raise NotEditable(f"It has {content.size_bytes:,} bytes; clone the wiki and push your change.")
    return open_text(content.data).text


async def _text_or_none(wiki: OpenWiki, found: WikiPage) -> str | None:
    try:
        return await _text(wiki, found)
    except NotEditable:
        return None


def _commit_of(wiki: OpenWiki) -> str:
    return wiki.revision.commit_oid if wiki.revision is not None else ""


def _with_line_end(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


route_handlers: list[HTTPRouteHandler] = [new, change]
