"""The ledger compares what is wanted with what is there, however many keys there are."""

from pathlib import Path

import pytest

from cairn.ops.backup import ledger as ledgers
from cairn.ops.backup.ledger import KeyLedger
from cairn.ops.backup.stored_keys import StoredKey


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyLedger:
    monkeypatch.setattr(ledgers, "PAGE_KEYS", 2)
    return KeyLedger(tmp_path / "ledger.db")


def _key(number: int, size: int | None = 5) -> StoredKey:
    return StoredKey(f"packs/{number:03}", size, None if size is None else "a" * 64)


def test_absent_is_what_is_not_there_or_not_of_its_size_or_not_described(ledger: KeyLedger) -> None:
    ledger.want([*(_key(number) for number in range(7)), _key(7, None)])
    ledger.find([("packs/000", 5), ("packs/001", 4), ("packs/002", 5), ("packs/007", 9), ("packs/999", 1)])
    assert [item.key for item in ledger.absent()] == [f"packs/{number:03}" for number in (1, 3, 4, 5, 6, 7)]
    assert ledger.absent_totals() == (6, 25)
    assert ledger.totals() == (8, 35)
    assert list(ledger.unwanted()) == [("packs/999", 1)]


def test_what_was_settled_is_there_and_described(ledger: KeyLedger) -> None:
    ledger.want([_key(1, None), _key(2)])
    ledger.settle([StoredKey("packs/001", 7, "b" * 64), _key(2)])
    assert list(ledger.absent()) == []
    assert list(ledger.wanted()) == [StoredKey("packs/001", 7, "b" * 64), _key(2)]


def test_a_row_is_believed_before_a_backup_and_a_backup_only_where_the_row_is_silent(ledger: KeyLedger) -> None:
    ledger.want([_key(1), _key(2, None)])
    ledger.describe([StoredKey("packs/001", 9, "c" * 64), StoredKey("packs/002", 9, "c" * 64), _key(3)])
    assert list(ledger.wanted()) == [_key(1), StoredKey("packs/002", 9, "c" * 64)]


def test_a_key_that_is_forgotten_is_wanted_no_more(ledger: KeyLedger) -> None:
    ledger.want([_key(1), _key(2)])
    ledger.forget("packs/001")
    assert [item.key for item in ledger.wanted()] == ["packs/002"]
