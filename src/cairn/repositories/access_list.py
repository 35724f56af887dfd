"""Who has which role on a repository, and by what: for the page that people decide on."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, func, literal, or_, select, union
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.grants import strongest_role
from cairn.access.models import Grant, Organization, OrganizationMember, Team, TeamAncestor, TeamGrant, TeamMember
from cairn.access.roles import RANKS, BasePermission, OrganizationRole, Role
from cairn.access.scopes import RepositoryScope
from cairn.access.visible import visible_teams
from cairn.base.actor import Actor
from cairn.identity.models import Account, AccountKind
from cairn.repositories.models import Repository
from cairn.repositories.queries import load_scope

PER_PAGE_MAX = 100


class Way(StrEnum):
    """What gives somebody a role."""

    OWNER = "owner"
    """Owning the repository, or the organization that does."""
    GRANT = "grant"
    """A role of their own."""
    TEAM = "team"
    MEMBER = "member"
    """What the organization gives all its members."""


class Among(StrEnum):
    """Which of those with a role a list holds; GitHub's words."""

    ALL = "all"
    DIRECT = "direct"
    """With a role of their own, or owning it as a person."""
    OUTSIDE = "outside"
    """With a role of their own, and no member of the owning organization."""


@dataclass(frozen=True, slots=True)
class Source:
    """One way to a role. A team that the reader may not see has neither address nor name."""

    way: Way
    role: Role
    team_slug: str = ""
    team_name: str = ""


@dataclass(frozen=True, slots=True)
class PersonAccess:
    """Somebody with a role: ``role`` is the strongest of what ``sources`` give."""

    account_id: int
    login: str
    name: str
    sources: tuple[Source, ...]

    @property
    def role(self) -> Role:
        """The role that counts."""
        return max((source.role for source in self.sources), key=RANKS.__getitem__)

    @property
    def granted(self) -> Role | None:
        """The role of their own, which can be changed and taken away here."""
        return next((source.role for source in self.sources if source.way is Way.GRANT), None)


@dataclass(frozen=True, slots=True)
class AccessPage:
    """Some people of a list, and how many the whole list has."""

    items: list[PersonAccess]
    total: int


async def list_access(
    session: AsyncSession,
    actor: Actor,
    repository_id: int,
    *,
    among: Among = Among.ALL,
    least: Role = Role.READ,
    text: str = "",
    page: int = 1,
    per_page: int = 50,
) -> AccessPage:
    """Return one page of the people who have a role on a repository by more than its being public, by login.

    ``least`` keeps those whose strongest role is that one or more. ``text`` is part of the login or name, without case.
    Errors: NotFound, Forbidden for who does not administer it.
    """

    async def load(session: AsyncSession, actor: Actor) -> RepositoryScope | None:
        return await load_scope(session, actor, repository_id)

    scope = await authorize(session, actor, Action.REPOSITORY_ADMINISTER, load)
    everybody = _everybody(repository_id, scope.owner_id, among)
    conditions: list[ColumnElement[bool]] = [Account.id.in_(everybody)]
    if least is not Role.READ:
        strongest = strongest_role(Account.__table__.c.id, literal(repository_id), literal(scope.owner_id))
        conditions.append(or_(Account.id == scope.owner_id, strongest >= least))
    if text and text.isprintable():
        is_in_login = Account.login_key.contains(text.lower(), autoescape=True)
        conditions.append(is_in_login | func.lower(Account.name).contains(text.lower(), autoescape=True))
    total = await session.scalar(select(func.count()).select_from(Account).where(*conditions)) or 0
    limit = max(1, min(per_page, PER_PAGE_MAX))
    people = await session.execute(
        select(Account.id, Account.login, Account.name)
        .where(*conditions)
        .order_by(Account.login_key)
        .limit(limit)
        .offset((max(page, 1) - 1) * limit)
    )
    rows = people.all()
    sources = await _sources(session, actor, repository_id, scope.owner_id, [row[0] for row in rows])
    return AccessPage([PersonAccess(*row, tuple(sources[row[0]])) for row in rows], total)


