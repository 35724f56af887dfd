"""Reading a wiki: its pages at a commit, and one of them as a page shows it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from cairn.git.engine import Engine
from cairn.git.file_list import list_files
from cairn.git.types import show
from cairn.repositories.code.browse import Code, FileContent, open_code
from cairn.repositories.code.revisions import Place, Revision
from cairn.repositories.queries import RepositoryView
from cairn.repositories.wiki.page_names import PageIndex, WikiPage, index_pages
from cairn.repositories.wiki.stores import NoWiki
from cairn.web.context import RequestContext
from cairn.web.highlight import decode_text
from cairn.web.markup.documents import TEXT_BYTES_MAX, Rendered, Source, TextKind
from cairn.web.markup.links import LinkContext
from cairn.web.markup.rendering import as_it_is
from cairn.web.markup.wiki_links import find_wiki_links, reference_key

_EMPTY = PageIndex([], {})


@dataclass(frozen=True, slots=True)
class OpenWiki:
    """A wiki at its present commit. ``code`` is None where nobody wrote one, ``revision`` where it has no page yet."""

    code: Code | None = None
    revision: Revision | None = None
    index: PageIndex = _EMPTY

    async def at(self, name: str) -> "OpenWiki":
        """Return the wiki as it was at a commit. Errors: RevisionNotFound, NoWiki."""
        if self.code is None:
            raise NoWiki
        revision = await self.code.revision(name.encode("utf-8", "replace"))
        return OpenWiki(self.code, revision, await _read_index(self.code, revision))

    async def content(self, page: WikiPage) -> FileContent:
        """Return a page's file; its data up to what a page shows."""
        assert self.code is not None
        assert self.revision is not None
        entry = await self.code.entry(Place(self.revision, page.path))
        return await self.code.file(entry, max_bytes=TEXT_BYTES_MAX)


def wiki_view(repository: RepositoryView) -> RepositoryView:
    """Return the repository with its wiki's store in place of its own, for what reads and edits a store. NoWiki."""
    if not repository.has_wiki or repository.wiki_store_id is None:
        raise NoWiki
    return replace(repository, store_id=repository.wiki_store_id)


@asynccontextmanager
async def open_wiki(engine: Engine, repository: RepositoryView) -> AsyncIterator[OpenWiki]:
    """Yield the wiki as it is now; NoWiki if it is off. The caller has found the repository for the actor."""
    if not repository.has_wiki:
        raise NoWiki
    if repository.wiki_store_id is None:
        yield OpenWiki()
        return
    async with open_code(engine, repository.wiki_store_id) as code:
        revision = await code.default_revision()
        yield OpenWiki(code, revision, _EMPTY if revision is None else await _read_index(code, revision))


async def _read_index(code: Code, revision: Revision) -> PageIndex:
    engine, state, _ = code.parts
    commit = await code.commit(revision.commit_oid)
    listed = await list_files(engine, state, commit.tree_oid)
    return index_pages(((file.path, file.oid) for file in listed.files), is_partial=listed.is_truncated)


async def render_page(context: RequestContext, base: str, wiki: OpenWiki, page: WikiPage) -> Rendered:
    """Return a page rendered; ``base`` is the repository's path. The answer may then show pictures from elsewhere."""
    content = await wiki.content(page)
    if content.data is None:
        return as_it_is("", f"This page has {content.size_bytes:,} bytes, more than is shown here; clone the wiki.")
    if content.is_binary:
        return as_it_is("", "This page is no text.")
    return await render_text(context, base, wiki, decode_text(content.data), page)


async def render_text(context: RequestContext, base: str, wiki: OpenWiki, text: str, page: WikiPage) -> Rendered:
    """Return a text rendered as the content of a page would be: an edit that is looked at before it is saved."""
    if page.kind is None:
        return as_it_is(text)
    references = {}
    if page.kind is TextKind.MARKDOWN:
        for name in find_wiki_links(text):
            found = wiki.index.find(name.strip("/").replace(" ", "-").encode("utf-8", "surrogateescape"))
            if found is not None:
                references[reference_key(name)] = show(found.name)
    revision = wiki.revision.name if wiki.revision is not None else b"HEAD"
    links = LinkContext(base, revision, page.name.rpartition(b"/")[0], is_wiki=True)
    rendered = await context.site.markup.render(Source(page.kind, text, links, references=references))
    context.allow_remote_images = True
    context.allow_frames |= rendered.has_diagrams
    return rendered
