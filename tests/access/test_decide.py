"""The rule: actor tables per action, and the property that ``decide`` and ``visible`` are one rule."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.repositories import grant, make_repository

from cairn.access.actions import FACTS, KNOWN_SCOPES, Action, Resource
from cairn.access.authorize import granted_role
from cairn.access.decide import decide, has_site_power, require, visible
from cairn.access.roles import Role, Visibility
from cairn.access.scopes import SITE, AccountScope, RepositoryScope
from cairn.base.actor import ANONYMOUS, SYSTEM, Actor, ActorKind, TokenLimits
from cairn.base.errors import Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.repositories.models import ACCESS_COLUMNS, Repository

OWNER, STRANGER, ADMIN = 1, 2, 3
OWNER_ACTOR = Actor(ActorKind.USER, OWNER, "owner")
STRANGER_ACTOR = Actor(ActorKind.USER, STRANGER, "stranger")
ADMIN_ACTOR = Actor(ActorKind.USER, ADMIN, "admin", is_site_admin=True)
REPOSITORY_ACTIONS = [action for action in Action if action.facts.resource is Resource.REPOSITORY]


def scope(
    visibility: Visibility = Visibility.PRIVATE, role: Role | None = None, *, is_archived: bool = False
) -> RepositoryScope:
    return RepositoryScope(10, OWNER, visibility, role, is_archived)


@dataclass(frozen=True)
class World:
    """One person, and a repository for each way that person can meet one."""

    actor: Actor
    repository_ids: list[int]


async def make_world(database: Database) -> World:
    async with database.write() as session:
        me = await make_account(session, "me")
        other = await make_account(session, "other")
        ids = []
        for visibility in Visibility:
            for is_archived in (False, True):
                mine = await make_repository(session, me, visibility=visibility, is_archived=is_archived)
                ids.append(mine.id)
                for role in (None, *Role):
                    theirs = await make_repository(session, other, visibility=visibility, is_archived=is_archived)
                    ids.append(theirs.id)
                    if role is not None:
                        await grant(session, theirs, me, role)
        return World(actor_of(me), ids)


async def scopes_of(database: Database, actor: Actor) -> list[RepositoryScope]:
    async with database.read() as session:
        rows = await session.execute(select(Repository, granted_role(actor, Repository.id)))
        return [
            RepositoryScope(
                repository.id,
                repository.owner_id,
                repository.visibility,
                None if role is None else Role(role),
                repository.is_archived,
            )
            for repository, role in rows
        ]


async def visible_ids(database: Database, actor: Actor, action: Action) -> set[int]:
    async with database.read() as session:
        rows = await session.scalars(select(Repository.id).where(visible(actor, action, ACCESS_COLUMNS)))
        return set(rows)


@st.composite
def actors(draw: st.DrawFn, world: World) -> Actor:
    kind = draw(st.sampled_from([ActorKind.USER] * 8 + [ActorKind.ANONYMOUS, ActorKind.SYSTEM]))
    if kind is not ActorKind.USER:
        return ANONYMOUS if kind is ActorKind.ANONYMOUS else SYSTEM
    limits = None
    if draw(st.booleans()):
        telling = ["repo", "public_repo", "delete_repo", "site_admin"]
        scopes = draw(st.frozensets(st.sampled_from(telling))) | draw(
            st.frozensets(st.sampled_from(sorted(KNOWN_SCOPES)), max_size=2)
        )
        ids = draw(st.none() | st.frozensets(st.sampled_from([*world.repository_ids, 10**6])))
        limits = TokenLimits(scopes, ids)
    return replace(
        world.actor,
        is_site_admin=draw(st.booleans()),
        is_suspended=draw(st.sampled_from([False] * 5 + [True])),
        limits=limits,
    )


async def test_decide_and_visible_are_the_same_rule_row_by_row(database: Database) -> None:
    world = await make_world(database)
    drawn: list[Actor] = []

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(actor=actors(world))
    def collect(actor: Actor) -> None:
        drawn.append(actor)

    collect()
    kinds_seen = {(actor.kind, actor.limits is None) for actor in drawn}
    assert (ActorKind.USER, False) in kinds_seen
    for actor in drawn:
        scopes = await scopes_of(database, actor)
        assert len(scopes) == len(world.repository_ids)
        for action in REPOSITORY_ACTIONS:
            decided = {one.repository_id for one in scopes if decide(actor, action, one).allowed}
            assert await visible_ids(database, actor, action) == decided, (actor, action)


async def test_every_simple_actor_gets_the_same_answer_from_both(database: Database) -> None:
    """The actors that matter most are not left to chance."""
    world = await make_world(database)
    me = world.actor
    some = frozenset(world.repository_ids[::3])
    simple = [ANONYMOUS, SYSTEM, me, replace(me, is_site_admin=True), replace(me, is_suspended=True)]
    for base in (me, replace(me, is_site_admin=True)):
        for names in ([], ["repo"], ["public_repo"], ["delete_repo"], ["repo", "site_admin"], ["site_admin"]):
            simple += [with_token(base, *names), with_token(base, *names, repository_ids=some)]
    for actor in simple:
        scopes = await scopes_of(database, actor)
        for action in REPOSITORY_ACTIONS:
            decided = {one.repository_id for one in scopes if decide(actor, action, one).allowed}
            assert await visible_ids(database, actor, action) == decided, (actor, action)


R, P, M, A, D = (
    Action.REPOSITORY_READ,
    Action.REPOSITORY_PUSH,
    Action.REPOSITORY_MAINTAIN,
    Action.REPOSITORY_ADMINISTER,
    Action.REPOSITORY_DELETE,
)


def allowed(actor: Actor, where: RepositoryScope) -> set[Action]:
    return {action for action in REPOSITORY_ACTIONS if decide(actor, action, where).allowed}


@pytest.mark.parametrize(
    ("actor", "where", "wanted"),
    [
        (ANONYMOUS, scope(Visibility.PUBLIC), {R}),
        (ANONYMOUS, scope(Visibility.INTERNAL), set()),
        (ANONYMOUS, scope(Visibility.PRIVATE), set()),
        (STRANGER_ACTOR, scope(Visibility.PUBLIC), {R}),
        (STRANGER_ACTOR, scope(Visibility.INTERNAL), {R}),
        (STRANGER_ACTOR, scope(Visibility.PRIVATE), set()),
        (STRANGER_ACTOR, scope(role=Role.READ), {R}),
        (STRANGER_ACTOR, scope(role=Role.TRIAGE), {R}),
        (STRANGER_ACTOR, scope(role=Role.WRITE), {R, P}),
        (STRANGER_ACTOR, scope(role=Role.MAINTAIN), {R, P, M}),
        (STRANGER_ACTOR, scope(role=Role.ADMIN), {R, P, M, A, D}),
        (OWNER_ACTOR, scope(), {R, P, M, A, D}),
        (OWNER_ACTOR, scope(is_archived=True), {R, A, D}),
        (ADMIN_ACTOR, scope(), {R, P, M, A, D}),
        (SYSTEM, scope(is_archived=True), {R, P, M, A, D}),
        (replace(OWNER_ACTOR, is_suspended=True), scope(Visibility.PUBLIC), set()),
        (replace(ADMIN_ACTOR, is_suspended=True), scope(), set()),
        (with_token(OWNER_ACTOR), scope(Visibility.PUBLIC), {R}),
        (with_token(OWNER_ACTOR), scope(), set()),
        (with_token(OWNER_ACTOR, "repo"), scope(), {R, P, M, A}),
        (with_token(OWNER_ACTOR, "repo", "delete_repo"), scope(), {R, P, M, A, D}),
        (with_token(OWNER_ACTOR, "delete_repo"), scope(), set()),
        (with_token(OWNER_ACTOR, "public_repo"), scope(), set()),
        (with_token(OWNER_ACTOR, "public_repo"), scope(Visibility.INTERNAL), set()),
        (with_token(OWNER_ACTOR, "public_repo"), scope(Visibility.PUBLIC), {R, P, M, A}),
        (with_token(OWNER_ACTOR, "repo", repository_ids=frozenset({10})), scope(), {R, P, M, A}),
        (with_token(OWNER_ACTOR, "repo", repository_ids=frozenset({11})), scope(), set()),
        (with_token(OWNER_ACTOR, "repo", repository_ids=frozenset({11})), scope(Visibility.PUBLIC), {R}),
        (with_token(OWNER_ACTOR, "repo", repository_ids=frozenset()), scope(), set()),
        (with_token(ADMIN_ACTOR, "repo"), scope(), set()),
        (with_token(ADMIN_ACTOR, "repo"), scope(Visibility.PUBLIC), {R}),
        (with_token(ADMIN_ACTOR, "site_admin"), scope(), set()),
        (with_token(ADMIN_ACTOR, "repo", "site_admin"), scope(), {R, P, M, A}),
        (with_token(STRANGER_ACTOR, "repo", "site_admin"), scope(), set()),
        (with_token(STRANGER_ACTOR, "repo"), scope(role=Role.WRITE), {R, P}),
    ],
)
def test_repository_actions_by_actor(actor: Actor, where: RepositoryScope, wanted: set[Action]) -> None:
    assert allowed(actor, where) == wanted


@pytest.mark.parametrize(
    ("actor", "action", "where", "error"),
    [
        (ANONYMOUS, R, scope(), NotFound),
        (ANONYMOUS, P, scope(), NotFound),
        (ANONYMOUS, P, scope(Visibility.PUBLIC), Unauthenticated),
        (STRANGER_ACTOR, P, scope(), NotFound),
        (STRANGER_ACTOR, P, scope(Visibility.PUBLIC), Forbidden),
        (with_token(OWNER_ACTOR, "public_repo"), P, scope(), NotFound),
        (with_token(OWNER_ACTOR), P, scope(Visibility.PUBLIC), Forbidden),
        (OWNER_ACTOR, P, scope(is_archived=True), Forbidden),
        (replace(OWNER_ACTOR, is_suspended=True), R, scope(Visibility.PUBLIC), NotFound),
    ],
)
def test_a_refusal_admits_nothing_about_hidden_repositories(
    actor: Actor, action: Action, where: RepositoryScope, error: type[Exception]
) -> None:
    with pytest.raises(error):
        require(actor, action, where)


ME = AccountScope(OWNER)


@pytest.mark.parametrize(
    ("actor", "action", "wanted"),
    [
        (ANONYMOUS, Action.ACCOUNT_READ, True),
        (ANONYMOUS, Action.ACCOUNT_EDIT, False),
        (STRANGER_ACTOR, Action.ACCOUNT_READ_PRIVATE, False),
        (STRANGER_ACTOR, Action.ACCOUNT_EDIT_KEYS, False),
        (STRANGER_ACTOR, Action.REPOSITORY_CREATE, False),
        (OWNER_ACTOR, Action.ACCOUNT_EDIT_TOKENS, True),
        (OWNER_ACTOR, Action.REPOSITORY_CREATE, True),
        (ADMIN_ACTOR, Action.ACCOUNT_EDIT_TOKENS, True),
        (with_token(ADMIN_ACTOR, *KNOWN_SCOPES), Action.ACCOUNT_EDIT_TOKENS, False),
        (with_token(ADMIN_ACTOR, "user"), Action.ACCOUNT_EDIT, False),
        (with_token(ADMIN_ACTOR, "user", "site_admin"), Action.ACCOUNT_EDIT, True),
        (with_token(OWNER_ACTOR, "user"), Action.ACCOUNT_EDIT, True),
        (with_token(OWNER_ACTOR, "read:user"), Action.ACCOUNT_EDIT, False),
        (with_token(OWNER_ACTOR, "read:user"), Action.ACCOUNT_READ_PRIVATE, True),
        (with_token(OWNER_ACTOR, *KNOWN_SCOPES), Action.ACCOUNT_EDIT_TOKENS, False),
        (with_token(OWNER_ACTOR, "public_repo"), Action.REPOSITORY_CREATE, True),
        (with_token(OWNER_ACTOR, "gist"), Action.REPOSITORY_CREATE, False),
        (replace(OWNER_ACTOR, is_suspended=True), Action.ACCOUNT_EDIT, False),
    ],
)
def test_account_actions_by_actor(actor: Actor, action: Action, wanted: bool) -> None:
    assert decide(actor, action, ME).allowed is wanted


def test_a_token_for_single_repositories_changes_nothing_beyond_them() -> None:
    """Attack: a leaked token for one repository adds an SSH key, which then reaches all of them."""
    narrow = with_token(OWNER_ACTOR, *KNOWN_SCOPES, repository_ids=frozenset({10}))
    changing = [
        action
        for action in Action
        if action.facts.resource is Resource.ACCOUNT and not action.value.startswith("account:read")
    ]
    assert Action.ACCOUNT_EDIT_KEYS in changing
    assert [action for action in changing if decide(narrow, action, ME).allowed] == []
    admin = with_token(ADMIN_ACTOR, *KNOWN_SCOPES, repository_ids=frozenset({10}))
    assert not decide(admin, Action.SITE_ADMINISTER, SITE).allowed


@pytest.mark.parametrize(
    ("actor", "action", "wanted"),
    [
        (ANONYMOUS, Action.SITE_VISIT, True),
        (ANONYMOUS, Action.SITE_SIGN_IN, True),
        (ANONYMOUS, Action.SITE_ADMINISTER, False),
        (OWNER_ACTOR, Action.SITE_ADMINISTER, False),
        (ADMIN_ACTOR, Action.SITE_ADMINISTER, True),
        (with_token(ADMIN_ACTOR, "repo"), Action.SITE_ADMINISTER, False),
        (with_token(ADMIN_ACTOR, "site_admin"), Action.SITE_ADMINISTER, True),
        (with_token(OWNER_ACTOR, "site_admin"), Action.SITE_ADMINISTER, False),
        (with_token(OWNER_ACTOR, *KNOWN_SCOPES), Action.SITE_SIGN_IN, False),
        (replace(ADMIN_ACTOR, is_suspended=True), Action.SITE_ADMINISTER, False),
    ],
)
def test_site_actions_by_actor(actor: Actor, action: Action, wanted: bool) -> None:
    assert decide(actor, action, SITE).allowed is wanted


def test_site_power_needs_an_administrator_at_the_keyboard_or_the_scope() -> None:
    assert has_site_power(ADMIN_ACTOR)
    assert has_site_power(with_token(ADMIN_ACTOR, "site_admin"))
    assert not has_site_power(with_token(ADMIN_ACTOR, "repo"))
    assert not has_site_power(OWNER_ACTOR)
    assert not has_site_power(ANONYMOUS)


def test_every_action_has_facts_and_is_granted_by_a_known_scope_or_none() -> None:
    assert set(FACTS) == set(Action)
    for action in Action:
        assert action.facts.meaning.endswith(".")
        assert action.facts.token_scopes <= KNOWN_SCOPES | {"(none)"}, action


async def test_a_role_read_from_the_database_is_the_member_itself(database: Database) -> None:
    """``decide`` compares with ``is``: a bare text would silently open or close everything."""
    async with database.write() as session:
        owner, friend = await make_account(session), await make_account(session)
        repository = await make_repository(session, owner, visibility=Visibility.INTERNAL)
        await grant(session, repository, friend, Role.WRITE)
        friend_actor = actor_of(friend)
    [found] = await scopes_of(database, friend_actor)
    assert found.visibility is Visibility.INTERNAL
    assert found.role is Role.WRITE
