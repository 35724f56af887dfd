"""Permissions of fine-grained tokens: levels are ordered, and every token can at least name what it reaches."""

from cairn.access.permissions import PERMISSIONS, Level, PermissionKind, expand


def test_writing_brings_reading_along_and_never_the_other_way() -> None:
    assert expand({"contents": "write"}) == {"contents:write", "contents:read", "metadata:read"}
    assert expand({"contents": "read"}) == {"contents:read", "metadata:read"}
    assert expand({}) == {"metadata:read"}


def test_a_permission_that_only_writes_has_no_reading_level() -> None:
    assert PERMISSIONS["profile"].levels == (Level.WRITE,)
    assert expand({"profile": "write"}) == {"profile:write", "metadata:read"}


def test_every_permission_says_what_it_is_about() -> None:
    assert {facts.kind for facts in PERMISSIONS.values()} == set(PermissionKind)
    for name, facts in PERMISSIONS.items():
        assert facts.meaning.endswith("."), name
        assert facts.levels, name
