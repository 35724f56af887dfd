"""Every table is in a backup, or it stands on the list of those that are not, with a reason."""

import msgspec
import pytest
from sqlalchemy import Column, ForeignKey, Integer, Interval, MetaData, Table

from cairn.ops.backup.stored_keys import SOURCES
from cairn.ops.backup.tables import (
    EXCLUDED,
    ColumnNotPortable,
    DumpedTable,
    Kind,
    decoders,
    describe_all,
    encoders,
    kind_of,
)
from cairn.programs.schema import metadata


def test_every_table_is_dumped_or_excluded_for_a_reason() -> None:
    dumped = {table.name for table in describe_all(metadata())}
    assert dumped | set(EXCLUDED) == set(metadata().tables)
    assert not dumped & set(EXCLUDED)
    assert all(len(reason) > 20 for reason in EXCLUDED.values())


def test_every_column_is_described_and_has_a_kind() -> None:
    for table in describe_all(metadata()):
        found = metadata().tables[table.name]
        assert [column.name for column in table.columns] == [column.name for column in found.columns]
        assert table.key == tuple(column.name for column in found.primary_key.columns)


def test_a_table_comes_after_those_it_refers_to_and_what_cannot_is_filled_in_late() -> None:
    tables = describe_all(metadata())
    places = {table.name: place for place, table in enumerate(tables)}
    for table in tables:
        late = {column.name for column in table.columns if column.is_late}
        for key in metadata().tables[table.name].foreign_keys:
            if key.parent.name not in late:
                assert places[key.column.table.name] < places[table.name]
        for column in table.columns:
            assert column.is_nullable or not column.is_late, f"{table.name}.{column.name} could not be loaded"


def test_a_column_that_refers_to_its_own_table_is_late() -> None:
    tables = MetaData()
    Table("a", tables, Column("id", Integer, primary_key=True), Column("up", Integer, ForeignKey("a.id")))
    [table] = describe_all(tables)
    assert [column.is_late for column in table.columns] == [False, True]
    assert table.numbered == "id"


def test_a_type_that_has_no_word_is_refused_by_name() -> None:
    with pytest.raises(ColumnNotPortable, match="Interval"):
        kind_of(Interval())


def test_every_kind_is_used_or_known_and_a_description_survives_its_manifest() -> None:
    tables = describe_all(metadata())
    kinds = {column.kind for table in tables for column in table.columns}
    assert kinds <= set(Kind)
    assert msgspec.json.decode(msgspec.json.encode(tables), type=list[DumpedTable]) == tables
    for table in tables:
        assert len(encoders(table)) == len(decoders(table)) == len(table.columns)


NAMES_NO_OBJECT = {
    ("git_purged_pack", "key"): "its bytes are deleted, that is what the row says",
    ("git_upload", "keys"): "what was never landed; a restore lets it expire",
    ("lfs_upload", "key"): "what never arrived whole; a restore lets it expire",
}
"""Columns that look like storage keys in tables of a backup and need no copy, each with the reason."""


def test_every_column_that_names_objects_is_known_to_the_copying() -> None:
    known = {(source.table, file.key) for source in SOURCES for file in source.files}
    for table in describe_all(metadata()):
        for column in table.columns:
            if column.name in {"key", "keys"} or column.name.endswith(("storage_key", "object_key", "avatar_id")):
                place = (table.name, column.name)
                assert place in known or place in NAMES_NO_OBJECT, f"{place} wants a line in stored_keys.SOURCES"
    for source in SOURCES:
        columns = metadata().tables[source.table].columns
        for file in source.files:
            assert {name for name in (file.key, file.size, file.sha256) if name} <= set(columns.keys())
