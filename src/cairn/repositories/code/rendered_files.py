"""Files that are shown rendered: by their names, with their links meaning files of the same revision."""

from cairn.repositories.code.browse import FileContent
from cairn.repositories.code.revisions import Place
from cairn.web.context import RequestContext
from cairn.web.highlight import decode_text
from cairn.web.markup.documents import Rendered, Source, TextKind
from cairn.web.markup.links import LinkContext
from cairn.web.markup.rendering import as_it_is

_KINDS = {
    b"md": TextKind.MARKDOWN,
    b"markdown": TextKind.MARKDOWN,
    b"mdown": TextKind.MARKDOWN,
    b"mkd": TextKind.MARKDOWN,
    b"rst": TextKind.RST,
    b"csv": TextKind.CSV,
    b"tsv": TextKind.TSV,
    b"ipynb": TextKind.NOTEBOOK,
}
"""How names of files that are shown rendered end."""


def text_kind(name: bytes) -> TextKind | None:
    """Return what a file of this name is rendered as, None if its source is all there is to show."""
    return _KINDS.get(name.lower().rpartition(b".")[2]) if b"." in name else None


def is_renderable(content: FileContent) -> bool:
    """Tell whether a file has a rendered view: one that is small enough, no symbolic link, and text."""
    is_text = content.data is not None and not content.is_binary and not content.is_symlink
    return is_text and text_kind(content.name) is not None


async def render_file(
    context: RequestContext, base: str, place: Place, content: FileContent, *, folder: bytes
) -> Rendered | None:
    """Return a file rendered as it would be in ``folder`` of the revision; None if it has no rendered view.

    ``base`` is the repository's path, or its whole address where the HTML leaves the site. The page may then show
    pictures from elsewhere, and diagrams in frames.
    """
    kind = text_kind(content.name)
    if kind is None or not is_renderable(content):
        return None
    assert content.data is not None
    links = LinkContext(base, place.revision.name, folder)
    rendered = await context.site.markup.render(Source(kind, decode_text(content.data), links))
    context.allow_remote_images = True
    context.allow_frames |= rendered.has_diagrams
    if rendered.is_passing:
        context.page_versions = ""  # the next reader may be shown more
    return rendered


async def render_readme(context: RequestContext, base: str, place: Place, readme: FileContent) -> Rendered:
    """Return the README of the folder at ``place``; as its text if it has no rendered view."""
    found = await render_file(context, base, place, readme, folder=place.path)
    return found or as_it_is(decode_text(readme.data or b""))
