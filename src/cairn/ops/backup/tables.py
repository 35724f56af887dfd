"""What of the database goes into a backup, and in which form: the same for all three databases.

A dumped table describes itself (columns, kinds, key), so that a newer program reads it without the models it was made
with, and the values mean the same whatever database they came from or go to.
"""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TableClause,
    column,
    exists,
    or_,
    table,
    true,
)
from sqlalchemy.types import TypeEngine

from cairn.base.errors import CairnError
from cairn.db.base import EnumText, UtcDateTime
from cairn.git.models import ManifestEntry, PackState

EXCLUDED = {
    "backup_run": "tells of the target, which tells of itself",
    "git_pin": "spares packs of the object store the backup was made beside, for runs that ended with it",
    "git_undo_pack": "what collections dropped: nothing reaches it, and it expires while it would be copied",
    "git_index": "commit-graphs and bitmaps, made from the packs; the worker makes them again",
    "git_bucket_comparison": "found in one object store at one time; a restore sets its own hold",
}
"""Tables that no backup has, each with the reason."""


class Kind(StrEnum):
    """What a column's values are, in words that all three databases share."""

    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    TEXT = "text"
    BYTES = "bytes"
    TIME = "time"
    JSON = "json"


class ColumnNotPortable(CairnError):
    """A column has a type that ``Kind`` has no word for: add one before the column is released."""


class DumpedColumn(msgspec.Struct, frozen=True, kw_only=True):
    """One column. ``is_late``: it refers to rows that are loaded later, so it is filled in when they all are there."""

    name: str
    kind: Kind
    is_nullable: bool
    is_late: bool = False
    is_sealed: bool = False
    """Its values are ``base.secret_box``'s."""


class DumpedTable(msgspec.Struct, frozen=True, kw_only=True):
    """One table as a dump describes it. ``numbered`` is the column the database counts by itself, if there is one."""

    name: str
    columns: tuple[DumpedColumn, ...]
    key: tuple[str, ...]
    numbered: str = ""


def describe_all(metadata: MetaData) -> list[DumpedTable]:
    """Return every table of a backup, those that others refer to first."""
    order = [found for found in metadata.sorted_tables if found.name not in EXCLUDED]
    places = {found.name: place for place, found in enumerate(order)}
    return [_describe(found, places) for found in order]


def light_table(description: DumpedTable) -> TableClause:
    """Return the table for statements that know nothing but the description."""
    return table(description.name, *(column(item.name, _type_of(item)) for item in description.columns))


def rows_kept(source: TableClause) -> ColumnElement[bool]:
    """Return which rows of a table go into a backup.

    Packs that no manifest names any more are left out: their bytes may go while the others are copied.
    """
    if source.name != "git_pack":
        return true()
    named = exists().where(
        ManifestEntry.pack_store_id == source.columns["store_id"], ManifestEntry.pack_id == source.columns["id"]
    )
    return or_(source.columns["state"] == PackState.LIVE.value, named)


def encoders(description: DumpedTable) -> list[Callable[[Any], object]]:
    """Return for each column what makes its values fit into JSON; None stays None."""
    return [_ENCODERS.get(item.kind, _same) for item in description.columns]


def decoders(description: DumpedTable) -> list[Callable[[Any], object]]:
    """Return for each column what ``encoders`` is undone by."""
    return [_DECODERS.get(item.kind, _same) for item in description.columns]


def kind_of(kind: TypeEngine[Any]) -> Kind:
    """Return what the values of a column of this type are; ColumnNotPortable if there is no word for it."""
    for found, types in _KINDS:
        if isinstance(kind, types):
            return found
    raise ColumnNotPortable(f"a backup cannot hold values of the type {type(kind).__name__}")


def _describe(found: Table, places: dict[str, int]) -> DumpedTable:
    place = places[found.name]
    late = {
        key.parent.name
        for key in found.foreign_keys
        if places.get(key.column.table.name, -1) >= place  # to rows of its own, or to a table further on
    }
    return DumpedTable(
        name=str(found.name),
        columns=tuple(
            DumpedColumn(
                name=str(item.name),
                kind=kind_of(item.type),
                is_nullable=bool(item.nullable),
                is_late=item.name in late,
                is_sealed=bool(item.info.get("sealed")),
            )
            for item in found.columns
        ),
        key=tuple(str(item.name) for item in found.primary_key.columns),
        numbered=_numbered(found),
    )


def _numbered(found: Table) -> str:
    counted = found.autoincrement_column
    return "" if counted is None or counted.foreign_keys else str(counted.name)


_KINDS: Sequence[tuple[Kind, Any]] = (
    (Kind.BOOLEAN, Boolean),
    (Kind.INTEGER, (Integer, BigInteger)),
    (Kind.FLOAT, Float),
    (Kind.TIME, UtcDateTime),
    (Kind.JSON, JSON),
    (Kind.BYTES, LargeBinary),
    (Kind.TEXT, (String, EnumText)),
)


def _type_of(item: DumpedColumn) -> TypeEngine[Any]:
    match item.kind:
        case Kind.INTEGER:
            return BigInteger()
        case Kind.FLOAT:
            return Float()
        case Kind.BOOLEAN:
            return Boolean()
        case Kind.TEXT:
            return String()
        case Kind.BYTES:
            return LargeBinary()
        case Kind.TIME:
            return UtcDateTime()
        case Kind.JSON:
            # In a column that may be NULL nothing is NULL; in one that may not it is JSON's own null.
            return JSON(none_as_null=item.is_nullable)


def _same(value: Any) -> object:  # noqa: ANN401 (a value of any column)
    return value


# JSON inside JSON: as text it keeps what a strict encoder would refuse, such as half a surrogate pair.
_ENCODERS: dict[Kind, Callable[[Any], object]] = {
    Kind.BYTES: lambda value: None if value is None else base64.b64encode(bytes(value)).decode("ascii"),
    Kind.TIME: lambda value: None if value is None else value.isoformat(timespec="microseconds"),
    Kind.JSON: lambda value: None if value is None else json.dumps(value, separators=(",", ":")),
}
_DECODERS: dict[Kind, Callable[[Any], object]] = {
    Kind.BYTES: lambda value: None if value is None else base64.b64decode(value, validate=True),
    Kind.TIME: lambda value: None if value is None else datetime.fromisoformat(value),
    Kind.JSON: lambda value: None if value is None else json.loads(value),
}
