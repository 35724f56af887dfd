"""``visible`` and ``decide`` are one rule, row by row, over every kind of actor and every way to a role."""

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.actors import deploy_key, fine_grained, make_cast
from tests.factories.organizations import (
    grant_team,
    join_organization,
    join_team,
    make_organization,
    make_team,
)
from tests.factories.repositories import grant, make_repository

from cairn.access.actions import KNOWN_SCOPES, Action, Resource
from cairn.access.authorize import granted_role, load_team
from cairn.access.decide import decide, effective_role
from cairn.access.models import Team
from cairn.access.permissions import PERMISSIONS
from cairn.access.roles import BasePermission, OrganizationRole, Role, TeamPrivacy, TeamRole, Visibility, strongest
from cairn.access.scopes import RepositoryScope
from cairn.access.visible import visible, visible_teams
from cairn.base.actor import ANONYMOUS, SYSTEM, Actor, ActorKind, TokenLimits
from cairn.db.database import Database
from cairn.identity.models import Account
from cairn.repositories.models import ACCESS_COLUMNS, Repository

REPOSITORY_ACTIONS = [action for action in Action if action.facts.resource is Resource.REPOSITORY]


@dataclass(frozen=True)
class World:
    """One person, and a repository for each way that person can meet one.

    ``given`` has the role that this file itself, not the program, says a repository's ways give; owning not counted.
    """

    actor: Actor
    given: dict[int, Role | None]
    owner_ids: list[int]

    @property
    def repository_ids(self) -> list[int]:
        return list(self.given)


Way = tuple[Account, Role | None, Callable[[AsyncSession, Repository], Awaitable[None]]]


async def nothing(session: AsyncSession, repository: Repository) -> None:
    """Give no further role."""


async def make_ways(session: AsyncSession, me: Account) -> list[Way]:
    """Return each way to a role: under whom, which role it is, and what else gives one."""
    other = await make_account(session, "other")
    ways: list[Way] = [(me, None, nothing), (other, None, nothing)]

    def by_grant(*roles: Role) -> Callable[[AsyncSession, Repository], Awaitable[None]]:
        async def give(session: AsyncSession, repository: Repository) -> None:
            for role in roles:
                await grant(session, repository, me, role)

        return give

    def by_team(team: Team, role: Role, direct: Role | None = None) -> Callable[..., Awaitable[None]]:
        async def give(session: AsyncSession, repository: Repository) -> None:
            await grant_team(session, repository, team, role)
            if direct is not None:
                await grant(session, repository, me, direct)

        return give

    ways += [(other, role, by_grant(role)) for role in Role]
    for base in BasePermission:
        by_base = None if base is BasePermission.NONE else Role(base.value)
        guild = await make_organization(session, base_permission=base)
        await join_organization(session, guild, me)
        ways += [(guild, by_base, nothing), (guild, strongest(by_base, Role.TRIAGE), by_grant(Role.TRIAGE))]
        foreign = await make_organization(session, base_permission=base)
        ways.append((foreign, None, nothing))
    own = await make_organization(session, owner=me)
    ways += [(own, Role.ADMIN, nothing), (own, Role.ADMIN, by_grant(Role.READ))]
    guild = await make_organization(session)
    await join_organization(session, guild, me)
    top = await make_team(session, guild, "top")
    middle = await make_team(session, guild, "middle", parent=top)
    mine = await make_team(session, guild, "mine", parent=middle)
    below = await make_team(session, guild, "below", parent=mine)
    beside = await make_team(session, guild, "beside", parent=middle)
    await join_team(session, mine, me)
    ways += [(guild, role, by_team(mine, role)) for role in Role]
    ways += [(guild, Role.WRITE, by_team(top, Role.WRITE)), (guild, Role.TRIAGE, by_team(middle, Role.TRIAGE))]
    ways += [(guild, None, by_team(below, Role.ADMIN)), (guild, None, by_team(beside, Role.ADMIN))]
    ways += [
        (guild, Role.MAINTAIN, by_team(top, Role.READ, Role.MAINTAIN)),
        (guild, Role.MAINTAIN, by_team(top, Role.MAINTAIN, Role.READ)),
    ]
    return ways


