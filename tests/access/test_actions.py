"""Scopes imply others, and nothing implies upwards."""

from cairn.access.actions import KNOWN_SCOPES, effective_scopes


def test_a_scope_brings_what_it_implies_through_all_levels() -> None:
    found = effective_scopes(frozenset({"admin:public_key"}))
    assert found == {"admin:public_key", "write:public_key", "read:public_key"}


def test_a_narrow_scope_never_brings_a_wider_one() -> None:
    assert effective_scopes(frozenset({"public_repo"})) == {"public_repo"}
    assert effective_scopes(frozenset({"read:org"})) == {"read:org"}
    wide = {"repo", "delete_repo", "site_admin", "user"}
    for scope in KNOWN_SCOPES - wide:
        assert not effective_scopes(frozenset({scope})) & wide, scope


def test_no_scopes_are_no_rights() -> None:
    assert effective_scopes(frozenset()) == frozenset()
