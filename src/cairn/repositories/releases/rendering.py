"""The notes of a release as HTML: Markdown of whoever wrote it, with links that mean the tagged files."""

from dataclasses import dataclass

from cairn.repositories.queries import RepositoryView
from cairn.repositories.releases.queries import ReleaseView
from cairn.web.context import RequestContext
from cairn.web.markup.documents import Rendered, Source, TextKind
from cairn.web.markup.links import LinkContext
from cairn.web.urls import path_join


@dataclass(frozen=True, slots=True)
class RenderedNotes:
    """Notes as HTML and as mere text."""

    html: str
    text: str


async def render_notes(context: RequestContext, repository: RepositoryView, release: ReleaseView) -> RenderedNotes:
    """Return a release's notes for programs: every address is a whole one."""
    base = context.settings.origin + path_join(repository.owner, repository.name)
    rendered = await _render(context, base, release.notes, release.tag)
    return RenderedNotes(str(rendered.html), rendered.html.striptags())


async def notes_for_page(context: RequestContext, repository: RepositoryView, text: str, tag: bytes) -> Rendered:
    """Return notes for a page, which may then show pictures from elsewhere, and diagrams in frames."""
    rendered = await _render(context, path_join(repository.owner, repository.name), text, tag)
    context.allow_remote_images = True
    context.allow_frames |= rendered.has_diagrams
    return rendered


async def _render(context: RequestContext, base: str, text: str, tag: bytes) -> Rendered:
    source = Source(TextKind.MARKDOWN, text, LinkContext(base, tag, b""), hard_breaks=True)
    return await context.site.markup.render(source)
