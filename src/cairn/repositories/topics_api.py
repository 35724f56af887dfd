"""Topics and languages of a repository over REST, in GitHub's shape."""

import msgspec
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.repositories.api_routes import REPOSITORY, follows_renames
from cairn.repositories.languages.recorded import read_languages
from cairn.repositories.queries import find_repository
from cairn.repositories.serializers import Json
from cairn.repositories.topics import set_topics
from cairn.web.context import RequestContext
from cairn.web.routing import api


class TopicsWanted(msgspec.Struct):
    """All topics a repository is to have."""

    names: list[str]


@api.get(f"{REPOSITORY}/topics", action=Action.REPOSITORY_SEE, resource="repository")
@follows_renames
async def get_topics(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> Json:
    """Answer a repository's topics."""
    del context  # for renames
    found = await find_repository(session, actor, owner, repo, Action.REPOSITORY_SEE)
    return {"names": list(found.topics)}


@api.put(f"{REPOSITORY}/topics", action=Action.REPOSITORY_MAINTAIN, resource="repository")
@follows_renames
async def replace_topics(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, body: TopicsWanted
) -> Json:
    """Give a repository these topics in place of those it has."""
    del context  # for renames
    found = await find_repository(session, actor, owner, repo)
    return {"names": list(await set_topics(session, actor, found.id, body.names))}


@api.get(f"{REPOSITORY}/languages", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def get_languages(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> Json:
    """Answer the bytes of each language of the default branch, as they were counted last."""
    del context  # for renames
    found = await find_repository(session, actor, owner, repo)
    return dict(await read_languages(session, found.id))


route_handlers: list[HTTPRouteHandler] = [get_topics, replace_topics, get_languages]
