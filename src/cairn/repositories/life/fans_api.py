"""Stars and watching over REST, in GitHub's shape."""

import msgspec
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import NotFound, Unauthenticated
from cairn.identity.queries import read_profile
from cairn.repositories.api_routes import REPOSITORY, choose, follows_renames
from cairn.repositories.life.models import RepositoryWatch, WatchLevel
from cairn.repositories.life.stars import Starred, list_stargazers, list_starred, require_starred, star, unstar
from cairn.repositories.life.watching import COUNTED, list_watched, list_watchers, read_watch, set_watch
from cairn.repositories.queries import RepositoryView, find_repository
from cairn.repositories.serializers import API, Json, links_of, repositories_json, user_json
from cairn.web.api import Page, api_time, media_format, read_page
from cairn.web.context import RequestContext
from cairn.web.routing import api

_STARRED = f"{API}/user/starred/{{owner:str}}/{{repo:str}}"


class SubscriptionWanted(msgspec.Struct):
    """The body of watching: everything, or nothing at all; neither is "participating"."""

    subscribed: bool = False
    ignored: bool = False


def _wants_dates(context: RequestContext) -> bool:
    return media_format(context.request.headers.get("accept", "")) == "star"


def _own_id(actor: Actor) -> int:
    if actor.account_id is None:
        raise Unauthenticated("Requires authentication")
    return actor.account_id


@api.get(_STARRED, action=Action.REPOSITORY_READ, resource="repository")
async def is_starred(session: AsyncSession, actor: Actor, owner: str, repo: str) -> None:
    """Answer 204 if the caller starred the repository, 404 otherwise."""
    found = await find_repository(session, actor, owner, repo)
    _own_id(actor)
    await require_starred(session, actor, found.id)


@api.put(_STARRED, action=Action.REPOSITORY_READ, resource="repository", status=204)
async def put_star(session: AsyncSession, actor: Actor, owner: str, repo: str) -> None:
    """Star a repository."""
    found = await find_repository(session, actor, owner, repo)
    await star(session, actor, found.id)


@api.delete(_STARRED, action=Action.REPOSITORY_READ, resource="repository")
async def delete_star(session: AsyncSession, actor: Actor, owner: str, repo: str) -> None:
    """Take a star back."""
    found = await find_repository(session, actor, owner, repo)
    await unstar(session, actor, found.id)


@api.get(f"{API}/user/starred", action=Action.ACCOUNT_READ, resource="none")
async def own_starred(context: RequestContext, session: AsyncSession, actor: Actor) -> Page[Json]:
    """Answer what the caller starred, the latest first."""
    return await _starred(context, session, actor, _own_id(actor))


@api.get(f"{API}/users/{{username:str}}/starred", action=Action.ACCOUNT_READ, resource="account")
async def starred_of(context: RequestContext, session: AsyncSession, actor: Actor, username: str) -> Page[Json]:
    """Answer what somebody starred and the caller may see, the latest first."""
    person = await read_profile(session, actor, username)
    return await _starred(context, session, actor, person.id)


async def _starred(context: RequestContext, session: AsyncSession, actor: Actor, account_id: int) -> Page[Json]:
    choose(context, "sort", {"created": None}, "created")
    descending: bool = choose(context, "direction", {"desc": True, "asc": False}, "desc")
    asked = read_page(context)
    found = await list_starred(
        session, actor, account_id, page=asked.page, per_page=asked.per_page, descending=descending
    )
    bodies = await repositories_json(context, session, [one.repository for one in found])
    if _wants_dates(context):
        bodies = [_with_date(one, body) for one, body in zip(found, bodies, strict=True)]
    return Page(bodies, asked, has_next=len(found) == asked.per_page)


def _with_date(one: Starred, body: Json) -> Json:
    return {"starred_at": api_time(one.starred_at), "repo": body}


