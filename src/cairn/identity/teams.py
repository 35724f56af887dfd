"""Teams: some members of an organization, in a tree. Who is in a team has what the teams above it are granted.

``team_ancestor`` holds every pair of a team and one above it, itself included, so that rights are one join away
however deep the tree is. It changes here only, under the lock of the organization's row.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize_organization, authorize_team
from cairn.access.models import TEAM_NAME_LENGTH_MAX, Team, TeamAncestor, TeamGrant, TeamMember
from cairn.access.roles import TeamPrivacy, TeamRole
from cairn.access.visible import visible_teams
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, NotFound
from cairn.base.text import problem_of_text
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.events import TeamCreated, TeamDeleted, TeamEdited
from cairn.identity.organizations import lock_organization

TEAMS_MAX = 2000
"""Teams of one organization; a move reads and writes a part of their tree at once."""
DEPTH_MAX = 8
"""Teams on the way from the top to the lowest, both counted."""
DESCRIPTION_LENGTH_MAX = 500
PER_PAGE_MAX = 100
_SLUG = re.compile(rf"[A-Za-z0-9-]{{1,{TEAM_NAME_LENGTH_MAX}}}")
"""Every address of a team, however it is written: no database is asked for what none can have."""
_RESERVED_SLUGS = frozenset({"new"})
"""Addresses of our own pages below an organization's teams."""


class TeamInvalid(Invalid):
    """The team cannot be as wanted: a name without letters or already used, too deep, a circle, a secret in a tree."""


@dataclass(frozen=True, slots=True)
class TeamView:
    """A team as one actor sees it; ``members`` are its own, without those of child teams."""

    id: int
    organization_id: int
    slug: str
    name: str
    description: str
    privacy: TeamPrivacy
    parent_id: int | None
    members: int
    repositories: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class TeamPage:
    """Some teams of a list, and how many the whole list has."""

    items: list[TeamView]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamChange:
    """What is to be different; None leaves a field as it is."""

    name: str | None = None
    description: str | None = None
    privacy: TeamPrivacy | None = None


async def create_team(
    session: AsyncSession,
    actor: Actor,
    organization_id: int,
    *,
    name: str,
    description: str = "",
    privacy: TeamPrivacy = TeamPrivacy.CLOSED,
    parent_id: int | None = None,
) -> TeamView:
    """Create a team and return it; who makes it and is a member of the organization is its maintainer.

    Its address is the name in lower case with hyphens. Below a parent it has what the parent is granted, so the actor
    must be able to change the parent. Errors: NotFound (also for a parent the actor may not see), Forbidden;
    TeamInvalid.
    """
    await lock_organization(session, organization_id)
    scope = await authorize_organization(session, actor, Action.TEAM_CREATE, organization_id)
    _check(TeamChange(name=name, description=description))
    held = await session.scalar(select(func.count()).select_from(Team).where(Team.organization_id == organization_id))
    if held is not None and held >= TEAMS_MAX:
        raise _invalid("name", f"An organization has at most {TEAMS_MAX:,} teams; delete one first.")
    above = [] if parent_id is None else await _ancestors_for(session, actor, organization_id, parent_id, privacy, 1)
    moment = await database_now(session)
    team = Team(
        organization_id=organization_id,
        slug=await _free_slug(session, organization_id, name),
        name=name.strip(),
        description=description.strip(),
        privacy=privacy,
        parent_id=parent_id,
        created_at=moment,
        updated_at=moment,
    )
    session.add(team)
    await _flush(session, name)
    session.add_all([TeamAncestor(team_id=team.id, ancestor_id=one) for one in (team.id, *above)])
    if scope.role is not None and actor.account_id is not None:
        session.add(
            TeamMember(team_id=team.id, account_id=actor.account_id, role=TeamRole.MAINTAINER, joined_at=moment)
        )
    await session.flush()
    emit(
        session,
        TeamCreated(organization_id=organization_id, team_id=team.id, slug=team.slug, actor_id=actor.account_id),
    )
    details = {"privacy": privacy.value} | ({} if parent_id is None else {"parent": str(parent_id)})
    record(session, actor, "team.create", team.slug, organization_id=organization_id, details=details)
    return await _one(session, team.id)


