"""Scopes say what an action is done to, and the rule keeps the kinds of them apart."""

from dataclasses import fields, replace

import pytest

from cairn.access.actions import Action
from cairn.access.decide import decide
from cairn.access.roles import Role, Visibility
from cairn.access.scopes import SITE, AccountScope, RepositoryScope, SiteScope
from cairn.base.actor import Actor, ActorKind

ADA = Actor(ActorKind.USER, 1, "ada")
HERS = RepositoryScope(repository_id=7, owner_id=1, visibility=Visibility.PRIVATE, role=None)


def test_an_account_gives_nothing_on_the_repository_of_the_same_number() -> None:
    """Row ids of two tables overlap: account 7 must never stand for repository 7."""
    seventh = Actor(ActorKind.USER, 7, "seventh")
    assert decide(seventh, Action.ACCOUNT_EDIT, AccountScope(7)).allowed
    assert not decide(seventh, Action.REPOSITORY_READ, HERS).may_see
    assert decide(ADA, Action.REPOSITORY_PUSH, HERS).allowed
    assert not decide(ADA, Action.ACCOUNT_EDIT, AccountScope(HERS.repository_id)).allowed


def test_a_repository_is_writable_unless_it_is_said_to_be_archived() -> None:
    assert decide(ADA, Action.REPOSITORY_PUSH, HERS).allowed
    refused = decide(ADA, Action.REPOSITORY_PUSH, replace(HERS, is_archived=True))
    assert not refused.allowed
    assert "archived" in refused.reason


def test_a_scope_cannot_change_between_the_decision_and_the_act() -> None:
    for scope in (HERS, AccountScope(1)):
        for field in fields(scope):
            with pytest.raises(AttributeError):
                setattr(scope, field.name, 2)
    assert replace(HERS) == HERS
    assert replace(HERS, role=Role.READ) != HERS


def test_there_is_one_site() -> None:
    assert SiteScope() == SITE
    assert decide(ADA, Action.SITE_VISIT, SITE).allowed
