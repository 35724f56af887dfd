"""Pages that read a wiki: a page, an old version, its history, all pages, a search, what changed.

What follows ``/wiki/`` is a page's name, which may have folders; behind it may stand one of the words below, or a
commit. Names that begin with an underscore belong to the wiki itself.
"""

from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Invalid, NotFound, NotFoundHere
from cairn.git.engine import Engine
from cairn.git.reading import Commit
from cairn.repositories.code.browse import Code
from cairn.repositories.code.code_search import page_of, read_query, search_code
from cairn.repositories.code.comparing import where_parted
from cairn.repositories.code.diff_page import TwoCommits, answer_part, changes
from cairn.repositories.code.diff_request import read_diff_request
from cairn.repositories.code.file_pages import answer_file
from cairn.repositories.code.history_lists import authors_of, by_day
from cairn.repositories.code.path_history import Chosen, HistoryPage, read_cursor, read_history
from cairn.repositories.code.revisions import Place
from cairn.repositories.page_frame import address_of
from cairn.repositories.queries import RepositoryView
from cairn.repositories.wiki.comparing import read_two
from cairn.repositories.wiki.edit_pages import show_edit
from cairn.repositories.wiki.frame import DELETE, EDIT, HISTORY, WIKI, Asked, around, open_wiki_page, read_address
from cairn.repositories.wiki.page_names import HOME, WikiPage, full_title_of, name_of
from cairn.repositories.wiki.reading import OpenWiki, open_wiki, render_page
from cairn.repositories.wiki.renames import find_renamed
from cairn.web.api import read_page
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.render import redirect, render, render_around
from cairn.web.routing import page
from cairn.web.urls import path_join

LISTED_MAX = 1000
"""So many pages stand on one page of the list."""

FOUND_PER_PAGE = 20
_RENAMES_FOLLOWED_MAX = 10


@page.get(WIKI, f"{WIKI}/{{address:path}}", action=Action.REPOSITORY_READ, resource="repository")
async def wiki_page(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str
) -> Response[Any] | Stream:
    """Show a page, an old version of it (``/COMMIT``) or its history (``/_history``); a file that is none is sent."""
    opened = await open_wiki_page(context, actor, owner, repo)
    if isinstance(opened, Response):
        return opened
    repository, header = opened
    asked = read_address(address_of(context))
    if asked.word == EDIT:
        return await show_edit(context, actor, engine, repository, header, asked)
    if asked.word == DELETE:
        return redirect(header["base"] + path_join("wiki", asked.name))
    async with open_wiki(engine, repository) as wiki:
        if asked.word == HISTORY or asked.commit:
            context.robots = "noindex, nofollow"
        if asked.word == HISTORY:
            await context.pay(Cost.HISTORY)
            return await _history(context, header, wiki, asked)
        return await _show(context, header, repository, wiki, asked)


async def _show(
    context: RequestContext, header: dict[str, Any], repository: RepositoryView, wiki: OpenWiki, asked: Asked
) -> Response[Any] | Stream:
    shown = await wiki.at(asked.commit) if asked.commit else wiki
    found = shown.index.find(asked.name)
    if found is None:
        return await _absent(context, header, repository, shown, asked)
    if found.name != asked.name and not asked.commit:
        # One address for each page: relative links start from it.
        return redirect(header["base"] + path_join("wiki", found.name))
    code = shown.code
    assert code is not None
    assert shown.revision is not None
    latest = await code.latest(Place(shown.revision, found.path))
    old = await code.commit(shown.revision.commit_oid) if asked.commit else None
    return render(
        context,
        "repositories/wiki/page.html",
        **header,
        **await around(context, header["base"], wiki),
        page=found,
        rendered=await render_page(context, header["base"], shown, found),
        latest=latest[0] if latest else None,
        old=old,
        authors=await authors_of(context, [*latest, *([old] if old else [])]),
    )


