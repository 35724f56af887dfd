"""The rule of ``cairn.access.decide`` as SQL conditions, for lists: true for the rows the actor may do it to."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, false, or_, select, true, union_all
from sqlalchemy.orm import InstrumentedAttribute

from cairn.access.actions import Action, effective_scopes
from cairn.access.decide import ON_ARCHIVED, READING, WITH_DEPLOY_KEY, decide, has_site_power
from cairn.access.grants import reached_repositories, reaching_owners
from cairn.access.models import OrganizationMember, Team, TeamAncestor, TeamMember
from cairn.access.roles import OrganizationRole, TeamPrivacy, Visibility, roles_with
from cairn.access.scopes import TeamScope
from cairn.base.actor import Actor, ActorKind, TokenLimits
from cairn.db.spelling import in_array, spelled


@dataclass(frozen=True, slots=True)
class RepositoryColumns:
    """The columns of the repository table that the rule reads; ``access`` knows no more of it."""

    repository_id: InstrumentedAttribute[int]
    owner_id: InstrumentedAttribute[int]
    visibility: InstrumentedAttribute[Visibility]
    is_archived: InstrumentedAttribute[bool]
    is_withheld: InstrumentedAttribute[bool]
    is_deleted: InstrumentedAttribute[bool]


def shape_of(actor: Actor) -> Actor | None:
    """Return the actor without the number and name: ``visible`` writes the same SQL for all who have this in common.

    So a statement can be built once and kept, with the number as a parameter. None for who has bounds of their own: the
    holder of a deploy key or of a token for chosen repositories or permissions.
    """
    limits = actor.limits
    if actor.deploy_key is not None:
        return None
    if limits is not None:
        if limits.repository_ids is not None or limits.permissions is not None:
            return None
        limits = TokenLimits(limits.scopes)
    account_id = None if actor.account_id is None else 0
    return Actor(actor.kind, account_id, None, actor.is_site_admin, actor.is_suspended, limits)


def visible(
    actor: Actor,
    action: Action,
    columns: RepositoryColumns,
    *,
    leads: bool = False,
    account_id: ColumnElement[int] | None = None,
) -> ColumnElement[bool]:
    """Return the rule for repositories as a WHERE condition.

    ``account_id`` stands for the actor's number in a statement that is kept for everybody of this shape (``shape_of``).

    ``leads`` is for a list that nothing else narrows to a few rows: the same condition, written so that a database
    starts from what the actor reaches, by indexes, instead of asking of each repository whether it is reached:
    PostgreSQL from a union of index scans, the others from a union of queries.
    """
    if actor.is_suspended:
        return false()
    is_there = columns.is_deleted.is_(False)
    if actor.kind is ActorKind.SYSTEM:
        return is_there
    if actor.kind is ActorKind.DEPLOY_KEY:
        return and_(
            is_there,
            _deploy_key_condition(actor, action, columns),
            _archive_condition(action, columns),
            columns.is_withheld.is_(False),
        )
    return and_(
        is_there,
        _role_condition(actor, action, columns, leads=leads, account_id=account_id),
        _token_condition(actor, action, columns),
        _archive_condition(action, columns),
        true() if has_site_power(actor) else columns.is_withheld.is_(False),
    )


def _deploy_key_condition(actor: Actor, action: Action, columns: RepositoryColumns) -> ColumnElement[bool]:
    key = actor.deploy_key
    if key is None or action not in WITH_DEPLOY_KEY[key.can_write]:
        return false()
    return columns.repository_id == key.repository_id


def _role_condition(
    actor: Actor,
    action: Action,
    columns: RepositoryColumns,
    *,
    leads: bool,
    account_id: ColumnElement[int] | None,
) -> ColumnElement[bool]:
    if has_site_power(actor):
        return true()
    # ix_repository_visibility_pushed_at, uq_repository_owner_id_name_key twice, primary key of repository.
    plain: list[ColumnElement[bool]] = []
    if action in READING:
        open_to = [Visibility.PUBLIC, Visibility.INTERNAL] if actor.is_signed_in else [Visibility.PUBLIC]
        plain.append(columns.visibility.in_(open_to))
    if actor.account_id is None:
        return or_(false(), *plain)
    roles, who = roles_with(action), actor.account_id if account_id is None else account_id
    plain.append(columns.owner_id == who)
    owners, repositories = reaching_owners(who, roles), reached_repositories(who, roles)
    ways = [*plain, columns.owner_id.in_(owners), columns.repository_id.in_(repositories)]
    if not leads:
        return or_(*ways)
    each = [select(columns.repository_id).where(way).correlate(None) for way in ways]
    return spelled(
        or_(*plain, in_array(columns.owner_id, owners), in_array(columns.repository_id, repositories)),
        columns.repository_id.in_(union_all(*each)),
    )


def _token_condition(actor: Actor, action: Action, columns: RepositoryColumns) -> ColumnElement[bool]:
    limits = actor.limits
    if limits is None:
        return true()
    is_public = columns.visibility == Visibility.PUBLIC
    reached: ColumnElement[bool] = true()
    if limits.repository_ids is not None:
        reached = columns.repository_id.in_(sorted(limits.repository_ids))
    if limits.permissions is not None:
        has = action.facts.permission in limits.permissions
        by_permission = and_(reached, columns.owner_id == limits.owner_id) if has else false()
        return or_(is_public, by_permission) if action in READING else by_permission
    scopes = effective_scopes(limits.scopes)
    wanted = action.facts.token_scopes
    on_public = true() if action in READING else and_(reached, true() if wanted & scopes else false())
    private_allowed = "repo" in limits.scopes and bool((wanted - {"public_repo"}) & scopes)
    on_private = and_(reached, true() if private_allowed else false())
    return or_(and_(is_public, on_public), and_(~is_public, on_private))


def _archive_condition(action: Action, columns: RepositoryColumns) -> ColumnElement[bool]:
    return true() if action in ON_ARCHIVED else columns.is_archived.is_(False)


def visible_teams(actor: Actor, organization_id: int) -> ColumnElement[bool]:
    """Return the rule for TEAM_READ on the teams of one organization as a WHERE condition on ``Team``."""
    # What the rule says of a team the actor belongs to in an organization the actor belongs to: all else is rows.
    within = TeamScope(0, organization_id, TeamPrivacy.CLOSED, OrganizationRole.MEMBER, None)
    if not decide(actor, Action.TEAM_READ, within).allowed:
        return false()
    here = Team.organization_id == organization_id
    if actor.kind is ActorKind.SYSTEM or has_site_power(actor):
        return here
    member = select(OrganizationMember.organization_id).where(
        # Primary key of organization_member.
        OrganizationMember.organization_id == organization_id,
        OrganizationMember.account_id == actor.account_id,
    )
    # ix_team_member_account_id_team_id, primary key of team_ancestor.
    own = (
        select(TeamAncestor.ancestor_id)
        .join(TeamMember, TeamMember.team_id == TeamAncestor.team_id)
        .where(TeamMember.account_id == actor.account_id)
    )
    seen = or_(
        Team.privacy == TeamPrivacy.CLOSED,
        Team.id.in_(own),
        member.where(OrganizationMember.role == OrganizationRole.OWNER).exists(),
    )
    return and_(here, member.exists(), seen)
