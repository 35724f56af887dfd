"""Text that is shown rendered: Markdown with its links meaning files of the same revision, and READMEs."""

from typing import Literal
from urllib.parse import unquote_to_bytes

from markupsafe import Markup

from cairn.repositories.code.browse import FileContent
from cairn.repositories.code.code_links import code_url
from cairn.repositories.code.revisions import Place, Revision
from cairn.web.context import RequestContext
from cairn.web.highlight import decode_text
from cairn.web.markdown import render_markdown

MARKDOWN = (b".md", b".markdown")
"""How names of files that are shown rendered end."""


async def read_readme(context: RequestContext, base: str, place: Place, readme: FileContent) -> Markup:
    """Return a folder's README as HTML: rendered if it is Markdown, else its text."""
    if readme.name.lower().endswith(MARKDOWN):
        return await read_markdown(context, base, place.revision, place.path, readme)
    assert readme.data is not None
    return Markup('<pre class="markdown-plain">{}</pre>').format(decode_text(readme.data))


async def read_markdown(
    context: RequestContext, base: str, revision: Revision, folder_path: bytes, content: FileContent
) -> Markup:
    """Render Markdown with its relative links meaning files of the same revision."""
    context.allow_remote_images = True
    assert content.data is not None

    def rewrite(address: str, kind: Literal["link", "image"]) -> str:
        if address.startswith("#"):
            return address
        target, mark, fragment = address.partition("#")
        path = _join(b"" if target.startswith("/") else folder_path, unquote_to_bytes(target))
        return code_url(base, "raw" if kind == "image" else "blob", revision, path) + mark + fragment

    return await render_markdown(decode_text(content.data), rewrite=rewrite)


def _join(folder_path: bytes, target: bytes) -> bytes:
    """Return a relative path made absolute within the repository; ``..`` stops at its root."""
    parts = folder_path.split(b"/") if folder_path else []
    for part in target.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part not in {b"", b"."}:
            parts.append(part)
    return b"/".join(parts)
