"""A rotation reaches every sealed value of every table, may stop anywhere, and says what it could not open."""

import pytest
from sqlalchemy import LargeBinary, select
from tests.factories.accounts import LONG_AGO

from cairn.base.secret_box import SecretBox
from cairn.db.database import Database
from cairn.db.sealed_columns import Resealed, find_unreadable, reseal, sealed_columns
from cairn.identity.models import InstanceSecret
from cairn.mail.models import MailState, OutboxMail
from cairn.programs.schema import metadata

OLD, NEW, LOST = "o" * 32, "n" * 32, "l" * 32
RING = SecretBox([NEW, OLD])


async def _fill(database: Database, key: str, count: int, *, prefix: str = "secret") -> None:
    box = SecretBox([key])
    async with database.write() as session:
        for number in range(count):
            name = f"{prefix}-{number:03}"
            sealed = box.seal(name.encode(), table="instance_secret", column="sealed", row=name)
            session.add(InstanceSecret(name=name, sealed=sealed, created_at=LONG_AGO))
            mail_id = f"{prefix.encode().hex()}{number:04}".rjust(32, "0")[-32:]
            sealed = box.seal(b"{}", table="mail_outbox", column="sealed", row=mail_id)
            session.add(_mail(mail_id, sealed))


def _mail(mail_id: str, sealed: bytes | None) -> OutboxMail:
    return OutboxMail(
        id=mail_id, recipient="a@x.test", template="t", subject="s", sealed=sealed, state=MailState.KEPT,
        created_at=LONG_AGO,
    )  # fmt: skip


async def _rotate(database: Database) -> dict[str, Resealed]:
    found: dict[str, Resealed] = {}
    for column in sealed_columns():
        async for told in reseal(database, RING, column):
            found[told.name] = told
    return found


def test_every_column_that_holds_sealed_values_says_so() -> None:
    """A column that a feature adds and forgets to mark would be lost with the old key."""
    binary = {
        str(column)
        for table in metadata().tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary) and ("seal" in column.name or "secret" in column.name)
    }
    assert {str(column) for column in sealed_columns()} == binary
    assert {"instance_secret.sealed", "mail_outbox.sealed"} <= binary


async def test_everything_is_sealed_anew_and_the_old_key_may_go(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.db.sealed_columns.ROWS_AT_ONCE", 3)
    await _fill(any_database, OLD, 7)
    async with any_database.write() as session:
        session.add(_mail("f" * 32, None))  # sent: nothing is left to seal
    assert len(await find_unreadable(any_database, RING)) == 14
    told = await _rotate(any_database)
    assert (told["instance_secret.sealed"].seen, told["instance_secret.sealed"].changed) == (7, 7)
    assert told["mail_outbox.sealed"].changed == 7
    assert await find_unreadable(any_database, SecretBox([NEW])) == []
    async with any_database.read() as session:
        row = await session.get_one(InstanceSecret, "secret-003")
    assert SecretBox([NEW]).open(row.sealed, table="instance_secret", column="sealed", row=row.name) == b"secret-003"


async def test_a_stopped_rotation_goes_on_with_what_is_left(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.db.sealed_columns.ROWS_AT_ONCE", 2)
    await _fill(any_database, OLD, 5)
    [column] = [column for column in sealed_columns() if column.table.name == "instance_secret"]
    async for told in reseal(any_database, RING, column):
        assert told.changed == 2
        break
    told = (await _rotate(any_database))["instance_secret.sealed"]
    assert (told.seen, told.changed) == (5, 3)


async def test_what_no_key_opens_is_named_and_stays_as_it_is(any_database: Database) -> None:
    await _fill(any_database, LOST, 1, prefix="lost")
    await _fill(any_database, OLD, 1)
    told = (await _rotate(any_database))["instance_secret.sealed"]
    assert told.changed == 1
    [sentence] = told.unreadable
    assert "instance_secret.sealed of row lost-000 was sealed with another secret key" in sentence
    assert len(await find_unreadable(any_database, RING)) == 2
    async with any_database.read() as session:
        sealed = await session.scalar(select(InstanceSecret.sealed).where(InstanceSecret.name == "lost-000"))
    assert sealed is not None
    assert SecretBox([LOST]).open(sealed, table="instance_secret", column="sealed", row="lost-000") == b"lost-000"
