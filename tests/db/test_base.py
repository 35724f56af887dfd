"""The column types mean the same on all three databases, to the byte and the microsecond."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from cairn.base.clock import utc_now
from cairn.db.database import (
    Database,
)
from cairn.git.models import REF_NAME_BYTES_MAX, Ref, Store
from cairn.identity.models import InstanceSecret
from cairn.jobs.models import Schedule
from cairn.programs.schema import metadata

OID = "a" * 40


def _schedule(name: str) -> Schedule:
    return Schedule(name=name, last_due_at=utc_now())


@pytest.mark.parametrize(
    "names",
    [
        [b"refs/heads/Main", b"refs/heads/main", b"refs/heads/MAIN"],
        ["refs/heads/é".encode(), "refs/heads/e\u0301".encode()],
        [b"a", b"a ", b"a  ", b"a\x00", b"a\t"],
        [b"\xff\xfe", b"\x80", b"\xc3\x28"],
        [b"x" * REF_NAME_BYTES_MAX, b"x" * (REF_NAME_BYTES_MAX - 1)],
        ["ß".encode(), b"ss", "ẞ".encode()],
    ],
    ids=["case", "normal form", "trailing blanks", "not UTF-8", "1,000 bytes", "sharp s"],
)
async def test_ref_names_are_bytes_and_nothing_else(any_database: Database, names: list[bytes]) -> None:
    """C6: what another database would take for the same name is another name here."""
    async with any_database.write() as session:
        session.add_all([Ref(store_id=1, name=name, oid=f"{n:040x}") for n, name in enumerate(names)])
    async with any_database.read() as session:
        in_order = list(await session.scalars(select(Ref.name).where(Ref.store_id == 1).order_by(Ref.name)))
        assert in_order == sorted(names)
        for number, name in enumerate(names):
            oids = list(await session.scalars(select(Ref.oid).where(Ref.store_id == 1, Ref.name == name)))
            assert oids == [f"{number:040x}"]
    with pytest.raises(IntegrityError):
        async with any_database.write() as session:
            session.add(Ref(store_id=1, name=names[0], oid=OID))


@pytest.mark.parametrize("text_", ["Main", "é", "\U0001f980"])
async def test_text_compares_exactly_too(any_database: Database, text_: str) -> None:
    """But for blanks at its end, which MariaDB does not count: names are checked to have none."""
    async with any_database.write() as session:
        session.add(_schedule(text_))
    async with any_database.read() as session:
        for other in (text_.swapcase(), "e\u0301"):
            found = list(await session.scalars(select(Schedule.name).where(Schedule.name == other)))
            assert found == ([text_] if other == text_ else [])


async def test_large_bytes_come_back_whole(any_database: Database) -> None:
    sealed = bytes(range(256)) * 255
    async with any_database.write() as session:
        session.add(InstanceSecret(name="x", sealed=sealed, created_at=utc_now()))
    async with any_database.read() as session:
        assert await session.scalar(select(InstanceSecret.sealed)) == sealed


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        datetime(2024, 7, 1, tzinfo=UTC),
    ],
)
async def test_times_come_back_as_they_were_to_the_microsecond(any_database: Database, moment: datetime) -> None:
    async with any_database.write() as session:
        session.add(Schedule(name="x", last_due_at=moment))
    async with any_database.read() as session:
        assert await session.scalar(select(Schedule.last_due_at)) == moment
        for shift, expected in ((-1, 0), (0, 1), (1, 1)):
            edge = moment + timedelta(microseconds=shift)
            assert await session.scalar(select(func.count()).where(Schedule.last_due_at <= edge)) == expected


async def test_a_row_id_is_never_given_twice(any_database: Database) -> None:
    """What others keep under an id (cached answers, grants, packs) must not fall to the next row."""
    ids = []
    for _ in range(3):
        async with any_database.write() as session:
            store = Store(head_target=b"refs/heads/main", created_at=utc_now())
            session.add(store)
            await session.flush()
            ids.append(store.id)
            await session.delete(store)
    assert len(set(ids)) == 3


def test_every_numbered_table_says_so() -> None:
    for table in metadata().tables.values():
        is_numbered = table.autoincrement_column is not None
        assert table.dialect_options["sqlite"]["autoincrement"] is is_numbered, table.name