@api.get(f"{REPOSITORY}/stargazers", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def stargazers(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> Page[Json]:
    """Answer who starred a repository, the first first; with GitHub's star media type also when."""
    repository = await find_repository(session, actor, owner, repo)
    asked = read_page(context)
    found = await list_stargazers(session, repository, page=asked.page, per_page=asked.per_page)
    bodies = [user_json(context, one.account_id, one.login) for one in found]
    if _wants_dates(context):
        bodies = [
            {"starred_at": api_time(one.starred_at), "user": body} for one, body in zip(found, bodies, strict=True)
        ]
    return Page(bodies, asked, total=repository.stars_count)


@api.get(f"{REPOSITORY}/subscribers", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def subscribers(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str
) -> Page[Json]:
    """Answer who watches a repository, the first first."""
    repository = await find_repository(session, actor, owner, repo)
    asked = read_page(context)
    found = await list_watchers(session, repository, page=asked.page, per_page=asked.per_page)
    bodies = [user_json(context, one.account_id, one.login) for one in found]
    return Page(bodies, asked, total=repository.watchers_count)


def _subscription(context: RequestContext, repository: RepositoryView, row: RepositoryWatch) -> Json:
    links = links_of(context, repository.owner, repository.name)
    return {
        "subscribed": row.level in COUNTED,
        "ignored": row.level is WatchLevel.IGNORE,
        "reason": None,
        "created_at": api_time(row.watched_at),
        "url": f"{links.api}/subscription",
        "repository_url": links.api,
    }


@api.get(f"{REPOSITORY}/subscription", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def subscription(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> Json:
    """Answer how the caller watches a repository; 404 for who only takes part."""
    repository = await find_repository(session, actor, owner, repo)
    _own_id(actor)
    row = await read_watch(session, actor, repository.id)
    if row is None:
        raise NotFound("Not Found")
    return _subscription(context, repository, row)


@api.put(f"{REPOSITORY}/subscription", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def put_subscription(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, body: SubscriptionWanted
) -> Json:
    """Watch everything of a repository, or ignore it."""
    repository = await find_repository(session, actor, owner, repo)
    level = WatchLevel.PARTICIPATING
    if body.ignored:
        level = WatchLevel.IGNORE
    elif body.subscribed:
        level = WatchLevel.ALL
    await set_watch(session, actor, repository.id, level)
    row = await read_watch(session, actor, repository.id)
    if row is None:
        return {
            "subscribed": False,
            "ignored": False,
            "reason": None,
            "created_at": None,
            "url": f"{links_of(context, repository.owner, repository.name).api}/subscription",
            "repository_url": links_of(context, repository.owner, repository.name).api,
        }
    return _subscription(context, repository, row)


@api.delete(f"{REPOSITORY}/subscription", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def delete_subscription(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str
) -> None:
    """Only take part again."""
    del context  # for renames
    repository = await find_repository(session, actor, owner, repo)
    await set_watch(session, actor, repository.id, WatchLevel.PARTICIPATING)


@api.get(f"{API}/user/subscriptions", action=Action.ACCOUNT_READ, resource="none")
async def own_subscriptions(context: RequestContext, session: AsyncSession, actor: Actor) -> Page[Json]:
    """Answer what the caller watches, the latest first."""
    return await _watched(context, session, actor, _own_id(actor))


@api.get(f"{API}/users/{{username:str}}/subscriptions", action=Action.ACCOUNT_READ, resource="account")
async def subscriptions_of(context: RequestContext, session: AsyncSession, actor: Actor, username: str) -> Page[Json]:
    """Answer what somebody watches and the caller may see, the latest first."""
    person = await read_profile(session, actor, username)
    return await _watched(context, session, actor, person.id)


async def _watched(context: RequestContext, session: AsyncSession, actor: Actor, account_id: int) -> Page[Json]:
    asked = read_page(context)
    found = await list_watched(session, actor, account_id, page=asked.page, per_page=asked.per_page)
    return Page(await repositories_json(context, session, found), asked, has_next=len(found) == asked.per_page)


route_handlers: list[HTTPRouteHandler] = [
    is_starred,
    put_star,
    delete_star,
    own_starred,
    starred_of,
    stargazers,
    subscribers,
    subscription,
    put_subscription,
    delete_subscription,
    own_subscriptions,
    subscriptions_of,
]
