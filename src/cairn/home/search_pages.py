"""Searching all repositories one may see, and people; the topics that repositories are about."""

from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.actor import Actor
from cairn.base.errors import Invalid
from cairn.identity.account_search import AccountSearch, search_accounts
from cairn.repositories.lists import RepositoryPage
from cairn.repositories.search import SearchOrder, read_search, search_repositories
from cairn.repositories.search_words import split_query
from cairn.repositories.topics import list_topics
from cairn.web.api import PageRequest, read_page
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.render import render
from cairn.web.routing import PUBLIC, page

PER_PAGE = 30
PAGES_MAX = 34
"""So far one can go: who looks for something beyond a thousand results asks for something else."""

PEOPLE_SHOWN = 5
ORDERS = [
    ("best", "Best match"),
    ("updated", "Recently pushed"),
    ("name", "By name"),
    ("created", "Newest"),
    ("stars", "Most stars"),
]


@page.get("/search", action=PUBLIC, resource="none")
async def search(context: RequestContext, session: AsyncSession, actor: Actor, q: str = "") -> Response[str]:
    """Show the repositories that match a query, of those the visitor may see, and people whose names do."""
    chosen = context.request.query_params.get("sort", "")
    order = next((one for one in SearchOrder if one.value == chosen), SearchOrder.BEST)
    asked = PageRequest(min(read_page(context).page, PAGES_MAX), PER_PAGE)
    shown: dict[str, Any] = {"found": RepositoryPage([], 0), "problem": "", "leaves_out_forks": False, "people": []}
    if q.strip():
        try:
            wanted = read_search(q)
        except Invalid as error:
            shown["problem"] = error.message
        else:
            shown["found"] = await search_repositories(
                session, actor, wanted, order=order, page=asked.page, per_page=asked.per_page
            )
            shown["leaves_out_forks"] = wanted.leaves_out_forks
            shown["people"] = await _people(session, actor, q, asked)
    found: RepositoryPage = shown["found"]
    return render(
        context,
        "home/search.html",
        status=422 if shown["problem"] else 200,
        **shown,
        q=q,
        number=asked.page,
        has_more=asked.offset + len(found.items) < found.total and asked.page < PAGES_MAX,
        order=order.value,
        orders=ORDERS,
    )


async def _people(session: AsyncSession, actor: Actor, q: str, asked: PageRequest) -> Any:  # noqa: ANN401 (rows)
    """Return the first accounts that a query of words alone finds; they stand beside the first page."""
    words = split_query(q, ()).words
    if asked.page > 1 or any(":" in word or word.startswith("-") for word in words):
        return []
    return (await search_accounts(session, actor, AccountSearch(words=words), per_page=PEOPLE_SHOWN)).items


@page.get("/topics", action=PUBLIC, resource="none", cost=Cost.HISTORY)
async def topics(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[str]:
    """Show what the repositories that the visitor may see are about, the most common first."""
    await context.pay(Cost.HISTORY)  # every topic of every repository is counted
    return render(context, "home/topics.html", topics=await list_topics(session, actor))


route_handlers: list[HTTPRouteHandler] = [search, topics]
