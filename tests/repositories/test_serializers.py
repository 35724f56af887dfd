"""Addresses as the API writes them; whole objects are held to GitHub's shape in ``test_api``."""

from types import SimpleNamespace
from typing import Any

from tests.web.support import ORIGIN

from cairn.access.roles import Role
from cairn.repositories.serializers import links_of, role_permissions_json


def context() -> Any:
    return SimpleNamespace(settings=SimpleNamespace(origin=ORIGIN))


def test_addresses_carry_the_configured_origin_port_included() -> None:
    links = links_of(context(), "ada", "engine")
    assert links.api == f"{ORIGIN}/api/v3/repos/ada/engine"
    assert links.git("trees", "1" * 40) == f"{ORIGIN}/api/v3/repos/ada/engine/git/trees/{'1' * 40}"


def test_paths_and_refs_are_encoded_by_their_bytes() -> None:
    links = links_of(context(), "ada", "engine")
    assert links.contents(b"a b/\xff?#", b"feature/x&y") == f"{links.api}/contents/a%20b/%FF%3F%23?ref=feature%2Fx%26y"
    assert links.contents(b"", b"main") == f"{links.api}/contents?ref=main"
    assert links.page("blob", b"feature/x", b"a%b") == f"{links.html}/blob/feature/x/a%25b"
    assert links.page("tree", b"main", b"") == f"{links.html}/tree/main"


def test_a_role_is_the_flags_up_to_it() -> None:
    assert role_permissions_json(Role.WRITE) == {
        "admin": False,
        "maintain": False,
        "push": True,
        "triage": True,
        "pull": True,
    }
