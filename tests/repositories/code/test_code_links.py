"""Addresses of code keep names as they are."""

from cairn.git.types import Oid
from cairn.repositories.code.code_links import code_url
from cairn.repositories.code.revisions import Revision, RevisionKind


def test_an_address_keeps_every_byte_of_a_branch_and_a_path() -> None:
    revision = Revision(RevisionKind.BRANCH, b"feature/x%", Oid("1" * 40))
    assert code_url("/ada/engine", "blob", revision, b"a b/\xff#?") == "/ada/engine/blob/feature/x%25/a%20b/%FF%23%3F"
    assert code_url("/ada/engine", "tree", revision, b"") == "/ada/engine/tree/feature/x%25"
