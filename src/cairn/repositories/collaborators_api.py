"""Collaborators over REST. People are collaborators at once, as on GitHub Enterprise Server: nobody is invited."""

from dataclasses import replace

import msgspec
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.decide import effective_role
from cairn.access.roles import Role
from cairn.base.actor import Actor, ActorKind
from cairn.base.errors import FieldProblem, Invalid, NotFound
from cairn.identity.models import Account, AccountKind
from cairn.identity.queries import find_account
from cairn.repositories.access_list import Among, list_access
from cairn.repositories.api_routes import REPOSITORY, choose, follows_renames
from cairn.repositories.collaborators import (
    CollaboratorInvalid,
    put_collaborator,
    remove_collaborator,
    role_of,
)
from cairn.repositories.queries import RepositoryView, find_repository
from cairn.repositories.serializers import GITHUB_PERMISSIONS, Json, role_permissions_json, user_json
from cairn.web.api import Page, read_page
from cairn.web.context import RequestContext
from cairn.web.routing import api

_ROLES = {word: role for role, word in GITHUB_PERMISSIONS.items()} | {role.value: role for role in Role}
_LEGACY = {Role.READ: "read", Role.TRIAGE: "read", Role.WRITE: "write", Role.MAINTAIN: "write", Role.ADMIN: "admin"}
"""GitHub's ``permission`` knows three words; ``role_name`` has the role itself."""


class NewCollaborator(msgspec.Struct):
    """The body of adding somebody: GitHub's permission words, or the names of roles."""

    permission: str = "push"


@api.get(f"{REPOSITORY}/collaborators", action=Action.REPOSITORY_ADMINISTER, resource="repository")
@follows_renames
async def list_(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> Page[Json]:
    """Answer everybody with a role, by whatever way, by name; ``permission`` keeps those who have it, or more."""
    among: Among = choose(context, "affiliation", {among.value: among for among in Among}, Among.ALL.value)
    least: Role = choose(context, "permission", _ROLES, Role.READ.value)
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    asked = read_page(context)
    found = await list_access(
        session, actor, repository.id, among=among, least=least, page=asked.page, per_page=asked.per_page
    )
    items = [
        user_json(context, one.account_id, one.login)
        | {"permissions": role_permissions_json(one.role), "role_name": one.role.value}
        for one in found.items
    ]
    return Page(items, asked, total=found.total)


@api.get(f"{REPOSITORY}/collaborators/{{username:str}}", action=Action.REPOSITORY_ADMINISTER, resource="repository")
@follows_renames
async def check(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, username: str
) -> None:
    """Answer 204 for the owner and for who has a role, 404 for others."""
    del context  # for renames
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    if await role_of(session, actor, repository.id, login=username) is None:
        raise NotFound(f"{username!r} is no collaborator here.")


@api.put(
    f"{REPOSITORY}/collaborators/{{username:str}}",
    action=Action.REPOSITORY_ADMINISTER,
    resource="repository",
    status=204,
)
@follows_renames
async def add(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    owner: str,
    repo: str,
    username: str,
    body: NewCollaborator,
) -> None:
    """Give somebody a role, or another one than they had."""
    del context  # for renames
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    role = _ROLES.get(body.permission)
    if role is None:
        message = f"permission must be one of: {', '.join(_ROLES)}."
        raise Invalid(f"Invalid request.\n\n{message}", FieldProblem("permission", "invalid", message, "Collaborator"))
    try:
        await put_collaborator(session, actor, repository.id, login=username, role=role)
    except CollaboratorInvalid:
        if await find_account(session, username) is None:
            raise NotFound(f"There is no account {username!r}.") from None
        raise


@api.delete(f"{REPOSITORY}/collaborators/{{username:str}}", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def remove(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, username: str
) -> None:
    """Take somebody's role away; people may take their own."""
    del context  # for renames
    repository = await find_repository(session, actor, owner, repo)
    await remove_collaborator(session, actor, repository.id, login=username)


@api.get(
    f"{REPOSITORY}/collaborators/{{username:str}}/permission",
    action=Action.REPOSITORY_ADMINISTER,
    resource="repository",
)
@follows_renames
async def permission(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, username: str
) -> Json:
    """Answer what somebody may do here: by role, by owning it, or because everybody may read it."""
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    account = await find_account(session, username)
    if account is None:
        raise NotFound(f"There is no account {username!r}.")
    role = _role_there(repository, account, await role_of(session, actor, repository.id, login=username))
    user = user_json(context, account.id, account.login, is_site_admin=account.is_site_admin)
    if role is not None:
        user |= {"permissions": role_permissions_json(role), "role_name": role.value}
    return {
        "permission": "none" if role is None else _LEGACY[role],
        "role_name": "none" if role is None else role.value,
        "user": user,
    }


def _role_there(repository: RepositoryView, account: Account, granted: Role | None) -> Role | None:
    """Return the role an account has on a repository, by the one rule; an organization has none."""
    if account.kind is not AccountKind.USER:
        return None
    person = Actor(ActorKind.USER, account.id, account.login, is_site_admin=account.is_site_admin)
    return effective_role(person, replace(repository.scope, role=granted))


route_handlers: list[HTTPRouteHandler] = [list_, check, add, remove, permission]
