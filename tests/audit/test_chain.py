"""Hashes cover everything, in a form that will be the same next year."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from cairn.audit.chain import entries_hash, entry_hash, make_leaves, matches_leaf, read_leaves
from cairn.audit.models import AuditEntry

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def _entry(**values: object) -> AuditEntry:
    known: dict[str, object] = {
        "id": 7, "at": AT, "actor_id": 1, "actor": "ada", "action": "a", "target": "t", "account_id": None,
        "organization_id": None, "repository_id": None, "address": "", "user_agent": "", "request_id": "",
        "details": {"b": "é", "a": "1"}, "changes": None,
    }  # fmt: skip
    return AuditEntry(**(known | values))


def test_the_form_of_the_hash_never_changes() -> None:
    """Seals made today must verify with every later version."""
    assert entry_hash(_entry()).hex() == "16244d8f33c00a4434ea04ee8d642d811c3eaeca2d2af8bd71fa67951f910c0d"


def test_every_column_counts() -> None:
    others: dict[str, object] = {
        "id": 8, "at": AT + timedelta(microseconds=1), "actor_id": None, "actor": "eve", "action": "b", "target": "u",
        "account_id": 1, "organization_id": 1, "repository_id": 1, "address": "::1", "user_agent": "git",
        "request_id": "f", "details": {}, "changes": {"a": ["b", "c"]},
    }  # fmt: skip
    assert set(others) == set(AuditEntry.__table__.columns.keys())
    hashes = {entry_hash(_entry(**{name: value})) for name, value in others.items()}
    assert len(hashes | {entry_hash(_entry())}) == len(others) + 1


def test_neither_the_order_of_details_nor_the_zone_of_the_time_matters() -> None:
    east = AT.astimezone(timezone(timedelta(hours=5)))
    assert entry_hash(_entry(details={"a": "1", "b": "é"}, at=east)) == entry_hash(_entry())


@given(st.lists(st.tuples(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32)), max_size=20))
def test_leaves_read_back(hashes: list[tuple[int, bytes]]) -> None:
    leaves = list(read_leaves(make_leaves(hashes)))
    assert [entry_id for entry_id, _ in leaves] == [entry_id for entry_id, _ in hashes]
    assert all(matches_leaf(hashed, leaf) for (_, hashed), (_, leaf) in zip(hashes, leaves, strict=True))
    assert entries_hash(hashes) != entries_hash([*hashes, (1, b"\0" * 32)])
