"""Sessions: a random cookie, stored as a hash, new at each sign-in, gone when it is ended."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.authentication import ADDRESS, PASSWORD, Authentication, make_authentication, quick_hasher

from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS, Actor
from cairn.base.errors import Forbidden, NotFound, Unauthenticated
from cairn.base.settings import Settings
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity.accounts import change_password
from cairn.identity.authenticate import Authenticated, BadCredentials
from cairn.identity.models import Account, LinkPurpose, OneTimeLink, Session
from cairn.identity.one_time_links import make_link
from cairn.identity.passwords import Passwords, default_hasher
from cairn.identity.sessions import (
    SESSIONS_MAX,
    SignedIn,
    delete_expired,
    list_sessions,
    revoke_other_sessions,
    revoke_session,
    sign_in,
    sign_out,
)

SETTINGS = Settings(session_days=7)


@pytest.fixture
def parts(database: Database) -> Authentication:
    return make_authentication(database)


async def person(database: Database, login: str = "alice") -> Actor:
    stored = await Passwords(quick_hasher()).hash(PASSWORD)
    async with database.write() as session:
        return actor_of(await make_account(session, login, password_hash=stored))


async def enter(
    database: Database, parts: Authentication, *, name: str = "alice", old_cookie: str = "", agent: str = "Firefox"
) -> SignedIn:
    return await sign_in(
        database,
        parts.authenticator,
        SETTINGS,
        name=name,
        password=PASSWORD,
        address=ADDRESS,
        user_agent=agent,
        old_cookie=old_cookie,
    )


async def opens(parts: Authentication, cookie: str) -> bool:
    return await parts.authenticator.actor_of_session(cookie) is not None


async def test_signing_in_opens_a_session_of_the_settings_length(database: Database, parts: Authentication) -> None:
    alice = await person(database)
    signed = await enter(database, parts)
    assert signed.actor == alice
    assert len(signed.cookie) >= 43
    async with database.read() as session:
        [row] = await session.scalars(select(Session))
        [entry] = await session.scalars(select(AuditEntry))
    assert signed.cookie not in {row.cookie_sha256, row.user_agent}
    assert row.expires_at - row.created_at == timedelta(days=7)
    assert (row.address, row.user_agent) == (ADDRESS, "Firefox")
    assert (entry.action, entry.address) == ("session.create", ADDRESS)


async def test_a_wrong_password_opens_nothing(database: Database, parts: Authentication) -> None:
    await person(database)
    with pytest.raises(BadCredentials):
        await sign_in(database, parts.authenticator, SETTINGS, name="alice", password="x", address="", user_agent="")
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(Session)) == 0


async def test_signing_in_again_changes_the_cookie_and_ends_the_old_one(
    database: Database, parts: Authentication
) -> None:
    """Attack (session fixation): a cookie planted before the sign-in is signed in afterwards."""
    await person(database)
    first = await enter(database, parts)
    second = await enter(database, parts, old_cookie=first.cookie)
    assert first.cookie != second.cookie
    assert not await opens(parts, first.cookie)
    assert await opens(parts, second.cookie)


async def test_an_outdated_hash_is_renewed_by_signing_in(database: Database) -> None:
    alice = await person(database)
    parts = make_authentication(database)
    parts.passwords._hasher = default_hasher()
    await enter(database, parts)
    async with database.read() as session:
        stored = await session.scalar(select(Account.password_hash).where(Account.id == alice.account_id))
    assert not Passwords().is_outdated(stored or "")
    await enter(database, parts)


async def test_sign_ins_at_once_all_succeed_while_the_hash_is_renewed(any_database: Database) -> None:
    await person(any_database)
    parts = make_authentication(any_database)
    parts.passwords._hasher = default_hasher()
    signed = await asyncio.gather(*(enter(any_database, parts) for _ in range(3)))
    assert [await opens(parts, one.cookie) for one in signed] == [True] * 3


async def test_a_sign_in_that_began_before_a_new_password_opens_nothing(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: who knows the old password signs in while its owner changes it."""
    alice = await person(any_database)
    parts = make_authentication(any_database)
    renewed = parts.authenticator.renewed_hash

    async def change_first(proven: Authenticated, password: str) -> str | None:
        await change_password(any_database, parts.passwords, alice, current=PASSWORD, new="another correct horse")
        return await renewed(proven, password)

    monkeypatch.setattr(parts.authenticator, "renewed_hash", change_first)
    with pytest.raises(BadCredentials):
        await enter(any_database, parts)
    async with any_database.read() as session:
        assert (await session.scalars(select(Session))).all() == []


