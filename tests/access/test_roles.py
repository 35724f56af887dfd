"""Roles are ordered: each includes the ones before it."""

from itertools import pairwise

from cairn.access.actions import Action, Resource
from cairn.access.roles import ACTIONS_OF_ROLE, RANKS, Role, roles_with, strongest


def test_each_role_includes_the_weaker_ones() -> None:
    for weaker, stronger in pairwise(Role):
        assert ACTIONS_OF_ROLE[weaker] <= ACTIONS_OF_ROLE[stronger]


def test_the_table_of_roles() -> None:
    own = {role: {action.value for action in ACTIONS_OF_ROLE[role]} for role in Role}
    assert own[Role.READ] == {"repository:see", "repository:read"}
    assert own[Role.TRIAGE] - own[Role.READ] == {"repository:triage"}
    assert own[Role.WRITE] - own[Role.TRIAGE] == {"repository:push"}
    assert own[Role.MAINTAIN] - own[Role.WRITE] == {"repository:maintain"}
    assert own[Role.ADMIN] - own[Role.MAINTAIN] == {
        "repository:administer",
        "repository:read_keys",
        "repository:edit_keys",
        "repository:transfer",
        "repository:delete",
    }


def test_the_strongest_role_wins_and_none_is_none() -> None:
    assert strongest(Role.WRITE, None, Role.ADMIN, Role.READ) is Role.ADMIN
    assert strongest(Role.TRIAGE, Role.READ) is Role.TRIAGE
    assert strongest(None, None) is strongest() is None
    assert sorted(Role, key=RANKS.__getitem__) == list(Role)


def test_roles_hold_all_repository_actions_and_no_other() -> None:
    wanted = {action for action in Action if action.facts.resource is Resource.REPOSITORY}
    assert ACTIONS_OF_ROLE[Role.ADMIN] == wanted


def test_roles_with_an_action_come_weakest_first() -> None:
    assert roles_with(Action.REPOSITORY_PUSH) == [Role.WRITE, Role.MAINTAIN, Role.ADMIN]
    assert roles_with(Action.SITE_VISIT) == []
