"""Teams as the tree they stand in: for pages, which show who stands below whom."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize_organization
from cairn.access.decide import organization_role
from cairn.access.models import Team, TeamAncestor, TeamMember
from cairn.access.roles import OrganizationRole, TeamPrivacy, TeamRole
from cairn.access.visible import visible_teams
from cairn.base.actor import Actor
from cairn.identity.teams import TeamView, team_views


@dataclass(frozen=True, slots=True)
class TeamNode:
    """A team in the tree. ``depth`` is 0 at the top; ``above`` are the names over it, from the top down."""

    team: TeamView
    depth: int
    children: int
    above: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TeamTreePage:
    """Some teams of a tree from the top down, and how many the whole has."""

    items: list[TeamNode]
    total: int


@dataclass(frozen=True, slots=True)
class TeamChoice:
    """A team that another one may stand below."""

    id: int
    name: str
    depth: int


@dataclass(frozen=True, slots=True)
class _Place:
    id: int
    name: str
    is_secret: bool
    depth: int
    children: int
    above: tuple[str, ...]


async def list_team_tree(
    session: AsyncSession, actor: Actor, organization_id: int, *, text: str = "", page: int = 1, per_page: int = 50
) -> TeamTreePage:
    """Return one page of the teams the actor may see, each below its parent; or, by ``text``, those with such a name.

    Errors: NotFound, Unauthenticated and Forbidden for who is no member.
    """
    await authorize_organization(session, actor, Action.ORGANIZATION_READ_PRIVATE, organization_id)
    wanted = text.casefold()
    places = [place for place in await _places(session, actor, organization_id) if wanted in place.name.casefold()]
    shown = places[(max(page, 1) - 1) * per_page :][:per_page]
    teams = (await session.scalars(select(Team).where(Team.id.in_([place.id for place in shown])))).all()
    views = {view.id: view for view in await team_views(session, teams)}
    items = [TeamNode(views[place.id], place.depth, place.children, place.above) for place in shown]
    return TeamTreePage(items, len(places))


async def list_possible_parents(
    session: AsyncSession, actor: Actor, organization_id: int, team: TeamView | None = None
) -> list[TeamChoice]:
    """Return the teams under which the actor may put a new team, or this one; also where it stands now.

    Errors: NotFound, Unauthenticated and Forbidden for who is no member.
    """
    scope = await authorize_organization(session, actor, Action.ORGANIZATION_READ_PRIVATE, organization_id)
    allowed: set[int] | None = None
    if organization_role(actor, scope) is not OrganizationRole.OWNER:
        # ix_team_member_account_id_team_id
        held = select(TeamMember.team_id).where(TeamMember.account_id == actor.account_id)
        allowed = set(await session.scalars(held.where(TeamMember.role == TeamRole.MAINTAINER)))
    below: set[int] = set()
    if team is not None:
        # ix_team_ancestor_ancestor_id_team_id
        below = set(await session.scalars(select(TeamAncestor.team_id).where(TeamAncestor.ancestor_id == team.id)))
    present = None if team is None else team.parent_id
    return [
        TeamChoice(place.id, place.name, place.depth)
        for place in await _places(session, actor, organization_id)
        if place.id not in below and not place.is_secret and (allowed is None or place.id in {*allowed, present})
    ]


async def teams_above(session: AsyncSession, team: TeamView) -> list[tuple[str, str]]:
    """Return address and name of each team above one, from the top down; who sees it sees them."""
    # Primary keys of team_ancestor and team.
    above = select(Team).join(TeamAncestor, TeamAncestor.ancestor_id == Team.id)
    known = {one.id: one for one in await session.scalars(above.where(TeamAncestor.team_id == team.id))}
    found: list[tuple[str, str]] = []
    parent = known.get(team.parent_id or 0)
    while parent is not None:
        found.insert(0, (parent.slug, parent.name))
        parent = known.get(parent.parent_id or 0)
    return found


async def count_children(session: AsyncSession, team: TeamView) -> int:
    """Return how many teams stand right below one; none of them is secret."""
    # ix_team_parent_id
    return await session.scalar(select(func.count()).select_from(Team).where(Team.parent_id == team.id)) or 0


async def _places(session: AsyncSession, actor: Actor, organization_id: int) -> list[_Place]:
    """Return where each team that the actor may see stands, from the top down; at most ``teams.TEAMS_MAX``."""
    # uq_team_organization_id_slug
    rows = await session.execute(
        select(Team.id, Team.name, Team.privacy, Team.parent_id)
        .where(visible_teams(actor, organization_id))
        .order_by(Team.slug)
    )
    by_parent: dict[int | None, list[tuple[int, str, TeamPrivacy]]] = {}
    for team_id, name, privacy, parent_id in rows:
        by_parent.setdefault(parent_id, []).append((team_id, name, privacy))
    found: list[_Place] = []

    def walk(parent_id: int | None, above: Sequence[str]) -> None:
        for team_id, name, privacy in by_parent.get(parent_id, []):
            children = len(by_parent.get(team_id, []))
            found.append(_Place(team_id, name, privacy is TeamPrivacy.SECRET, len(above), children, tuple(above)))
            walk(team_id, (*above, name))

    walk(None, ())
    return found