async def test_a_user_agent_is_cut_and_cleaned(database: Database, parts: Authentication) -> None:
    await person(database)
    await enter(database, parts, agent="\x00\ud800" + "x" * 5000)
    async with database.read() as session:
        assert await session.scalar(select(func.length(Session.user_agent))) == 253


async def test_signing_out_ends_the_session(database: Database, parts: Authentication) -> None:
    await person(database)
    signed = await enter(database, parts)
    async with database.write() as session:
        await sign_out(session, signed.actor, signed.cookie)
        await sign_out(session, ANONYMOUS, "unknown")
    assert not await opens(parts, signed.cookie)


async def test_sessions_are_listed_and_revoked_by_their_owner_only(database: Database, parts: Authentication) -> None:
    alice, mallory = await person(database), await person(database, "mallory")
    assert alice.account_id is not None
    assert mallory.account_id is not None
    signed = [await enter(database, parts, agent=f"browser {number}") for number in range(3)]
    async with database.read() as session:
        rows = await list_sessions(session, alice, alice.account_id)
        assert {row.id for row in rows} == {one.session_id for one in signed}
        for stranger, error in (
            (mallory, Forbidden),
            (ANONYMOUS, Unauthenticated),
            (with_token(alice, "repo"), Forbidden),
        ):
            with pytest.raises(error):
                await list_sessions(session, stranger, alice.account_id)
    async with database.write() as session:
        with pytest.raises(Forbidden):
            await revoke_session(session, mallory, alice.account_id, signed[0].session_id)
        with pytest.raises(NotFound):
            await revoke_session(session, mallory, mallory.account_id, signed[0].session_id)
        for strange in ("", "a\x00", "\ud800"):
            with pytest.raises(NotFound):
                await revoke_session(session, alice, alice.account_id, strange)
        await revoke_session(session, alice, alice.account_id, signed[0].session_id)
    assert [await opens(parts, one.cookie) for one in signed] == [False, True, True]
    async with database.write() as session:
        kept = signed[2].session_id
        assert await revoke_other_sessions(session, alice, alice.account_id, keep_session_id=kept) == 1
    assert [await opens(parts, one.cookie) for one in signed] == [False, False, True]


async def test_an_account_has_a_bounded_number_of_sessions(database: Database, parts: Authentication) -> None:
    alice = await person(database)
    async with database.write() as session:
        now = await database_now(session)
        for number in range(SESSIONS_MAX + 5):
            at = now - timedelta(hours=number + 1)
            session.add(
                Session(cookie_sha256=f"{number:064}", account_id=alice.account_id, created_at=at, last_used_at=at,
                        expires_at=now + timedelta(days=1), address="", user_agent="")
            )  # fmt: skip
    signed = await enter(database, parts)
    async with database.read() as session:
        kept = set(await session.scalars(select(Session.cookie_sha256)))
    assert len(kept) == SESSIONS_MAX
    assert signed.session_id in kept
    assert f"{0:064}" in kept
    assert f"{SESSIONS_MAX + 4:064}" not in kept


async def test_what_expired_is_deleted_and_nothing_else(database: Database, parts: Authentication) -> None:
    await person(database)
    ended, open_one = await enter(database, parts), await enter(database, parts)
    async with database.write() as session:
        await make_link(session, LinkPurpose.INVITATION, lifetime=timedelta(seconds=-1))
        await make_link(session, LinkPurpose.INVITATION, lifetime=timedelta(hours=1))
        past = await database_now(session) - timedelta(seconds=1)
        await session.execute(update(Session).where(Session.cookie_sha256 == ended.session_id).values(expires_at=past))
        assert await delete_expired(session) == 2
        assert await session.scalar(select(func.count()).select_from(OneTimeLink)) == 1
    assert await opens(parts, open_one.cookie)