async def _absent(
    context: RequestContext, header: dict[str, Any], repository: RepositoryView, wiki: OpenWiki, asked: Asked
) -> Response[Any] | Stream:
    """Send a file by its whole name; lead to what a page is called now; else say that there is none, and offer it."""
    if wiki.code is not None and wiki.revision is not None:
        if wiki.index.has_file(asked.name):
            entry = await wiki.code.entry(Place(wiki.revision, asked.name))
            return await answer_file(context, wiki.code, entry)
        renamed = await _renamed(context, repository, wiki, asked.name)
        if renamed is not None and not asked.commit:
            context.flash(f"{full_title_of(asked.name)} is called {full_title_of(renamed.name)} now.", "notice")
            return redirect(header["base"] + path_join("wiki", renamed.name))
    if not wiki.index.pages and asked.name == HOME:
        return render(context, "repositories/wiki/empty.html", **header, **await around(context, header["base"], wiki))
    return render(
        context,
        "repositories/wiki/missing.html",
        status=404,
        **header,
        **await around(context, header["base"], wiki),
        title=full_title_of(asked.name)[:200],
        is_old=bool(asked.commit),
    )


async def _renamed(context: RequestContext, repository: RepositoryView, wiki: OpenWiki, name: bytes) -> WikiPage | None:
    """Return the page that a name led to before renames, followed from one to the next."""
    async with context.site.database.read() as session:
        for _ in range(_RENAMES_FOLLOWED_MAX):
            following = await find_renamed(session, repository.id, name)
            if following is None:
                return None
            found = wiki.index.find(following)
            if found is not None:
                return found
            name = following
    return None


@dataclass(frozen=True, slots=True)
class Change:
    """A commit of a page's history, and the page as it was called then."""

    commit: Commit
    href: str


async def _history(context: RequestContext, header: dict[str, Any], wiki: OpenWiki, asked: Asked) -> Response[Any]:
    found = wiki.index.find(asked.name)
    if found is None or wiki.code is None or wiki.revision is None:
        raise NotFoundHere(f"There is no page {full_title_of(asked.name)[:100]!r} in this wiki.")
    cursor = read_cursor(context.request.query_params.get("after", ""))
    history = await read_history(wiki.code, Place(wiki.revision, found.path), Chosen(), cursor)
    return render(
        context,
        "repositories/wiki/history.html",
        **header,
        **await around(context, header["base"], wiki),
        page=found,
        days=[
            (day, [_change(header["wiki"], history, one) for one in commits])
            for day, commits in by_day(history.commits)
        ],
        older=f"?after={str(history.following).replace('+', '%2B')}" if history.following is not None else "",
        is_first=cursor is None,
        authors=await authors_of(context, history.commits),
    )


def _change(wiki: str, history: HistoryPage, commit: Commit) -> Change:
    path = next(one.path for one in history.segments if commit in one.commits)
    return Change(commit, wiki + path_join(name_of(path) or path, commit.oid))


@page.get(f"{WIKI}/_pages", action=Action.REPOSITORY_READ, resource="repository")
async def all_pages(context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str) -> Response[Any]:
    """List all pages of the wiki, a thousand at a time."""
    opened = await open_wiki_page(context, actor, owner, repo)
    if isinstance(opened, Response):
        return opened
    repository, header = opened
    number = read_page(context).page
    async with open_wiki(engine, repository) as wiki:
        start = (number - 1) * LISTED_MAX
        return render(
            context,
            "repositories/wiki/pages.html",
            **header,
            **await around(context, header["base"], wiki),
            pages=wiki.index.pages[start : start + LISTED_MAX],
            number=number,
            has_more=len(wiki.index.pages) > start + LISTED_MAX,
            is_partial=wiki.index.is_partial,
        )


@page.get(f"{WIKI}/_search", action=Action.REPOSITORY_READ, resource="repository", cost=Cost.CONTENT)
async def search(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, q: str = ""
) -> Response[Any]:
    """Show the pages that hold what is searched for, or are called so."""
    opened = await open_wiki_page(context, actor, owner, repo)
    if isinstance(opened, Response):
        return opened
    repository, header = opened
    number = read_page(context).page
    problem, has_more = "", False
    results: list[dict[str, Any]] = []
    async with open_wiki(engine, repository) as wiki:
        try:
            if q.strip() and wiki.code is not None and wiki.revision is not None:
                results, has_more = await _find(context, wiki, wiki.code, header["wiki"], q, number)
        except Invalid as error:
            problem = error.message
        return render(
            context,
            "repositories/wiki/search.html",
            status=422 if problem else 200,
            **header,
            **await around(context, header["base"], wiki),
            q=q,
            problem=problem,
            results=results,
            number=number,
            has_more=has_more,
        )


