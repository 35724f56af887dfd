"""Point queries are equal on all three databases, see what was committed and cannot write."""

from datetime import UTC, datetime, timedelta

import pytest

from cairn.base.clock import utc_now
from cairn.db.clock import as_utc
from cairn.db.database import (
    Database,
    DatabaseAway,
    PointQuery,
)
from cairn.git.models import Ref, Store
from cairn.jobs.models import Schedule

OID = "a" * 40


def _schedule(name: str) -> Schedule:
    return Schedule(name=name, last_due_at=utc_now())


async def test_a_point_query_gives_the_same_row_on_every_database(any_database: Database) -> None:
    moment = datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)
    async with any_database.write() as session:
        session.add(Store(id=7, head_target=b"refs/heads/m\xff", created_at=moment))
        session.add(Ref(store_id=7, name=b"refs/heads/m\xff", oid=OID, peeled=None))
        session.add(Ref(store_id=7, name=b"refs/tags/\xe2\x82\xac", oid=OID, peeled=OID))
    query = PointQuery(
        "SELECT s.id, s.head_target, s.created_at, r.oid, r.peeled FROM git_store s"
        " JOIN git_ref r ON r.store_id = s.id WHERE s.id = :id AND r.name = :name AND s.created_at <= :now"
    )
    row = await any_database.fetch(query, id=7, name=b"refs/heads/m\xff", now=moment)
    assert row is not None
    found = dict(row)
    assert as_utc(found.pop("created_at")) == moment
    assert found == {"id": 7, "head_target": b"refs/heads/m\xff", "oid": OID, "peeled": None}
    assert await any_database.fetch(query, id=7, name=b"refs/heads/M\xff", now=moment) is None
    assert (
        await any_database.fetch(query, id=7, name=b"refs/heads/m\xff", now=moment - timedelta(microseconds=1)) is None
    )
    every = PointQuery("SELECT name FROM git_ref WHERE store_id = :store AND name >= :low ORDER BY name")
    rows = await any_database.fetch_all(every, store=7, low=b"")
    assert [row["name"] for row in rows] == [b"refs/heads/m\xff", b"refs/tags/\xe2\x82\xac"]


async def test_a_point_query_sees_what_was_just_committed(any_database: Database) -> None:
    query = PointQuery("SELECT name FROM job_schedule WHERE name = :name")
    for number in range(20):
        async with any_database.write() as session:
            session.add(_schedule(f"s{number}"))
        assert await any_database.fetch(query, name=f"s{number}") == {"name": f"s{number}"}


async def test_a_point_query_cannot_write(any_database: Database) -> None:
    with pytest.raises(Exception, match=r"(?i)read.?only"):
        await any_database.fetch_all(PointQuery("DELETE FROM job_schedule WHERE name = :name"), name="x")


async def test_a_wrong_point_query_is_our_fault_not_the_database_s_absence(any_database: Database) -> None:
    with pytest.raises(Exception, match="no_such_table") as caught:
        await any_database.fetch(PointQuery("SELECT 1 FROM no_such_table WHERE 1 = :one"), one=1)
    assert not isinstance(caught.value, DatabaseAway)