async def find_team(
    session: AsyncSession, actor: Actor, organization_id: int, slug: str, action: Action = Action.TEAM_READ
) -> TeamView:
    """Return a team by its address if the actor may do ``action`` to it. Errors: NotFound, Forbidden."""
    if not _SLUG.fullmatch(slug):
        raise NotFound("Not Found")
    # uq_team_organization_id_slug
    team_id = await session.scalar(
        select(Team.id).where(Team.organization_id == organization_id, Team.slug == slug.lower())
    )
    if team_id is None:
        raise NotFound("Not Found")
    return await read_team(session, actor, team_id, action)


async def read_team(session: AsyncSession, actor: Actor, team_id: int, action: Action = Action.TEAM_READ) -> TeamView:
    """Return a team if the actor may do ``action`` to it. Errors: NotFound, Forbidden."""
    await authorize_team(session, actor, action, team_id)
    return await _one(session, team_id)


async def list_teams(
    session: AsyncSession,
    actor: Actor,
    organization_id: int,
    *,
    parent_id: int | None = None,
    text: str = "",
    page: int = 1,
    per_page: int = 30,
) -> TeamPage:
    """Return one page of the organization's teams that the actor may see, by address; below one parent if given.

    ``text`` is part of the name, without case. Errors: NotFound, Unauthenticated and Forbidden for who is no member.
    """
    await authorize_organization(session, actor, Action.ORGANIZATION_READ_PRIVATE, organization_id)
    # uq_team_organization_id_slug
    conditions = [visible_teams(actor, organization_id)]
    if parent_id is not None:
        conditions.append(Team.parent_id == parent_id)
    if text and text.isprintable():
        conditions.append(func.lower(Team.name).contains(text.lower(), autoescape=True))
    total = await session.scalar(select(func.count()).select_from(Team).where(*conditions)) or 0
    limit = max(1, min(per_page, PER_PAGE_MAX))
    teams = await session.scalars(
        select(Team).where(*conditions).order_by(Team.slug).limit(limit).offset((max(page, 1) - 1) * limit)
    )
    return TeamPage(await team_views(session, list(teams)), total)


async def list_own_teams(session: AsyncSession, actor: Actor) -> list[TeamView]:
    """Return the teams the actor is in, of all organizations, by organization and address."""
    if actor.account_id is None:
        return []
    # ix_team_member_account_id_team_id, primary key of team.
    teams = await session.scalars(
        select(Team)
        .join(TeamMember, TeamMember.team_id == Team.id)
        .where(TeamMember.account_id == actor.account_id)
        .order_by(Team.organization_id, Team.slug)
    )
    found: list[Team] = []
    seen: dict[int, bool] = {}
    for team in teams.all():
        if team.organization_id not in seen:
            visible = select(Team.id).where(visible_teams(actor, team.organization_id)).limit(1)
            seen[team.organization_id] = await session.scalar(visible) is not None
        if seen[team.organization_id]:
            found.append(team)
    return await team_views(session, found)


async def update_team(session: AsyncSession, actor: Actor, team_id: int, change: TeamChange) -> TeamView:
    """Change name, description or privacy of a team and return it; another name gives it another address.

    Errors: NotFound, Forbidden; TeamInvalid.
    """
    _check(change)
    team = await _lock(session, actor, team_id)
    before = _values(team)
    if change.name is not None and change.name.strip() != team.name:
        team.slug = await _free_slug(session, team.organization_id, change.name, keep_id=team.id)
        team.name = change.name.strip()
    if change.description is not None:
        team.description = change.description.strip()
    if change.privacy is TeamPrivacy.SECRET and team.privacy is not TeamPrivacy.SECRET:
        has_children = await session.scalar(select(Team.id).where(Team.parent_id == team.id).limit(1)) is not None
        if team.parent_id is not None or has_children:
            raise _invalid("privacy", "A secret team has no parent and no child teams; move them first.")
    team.privacy = change.privacy or team.privacy
    await _flush(session, team.name)
    after = _values(team)
    await _edited(session, actor, team, {key: (before[key], after[key]) for key in after if before[key] != after[key]})
    return await _one(session, team_id)