async def base_permission_of(session: AsyncSession, repository_id: int) -> BasePermission | None:
    """Return what the owning organization gives all its members; None for a person's repository."""
    # Primary keys of repository and organization.
    chosen = select(Organization.base_permission).join(Repository, Repository.owner_id == Organization.account_id)
    return await session.scalar(chosen.where(Repository.id == repository_id))


def _everybody(repository_id: int, owner_id: int, among: Among) -> ColumnElement[int]:
    # Primary keys of access_grant, account, team_grant, team_ancestor, team_member and organization_member.
    granted = select(Grant.account_id).where(Grant.repository_id == repository_id)
    owner = select(Account.id).where(Account.id == owner_id, Account.kind == AccountKind.USER)
    if among is Among.OUTSIDE:
        members = select(OrganizationMember.account_id).where(OrganizationMember.organization_id == owner_id)
        return granted.where(Grant.account_id.not_in(members)).scalar_subquery()
    if among is Among.DIRECT:
        return select(union(granted, owner).subquery().c[0]).scalar_subquery()
    ways = union(
        granted,
        owner,
        select(TeamMember.account_id)
        .join(TeamAncestor, TeamAncestor.team_id == TeamMember.team_id)
        .join(TeamGrant, TeamGrant.team_id == TeamAncestor.ancestor_id)
        .where(TeamGrant.repository_id == repository_id),
        select(OrganizationMember.account_id)
        .join(Organization, Organization.account_id == OrganizationMember.organization_id)
        .where(
            OrganizationMember.organization_id == owner_id,
            or_(OrganizationMember.role == OrganizationRole.OWNER, Organization.base_permission != BasePermission.NONE),
        ),
    ).subquery()
    return select(ways.c[0]).scalar_subquery()


async def _sources(
    session: AsyncSession, actor: Actor, repository_id: int, owner_id: int, account_ids: Sequence[int]
) -> dict[int, list[Source]]:
    """Return every way to a role of some people; four statements, however many they are."""
    found: dict[int, list[Source]] = {account_id: [] for account_id in account_ids}
    if owner_id in found:
        found[owner_id].append(Source(Way.OWNER, Role.ADMIN))
    members = await session.execute(
        select(OrganizationMember.account_id, OrganizationMember.role, Organization.base_permission)
        .join(Organization, Organization.account_id == OrganizationMember.organization_id)
        .where(OrganizationMember.organization_id == owner_id, OrganizationMember.account_id.in_(account_ids))
    )
    for account_id, role, base in members:
        if role is OrganizationRole.OWNER:
            found[account_id].append(Source(Way.OWNER, Role.ADMIN))
        elif base is not BasePermission.NONE:
            found[account_id].append(Source(Way.MEMBER, Role(base.value)))
    grants = await session.execute(
        select(Grant.account_id, Grant.role).where(
            Grant.repository_id == repository_id, Grant.account_id.in_(account_ids)
        )
    )
    for account_id, granted in grants:
        found[account_id].append(Source(Way.GRANT, granted))
    seen = set(await session.scalars(select(Team.id).where(visible_teams(actor, owner_id))))
    teams = await session.execute(
        select(TeamMember.account_id, TeamGrant.role, Team.id, Team.slug, Team.name)
        .join(TeamAncestor, TeamAncestor.team_id == TeamMember.team_id)
        .join(TeamGrant, TeamGrant.team_id == TeamAncestor.ancestor_id)
        .join(Team, Team.id == TeamGrant.team_id)
        .where(TeamGrant.repository_id == repository_id, TeamMember.account_id.in_(account_ids))
        .distinct()
        .order_by(Team.slug)
    )
    for account_id, given, team_id, slug, name in teams:
        found[account_id].append(Source(Way.TEAM, given, *((slug, name) if team_id in seen else ("", ""))))
    return found
