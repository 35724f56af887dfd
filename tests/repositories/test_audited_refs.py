"""An entry names the refs that moved, up to a bound, and says how many more there are."""

from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import Oid
from cairn.repositories.audited_refs import AUDITED_REFS_MAX, audited_refs

OLD, NEW = Oid("a" * 40), Oid("b" * 40)


def moves(count: int) -> list[RefUpdate]:
    return [RefUpdate(b"refs/heads/%03d" % number, OLD, NEW) for number in range(count)]


def test_refs_are_named_with_both_ids() -> None:
    assert audited_refs([RefUpdate(b"refs/heads/caf\xe9", OLD, NEW)]) == {r"refs/heads/caf\xe9": f"{OLD} {NEW}"}
    assert "more" not in audited_refs(moves(AUDITED_REFS_MAX))


def test_beyond_the_bound_the_rest_is_counted() -> None:
    details = audited_refs(moves(AUDITED_REFS_MAX + 3))
    assert (len(details), details["more"]) == (AUDITED_REFS_MAX + 1, "3")
    assert f"refs/heads/{AUDITED_REFS_MAX - 1:03}" in details
