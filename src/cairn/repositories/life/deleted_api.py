"""Deleted repositories over REST. GitHub has no such operations; the shapes are of its kind."""

import msgspec
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import NotFound, Unauthenticated
from cairn.identity.organizations import find_organization
from cairn.repositories.fork_api import whole_repository
from cairn.repositories.life.deleted import Deleted, authorize_restoring, list_deleted, restore_repository
from cairn.repositories.queries import RepositoryView
from cairn.repositories.serializers import API, Json
from cairn.web.api import Page, api_time, read_page
from cairn.web.context import RequestContext
from cairn.web.routing import api

_OWN = f"{API}/user/deleted"
_OF_ORGANIZATION = f"{API}/orgs/{{org:str}}/deleted"


class Restoration(msgspec.Struct):
    """The body of restoring: another name, if the old one is in use."""

    name: str = ""


def _json(one: Deleted) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "full_name": one.full_name,
        "visibility": one.visibility.value,
        "description": one.description or None,
        # GitHub counts in KiB.
        "size": -(-one.bytes // 1024),
        "deleted_by": one.deleted_by or None,
        "deleted_at": api_time(one.deleted_at),
        "erased_at": api_time(one.erase_at),
    }


@api.get(_OWN, action=Action.REPOSITORY_RESTORE, resource="none")
async def own_deleted(context: RequestContext, session: AsyncSession, actor: Actor) -> Page[Json]:
    """Answer what the caller's account can restore, the latest deletion first."""
    if actor.account_id is None:
        raise Unauthenticated("Requires authentication")
    return await _page(context, session, actor, actor.account_id)


@api.get(_OF_ORGANIZATION, action=Action.REPOSITORY_RESTORE, resource="account")
async def deleted_of(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Page[Json]:
    """Answer what the owners of an organization can restore."""
    organization = await find_organization(session, actor, org)
    return await _page(context, session, actor, organization.id)


async def _page(context: RequestContext, session: AsyncSession, actor: Actor, owner_id: int) -> Page[Json]:
    asked = read_page(context)
    found = await list_deleted(session, actor, owner_id, page=asked.page, per_page=asked.per_page)
    return Page([_json(one) for one in found], asked, has_next=len(found) == asked.per_page)


@api.post(f"{_OWN}/{{deleted_id:int}}/restore", action=Action.REPOSITORY_RESTORE, resource="none")
async def restore_own(
    context: RequestContext, session: AsyncSession, actor: Actor, deleted_id: int, body: Restoration
) -> Json:
    """Restore a repository and answer it."""
    if actor.account_id is None:
        raise Unauthenticated("Requires authentication")
    await authorize_restoring(session, actor, actor.account_id)
    found = await restore_repository(session, actor, deleted_id, name=body.name)
    return await _restored(context, session, found, actor.account_id)


@api.post(f"{_OF_ORGANIZATION}/{{deleted_id:int}}/restore", action=Action.REPOSITORY_RESTORE, resource="account")
async def restore_of(
    context: RequestContext, session: AsyncSession, actor: Actor, org: str, deleted_id: int, body: Restoration
) -> Json:
    """Restore a repository of an organization and answer it."""
    organization = await find_organization(session, actor, org)
    await authorize_restoring(session, actor, organization.id)
    found = await restore_repository(session, actor, deleted_id, name=body.name)
    return await _restored(context, session, found, organization.id)


async def _restored(context: RequestContext, session: AsyncSession, found: RepositoryView, owner_id: int) -> Json:
    if found.owner_id != owner_id:
        # Under this address it is nobody's; the error takes the restoration back.
        raise NotFound("Not Found")
    return await whole_repository(context, session, found)


route_handlers: list[HTTPRouteHandler] = [own_deleted, deleted_of, restore_own, restore_of]
