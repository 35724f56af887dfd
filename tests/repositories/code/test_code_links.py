"""Addresses of code keep names as they are."""

import pytest

from cairn.git.types import Oid
from cairn.repositories.code.code_links import code_url, link_target
from cairn.repositories.code.revisions import Revision, RevisionKind


def test_an_address_keeps_every_byte_of_a_branch_and_a_path() -> None:
    revision = Revision(RevisionKind.BRANCH, b"feature/x%", Oid("1" * 40))
    assert code_url("/ada/engine", "blob", revision, b"a b/\xff#?") == "/ada/engine/blob/feature/x%25/a%20b/%FF%23%3F"
    assert code_url("/ada/engine", "tree", revision, b"") == "/ada/engine/tree/feature/x%25"


@pytest.mark.parametrize(
    ("path", "target", "leads_to"),
    [
        (b"a/link", b"../b", b"b"),
        (b"a/link", b"c/./d", b"a/c/d"),
        (b"link", b".hidden", b".hidden"),
        (b"a/link", b"..", b""),
        (b"link", b".", b""),
        (b"link", b"..x", b"..x"),
        (b"link", b"../x", None),
        (b"a/link", b"../../x", None),
        (b"link", b"/etc/passwd", None),
        (b"link", b"", None),
        (b"link", b"a\0b", None),
    ],
)
def test_a_link_leads_nowhere_outside_of_its_repository(path: bytes, target: bytes, leads_to: bytes | None) -> None:
    assert link_target(path, target) == leads_to
