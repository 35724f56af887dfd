"""Forks over REST in GitHub's shape: fork, list forks, sync with the parent; and the whole form of a repository."""

from typing import Annotated

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.decide import require
from cairn.access.scopes import AccountScope
from cairn.base.actor import Actor
from cairn.base.errors import NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.repositories.api_routes import REPOSITORY, choose, follows_renames
from cairn.repositories.fork import NewFork, fork_repository
from cairn.repositories.lists import RepositoryFilter, RepositorySort, list_repositories
from cairn.repositories.queries import RepositoryView, find_repository, find_repository_by_id
from cairn.repositories.serializers import Json, repositories_json
from cairn.repositories.sync import SyncKind, sync_fork
from cairn.web.api import ApiAnswer, Page, read_page
from cairn.web.context import RequestContext
from cairn.web.routing import api

_SAID = {
    SyncKind.FAST_FORWARD: "Successfully fetched and fast-forwarded from upstream {}.",
    SyncKind.MERGE: "Successfully fetched from upstream {} and merged it.",
    SyncKind.NONE: "This branch is not behind the upstream {}.",
}

_FORK_ORDERS = {
    "newest": (RepositorySort.CREATED, True),
    "oldest": (RepositorySort.CREATED, False),
    "stargazers": (RepositorySort.STARS, True),
    "watchers": (RepositorySort.STARS, True),
}
"""GitHub's words; its watchers of this list are those who gave a star."""


class ForkToBe(msgspec.Struct, kw_only=True):
    """The body of forking; all of it may be left out."""

    organization: str | None = None
    name: str | None = None
    default_branch_only: bool = False


class UpstreamToMerge(msgspec.Struct, kw_only=True):
    """The body of syncing."""

    branch: Annotated[str, Meta(min_length=1)]


async def whole_repository(context: RequestContext, session: AsyncSession, repository: RepositoryView) -> Json:
    """Return a repository in full; ``parent``, ``source``, ``template_repository`` where the caller may read them."""
    relatives: dict[str, RepositoryView] = {}
    for name, repository_id in (
        ("parent", repository.parent_id),
        ("source", repository.source_id),
        ("template_repository", repository.template_id),
    ):
        if repository_id is None:
            continue
        try:
            relatives[name] = await find_repository_by_id(session, context.actor, repository_id)
        except (NotFound, Unauthenticated):
            continue  # hidden is absent
    body, *others = await repositories_json(context, session, [repository, *relatives.values()])
    return body | dict(zip(relatives, others, strict=True))


@api.get(f"{REPOSITORY}/forks", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def list_forks(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> Page[Json]:
    """Answer the direct forks that the caller may see; ``sort`` newest (default), oldest or stargazers."""
    sort, descending = choose(context, "sort", _FORK_ORDERS, "newest")
    repository = await find_repository(session, actor, owner, repo)
    asked = read_page(context)
    found = await list_repositories(
        session,
        actor,
        RepositoryFilter(parent_id=repository.id),
        sort=sort,
        descending=descending,
        page=asked.page,
        per_page=asked.per_page,
    )
    return Page(await repositories_json(context, session, found.items), asked, total=found.total)


@api.post(f"{REPOSITORY}/forks", action=Action.REPOSITORY_READ, resource="repository", status=202)
@follows_renames
async def fork(
    context: RequestContext, database: Database, engine: Engine, actor: Actor, owner: str, repo: str, body: ForkToBe
) -> ApiAnswer:
    """Fork a repository, or answer the fork there is. Its git data may follow: GitHub says 202 either way."""
    async with database.read() as session:
        parent = await find_repository(session, actor, owner, repo)
    require_creation(actor)
    wanted = NewFork(owner=body.organization or "", name=body.name or "", default_branch_only=body.default_branch_only)
    forked = await fork_repository(database, engine, actor, parent, wanted)
    async with database.read() as session:
        return ApiAnswer(await whole_repository(context, session, forked.repository), 202)


def require_creation(actor: Actor) -> None:
    """Return if the actor, with its token, may create repositories at all. Errors: Unauthenticated, Forbidden."""
    if actor.account_id is None:
        raise Unauthenticated("Requires authentication")
    require(actor, Action.REPOSITORY_CREATE, AccountScope(actor.account_id))


@api.post(f"{REPOSITORY}/merge-upstream", action=Action.REPOSITORY_PUSH, resource="repository", status=200)
@follows_renames
async def merge_upstream(
    context: RequestContext,
    database: Database,
    engine: Engine,
    actor: Actor,
    owner: str,
    repo: str,
    body: UpstreamToMerge,
) -> Json:
    """Sync a branch of a fork with its parent's; 409 if a person has to merge."""
    del context  # for renames
    async with database.read() as session:
        repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_PUSH)
    synced = await sync_fork(database, engine, actor, repository, body.branch)
    return {
        "message": _SAID[synced.kind].format(synced.upstream),
        "merge_type": synced.kind.value,
        "base_branch": synced.upstream,
    }


route_handlers: list[HTTPRouteHandler] = [list_forks, fork, merge_upstream]
