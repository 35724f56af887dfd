"""Pages of a file: shown, and its bytes as they are."""

import asyncio
import mimetypes
import re
from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from markupsafe import Markup

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.git.engine import Engine
from cairn.git.types import ObjectKind, show
from cairn.repositories.code.browse import FileContent, open_code
from cairn.repositories.code.code_links import code_url, crumbs
from cairn.repositories.code.history_lists import authors_of
from cairn.repositories.code.raw_answer import WHOLE_BYTES_MAX, answer_raw
from cairn.repositories.code.rendered_files import MARKDOWN, read_markdown
from cairn.repositories.page_frame import address_of, header_of, open_repository_page
from cairn.web.context import RequestContext
from cairn.web.highlight import decode_text, highlight_lines
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

_INLINE_TYPES = re.compile(
    r"image/(png|jpeg|gif|webp|avif|x-icon|vnd\.microsoft\.icon)|audio/\w+|video/\w+|application/pdf"
)


@page.get("/{owner:str}/{repo:str}/blob/{address:path}", action=Action.REPOSITORY_READ, resource="repository")
async def file(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    owner: str,
    repo: str,
    address: str,
    plain: int = 0,
) -> Response[Any]:
    """Show a file with line numbers; Markdown rendered unless ``plain=1``; a folder's address is sent on."""
    del address  # read from the raw path, as bytes
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "code")
    base = header["base"]
    async with open_code(engine, repository.store_id) as code:
        place = await code.place(address_of(context))
        entry = await code.entry(place)
        if entry.kind is ObjectKind.TREE:
            return redirect(code_url(base, "tree", place.revision, place.path))
        content = await code.file(entry)
        commits = await code.history(place, page=1, per_page=1)
    is_markdown = content.name.lower().endswith(MARKDOWN)
    rendered = None
    lines: list[Markup] | None = None
    if content.data is not None and not content.is_binary:
        if is_markdown and not plain and not content.is_symlink:
            rendered = await read_markdown(context, base, place.revision, place.path.rpartition(b"/")[0], content)
        else:
            # Pygments takes a quarter of a second for 100 KiB; other requests go on meanwhile.
            lines = await asyncio.to_thread(highlight_lines, content.data, show(content.name))
    return render(
        context,
        "repositories/file.html",
        **header,
        revision=place.revision,
        crumbs=crumbs(repository, base, place),
        content=content,
        lines=lines,
        rendered=rendered,
        is_markdown=is_markdown,
        is_image=(mimetypes.guess_type(show(content.name))[0] or "").startswith("image/"),
        link_target=decode_text(content.data) if content.is_symlink and content.data else "",
        latest=commits.commits[0] if commits.commits else None,
        authors=await authors_of(context, commits.commits),
        raw_href=code_url(base, "raw", place.revision, place.path),
        history_href=code_url(base, "commits", place.revision, place.path),
        blame_href=code_url(base, "blame", place.revision, place.path),
        permalink=path_join(repository.owner, repository.name, "blob", place.revision.commit_oid, place.path),
    )


@page.get("/{owner:str}/{repo:str}/raw/{address:path}", action=Action.REPOSITORY_READ, resource="repository")
async def raw(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, address: str
) -> Response[Any]:
    """Answer a file's bytes: as text, or as a picture; never as something a browser would run."""
    del address  # read from the raw path, as bytes
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    async with open_code(engine, repository.store_id) as code:
        place = await code.place(address_of(context))
        content = await code.file(await code.entry(place), max_bytes=WHOLE_BYTES_MAX)
        headers = {
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            "Cross-Origin-Resource-Policy": "same-site",
            "ETag": f'"{content.oid}"',
        }
        return await answer_raw(context, code, content.oid, media_type=_raw_type(content), headers=headers)


def _raw_type(content: FileContent) -> str:
    """Return a type no browser runs: a picture's or a film's own, text, or mere bytes; by name where it is large."""
    guessed = mimetypes.guess_type(show(content.name))[0] or ""
    if _INLINE_TYPES.fullmatch(guessed):
        return guessed
    is_text = guessed.startswith("text/") if content.data is None else not content.is_binary
    return "text/plain" if is_text else "application/octet-stream"


route_handlers: list[HTTPRouteHandler] = [file, raw]
