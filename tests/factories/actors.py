"""One actor of every kind, around an organization with a private repository: for tables "who may".

cast = await make_cast(session)
for name, actor in cast.actors.items(): ...

The person ``writer`` has the write role by a team above the team they are in; the others have theirs by the way their
name in ``WAYS`` tells.
"""

from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import LONG_AGO, actor_of, make_account, with_token
from tests.factories.organizations import (
    grant_team,
    join_organization,
    join_team,
    make_organization,
    make_team,
)
from tests.factories.repositories import grant, make_repository

from cairn.access.models import Team
from cairn.access.permissions import expand
from cairn.access.roles import Role, TeamRole, Visibility
from cairn.base.actor import ANONYMOUS, SYSTEM, Actor, ActorKind, DeployKey, TokenLimits
from cairn.identity.models import Account
from cairn.repositories.models import Repository

WAYS = {
    "reader": Role.READ,
    "triager": Role.TRIAGE,
    "maintainer": Role.MAINTAIN,
    "administrator": Role.ADMIN,
}
"""People with a direct grant: outside collaborators, no members."""


@dataclass(frozen=True)
class ActorCast:
    """Everybody by name, and what they are about."""

    actors: dict[str, Actor]
    accounts: dict[str, Account]
    organization: Account
    repository: Repository
    other_repository: Repository
    team: Team
    child_team: Team


async def make_cast(session: AsyncSession, *, visibility: Visibility = Visibility.PRIVATE) -> ActorCast:
    """Return the cast, as rows: an organization without base permission, ``team`` (write) above ``child_team``."""
    names = ("owner", "member", "writer", "stranger", "boss", *WAYS)
    accounts = {name: await make_account(session, name) for name in names}
    accounts["suspended"] = await make_account(session, "suspended", suspended_at=LONG_AGO)
    accounts["site administrator"] = await make_account(session, "root-like", is_site_admin=True)
    organization = await make_organization(session, "guild", owner=accounts["owner"])
    for name in ("member", "writer", "boss", "suspended"):
        await join_organization(session, organization, accounts[name])
    repository = await make_repository(session, organization, "engine", visibility=visibility)
    other = await make_repository(session, organization, "other", visibility=visibility)
    for name, role in WAYS.items():
        await grant(session, repository, accounts[name], role)
    await grant(session, repository, accounts["suspended"], Role.ADMIN)
    team = await make_team(session, organization, "builders")
    child = await make_team(session, organization, "smiths", parent=team)
    await join_team(session, child, accounts["writer"])
    await join_team(session, team, accounts["boss"], TeamRole.MAINTAINER)
    await grant_team(session, repository, team, Role.WRITE)
    actors = {name: actor_of(account) for name, account in accounts.items()}
    owner = actors["owner"]
    actors |= {
        "anonymous": ANONYMOUS,
        "system": SYSTEM,
        "narrow token": with_token(owner, "read:user"),
        "token for another repository": with_token(owner, "repo", "admin:org", repository_ids=frozenset({other.id})),
        "fine-grained token": fine_grained(owner, organization.id, contents="write", members="read"),
        "fine-grained token for another owner": fine_grained(owner, accounts["owner"].id, contents="write"),
        "deploy key": deploy_key(repository.id),
        "writing deploy key": deploy_key(repository.id, can_write=True),
        "deploy key for another repository": deploy_key(other.id, can_write=True),
    }
    return ActorCast(actors, accounts, organization, repository, other, team, child)


def deploy_key(repository_id: int, *, can_write: bool = False) -> Actor:
    """Return the actor of a deploy key."""
    return Actor(ActorKind.DEPLOY_KEY, deploy_key=DeployKey(1, repository_id, can_write))


def fine_grained(
    actor: Actor, owner_id: int, *, repository_ids: frozenset[int] | None = None, **permissions: str
) -> Actor:
    """Return the actor as a fine-grained token leaves it: ``contents="write"``."""
    limits = TokenLimits(frozenset(), repository_ids, owner_id=owner_id, permissions=expand(permissions))
    return replace(actor, limits=limits)
