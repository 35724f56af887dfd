from cairn.access.actions import FACTS, IMPLIED_SCOPES, KNOWN_SCOPES
from cairn.identity.scope_choices import SCOPE_CHOICES, choices_for


def test_every_choice_is_a_scope_and_its_parent_brings_it_along() -> None:
    for choice in SCOPE_CHOICES:
        assert choice.name in KNOWN_SCOPES
        assert not choice.parent or choice.name in IMPLIED_SCOPES[choice.parent]


def test_every_scope_that_an_action_asks_for_can_be_chosen() -> None:
    asked = {scope for facts in FACTS.values() for scope in facts.token_scopes} - {"(none)"}
    assert asked <= {choice.name for choice in SCOPE_CHOICES}


def test_only_administrators_are_offered_the_sites_power() -> None:
    assert "site_admin" not in {choice.name for choice in choices_for(is_site_admin=False)}
    assert "site_admin" in {choice.name for choice in choices_for(is_site_admin=True)}
