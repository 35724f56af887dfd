"""What the pages of a wiki have in common: what an address asks for, who may write, what stands around a page."""

from dataclasses import dataclass
from typing import Any

from litestar import Response

from cairn.base.actor import Actor
from cairn.git.types import is_oid
from cairn.repositories.page_frame import clone_urls, header_of, open_repository_page
from cairn.repositories.queries import RepositoryView
from cairn.repositories.wiki.access import decide_wiki_edit
from cairn.repositories.wiki.page_names import HOME, full_title_of
from cairn.repositories.wiki.reading import OpenWiki, render_page
from cairn.repositories.wiki.stores import NoWiki
from cairn.web.context import RequestContext

WIKI = "/{owner:str}/{repo:str}/wiki"
HISTORY, EDIT, DELETE = b"_history", b"_edit", b"_delete"
BESIDE_MAX = 100
"""So many pages are listed beside a page where the wiki has no sidebar of its own."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address below ``/wiki`` asks for: a page's name, a word behind it, and a commit."""

    name: bytes
    word: bytes = b""
    commit: str = ""


def read_address(address: bytes) -> Asked:
    """Return what follows ``/wiki/`` taken apart; without anything it is Home."""
    name, slash, last = address.strip(b"/").rpartition(b"/")
    if slash and last in {HISTORY, EDIT, DELETE}:
        return Asked(name, word=last)
    if slash and is_oid(last.decode("latin-1")):
        return Asked(name, commit=last.decode("ascii"))
    return Asked(address.strip(b"/") or HOME)


async def open_wiki_page(
    context: RequestContext, actor: Actor, owner: str, repo: str
) -> tuple[RepositoryView, dict[str, Any]] | Response[bytes]:
    """Return the repository and what ``wiki/frame.html`` wants, or the answer where there is one already.

    Errors: NoWiki where the wiki is switched off, as if it were not there.
    """
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    return repository, wiki_header(context, actor, repository)


def wiki_header(context: RequestContext, actor: Actor, repository: RepositoryView) -> dict[str, Any]:
    """Return what ``wiki/frame.html`` wants. Errors: NoWiki."""
    if not repository.has_wiki:
        raise NoWiki
    header = header_of(context, actor, repository, "wiki")
    return header | {
        "wiki": f"{header['base']}/wiki",
        "may_edit": may_edit(actor, repository),
        "wiki_urls": [(name, url.removesuffix(".git") + ".wiki.git") for name, url in clone_urls(context, repository)],
    }


def may_edit(actor: Actor, repository: RepositoryView) -> bool:
    """Tell whether an actor may write the wiki."""
    return decide_wiki_edit(actor, repository.scope, is_open=repository.is_wiki_open).allowed


async def around(context: RequestContext, base: str, wiki: OpenWiki) -> dict[str, Any]:
    """Return what stands beside and below every page: the wiki's own sidebar and footer, or the list of its pages."""
    sidebar = wiki.index.sidebar
    footer = wiki.index.footer
    return {
        "sidebar": await render_page(context, base, wiki, sidebar) if sidebar is not None else None,
        "footer": await render_page(context, base, wiki, footer) if footer is not None else None,
        "listed": wiki.index.pages[:BESIDE_MAX],
        "pages_count": len(wiki.index.pages),
        "full_title": full_title_of,
    }
