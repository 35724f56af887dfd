"""Last-used times are written apart, never backwards, and a session in use lives on."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.factories.accounts import LONG_AGO, make_account

from cairn.base.origin import Origin, bind_origin
from cairn.db.database import Database
from cairn.identity import last_used as module
from cairn.identity.last_used import LastUsed, Used
from cairn.identity.models import Session, SshKey, Token


async def make_credentials(database: Database) -> tuple[int, int]:
    async with database.write() as session:
        account = await make_account(session)
        token = Token(account_id=account.id, token_sha256="t", name="t", last_characters="", scopes=[],
                      created_at=LONG_AGO)  # fmt: skip
        key = SshKey(account_id=account.id, fingerprint="f", algorithm="", public_key="", title="", created_at=LONG_AGO)
        session.add_all([token, key])
        session.add(
            Session(cookie_sha256="s", account_id=account.id, created_at=LONG_AGO, last_used_at=LONG_AGO,
                    expires_at=LONG_AGO, address="", user_agent="")
        )  # fmt: skip
        await session.flush()
        return token.id, key.id


async def test_uses_are_written_by_a_flush_and_extend_the_session(database: Database) -> None:
    token_id, key_id = await make_credentials(database)
    seconds = [100.0]
    last_used = LastUsed(session_lifetime=timedelta(days=3), clock=lambda: seconds[0])
    for _ in range(5):
        last_used.note(Used.SESSION, "s")
        last_used.note(Used.TOKEN, token_id)
        last_used.note(Used.KEY, key_id)
    seconds[0] += 60  # the flush comes a minute after the use
    earliest = await database.now()
    assert await last_used.flush(database) == 3
    latest = await database.now()
    assert await last_used.flush(database) == 0
    last_used.note(Used.SESSION, "s")
    last_used.note(Used.TOKEN, token_id)
    last_used.note(Used.TOKEN, token_id + 1)
    seconds[0] += 3600  # another node's flush was sooner
    await last_used.flush(database)
    async with database.read() as session:
        [row] = await session.scalars(select(Session))
        [token] = await session.scalars(select(Token))
        [key] = await session.scalars(select(SshKey))
    minute = timedelta(minutes=1)
    assert earliest - minute <= row.last_used_at <= latest - minute
    assert row.expires_at == row.last_used_at + timedelta(days=3)
    assert (token.last_used_at, key.last_used_at) == (row.last_used_at, row.last_used_at)


async def test_a_key_tells_from_where_it_was_last_used(any_database: Database) -> None:
    """The place goes with the time: an older use, flushed later by another node, changes neither."""
    _, key_id = await make_credentials(any_database)
    seconds = [100.0]
    last_used = LastUsed(session_lifetime=timedelta(days=3), clock=lambda: seconds[0])
    for hours_ago, bound, given, wanted in (
        (5, "192.0.2.7", "", "192.0.2.7"),
        (4, "192.0.2.8", "2001:db8::1", "2001:db8::1"),
        (6, "192.0.2.9", "", "2001:db8::1"),
        (2, "a" * 100, "", "a" * 64),
        (1, "", "", ""),
    ):
        with bind_origin(Origin(bound)):
            last_used.note(Used.KEY, key_id, address=given)
        seconds[0] += hours_ago * 3600
        await last_used.flush(any_database)
        async with any_database.read() as session:
            [key] = await session.scalars(select(SshKey))
        assert key.last_used_address == wanted


async def test_the_memory_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NOTES_MAX", 3)
    last_used = LastUsed(session_lifetime=timedelta(days=1))
    for number in range(10):
        last_used.note(Used.TOKEN, number)
    last_used.note(Used.TOKEN, 0)
    assert await last_used.flush(database) == 3
