"""The rule: what every kind of actor may do to every kind of thing, action by action."""

from dataclasses import replace

import pytest
from tests.factories.accounts import with_token
from tests.factories.actors import deploy_key, fine_grained

from cairn.access.actions import FACTS, KNOWN_SCOPES, Action, Resource
from cairn.access.decide import decide, effective_role, has_site_power, require
from cairn.access.permissions import PERMISSIONS
from cairn.access.roles import OrganizationRole, Role, TeamPrivacy, TeamRole, Visibility
from cairn.access.scopes import SITE, AccountScope, OrganizationScope, RepositoryScope, Scope, TeamScope
from cairn.base.actor import ANONYMOUS, SYSTEM, Actor, ActorKind
from cairn.base.errors import Forbidden, NotFound, Unauthenticated

OWNER, STRANGER, ADMIN = 1, 2, 3
OWNER_ACTOR = Actor(ActorKind.USER, OWNER, "owner")
STRANGER_ACTOR = Actor(ActorKind.USER, STRANGER, "stranger")
ADMIN_ACTOR = Actor(ActorKind.USER, ADMIN, "admin", is_site_admin=True)
REPOSITORY_ACTIONS = [action for action in Action if action.facts.resource is Resource.REPOSITORY]


def scope(
    visibility: Visibility = Visibility.PRIVATE, role: Role | None = None, *, is_archived: bool = False
) -> RepositoryScope:
    return RepositoryScope(10, OWNER, visibility, role, is_archived)


S, R, T, P, M, A, D = (
    Action.REPOSITORY_SEE,
    Action.REPOSITORY_READ,
    Action.REPOSITORY_TRIAGE,
    Action.REPOSITORY_PUSH,
    Action.REPOSITORY_MAINTAIN,
    Action.REPOSITORY_ADMINISTER,
    Action.REPOSITORY_DELETE,
)
K, L, G = Action.REPOSITORY_READ_KEYS, Action.REPOSITORY_EDIT_KEYS, Action.REPOSITORY_TRANSFER
READS = {S, R}
WRITES = READS | {T, P}
MAINTAINS = WRITES | {M}
ADMINISTERS = MAINTAINS | {A, K, L, G}
EVERYTHING = ADMINISTERS | {D}


def allowed(actor: Actor, where: RepositoryScope) -> set[Action]:
    return {action for action in REPOSITORY_ACTIONS if decide(actor, action, where).allowed}