async def _find(
    context: RequestContext, wiki: OpenWiki, code: Code, base: str, q: str, number: int
) -> tuple[list[dict[str, Any]], bool]:
    assert wiki.revision is not None
    query = read_query(q)
    commit = await code.commit(wiki.revision.commit_oid)
    engine, state, _ = code.parts
    seconds = context.settings.search_seconds
    found = await search_code(engine, state, commit.tree_oid, query, deadline_seconds=seconds)
    files, has_more = page_of(found, page=number, per_page=FOUND_PER_PAGE)
    results: list[dict[str, Any]] = [
        {"href": base + path_join(name), "title": full_title_of(name), "lines": file.lines}
        for file in files
        if (name := name_of(file.path)) is not None
    ]
    shown = {result["href"] for result in results}
    if number == 1:
        for one in found.names:
            name = name_of(one.path)
            if name is not None and base + path_join(name) not in shown:
                results.append({"href": base + path_join(name), "title": full_title_of(name), "lines": []})
    return results, has_more


@page.get(
    f"{WIKI}/_compare", f"{WIKI}/_compare/{{address:path}}", action=Action.REPOSITORY_READ, resource="repository",
    cost=Cost.HISTORY,
)  # fmt: skip
async def compare(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, old: str = "", new: str = ""
) -> Response[Any] | Stream:
    """Show what differs between two commits of the wiki (``/_compare/OLD...NEW``), or a part of that."""
    opened = await open_wiki_page(context, actor, owner, repo)
    if isinstance(opened, Response):
        return opened
    repository, header = opened
    address = address_of(context).removeprefix(b"_compare").strip(b"/")
    if not address and old and new:
        return redirect(header["base"] + path_join("wiki", "_compare", f"{old}...{new}"))
    asked = read_diff_request(context)
    async with open_wiki(engine, repository) as wiki:
        if wiki.code is None:
            raise NotFound("Not Found")
        sides = await read_two(wiki.code, address)
        parted, _ = await where_parted(wiki.code, sides)
        two = await wiki.code.commits([parted, sides.head.commit_oid])
    assert repository.wiki_store_id is not None
    compared = TwoCommits(base=header["wiki"] + "/_files", old=parted, new=sides.head.commit_oid)
    changed = changes(context, engine, repository.wiki_store_id, compared, asked)
    if asked.is_part:
        return answer_part(changed)
    return render_around(
        context,
        "repositories/wiki/compare.html",
        changed,
        name="changes",
        **header,
        before=two[0],
        after=two[1],
        authors=await authors_of(context, two),
    )


@page.get(f"{WIKI}/_files/{{address:path}}", action=Action.REPOSITORY_READ, resource="repository")
async def wiki_file(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str
) -> Response[Any] | Stream:
    """Send a file of the wiki at a revision (``raw/REVISION/PATH``), or show it if it is a page (``blob/…``)."""
    opened = await open_wiki_page(context, actor, owner, repo)
    if isinstance(opened, Response):
        return opened
    repository, header = opened
    verb, _, rest = address_of(context).removeprefix(b"_files/").partition(b"/")
    async with open_wiki(engine, repository) as wiki:
        if wiki.code is None or verb not in {b"raw", b"blob"}:
            raise NotFound("Not Found")
        place = await wiki.code.place(rest)
        name = name_of(place.path)
        if verb == b"blob" and name is not None:
            return redirect(header["wiki"] + path_join(name, place.revision.commit_oid))
        return await answer_file(context, wiki.code, await wiki.code.entry(place))


route_handlers: list[HTTPRouteHandler] = [wiki_page, all_pages, search, compare, wiki_file]
