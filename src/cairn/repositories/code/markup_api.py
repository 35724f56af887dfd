"""Rendering a text for programs: ``/markdown`` as GitHub has it, commit ids linked where a repository is named."""

import re

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.errors import CairnError, Invalid, NotFound
from cairn.base.log import get_logger
from cairn.git.engine import Engine
from cairn.repositories.code.browse import Code, open_code
from cairn.repositories.queries import find_repository
from cairn.repositories.serializers import API
from cairn.web.context import RequestContext, WebRequest
from cairn.web.costs import Cost
from cairn.web.markup.documents import Rendered, Source, TextKind
from cairn.web.markup.references import find_references
from cairn.web.render import HTML
from cairn.web.routing import PUBLIC, api
from cairn.web.security import CLOSED_POLICY
from cairn.web.urls import path_join

TEXT_BYTES_MAX = 400 << 10
"""GitHub takes so much, too."""

COMMITS_LOOKED_UP_MAX = 20
"""Each costs a look at what the repository's refs reach."""

_BODY_BYTES_MAX = 1 << 20
_CONTEXT = re.compile(r"([\w.-]{1,100})/([\w.-]{1,100})")


class MarkdownText(msgspec.Struct):
    """What ``POST /markdown`` takes. ``gfm`` renders as comments are: line ends break, references are linked."""

    text: str
    mode: str = "markdown"
    context: str = ""


class TextRefused(Invalid):
    """A text is too large, or its mode is none."""


@api.post(f"{API}/markdown", action=PUBLIC, resource="none", status=200, max_body_bytes=_BODY_BYTES_MAX)
async def markdown(context: RequestContext, engine: Engine, body: MarkdownText) -> Response[bytes]:
    """Answer the text as HTML."""
    if body.mode not in {"markdown", "gfm"}:
        raise TextRefused('mode is "markdown" or "gfm".')
    await context.pay(Cost.HISTORY)
    is_comment = body.mode == "gfm"
    references = await _references(context, engine, body) if is_comment else {}
    source = Source(TextKind.MARKDOWN, _bounded(body.text), hard_breaks=is_comment, references=references)
    return answer_html(await context.site.markup.render(source))


@api.post(f"{API}/markdown/raw", action=PUBLIC, resource="none", status=200, max_body_bytes=_BODY_BYTES_MAX)
async def markdown_raw(context: RequestContext, request: WebRequest) -> Response[bytes]:
    """Answer the body, which is the text itself, as HTML."""
    kind = request.headers.get("content-type", "text/plain").split(";")[0].strip().lower()
    if kind not in {"text/plain", "text/x-markdown", "text/markdown", "application/x-www-form-urlencoded", ""}:
        raise TextRefused("Invalid request media type (expecting 'text/plain' or 'text/x-markdown')")
    await context.pay(Cost.HISTORY)
    text = _bounded((await request.body()).decode("utf-8", "replace"))
    return answer_html(await context.site.markup.render(Source(TextKind.MARKDOWN, text)))


def answer_html(rendered: Rendered, media_type: str = HTML) -> Response[bytes]:
    """Return a rendered text as the whole answer; a browser that is led to it shows it and does nothing else."""
    headers = {"Content-Security-Policy": CLOSED_POLICY}
    return Response(content=rendered.html.encode(), media_type=media_type, headers=headers)


def _bounded(text: str) -> str:
    if len(text.encode("utf-8", "replace")) > TEXT_BYTES_MAX:
        raise TextRefused(f"The text is larger than {TEXT_BYTES_MAX:,} bytes.")
    return text


async def _references(context: RequestContext, engine: Engine, body: MarkdownText) -> dict[str, str]:
    """Return what the text's commit ids lead to; nothing where no repository is named that the caller may read."""
    named = _CONTEXT.fullmatch(body.context)
    if named is None:
        return {}
    try:
        async with context.site.database.read() as session:
            found = await find_repository(session, context.actor, named[1], named[2], Action.REPOSITORY_READ)
    except NotFound:
        return {}
    async with open_code(engine, found.store_id) as code:
        return await commit_links(code, path_join(found.owner, found.name), body.text)


async def commit_links(code: Code, base: str, text: str) -> dict[str, str]:
    """Return the addresses of the commits whose ids stand in a text, by the ids as written; of the first 20."""
    links: dict[str, str] = {}
    asked = [written for written, kind in find_references(text).items() if kind == "commit" and "@" not in written]
    for written in asked[:COMMITS_LOOKED_UP_MAX]:
        try:
            revision = await code.revision(written.encode())
        except NotFound:
            continue
        except CairnError as error:  # a busy node: the text is worth more than its links
            get_logger(__name__).warning("references_given_up", exc_info=error)
            break
        if revision.commit_oid.startswith(written):
            links[written] = f"{base}/commit/{revision.commit_oid}"
    return links


route_handlers: list[HTTPRouteHandler] = [markdown, markdown_raw]
