"""Organizations and their people over REST, in GitHub's shape; how people get in and out is in ``memberships_api``."""

from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize, may_in_organization
from cairn.access.roles import OrganizationRole
from cairn.access.scopes import SiteScope
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.base.settings import Settings
from cairn.identity.api import require_account
from cairn.identity.organization_members import (
    Membership,
    list_members,
    list_memberships,
    list_outside_collaborators,
    publish_membership,
    put_member,
    read_member,
    remove_member,
    remove_outside_collaborator,
)
from cairn.identity.organization_schemas import (
    API,
    ORGANIZATION_ROLES,
    Json,
    OrganizationBody,
    organization_json,
    organization_mention,
    person_json,
    unknown_word,
)
from cairn.identity.organizations import (
    OrganizationView,
    create_organization,
    delete_organization,
    find_organization,
    read_organization,
    update_organization,
)
from cairn.identity.queries import read_profile
from cairn.identity.schemas import CountRepositories
from cairn.web.api import Page, read_page
from cairn.web.context import RequestContext
from cairn.web.routing import api

ORG = f"{API}/orgs/{{org:str}}"
_READ: Any = {"action": Action.ORGANIZATION_READ, "resource": "account"}
_MEMBERS: Any = {"action": Action.ORGANIZATION_EDIT_MEMBERS, "resource": "account"}
_LEAVE: Any = {"action": Action.ORGANIZATION_LEAVE, "resource": "account"}


class NewOrganization(msgspec.Struct, kw_only=True):
    """The body by which site administrators make an organization; ``admin`` is its first owner."""

    login: str
    admin: str
    profile_name: str = ""


def make_route_handlers(count_repositories: CountRepositories) -> list[HTTPRouteHandler]:
    """Return these operations; ``count_repositories`` comes from above."""

    async def answer(session: AsyncSession, settings: Settings, actor: Actor, found: OrganizationView) -> Json:
        with_policies = await may_in_organization(session, actor, Action.ORGANIZATION_READ_PRIVATE, found.id)
        counts = await count_repositories(session, found.id)
        return organization_json(settings.origin, found, counts, with_policies=with_policies)

    @api.get(ORG, **_READ)
    async def get(session: AsyncSession, settings: Settings, actor: Actor, org: str) -> Json:
        """Answer an organization; its policies only to members."""
        return await answer(session, settings, actor, await find_organization(session, actor, org))

    @api.get(f"{API}/organizations/{{organization_id:int}}", **_READ)
    async def get_by_number(session: AsyncSession, settings: Settings, actor: Actor, organization_id: int) -> Json:
        """Answer an organization by its number, which never changes."""
        return await answer(session, settings, actor, await read_organization(session, actor, organization_id))

    @api.patch(ORG, action=Action.ORGANIZATION_EDIT, resource="account")
    async def edit(session: AsyncSession, settings: Settings, actor: Actor, org: str, body: OrganizationBody) -> Json:
        """Change profile and policies, and answer the organization as it is then."""
        found = await find_organization(session, actor, org)
        changed = await update_organization(session, actor, found.id, body.change())
        return await answer(session, settings, actor, changed)

    return [get, get_by_number, edit, *_HANDLERS]


@api.delete(ORG, action=Action.ORGANIZATION_DELETE, resource="account", status=202, sudo=True)
async def delete(session: AsyncSession, actor: Actor, org: str) -> Json:
    """Delete an organization that owns no repositories any more."""
    found = await find_organization(session, actor, org)
    await delete_organization(session, actor, found.id)
    return {}


@api.post(f"{API}/admin/organizations", action=Action.SITE_ADMINISTER, resource="site", sudo=True)
async def found(session: AsyncSession, settings: Settings, actor: Actor, body: NewOrganization) -> Json:
    """Make an organization for somebody, as site administrators do."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SiteScope())
    made = await create_organization(session, actor, login=body.login, name=body.profile_name)
    owner = await put_member(session, actor, made.id, login=body.admin, role=OrganizationRole.OWNER)
    if owner.account_id != actor.account_id:
        await remove_member(session, actor, made.id, login=actor.label)
    return organization_mention(settings.origin, made.id, made.login, made.description)


@api.get(f"{API}/user/orgs", action=Action.ACCOUNT_READ, resource="none")
async def list_own(context: RequestContext, session: AsyncSession, actor: Actor) -> Page[Json]:
    """Answer the caller's organizations."""
    return _organizations(context, await list_memberships(session, actor, require_account(actor)))


@api.get(f"{API}/users/{{username:str}}/orgs", action=Action.ACCOUNT_READ, resource="account")
async def list_of_user(context: RequestContext, session: AsyncSession, actor: Actor, username: str) -> Page[Json]:
    """Answer the organizations somebody shows to belong to."""
    profile = await read_profile(session, actor, username)
    places = await list_memberships(session, actor, profile.id)
    return _organizations(context, [place for place in places if place.is_public])