async def make_world(database: Database) -> World:
    async with database.write() as session:
        me = await make_account(session, "me")
        given: dict[int, Role | None] = {}
        owner_ids = {me.id}
        ways = await make_ways(session, me)
        for (owner, role, give), visibility, is_archived in itertools.product(ways, Visibility, (False, True)):
            repository = await make_repository(session, owner, visibility=visibility, is_archived=is_archived)
            await give(session, repository)
            given[repository.id] = role
            withheld = await make_repository(session, owner, visibility=visibility)
            withheld.is_withheld = True
            await give(session, withheld)
            given[withheld.id] = role
            deleted = await make_repository(session, owner, visibility=visibility, is_archived=is_archived)
            deleted.is_deleted = True
            await give(session, deleted)
            given[deleted.id] = role
            owner_ids.add(owner.id)
        return World(actor_of(me), given, sorted(owner_ids))


async def scopes_of(database: Database, actor: Actor) -> list[RepositoryScope]:
    async with database.read() as session:
        rows = await session.execute(select(Repository, granted_role(actor, ACCESS_COLUMNS)))
        return [
            RepositoryScope(
                repository.id,
                repository.owner_id,
                repository.visibility,
                role,
                repository.is_archived,
                repository.is_withheld,
                repository.is_deleted,
            )
            for repository, role in rows
        ]


async def visible_ids(database: Database, actor: Actor, action: Action) -> set[int]:
    """Return what ``visible`` gives, the same in both ways it can be written."""
    async with database.read() as session:
        rows = await session.scalars(select(Repository.id).where(visible(actor, action, ACCESS_COLUMNS)))
        led = await session.scalars(select(Repository.id).where(visible(actor, action, ACCESS_COLUMNS, leads=True)))
        found, led_ids = set(rows), sorted(led)
    assert led_ids == sorted(found), (actor, action)
    return found


async def require_one_rule(database: Database, actor: Actor, world: World) -> None:
    """Fail if the two rules differ on any repository for any action."""
    scopes = await scopes_of(database, actor)
    assert len(scopes) == len(world.given)
    for action in REPOSITORY_ACTIONS:
        decided = {one.repository_id for one in scopes if decide(actor, action, one).allowed}
        assert await visible_ids(database, actor, action) == decided, (actor, action)


@st.composite
def limits(draw: st.DrawFn, world: World) -> TokenLimits:
    ids = draw(st.none() | st.frozensets(st.sampled_from([*world.repository_ids, 10**6])))
    if draw(st.booleans()):
        levels = [f"{name}:{level}" for name, facts in PERMISSIONS.items() for level in facts.levels]
        telling = ["metadata:read", "contents:read", "contents:write", "administration:write", "issues:write"]
        chosen = draw(st.frozensets(st.sampled_from(telling))) | draw(
            st.frozensets(st.sampled_from(levels), max_size=2)
        )
        owner_id = draw(st.sampled_from([*world.owner_ids, 10**6]))
        return TokenLimits(frozenset(), ids, owner_id=owner_id, permissions=chosen)
    telling = ["repo", "public_repo", "delete_repo", "site_admin"]
    scopes = draw(st.frozensets(st.sampled_from(telling))) | draw(
        st.frozensets(st.sampled_from(sorted(KNOWN_SCOPES)), max_size=2)
    )
    return TokenLimits(scopes, ids)


@st.composite
def actors(draw: st.DrawFn, world: World) -> Actor:
    others = [ActorKind.ANONYMOUS, ActorKind.SYSTEM, ActorKind.DEPLOY_KEY]
    kind = draw(st.sampled_from([ActorKind.USER] * 9 + others))
    if kind is ActorKind.DEPLOY_KEY:
        return deploy_key(draw(st.sampled_from([*world.repository_ids, 10**6])), can_write=draw(st.booleans()))
    if kind is not ActorKind.USER:
        return ANONYMOUS if kind is ActorKind.ANONYMOUS else SYSTEM
    return replace(
        world.actor,
        is_site_admin=draw(st.sampled_from([False, False, True])),
        is_suspended=draw(st.sampled_from([False] * 5 + [True])),
        limits=draw(limits(world)) if draw(st.booleans()) else None,
    )