async def move_team(session: AsyncSession, actor: Actor, team_id: int, parent_id: int | None) -> TeamView:
    """Put a team, with all below it, under another one or (None) at the top, and return it.

    Its members have what the new teams above are granted from the next request on, and no more what the old ones were.
    The actor must be able to change both. Errors: NotFound, Forbidden; TeamInvalid for a circle, a secret or too
    deep a tree.
    """
    team = await _lock(session, actor, team_id)
    if team.parent_id == parent_id:
        return await _one(session, team_id)
    subtree = await _descendants(session, team_id)
    above: list[int] = []
    if parent_id is not None:
        if parent_id in subtree:
            raise _invalid("parent_team_id", "A team cannot stand below itself or one of its own child teams.")
        height = await _height(session, subtree)
        above = await _ancestors_for(session, actor, team.organization_id, parent_id, team.privacy, height)
    await session.execute(
        delete(TeamAncestor)
        .where(TeamAncestor.team_id.in_(subtree), TeamAncestor.ancestor_id.not_in(subtree))
        .execution_options(synchronize_session=False)
    )
    if above:
        pairs = [{"team_id": one, "ancestor_id": other} for one in subtree for other in above]
        await session.execute(insert(TeamAncestor), pairs)
    old, new = ("" if one is None else str(one) for one in (team.parent_id, parent_id))
    team.parent_id = parent_id
    await _edited(session, actor, team, {"parent": (old, new)})
    return await _one(session, team_id)


async def delete_team(session: AsyncSession, actor: Actor, team_id: int) -> None:
    """Delete a team and all teams below it; what they were granted ends with it.

    Errors: NotFound; Forbidden, also for a maintainer if there are child teams they could not delete.
    """
    await _lock(session, actor, team_id)
    subtree = await _descendants(session, team_id)
    for one in subtree:
        await authorize_team(session, actor, Action.TEAM_EDIT, one)
    teams = (await session.scalars(select(Team).where(Team.id.in_(subtree)))).all()
    for team in teams:
        emit(
            session,
            TeamDeleted(
                organization_id=team.organization_id, team_id=team.id, slug=team.slug, actor_id=actor.account_id
            ),
        )
        record(session, actor, "team.delete", team.slug, organization_id=team.organization_id)
        # A team refers to its parent without a cascade.
        team.parent_id = None
    await session.flush()
    await session.execute(delete(Team).where(Team.id.in_(subtree)))


async def lock_team(session: AsyncSession, team_id: int) -> Team:
    """Return a team, its organization locked until the transaction ends; NotFound if it is gone."""
    organization_id = await session.scalar(select(Team.organization_id).where(Team.id == team_id))
    if organization_id is None:
        raise NotFound("Not Found")
    await lock_organization(session, organization_id)
    team = await session.get(Team, team_id, populate_existing=True)
    if team is None:
        raise NotFound("Not Found")
    return team


async def _lock(session: AsyncSession, actor: Actor, team_id: int) -> Team:
    team = await lock_team(session, team_id)
    await authorize_team(session, actor, Action.TEAM_EDIT, team_id)
    return team


async def _ancestors_for(
    session: AsyncSession, actor: Actor, organization_id: int, parent_id: int, privacy: TeamPrivacy, height: int
) -> list[int]:
    """Return the parent and all above it, for a team (with what stands below it: ``height``) that goes under it."""
    await authorize_team(session, actor, Action.TEAM_EDIT, parent_id)
    parent = await session.get_one(Team, parent_id)
    if parent.organization_id != organization_id:
        raise NotFound("Not Found")
    if TeamPrivacy.SECRET in {privacy, parent.privacy}:
        raise _invalid("parent_team_id", "A secret team has no parent and no child teams; make it visible first.")
    above = list(await session.scalars(select(TeamAncestor.ancestor_id).where(TeamAncestor.team_id == parent_id)))
    if len(above) + height > DEPTH_MAX:
        raise _invalid("parent_team_id", f"Teams stand at most {DEPTH_MAX} below each other.")
    return above


