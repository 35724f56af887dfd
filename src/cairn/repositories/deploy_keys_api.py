"""Deploy keys over REST."""

import msgspec
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.settings import Settings
from cairn.repositories.api_routes import REPOSITORY, follows_renames
from cairn.repositories.deploy_keys import (
    DeployKeyRow,
    add_deploy_key,
    delete_deploy_key,
    list_deploy_keys,
    read_deploy_key,
)
from cairn.repositories.queries import RepositoryView, find_repository
from cairn.repositories.serializers import Json
from cairn.web.api import Page, api_time, read_page
from cairn.web.context import RequestContext
from cairn.web.routing import api

_KEYS = f"{REPOSITORY}/keys"


class NewDeployKey(msgspec.Struct):
    """The body of adding a key. ``read_only`` is true unless it is given, as the key needs not push to read."""

    key: str
    title: str = ""
    read_only: bool = True


@api.get(_KEYS, action=Action.REPOSITORY_READ_KEYS, resource="repository")
@follows_renames
async def list_(
    context: RequestContext, session: AsyncSession, settings: Settings, actor: Actor, owner: str, repo: str
) -> Page[Json]:
    """Answer the repository's keys, the oldest first."""
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_READ_KEYS)
    keys = await list_deploy_keys(session, actor, repository.id)
    asked = read_page(context)
    shown = keys[asked.offset : asked.offset + asked.per_page]
    return Page([deploy_key_json(settings.origin, repository, key) for key in shown], asked, total=len(keys))


@api.get(f"{_KEYS}/{{key_id:int}}", action=Action.REPOSITORY_READ_KEYS, resource="repository")
@follows_renames
async def read(
    context: RequestContext, session: AsyncSession, settings: Settings, actor: Actor, owner: str, repo: str, key_id: int
) -> Json:
    """Answer one key."""
    del context  # for renames
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_READ_KEYS)
    return deploy_key_json(settings.origin, repository, await read_deploy_key(session, actor, repository.id, key_id))


@api.post(_KEYS, action=Action.REPOSITORY_EDIT_KEYS, resource="repository", status=201, sudo=True)
@follows_renames
async def add(
    context: RequestContext,
    session: AsyncSession,
    settings: Settings,
    actor: Actor,
    owner: str,
    repo: str,
    body: NewDeployKey,
) -> Json:
    """Let a key open the repository."""
    del context  # for renames
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_EDIT_KEYS)
    key = await add_deploy_key(
        session, actor, repository.id, title=body.title, text=body.key, can_write=not body.read_only
    )
    return deploy_key_json(settings.origin, repository, key)


@api.delete(f"{_KEYS}/{{key_id:int}}", action=Action.REPOSITORY_EDIT_KEYS, resource="repository", sudo=True)
@follows_renames
async def remove(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, key_id: int
) -> None:
    """Stop a key from opening the repository."""
    del context  # for renames
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_EDIT_KEYS)
    await delete_deploy_key(session, actor, repository.id, key_id)


def deploy_key_json(origin: str, repository: RepositoryView, key: DeployKeyRow) -> Json:
    """Return a key in GitHub's shape."""
    return {
        "id": key.id,
        "key": key.text,
        "url": f"{origin}/api/v3/repos/{repository.full_name}/keys/{key.id}",
        "title": key.title,
        "verified": True,
        "created_at": api_time(key.created_at),
        "read_only": not key.can_write,
        "added_by": key.added_by or None,
        "last_used": api_time(key.last_used_at),
        "enabled": True,
    }


route_handlers: list[HTTPRouteHandler] = [list_, read, add, remove]