@api.get(f"{ORG}/members", **_READ)
async def members(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Page[Json]:
    """Answer the members, to who is no member the public ones; ``role`` keeps ``admin`` or ``member``."""
    word = context.request.query_params.get("role", "all")
    if word != "all" and word not in ORGANIZATION_ROLES:
        raise unknown_word("role", ["all", *ORGANIZATION_ROLES])
    return await _members(context, session, actor, org, role=ORGANIZATION_ROLES.get(word))


@api.get(f"{ORG}/public_members", **_READ)
async def public_members(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Page[Json]:
    """Answer the members who show that they are."""
    return await _members(context, session, actor, org, only_public=True)


@api.get(f"{ORG}/members/{{username:str}}", **_READ)
async def check_member(session: AsyncSession, actor: Actor, org: str, username: str) -> None:
    """Answer 204 for a member the caller may see, 404 for others."""
    found = await find_organization(session, actor, org)
    await read_member(session, actor, found.id, username)


@api.get(f"{ORG}/public_members/{{username:str}}", **_READ)
async def check_public_member(session: AsyncSession, actor: Actor, org: str, username: str) -> None:
    """Answer 204 for a member who shows it, 404 for others."""
    found = await find_organization(session, actor, org)
    if not (await read_member(session, actor, found.id, username)).is_public:
        raise NotFound("Not Found")


@api.put(f"{ORG}/public_members/{{username:str}}", status=204, **_LEAVE)
async def show(session: AsyncSession, actor: Actor, org: str, username: str) -> None:
    """Show the caller's own membership to everybody."""
    found = await find_organization(session, actor, org)
    await publish_membership(session, actor, found.id, login=username, is_public=True)


@api.delete(f"{ORG}/public_members/{{username:str}}", **_LEAVE)
async def hide(session: AsyncSession, actor: Actor, org: str, username: str) -> None:
    """Show a membership to members only."""
    found = await find_organization(session, actor, org)
    await publish_membership(session, actor, found.id, login=username, is_public=False)


@api.delete(f"{ORG}/members/{{username:str}}", **_MEMBERS)
async def remove(session: AsyncSession, actor: Actor, org: str, username: str) -> None:
    """End a membership with all that came by it."""
    found = await find_organization(session, actor, org)
    await remove_member(session, actor, found.id, login=username)


@api.get(f"{ORG}/outside_collaborators", **_MEMBERS)
async def outside_collaborators(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> Page[Json]:
    """Answer who works on single repositories without being a member."""
    found = await find_organization(session, actor, org)
    people = await list_outside_collaborators(session, actor, found.id)
    asked = read_page(context)
    shown = people[asked.offset : asked.offset + asked.per_page]
    items = [person_json(context.settings.origin, one.account_id, one.login) for one in shown]
    return Page(items, asked, total=len(people))


@api.put(f"{ORG}/outside_collaborators/{{username:str}}", status=204, **_MEMBERS)
async def make_outside_collaborator(session: AsyncSession, actor: Actor, org: str, username: str) -> None:
    """Make a member an outside collaborator: what they were granted on single repositories stays."""
    found = await find_organization(session, actor, org)
    await remove_member(session, actor, found.id, login=username, keep_grants=True)


@api.delete(f"{ORG}/outside_collaborators/{{username:str}}", **_MEMBERS)
async def remove_outsider(session: AsyncSession, actor: Actor, org: str, username: str) -> None:
    """Take everything somebody was granted on the organization's repositories away."""
    found = await find_organization(session, actor, org)
    await remove_outside_collaborator(session, actor, found.id, login=username)


def _organizations(context: RequestContext, places: list[Membership]) -> Page[Json]:
    asked = read_page(context)
    shown = places[asked.offset : asked.offset + asked.per_page]
    items = [organization_mention(context.settings.origin, one.organization_id, one.login) for one in shown]
    return Page(items, asked, total=len(places))


async def _members(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    org: str,
    *,
    role: OrganizationRole | None = None,
    only_public: bool = False,
) -> Page[Json]:
    found, asked = await find_organization(session, actor, org), read_page(context)
    people = await list_members(
        session, actor, found.id, role=role, only_public=only_public, page=asked.page, per_page=asked.per_page
    )
    items = [person_json(context.settings.origin, one.account_id, one.login) for one in people.items]
    return Page(items, asked, total=people.total)


_HANDLERS: list[HTTPRouteHandler] = [
    delete,
    found,
    list_own,
    list_of_user,
    members,
    public_members,
    check_member,
    check_public_member,
    show,
    hide,
    remove,
    outside_collaborators,
    make_outside_collaborator,
    remove_outsider,
]
