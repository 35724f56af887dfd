"""The declarative base and the column types that mean the same on PostgreSQL, MySQL/MariaDB and SQLite.

The types are frozen: schema versions use them by name, so a changed meaning would change what old versions did. Where
a column must become something else, add a type and write a version that changes the column.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, LargeBinary, MetaData, String
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Every table of Cairn. MySQL tables are InnoDB with binary text collation: ``Main`` is not ``main``."""

    metadata = MetaData(naming_convention=NAMING)


MYSQL_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
"""``__table_args__`` every table ends with; MariaDB reads the ``mysql_`` options too."""

NUMBERED_TABLE: dict[str, Any] = MYSQL_TABLE | {"sqlite_autoincrement": True}
"""The same for a table with a ``BigId``: an id is never given twice. SQLite alone would hand a deleted row's out again,
and with it what others still keep under that id: cached answers, objects in the bucket, grants, pushes."""

SEALED: dict[str, Any] = {"sealed": True}
"""``info`` of a column that holds what ``SecretBox`` sealed for this table, column and (as text) primary key.

A rotation of keys finds what to seal anew by it."""

BigId = BigInteger().with_variant(Integer(), "sqlite")
"""A row id the database hands out; on SQLite only INTEGER primary keys number themselves."""

OID = String(40).with_variant(mysql.CHAR(40, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
"""An object id: 40 lower-case hex digits."""

HexId = String(32).with_variant(mysql.CHAR(32, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
"""A random id from ``cairn.base.ids.random_id``."""

HashHex = String(64).with_variant(mysql.CHAR(64, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
"""A SHA-256 as 64 hex digits."""


def binary(length: int) -> LargeBinary:
    """Return a byte column that compares bytewise everywhere: ref names, paths.

    Only MariaDB enforces ``length``, so callers check it before they write.
    """
    return LargeBinary(length).with_variant(mysql.VARBINARY(length), "mysql", "mariadb")


class EnumText(TypeDecorator[StrEnum]):
    """A StrEnum kept as its text and read back as its member, so that ``is`` and ``match`` may be trusted.

    A value the enum does not know is a programming error or a newer program's row: reading it raises ValueError.
    """

    impl = String
    cache_ok = True

    def __init__(self, kind: type[StrEnum], length: int) -> None:
        super().__init__(length)
        self.kind = kind
        self.length = length

    def process_bind_param(self, value: StrEnum | str | None, dialect: Dialect) -> str | None:
        """Write the member's text."""
        return None if value is None else self.kind(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        """Return the member."""
        return None if value is None else self.kind(value)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime with microseconds; a naive one is a programming error."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:  # noqa: ANN401 (SQLAlchemy's own signature)
        """Keep the offset where the database can, microseconds where it must be asked for."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the driver what its column keeps."""
        if value is None:
            return None
        assert value.tzinfo is not None, "a naive datetime must not reach the database"
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware datetime whatever the driver gave."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
