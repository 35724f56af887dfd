"""The ways a role is given, as SQL: a grant, a team or a team above it, membership of the owning organization.

``strongest_role`` answers for one repository beside whatever else a statement reads; ``reaching_owners`` and
``reached_repositories`` go from the person's side and answer for lists. Both sides read indexes only.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    CompoundSelect,
    Dialect,
    Integer,
    Select,
    case,
    literal_column,
    or_,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeDecorator

from cairn.access.models import Grant, Organization, OrganizationMember, TeamAncestor, TeamGrant, TeamMember
from cairn.access.roles import RANKS, BasePermission, OrganizationRole, Role

ROLE_OF_RANK: dict[int, Role] = {rank: role for role, rank in RANKS.items()}
"""The way back from the numbers that SQL compares."""


class _RankedRole(TypeDecorator[Role]):
    """A role that SQL handles as its rank, because greater must mean stronger."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: Role | None, dialect: Dialect) -> int | None:
        return None if value is None else RANKS[value]

    def process_result_value(self, value: int | None, dialect: Dialect) -> Role | None:
        return None if value is None else ROLE_OF_RANK[value]


def strongest_role(
    account_id: ColumnElement[int], repository_id: ColumnElement[int], owner_id: ColumnElement[int]
) -> ColumnElement[Role | None]:
    """Return the strongest role an account was given on a repository as a scalar subquery; NULL without any.

    Owning it and its visibility are not looked at. Compiled to text it gives the rank (``ROLE_OF_RANK``).
    """
    by_grant = select(_rank(Grant.role, Role).label("role_rank")).where(
        # Primary key of access_grant.
        Grant.repository_id == repository_id,
        Grant.account_id == account_id,
    )
    is_owner = OrganizationMember.role == OrganizationRole.OWNER
    by_membership = (
        select(case((is_owner, RANKS[Role.ADMIN]), else_=_rank(Organization.base_permission, BasePermission)))
        .select_from(OrganizationMember)
        .join(Organization, Organization.account_id == OrganizationMember.organization_id)
        .where(
            # Primary keys of organization_member and organization.
            OrganizationMember.organization_id == owner_id,
            OrganizationMember.account_id == account_id,
            or_(is_owner, Organization.base_permission != BasePermission.NONE),
        )
    )
    by_team = (
        # ix_team_member_account_id_team_id, primary keys of team_ancestor and team_grant.
        select(_rank(TeamGrant.role, Role))
        .select_from(TeamMember)
        .join(TeamAncestor, TeamAncestor.team_id == TeamMember.team_id)
        .join(TeamGrant, TeamGrant.team_id == TeamAncestor.ancestor_id)
        .where(TeamMember.account_id == account_id, TeamGrant.repository_id == repository_id)
    )
    outside = [
        tables for one in (account_id, repository_id, owner_id) if (tables := getattr(one, "table", None)) is not None
    ]
    ways = [way.correlate(*outside) for way in (by_grant, by_membership, by_team)]
    # A union, because the databases disagree on what GREATEST is called and none knows a derived table from outside.
    found = union_all(*ways).order_by(by_grant.selected_columns.role_rank.desc()).limit(1).scalar_subquery()
    return type_coerce(found, _RankedRole())


def role_rank_sql(account_id: str, repository_id: str, owner_id: str) -> str:
    """Return ``strongest_role`` as text for a hand-written statement; the names are columns of that statement."""
    columns = [literal_column(name, BigInteger) for name in (account_id, repository_id, owner_id)]
    # The default dialect writes the SQL all three databases share.
    return str(strongest_role(*columns).compile(compile_kwargs={"literal_binds": True}))


def reaching_owners(account_id: int | ColumnElement[int], roles: Iterable[Role]) -> Select[int]:
    """Select the organizations on whose repositories membership alone gives an account one of the roles."""
    wanted = set(roles)
    bases = [base for base in BasePermission if base is not BasePermission.NONE and Role(base.value) in wanted]
    ways: list[ColumnElement[bool]] = [Organization.base_permission.in_(bases)]
    if Role.ADMIN in wanted:
        ways.append(OrganizationMember.role == OrganizationRole.OWNER)
    return (
        # ix_organization_member_account_id_organization_id, primary key of organization.
        select(OrganizationMember.organization_id)
        .join(Organization, Organization.account_id == OrganizationMember.organization_id)
        .where(OrganizationMember.account_id == account_id, or_(*ways))
    )


def reached_repositories(account_id: int | ColumnElement[int], roles: Iterable[Role]) -> CompoundSelect[int]:
    """Select the repositories on which a grant or a team gives an account one of the roles."""
    wanted = list(roles)
    return union_all(
        # ix_access_grant_account_id_repository_id
        select(Grant.repository_id).where(Grant.account_id == account_id, Grant.role.in_(wanted)),
        # ix_team_member_account_id_team_id, primary key of team_ancestor, ix_team_grant_team_id_repository_id.
        select(TeamGrant.repository_id)
        .select_from(TeamMember)
        .join(TeamAncestor, TeamAncestor.team_id == TeamMember.team_id)
        .join(TeamGrant, TeamGrant.team_id == TeamAncestor.ancestor_id)
        .where(TeamMember.account_id == account_id, TeamGrant.role.in_(wanted)),
    )


def _rank(value: InstrumentedAttribute[Any], kind: type[Role] | type[BasePermission]) -> ColumnElement[int]:
    return case({role.value: RANKS[Role(role.value)] for role in kind if role.value in set(Role)}, value=value)