@pytest.mark.parametrize(
    ("actor", "where", "wanted"),
    [
        (ANONYMOUS, scope(Visibility.PUBLIC), READS),
        (ANONYMOUS, scope(Visibility.INTERNAL), set()),
        (ANONYMOUS, scope(Visibility.PRIVATE), set()),
        (STRANGER_ACTOR, scope(Visibility.PUBLIC), READS),
        (STRANGER_ACTOR, scope(Visibility.INTERNAL), READS),
        (STRANGER_ACTOR, scope(Visibility.PRIVATE), set()),
        (STRANGER_ACTOR, scope(role=Role.READ), READS),
        (STRANGER_ACTOR, scope(role=Role.TRIAGE), READS | {T}),
        (STRANGER_ACTOR, scope(role=Role.WRITE), WRITES),
        (STRANGER_ACTOR, scope(role=Role.MAINTAIN), MAINTAINS),
        (STRANGER_ACTOR, scope(role=Role.ADMIN), EVERYTHING),
        (OWNER_ACTOR, scope(), EVERYTHING),
        (OWNER_ACTOR, scope(is_archived=True), EVERYTHING - {T, P, M}),
        (ADMIN_ACTOR, scope(), EVERYTHING),
        (SYSTEM, scope(is_archived=True), EVERYTHING),
        (replace(OWNER_ACTOR, is_suspended=True), scope(Visibility.PUBLIC), set()),
        (replace(ADMIN_ACTOR, is_suspended=True), scope(), set()),
        (with_token(OWNER_ACTOR), scope(Visibility.PUBLIC), READS),
        (with_token(OWNER_ACTOR), scope(), set()),
        (with_token(OWNER_ACTOR, "repo"), scope(), ADMINISTERS),
        (with_token(OWNER_ACTOR, "repo", "delete_repo"), scope(), EVERYTHING),
        (with_token(OWNER_ACTOR, "delete_repo"), scope(), set()),
        (with_token(OWNER_ACTOR, "public_repo"), scope(), set()),
        (with_token(OWNER_ACTOR, "public_repo"), scope(Visibility.INTERNAL), set()),
        (with_token(OWNER_ACTOR, "public_repo"), scope(Visibility.PUBLIC), ADMINISTERS),
        (with_token(OWNER_ACTOR, "repo", repository_ids=frozenset({10})), scope(), ADMINISTERS),
        (with_token(OWNER_ACTOR, "repo", repository_ids=frozenset({11})), scope(), set()),
        (with_token(OWNER_ACTOR, "repo", repository_ids=frozenset({11})), scope(Visibility.PUBLIC), READS),
        (with_token(OWNER_ACTOR, "repo", repository_ids=frozenset()), scope(), set()),
        (with_token(ADMIN_ACTOR, "repo"), scope(), set()),
        (with_token(ADMIN_ACTOR, "repo"), scope(Visibility.PUBLIC), READS),
        (with_token(ADMIN_ACTOR, "site_admin"), scope(), set()),
        (with_token(ADMIN_ACTOR, "repo", "site_admin"), scope(), ADMINISTERS),
        (with_token(STRANGER_ACTOR, "repo", "site_admin"), scope(), set()),
        (with_token(STRANGER_ACTOR, "repo"), scope(role=Role.WRITE), WRITES),
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
        if action.facts.resource in {Resource.ACCOUNT, Resource.ORGANIZATION, Resource.TEAM}
        and not action.value.partition(":")[2].startswith("read")
    ]
    assert {Action.ACCOUNT_EDIT_KEYS, Action.ORGANIZATION_EDIT_MEMBERS, Action.TEAM_EDIT} <= set(changing)
    for where in (ME, OrganizationScope(1, OrganizationRole.OWNER, True, True),
                  TeamScope(1, 1, TeamPrivacy.CLOSED, OrganizationRole.OWNER, TeamRole.MAINTAINER)):  # fmt: skip
        assert [action for action in changing if decide(narrow, action, where).allowed] == []
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


@pytest.mark.parametrize("visibility", Visibility)
def test_a_deploy_key_opens_its_repository_and_nothing_else(visibility: Visibility) -> None:
    """Attack: a machine's key, taken from the machine, tries everything else."""
    here, elsewhere = scope(visibility), replace(scope(visibility), repository_id=11)
    reading, writing = deploy_key(10), deploy_key(10, can_write=True)
    assert allowed(reading, here) == READS
    assert allowed(writing, here) == READS | {P}
    assert allowed(writing, replace(here, is_archived=True)) == READS
    with pytest.raises(Forbidden, match="only read"):
        require(reading, P, here)
    others: list[Scope] = [
        SITE,
        ME,
        OrganizationScope(1, OrganizationRole.OWNER, True, True),
        TeamScope(10, 1, TeamPrivacy.CLOSED, OrganizationRole.OWNER, TeamRole.MAINTAINER),
    ]
    for key in (reading, writing):
        assert allowed(key, elsewhere) == set()
        assert effective_role(key, elsewhere) is None
        for other in others:
            for action in Action:
                with pytest.raises(NotFound):
                    require(key, action, other)
    assert (effective_role(reading, here), effective_role(writing, here)) == (Role.READ, Role.WRITE)


THEIR_GUILD = 7
GUILD_REPOSITORY = RepositoryScope(20, THEIR_GUILD, Visibility.PRIVATE, Role.ADMIN)


@pytest.mark.parametrize(
    ("actor", "where", "wanted"),
    [
        (fine_grained(OWNER_ACTOR, OWNER, contents="read"), scope(), READS),
        (fine_grained(OWNER_ACTOR, OWNER, contents="write"), scope(), READS | {P}),
        (fine_grained(OWNER_ACTOR, OWNER), scope(), {S}),
        (fine_grained(OWNER_ACTOR, OWNER, issues="read"), scope(), {S}),
        (fine_grained(OWNER_ACTOR, OWNER, issues="write"), scope(), {S, T}),
        (fine_grained(OWNER_ACTOR, OWNER, administration="read"), scope(), {S, K}),
        (fine_grained(OWNER_ACTOR, OWNER, administration="write"), scope(), {S, M, A, K, L, G, D}),
        (fine_grained(OWNER_ACTOR, OWNER, members="write", profile="write"), scope(), {S}),
        # Selected repositories.
        (fine_grained(OWNER_ACTOR, OWNER, repository_ids=frozenset({10}), contents="write"), scope(), READS | {P}),
        (fine_grained(OWNER_ACTOR, OWNER, repository_ids=frozenset({11}), contents="write"), scope(), set()),
        # None: public ones only, to read.
        (fine_grained(OWNER_ACTOR, OWNER, repository_ids=frozenset(), contents="write"), scope(), set()),
        (
            fine_grained(OWNER_ACTOR, OWNER, repository_ids=frozenset(), contents="write"),
            scope(Visibility.PUBLIC),
            READS,
        ),
        # What belongs to another owner is out of reach, however strong the person's role is.
        (fine_grained(OWNER_ACTOR, OWNER, contents="write", administration="write"), GUILD_REPOSITORY, set()),
        (fine_grained(OWNER_ACTOR, THEIR_GUILD, contents="write"), GUILD_REPOSITORY, READS | {P}),
        (fine_grained(OWNER_ACTOR, THEIR_GUILD, contents="write"), scope(), set()),
        (fine_grained(OWNER_ACTOR, THEIR_GUILD, contents="write"), scope(Visibility.INTERNAL), set()),
        (fine_grained(OWNER_ACTOR, THEIR_GUILD, contents="write"), scope(Visibility.PUBLIC), READS),
        # A permission never gives what the person has not.
        (fine_grained(STRANGER_ACTOR, OWNER, contents="write", administration="write"), scope(), set()),
        (fine_grained(STRANGER_ACTOR, OWNER, contents="write"), scope(role=Role.READ), READS),
        (fine_grained(ADMIN_ACTOR, OWNER, contents="write", administration="write"), scope(), set()),
        (replace(fine_grained(OWNER_ACTOR, OWNER, contents="write"), is_suspended=True), scope(), set()),
    ],
)
def test_a_fine_grained_token_by_permission_owner_and_repository(
    actor: Actor, where: RepositoryScope, wanted: set[Action]
) -> None:
    assert allowed(actor, where) == wanted


def test_a_refused_permission_is_named() -> None:
    with pytest.raises(Forbidden, match="contents:write"):
        require(fine_grained(OWNER_ACTOR, OWNER, contents="read"), P, scope())
    with pytest.raises(Forbidden, match="no fine-grained token"):
        require(fine_grained(OWNER_ACTOR, OWNER, profile="write"), Action.ACCOUNT_EDIT_TOKENS, ME)


@pytest.mark.parametrize(
    ("actor", "action", "wanted"),
    [
        (fine_grained(OWNER_ACTOR, OWNER, profile="write"), Action.ACCOUNT_EDIT, True),
        (fine_grained(OWNER_ACTOR, THEIR_GUILD, profile="write"), Action.ACCOUNT_EDIT, False),
        (fine_grained(OWNER_ACTOR, OWNER, contents="write"), Action.ACCOUNT_EDIT, False),
        (fine_grained(OWNER_ACTOR, OWNER, git_ssh_keys="read"), Action.ACCOUNT_READ_KEYS, True),
        (fine_grained(OWNER_ACTOR, OWNER, git_ssh_keys="read"), Action.ACCOUNT_EDIT_KEYS, False),
        (fine_grained(OWNER_ACTOR, OWNER, git_ssh_keys="write"), Action.ACCOUNT_EDIT_KEYS, True),
        (fine_grained(OWNER_ACTOR, OWNER, administration="write"), Action.REPOSITORY_CREATE, True),
        (fine_grained(OWNER_ACTOR, OWNER, administration="write"), Action.ORGANIZATION_CREATE, False),
        (
            fine_grained(OWNER_ACTOR, OWNER, repository_ids=frozenset({10}), git_ssh_keys="write"),
            Action.ACCOUNT_EDIT_KEYS,
            False,
        ),
        (fine_grained(ADMIN_ACTOR, OWNER, profile="write"), Action.ACCOUNT_EDIT, False),
    ],
)
def test_account_actions_by_fine_grained_token(actor: Actor, action: Action, wanted: bool) -> None:
    assert decide(actor, action, ME).allowed is wanted


def test_no_fine_grained_token_administers_the_site() -> None:
    every = {name: facts.levels[-1].value for name, facts in PERMISSIONS.items()}
    strong = fine_grained(ADMIN_ACTOR, ADMIN, repository_ids=None, **every)
    assert not decide(strong, Action.SITE_ADMINISTER, SITE).allowed
    assert not decide(strong, Action.SITE_SIGN_IN, SITE).allowed


def guild(role: OrganizationRole | None, *, open_policies: bool = False) -> OrganizationScope:
    return OrganizationScope(THEIR_GUILD, role, open_policies, open_policies)


def team(
    role: TeamRole | None = None,
    *,
    organization_role: OrganizationRole | None = OrganizationRole.MEMBER,
    privacy: TeamPrivacy = TeamPrivacy.CLOSED,
) -> TeamScope:
    return TeamScope(70, THEIR_GUILD, privacy, organization_role, role)


ON_ORGANIZATIONS = [a for a in Action if a.facts.resource is Resource.ORGANIZATION] + [Action.REPOSITORY_CREATE]
OPEN = {Action.ORGANIZATION_READ}
MEMBERS = OPEN | {Action.ORGANIZATION_READ_PRIVATE, Action.ORGANIZATION_LEAVE}
NOBODY, MEMBER, GUILD_OWNER = None, OrganizationRole.MEMBER, OrganizationRole.OWNER
ANY = STRANGER_ACTOR


@pytest.mark.parametrize(
    ("actor", "where", "wanted"),
    [
        (ANONYMOUS, guild(NOBODY), OPEN),
        (ANY, guild(NOBODY, open_policies=True), OPEN),
        (ANY, guild(MEMBER), MEMBERS),
        (ANY, guild(MEMBER, open_policies=True), MEMBERS | {Action.TEAM_CREATE, Action.REPOSITORY_CREATE}),
        (ANY, guild(GUILD_OWNER), set(ON_ORGANIZATIONS)),
        (ADMIN_ACTOR, guild(NOBODY), set(ON_ORGANIZATIONS)),
        (SYSTEM, guild(NOBODY), set(ON_ORGANIZATIONS)),
        (replace(ANY, is_suspended=True), guild(GUILD_OWNER), set()),
        (with_token(ANY), guild(GUILD_OWNER), OPEN),
        (with_token(ANY, "repo"), guild(GUILD_OWNER), OPEN | {Action.REPOSITORY_CREATE}),
        (with_token(ANY, "read:org"), guild(GUILD_OWNER), OPEN | {Action.ORGANIZATION_READ_PRIVATE}),
        (
            with_token(ANY, "write:org"),
            guild(GUILD_OWNER),
            MEMBERS | {Action.ORGANIZATION_EDIT_MEMBERS, Action.TEAM_CREATE},
        ),
        (with_token(ANY, "admin:org"), guild(GUILD_OWNER), set(ON_ORGANIZATIONS) - {Action.REPOSITORY_CREATE}),
        (with_token(ANY, "admin:org"), guild(MEMBER), MEMBERS),
        (with_token(ADMIN_ACTOR, "admin:org"), guild(NOBODY), OPEN),
        (with_token(ADMIN_ACTOR, "admin:org", "site_admin"), guild(NOBODY), set(ON_ORGANIZATIONS)
         - {Action.REPOSITORY_CREATE}),
        (
            with_token(ANY, *KNOWN_SCOPES, repository_ids=frozenset({10})),
            guild(GUILD_OWNER),
            OPEN | {Action.ORGANIZATION_READ_PRIVATE},
        ),
        (fine_grained(ANY, THEIR_GUILD, members="read"), guild(GUILD_OWNER), OPEN | {Action.ORGANIZATION_READ_PRIVATE}),
        (fine_grained(ANY, STRANGER, members="write", organization_administration="write"), guild(GUILD_OWNER), OPEN),
        (
            fine_grained(ANY, THEIR_GUILD, organization_administration="write"),
            guild(GUILD_OWNER),
            OPEN | {Action.ORGANIZATION_EDIT, Action.ORGANIZATION_DELETE},
        ),
    ],
)  # fmt: skip
def test_organization_actions_by_actor(actor: Actor, where: OrganizationScope, wanted: set[Action]) -> None:
    assert {action for action in ON_ORGANIZATIONS if decide(actor, action, where).allowed} == wanted


TEAM_READ, TEAM_EDIT = Action.TEAM_READ, Action.TEAM_EDIT
SECRET = TeamPrivacy.SECRET


@pytest.mark.parametrize(
    ("actor", "where", "wanted"),
    [
        (ANONYMOUS, team(organization_role=NOBODY), set()),
        (ANY, team(organization_role=NOBODY), set()),
        (ANY, team(TeamRole.MAINTAINER, organization_role=NOBODY), set()),
        (ANY, team(), {TEAM_READ}),
        (ANY, team(privacy=SECRET), set()),
        (ANY, team(TeamRole.MEMBER, privacy=SECRET), {TEAM_READ}),
        (ANY, team(TeamRole.MAINTAINER, privacy=SECRET), {TEAM_READ, TEAM_EDIT}),
        (ANY, team(organization_role=GUILD_OWNER, privacy=SECRET), {TEAM_READ, TEAM_EDIT}),
        (ADMIN_ACTOR, team(organization_role=NOBODY, privacy=SECRET), {TEAM_READ, TEAM_EDIT}),
        (replace(ANY, is_suspended=True), team(TeamRole.MAINTAINER), set()),
        (with_token(ANY, "repo"), team(TeamRole.MAINTAINER), set()),
        (with_token(ANY, "read:org"), team(TeamRole.MAINTAINER), {TEAM_READ}),
        (with_token(ANY, "write:org"), team(TeamRole.MAINTAINER), {TEAM_READ, TEAM_EDIT}),
        (with_token(ANY, "write:org"), team(TeamRole.MEMBER), {TEAM_READ}),
        (with_token(ANY, "write:org", repository_ids=frozenset({10})), team(TeamRole.MAINTAINER), {TEAM_READ}),
        (fine_grained(ANY, THEIR_GUILD, members="write"), team(TeamRole.MAINTAINER), {TEAM_READ, TEAM_EDIT}),
        (fine_grained(ANY, STRANGER, members="write"), team(TeamRole.MAINTAINER), set()),
    ],
)
def test_team_actions_by_actor(actor: Actor, where: TeamScope, wanted: set[Action]) -> None:
    assert {action for action in (TEAM_READ, TEAM_EDIT) if decide(actor, action, where).allowed} == wanted


def test_a_team_that_may_not_be_seen_is_absent() -> None:
    for actor, where in [
        (ANONYMOUS, team(organization_role=NOBODY)),
        (ANY, team(organization_role=NOBODY)),
        (ANY, team(privacy=SECRET)),
        (with_token(ANY, "repo"), team(TeamRole.MAINTAINER)),
    ]:
        for action in (TEAM_READ, TEAM_EDIT):
            with pytest.raises(NotFound):
                require(actor, action, where)
    with pytest.raises(Forbidden):
        require(ANY, TEAM_EDIT, team())


def test_every_permission_an_action_wants_can_be_chosen() -> None:
    wanted = {action.facts.permission for action in Action} - {""}
    assert wanted <= {f"{name}:{level}" for name, facts in PERMISSIONS.items() for level in facts.levels}
    assert "contents:read" in wanted


def test_a_withheld_repository_is_absent_but_for_site_administrators() -> None:
    """Its owner, who lost the private parent, and everybody with a role or a deploy key see nothing there."""
    deploy = deploy_key(10, can_write=True)
    for visibility in Visibility:
        withheld = replace(scope(visibility, Role.ADMIN), is_withheld=True)
        for who in (OWNER_ACTOR, ANONYMOUS, deploy):
            assert not decide(who, Action.REPOSITORY_SEE, withheld).may_see
        assert decide(ADMIN_ACTOR, Action.REPOSITORY_READ, withheld).allowed
        assert decide(SYSTEM, Action.REPOSITORY_READ, withheld).allowed
