"""The front page, somebody's dashboard, explore, profiles."""

import re
from typing import Any
from urllib.parse import urlencode

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.home import search_pages
from cairn.identity.gpg_keys import list_gpg_keys_of
from cairn.identity.models import AccountKind
from cairn.identity.organization_pages import frame_of
from cairn.identity.organizations import read_organization
from cairn.identity.public_keys import list_public_keys
from cairn.identity.queries import AccountMoved, Profile, read_profile
from cairn.repositories.life.pins import list_pins
from cairn.repositories.life.stars import list_starred
from cairn.repositories.lists import Affiliation, RepositoryFilter, RepositoryPage, RepositorySort, list_repositories
from cairn.repositories.topics import list_lively_topics
from cairn.repositories.transfer_offers import list_own_offers
from cairn.web.api import PageRequest, read_page
from cairn.web.context import RequestContext
from cairn.web.render import redirect, render
from cairn.web.routing import PUBLIC, page
from cairn.web.urls import path_join

PER_PAGE = 30
KEYS, GPG_KEYS = ".keys", ".gpg"
FRONT_PAGE_SHOWN = 6
QUERY_LENGTH_MAX = 100
TOPICS_SHOWN = 20
_OWN = frozenset({Affiliation.OWNER, Affiliation.COLLABORATOR})

_ORDERS = {
    "pushed": (RepositorySort.PUSHED, True),
    "created": (RepositorySort.CREATED, True),
    "stars": (RepositorySort.STARS, True),
    "name": (RepositorySort.FULL_NAME, False),
}
ORDERS = [("pushed", "Recently pushed"), ("created", "Newest"), ("stars", "Most stars"), ("name", "By name")]


@page.get("/", action=PUBLIC, resource="none")
async def front(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[str]:
    """Show people their repositories, the last pushed first, and visitors what this place is."""
    if not actor.is_signed_in:
        found = await list_repositories(
            session, actor, RepositoryFilter(), sort=RepositorySort.PUSHED, descending=True, per_page=FRONT_PAGE_SHOWN
        )
        return render(context, "home/front.html", found=found)
    text, asked = _asked(context)
    found = await list_repositories(
        session,
        actor,
        RepositoryFilter(affiliations=_OWN, text=text),
        sort=RepositorySort.PUSHED,
        descending=True,
        page=asked.page,
        per_page=asked.per_page,
    )
    offers = await list_own_offers(session, actor)
    return render(context, "home/dashboard.html", **_listed(found, asked), text=text, offers=offers)


@page.get("/explore", action=PUBLIC, resource="none")
async def explore(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Show every repository the visitor may see and what they are about; a search goes on to its own page."""
    text, asked = _asked(context)
    if text:
        return redirect(f"/search?{urlencode({'q': text})}")
    order = context.request.query_params.get("sort", "pushed")
    order = order if order in _ORDERS else "pushed"
    sort, descending = _ORDERS[order]
    found = await list_repositories(
        session,
        actor,
        RepositoryFilter(),
        sort=sort,
        descending=descending,
        page=asked.page,
        per_page=asked.per_page,
    )
    topics = await list_lively_topics(session, actor, limit=TOPICS_SHOWN) if asked.page == 1 else []
    return render(context, "home/explore.html", **_listed(found, asked), order=order, orders=ORDERS, topics=topics)


@page.get("/{owner:str}", action=Action.ACCOUNT_READ, resource="account")
async def profile(context: RequestContext, session: AsyncSession, actor: Actor, owner: str) -> Response[Any]:
    """Show who somebody is and those of their repositories the visitor may see; their keys at ``{login}.keys`` (SSH)
    and ``{login}.gpg``."""
    for suffix in (KEYS, GPG_KEYS):
        if owner.endswith(suffix):  # which no name does: a name has no dot
            return await _public_keys(session, actor, owner.removesuffix(suffix), suffix)
    try:
        found = await read_profile(session, actor, owner)
    except AccountMoved as moved:
        query = context.request.scope["query_string"].decode("ascii", "replace")
        return redirect(path_join(moved.login) + (f"?{query}" if query else ""), status=301)
    if found.kind is AccountKind.USER and context.request.query_params.get("tab") == "stars":
        return await _starred(context, session, actor, found)
    text, asked = _asked(context)
    repositories = await list_repositories(
        session,
        actor,
        RepositoryFilter(owner_id=found.id, text=text),
        sort=RepositorySort.PUSHED,
        descending=True,
        page=asked.page,
        per_page=asked.per_page,
    )
    frame: dict[str, Any] = {}
    if found.kind is AccountKind.ORGANIZATION:
        frame = await frame_of(session, actor, await read_organization(session, actor, found.id), "repositories")
    return render(
        context,
        "home/profile.html",
        **frame,
        profile=found,
        **_listed(repositories, asked),
        text=text,
        is_own=actor.account_id == found.id,
        tab="repositories",
        pins=await list_pins(session, actor, found.id) if asked.page == 1 and not text else [],
    )


async def _starred(context: RequestContext, session: AsyncSession, actor: Actor, found: Profile) -> Response[Any]:
    """Return the tab of a profile with what somebody starred and the visitor may see."""
    _, asked = _asked(context)
    starred = await list_starred(session, actor, found.id, page=asked.page, per_page=PER_PAGE)
    items = [one.repository for one in starred]
    return render(
        context,
        "home/profile.html",
        profile=found,
        found=RepositoryPage(items, asked.offset + len(items)),
        number=asked.page,
        has_more=len(items) == PER_PAGE,
        text="",
        is_own=actor.account_id == found.id,
        tab="stars",
        pins=[],
    )


async def _public_keys(session: AsyncSession, actor: Actor, login: str, suffix: str) -> Response[Any]:
    """Answer a person's public keys, SSH keys as lines of ``authorized_keys``: what to trust who trusts them."""
    try:
        person = await read_profile(session, actor, login)
    except AccountMoved as moved:
        return redirect(path_join(moved.login + suffix), status=301)
    if person.kind is not AccountKind.USER:
        raise NotFound("Not Found")
    if suffix == GPG_KEYS:
        texts = [key.text for key in await list_gpg_keys_of(session, actor, login)]
    else:
        texts = [f"{key.text}\n" for key in await list_public_keys(session, actor, login)]
    return Response("".join(texts), media_type="text/plain")


def _asked(context: RequestContext) -> tuple[str, PageRequest]:
    """Return the search text, blanks folded and cut to its bound, and the page asked for."""
    text = re.sub(r"\s+", " ", context.request.query_params.get("q", "")[: QUERY_LENGTH_MAX * 2]).strip()
    return text[:QUERY_LENGTH_MAX], PageRequest(read_page(context).page, PER_PAGE)


def _listed(found: RepositoryPage, asked: PageRequest) -> dict[str, Any]:
    return {
        "found": found,
        "number": asked.page,
        "has_more": asked.offset + len(found.items) < found.total,
    }


route_handlers: list[HTTPRouteHandler] = [front, explore, *search_pages.route_handlers, profile]