async def test_decide_and_visible_are_the_same_rule_row_by_row(database: Database) -> None:
    world = await make_world(database)
    drawn: list[Actor] = []

    @settings(max_examples=80, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(actor=actors(world))
    def collect(actor: Actor) -> None:
        drawn.append(actor)

    collect()
    kinds = {(actor.kind, actor.limits is not None and actor.limits.permissions is not None) for actor in drawn}
    assert {(ActorKind.USER, False), (ActorKind.USER, True), (ActorKind.DEPLOY_KEY, False)} <= kinds
    for actor in drawn:
        await require_one_rule(database, actor, world)


async def test_every_simple_actor_gets_the_same_answer_from_both(database: Database) -> None:
    """The actors that matter most are not left to chance."""
    world = await make_world(database)
    me = world.actor
    some = frozenset(world.repository_ids[::3])
    simple = [ANONYMOUS, SYSTEM, me, replace(me, is_site_admin=True), replace(me, is_suspended=True)]
    simple += [deploy_key(world.repository_ids[0]), deploy_key(world.repository_ids[-1], can_write=True)]
    for base in (me, replace(me, is_site_admin=True)):
        for names in ([], ["repo"], ["public_repo"], ["delete_repo"], ["repo", "site_admin"], ["site_admin"]):
            simple += [with_token(base, *names), with_token(base, *names, repository_ids=some)]
        for owner_id in world.owner_ids:
            simple.append(fine_grained(base, owner_id, contents="write"))
            simple.append(fine_grained(base, owner_id, repository_ids=some, administration="write", issues="read"))
    for actor in simple:
        await require_one_rule(database, actor, world)


async def test_the_strongest_of_all_grants_counts(database: Database) -> None:
    """Worked out here from what each way gives, not from the program's own words."""
    world = await make_world(database)
    assert {role for role in world.given.values() if role} == set(Role)
    for scope in await scopes_of(database, world.actor):
        assert scope.role is world.given[scope.repository_id], scope
        is_mine = scope.owner_id == world.actor.account_id
        is_open = scope.visibility is not Visibility.PRIVATE
        wanted = Role.ADMIN if is_mine else strongest(scope.role, Role.READ if is_open else None)
        wanted = None if scope.is_withheld or scope.is_deleted else wanted
        assert effective_role(world.actor, scope) is wanted, scope


async def test_visible_teams_are_those_that_may_be_read(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        guild = cast.organization
        secret = await make_team(session, guild, "secret", privacy=TeamPrivacy.SECRET)
        inner = await make_team(session, guild, "inner", parent=secret, privacy=TeamPrivacy.SECRET)
        await join_team(session, inner, cast.accounts["member"])
        foreign = await make_organization(session, owner=cast.accounts["stranger"])
        await make_team(session, foreign, "foreign")
        # Rows left behind by a person who is no member any more must open nothing.
        await join_team(session, secret, cast.accounts["reader"], TeamRole.MAINTAINER)
        await join_organization(session, guild, cast.accounts["site administrator"], OrganizationRole.MEMBER)
    shown: dict[str, set[str]] = {}
    people = cast.actors | {
        "reading token": with_token(cast.actors["member"], "read:org"),
        "repo token": with_token(cast.actors["member"], "repo"),
        "administrator's token": with_token(cast.actors["site administrator"], "read:org"),
    }
    async with database.read() as session:
        every = {team.id: team.slug for team in await session.scalars(select(Team))}
        for name, actor in people.items():
            shown[name] = set()
            for organization in (guild, foreign):
                slugs = await session.scalars(select(Team.slug).where(visible_teams(actor, organization.id)))
                shown[name] |= set(slugs)
            decided = set()
            for team_id, slug in every.items():
                scope = await load_team(session, actor, team_id)
                assert scope is not None
                if decide(actor, Action.TEAM_READ, scope).allowed:
                    decided.add(slug)
            assert shown[name] == decided, name
    closed = {"builders", "smiths"}
    assert shown["owner"] == shown["fine-grained token"] == closed | {"secret", "inner"}
    assert shown["member"] == shown["reading token"] == closed | {"secret", "inner"}
    assert shown["boss"] == shown["writer"] == shown["administrator's token"] == closed
    assert shown["site administrator"] == shown["system"] == set(every.values())
    assert shown["stranger"] == {"foreign"}
    for name in ("reader", "anonymous", "suspended", "repo token", "narrow token", "deploy key", "writing deploy key"):
        assert shown[name] == set(), name
