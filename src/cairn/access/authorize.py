"""Authorizing inside a transaction: load what the rule needs for this actor, then let the rule speak."""

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar, cast, overload

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, exists, literal, null, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from cairn.access.actions import Action
from cairn.access.decide import decide, require
from cairn.access.grants import strongest_role
from cairn.access.models import Organization, OrganizationMember, Team, TeamAncestor, TeamMember
from cairn.access.roles import Role, TeamRole
from cairn.access.scopes import OrganizationScope, Scope, TeamScope
from cairn.access.visible import RepositoryColumns
from cairn.base.actor import Actor
from cairn.base.errors import NotFound

AnyScope = TypeVar("AnyScope", bound=Scope)
ScopeLoader = Callable[[AsyncSession, Actor], Awaitable[AnyScope | None]]
"""Reads a scope as one actor meets it; None if the thing is absent."""


@overload
async def authorize(session: AsyncSession, actor: Actor, action: Action, scope: AnyScope) -> AnyScope: ...
@overload
async def authorize(session: AsyncSession, actor: Actor, action: Action, scope: ScopeLoader[AnyScope]) -> AnyScope: ...
async def authorize(
    session: AsyncSession, actor: Actor, action: Action, scope: AnyScope | ScopeLoader[AnyScope]
) -> AnyScope:
    """Return the scope if ``actor`` may do ``action`` to it now, in this transaction.

    Give a loader wherever the answer may have changed since the scope was read (after a lock was taken).
    Errors: NotFound for what is absent or hidden; Unauthenticated if signing in could help; Forbidden.
    """
    found = await scope(session, actor) if callable(scope) else scope
    if found is None:
        raise NotFound("Not Found")
    require(actor, action, found)
    return found


def granted_role(
    actor: Actor, columns: RepositoryColumns, *, account_id: ColumnElement[int] | None = None
) -> ColumnElement[Role | None]:
    """Return the strongest role the actor was given on a repository as a column: row and role by one statement.

    ``account_id`` as in ``visible``.
    """
    if actor.account_id is None:
        return cast("ColumnElement[Role | None]", null())
    if account_id is None:
        account_id = bindparam("granted_to", actor.account_id, BigInteger)
    return strongest_role(account_id, columns.repository_id.expression, columns.owner_id.expression)


async def load_organization(session: AsyncSession, actor: Actor, organization_id: int) -> OrganizationScope | None:
    """Return what the rule reads of an organization for an actor, in one statement; None if it is absent."""
    return (await load_organizations(session, actor, [organization_id])).get(organization_id)


async def load_organizations(
    session: AsyncSession, actor: Actor, organization_ids: Collection[int]
) -> dict[int, OrganizationScope]:
    """Return the same of several, by account id, in one statement; those that are absent are left out."""
    # Primary keys of organization and organization_member.
    rows = await session.execute(
        select(
            Organization.account_id,
            OrganizationMember.role,
            Organization.members_can_create_repositories,
            Organization.members_can_create_teams,
        )
        .outerjoin(OrganizationMember, _membership_of(actor, Organization.account_id))
        .where(Organization.account_id.in_(organization_ids))
    )
    return {row.account_id: OrganizationScope(*row) for row in rows}


async def load_team(session: AsyncSession, actor: Actor, team_id: int) -> TeamScope | None:
    """Return what the rule reads of a team for an actor, in one statement; None if it is absent."""
    # Primary keys of team, organization_member and team_member; ix_team_ancestor_ancestor_id_team_id.
    through_child = exists(
        select(literal(1))
        .select_from(TeamAncestor)
        .join(TeamMember, TeamMember.team_id == TeamAncestor.team_id)
        .where(TeamAncestor.ancestor_id == Team.id, TeamMember.account_id == actor.account_id)
        .correlate(Team)
    )
    row = (
        await session.execute(
            select(Team.organization_id, Team.privacy, OrganizationMember.role, TeamMember.role, through_child)
            .outerjoin(OrganizationMember, _membership_of(actor, Team.organization_id))
            .outerjoin(TeamMember, and_(TeamMember.team_id == Team.id, TeamMember.account_id == actor.account_id))
            .where(Team.id == team_id)
        )
    ).one_or_none()
    if row is None:
        return None
    organization_id, privacy, organization_role, team_role, is_through_child = row
    through_child_role = TeamRole.MEMBER if is_through_child else None
    return TeamScope(team_id, organization_id, privacy, organization_role, team_role or through_child_role)


async def authorize_organization(
    session: AsyncSession, actor: Actor, action: Action, organization_id: int
) -> OrganizationScope:
    """Return the organization's scope if ``actor`` may do ``action`` to it now. Errors as ``authorize``."""

    async def load(session: AsyncSession, actor: Actor) -> OrganizationScope | None:
        return await load_organization(session, actor, organization_id)

    return await authorize(session, actor, action, load)


async def may_in_organization(session: AsyncSession, actor: Actor, action: Action, organization_id: int) -> bool:
    """Tell whether ``actor`` may do ``action`` to the organization now; nobody may to one that is absent."""
    scope = await load_organization(session, actor, organization_id)
    return scope is not None and decide(actor, action, scope).allowed


async def authorize_team(session: AsyncSession, actor: Actor, action: Action, team_id: int) -> TeamScope:
    """Return the team's scope if ``actor`` may do ``action`` to it now. Errors as ``authorize``."""

    async def load(session: AsyncSession, actor: Actor) -> TeamScope | None:
        return await load_team(session, actor, team_id)

    return await authorize(session, actor, action, load)


def _membership_of(actor: Actor, organization_id: InstrumentedAttribute[int]) -> ColumnElement[bool]:
    return and_(
        OrganizationMember.organization_id == organization_id, OrganizationMember.account_id == actor.account_id
    )