async def _descendants(session: AsyncSession, team_id: int) -> list[int]:
    """Return a team and all below it."""
    # ix_team_ancestor_ancestor_id_team_id
    return list(await session.scalars(select(TeamAncestor.team_id).where(TeamAncestor.ancestor_id == team_id)))


async def _height(session: AsyncSession, subtree: list[int]) -> int:
    """Return how many teams stand on the longest way down, the first one counted."""
    counted = (
        select(func.count().label("steps"))
        .select_from(TeamAncestor)
        .where(TeamAncestor.team_id.in_(subtree), TeamAncestor.ancestor_id.in_(subtree))
        .group_by(TeamAncestor.team_id)
        .subquery()
    )
    return await session.scalar(select(func.max(counted.c.steps))) or 1


def _values(team: Team) -> dict[str, str]:
    return {
        "name": team.name,
        "slug": team.slug,
        "description": team.description,
        "privacy": team.privacy.value,
    }


def _check(change: TeamChange) -> None:
    for field, limit in (("name", TEAM_NAME_LENGTH_MAX), ("description", DESCRIPTION_LENGTH_MAX)):
        value: str | None = getattr(change, field)
        problem = None if value is None else problem_of_text(value, max_length=limit)
        if problem is not None:
            raise _invalid(field, f"The {field} {problem}")


async def _free_slug(session: AsyncSession, organization_id: int, name: str, *, keep_id: int | None = None) -> str:
    """Return the address of a name, which no other team of the organization has; TeamInvalid otherwise."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if not slug:
        raise _invalid("name", f"The name {name[:60]!r} needs a letter (a-z) or digit, for the team's address.")
    taken = select(Team.id).where(Team.organization_id == organization_id, Team.slug == slug)
    holder = await session.scalar(taken)
    if slug in _RESERVED_SLUGS or holder not in {None, keep_id}:
        raise _name_taken(name)
    return slug


async def _flush(session: AsyncSession, name: str) -> None:
    try:
        await session.flush()
    except IntegrityError:
        # The organization's lock keeps this from happening on databases that have row locks.
        raise _name_taken(name) from None


async def _edited(session: AsyncSession, actor: Actor, team: Team, changes: dict[str, tuple[str, str]]) -> None:
    if not changes:
        return
    team.updated_at = await database_now(session)
    await session.flush()
    emit(
        session,
        TeamEdited(organization_id=team.organization_id, team_id=team.id, changes=changes, actor_id=actor.account_id),
    )
    record(session, actor, "team.update", team.slug, organization_id=team.organization_id, changes=changes)


async def _one(session: AsyncSession, team_id: int) -> TeamView:
    return (await team_views(session, [await session.get_one(Team, team_id)]))[0]


async def team_views(session: AsyncSession, teams: Sequence[Team]) -> list[TeamView]:
    """Return teams with their counts, for who may see them; two statements, however many they are."""
    ids = [team.id for team in teams]
    counts: list[dict[int, int]] = []
    for key in (TeamMember.team_id, TeamGrant.team_id):
        # Primary key of team_member, ix_team_grant_team_id_repository_id.
        rows = await session.execute(select(key, func.count()).where(key.in_(ids)).group_by(key))
        counts.append({row[0]: row[1] for row in rows})
    return [
        TeamView(
            id=team.id,
            organization_id=team.organization_id,
            slug=team.slug,
            name=team.name,
            description=team.description,
            privacy=team.privacy,
            parent_id=team.parent_id,
            members=counts[0].get(team.id, 0),
            repositories=counts[1].get(team.id, 0),
            created_at=team.created_at,
            updated_at=team.updated_at,
        )
        for team in teams
    ]


def _name_taken(name: str) -> TeamInvalid:
    message = f"The organization already has a team with the address of {name[:60]!r}; choose another name."
    return TeamInvalid(message, FieldProblem("name", "already_exists", message, "Team"))


def _invalid(field: str, message: str) -> TeamInvalid:
    return TeamInvalid(message, FieldProblem(field, "invalid", message, "Team"))
