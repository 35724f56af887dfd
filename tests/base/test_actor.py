"""The actor: who asks, and what logs may call them."""

import dataclasses

import pytest

from cairn.base.actor import ANONYMOUS, SYSTEM, Actor, ActorKind, TokenLimits


@pytest.mark.parametrize(
    ("actor", "is_signed_in", "label"),
    [
        (ANONYMOUS, False, "anonymous"),
        (SYSTEM, False, "system"),
        (Actor(ActorKind.USER, 1, "ada"), True, "ada"),
        (Actor(ActorKind.USER, 1, "ada", is_suspended=True), True, "ada"),
        (Actor(ActorKind.USER, 1), True, "user"),
    ],
)
def test_an_actor_is_signed_in_only_as_a_user_and_has_a_label(actor: Actor, is_signed_in: bool, label: str) -> None:
    assert (actor.is_signed_in, actor.label) == (is_signed_in, label)


def test_nobody_is_an_administrator_or_limited_unless_it_is_said() -> None:
    for actor in (ANONYMOUS, SYSTEM, Actor(ActorKind.USER, 1, "ada")):
        assert not actor.is_site_admin
        assert actor.limits is None


def test_an_actor_cannot_be_changed_after_a_door_made_it() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ANONYMOUS.is_site_admin = True  # type: ignore[misc]  # the attempt is the test


def test_a_token_for_no_repository_is_not_one_for_every_repository() -> None:
    assert TokenLimits(frozenset()).repository_ids is None
    assert TokenLimits(frozenset(), frozenset()).repository_ids == frozenset()
