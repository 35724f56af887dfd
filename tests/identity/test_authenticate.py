"""From credentials to actors: what signs in, what does not, and what is noticed at once."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, update
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.authentication import (
    ADDRESS,
    PASSWORD,
    Authentication,
    count_statements,
    make_authentication,
)

from cairn.base.actor import ANONYMOUS, SYSTEM, Actor, TokenLimits
from cairn.base.errors import RateLimited
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity.authenticate import (
    REMEMBERED_SECONDS,
    AccountSuspended,
    BadCredentials,
    ProvenBy,
    refresh_actor,
)
from cairn.identity.credentials import KeyCredential, PasswordCredential, TokenCredential
from cairn.identity.models import Account, Session, SshKey, Token
from cairn.identity.token_format import hash_secret, make_token
from cairn.identity.tokens import create_token

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def parts(database: Database) -> Authentication:
    return make_authentication(database)


async def person(database: Database, parts: Authentication, login: str = "Alice", *, is_admin: bool = False) -> Actor:
    async with database.write() as session:
        stored = await parts.passwords.hash(PASSWORD)
        return actor_of(await make_account(session, login, password_hash=stored, is_site_admin=is_admin))


async def token_of(database: Database, actor: Actor, *scopes: str, expires_at: datetime | None = None) -> str:
    assert actor.account_id is not None
    async with database.write() as session:
        made = await create_token(session, actor, actor.account_id, name="t", scopes=scopes)
        if expires_at is not None:
            await session.execute(update(Token).values(expires_at=expires_at))
        return made.secret


async def suspend(database: Database, actor: Actor) -> None:
    async with database.write() as session:
        await session.execute(update(Account).where(Account.id == actor.account_id).values(suspended_at=LONG_AGO))


async def test_a_token_gives_its_owner_narrowed(database: Database, parts: Authentication) -> None:
    alice = await person(database, parts, is_admin=True)
    token = await token_of(database, alice, "repo", "read:org")
    found = await parts.authenticator.actor_of_token(token)
    assert found.by is ProvenBy.TOKEN
    assert found.actor.account_id == alice.account_id
    assert found.actor.is_site_admin
    assert found.actor.limits is not None
    assert found.actor.limits.scopes == {"repo", "read:org"}
    assert found.actor.limits.repository_ids is None


async def test_a_token_for_single_repositories_names_them(database: Database, parts: Authentication) -> None:
    alice = await person(database, parts)
    assert alice.account_id is not None
    async with database.write() as session:
        made = await create_token(
            session, alice, alice.account_id, name="t", scopes=["repo"], repository_ids=frozenset({7, 3})
        )
    found = await parts.authenticator.actor_of_token(made.secret)
    assert found.actor.limits == TokenLimits(frozenset({"repo"}), frozenset({3, 7}), made.row.id)


@pytest.mark.parametrize(
    "token", ["", "crn_", "crn_" + "a" * 36, "ghp_x", make_token(), "\x00", "crn_\udcff"], ids=range(7)
)
async def test_unknown_tokens_are_bad_credentials(database: Database, parts: Authentication, token: str) -> None:
    await person(database, parts)
    with pytest.raises(BadCredentials, match=r"^Bad credentials$"):
        await parts.authenticator.actor_of_token(token)


async def test_an_expired_token_is_bad_and_a_valid_one_tells_its_end(database: Database, parts: Authentication) -> None:
    alice = await person(database, parts)
    async with database.read() as session:
        now = await database_now(session)
    old = await token_of(database, alice, expires_at=now - timedelta(seconds=2))
    with pytest.raises(BadCredentials):
        await parts.authenticator.actor_of_token(old)
    async with database.write() as session:
        await session.execute(delete(Token))
    end = now + timedelta(hours=1)
    fresh = await token_of(database, alice, expires_at=end)
    assert (await parts.authenticator.actor_of_token(fresh)).token_expires_at == end


async def test_a_password_signs_in_by_login_or_address_in_any_case(database: Database, parts: Authentication) -> None:
    alice = await person(database, parts)
    for name in ("Alice", "alice", " ALICE ", "alice@example.test", "Alice@Example.Test"):
        found = await parts.authenticator.actor_of_password(name, PASSWORD, address=ADDRESS)
        assert found.actor == alice
        assert found.by is ProvenBy.PASSWORD


@pytest.mark.parametrize(
    ("name", "password"),
    [("alice", "wrong"), ("alice", ""), ("nobody", PASSWORD), ("", ""), ("a\x00b", PASSWORD), ("x@y", PASSWORD)],
)
async def test_wrong_names_and_wrong_passwords_are_one_answer(
    database: Database, parts: Authentication, name: str, password: str
) -> None:
    await person(database, parts)
    before = parts.passwords.verified
    with pytest.raises(BadCredentials, match=r"^The name or the password is wrong\.$"):
        await parts.authenticator.actor_of_password(name, password, address=ADDRESS)
    assert parts.passwords.verified == before + 1


async def test_an_account_without_a_password_cannot_sign_in_with_any(database: Database, parts: Authentication) -> None:
    async with database.write() as session:
        await make_account(session, "robot", password_hash=None)
    for password in ("", "None", "nobody's password"):
        with pytest.raises(BadCredentials):
            await parts.authenticator.actor_of_password("robot", password, address=ADDRESS)


async def test_a_password_proven_lately_costs_no_hashing(database: Database, parts: Authentication) -> None:
    await person(database, parts)
    for _ in range(30):
        await parts.authenticator.actor_of_password("alice", PASSWORD, address=ADDRESS)
    assert parts.passwords.verified == 1
    parts.seconds[0] = REMEMBERED_SECONDS
    await parts.authenticator.actor_of_password("alice", PASSWORD, address=ADDRESS)
    assert parts.passwords.verified == 2


async def test_a_wrong_password_is_never_remembered(database: Database, parts: Authentication) -> None:
    await person(database, parts)
    await parts.authenticator.actor_of_password("alice", PASSWORD, address=ADDRESS)
    for _ in range(3):
        with pytest.raises(BadCredentials):
            await parts.authenticator.actor_of_password("alice", PASSWORD + "x", address=ADDRESS)
    assert parts.passwords.verified == 4


async def test_a_changed_password_counts_at_once(database: Database, parts: Authentication) -> None:
    """Attack: the old password keeps working from a cache for minutes."""
    alice = await person(database, parts)
    await parts.authenticator.actor_of_password("alice", PASSWORD, address=ADDRESS)
    changed = await parts.passwords.hash("another password")
    async with database.write() as session:
        await session.execute(update(Account).where(Account.id == alice.account_id).values(password_hash=changed))
    with pytest.raises(BadCredentials):
        await parts.authenticator.actor_of_password("alice", PASSWORD, address=ADDRESS)


async def test_guessing_is_limited_but_a_remembered_password_still_works(
    database: Database, parts: Authentication
) -> None:
    alice = await person(database, parts)
    await parts.authenticator.actor_of_password("alice", PASSWORD, address=ADDRESS)
    refused = 0
    for _ in range(12):
        try:
            await parts.authenticator.actor_of_password("alice", "guess", address=ADDRESS)
        except RateLimited:
            refused += 1
        except BadCredentials:
            continue
    assert refused == 2
    found = await parts.authenticator.actor_of_password("alice", PASSWORD, address=ADDRESS)
    assert found.actor == alice
    with pytest.raises(RateLimited):
        await parts.authenticator.prove_password("alice", PASSWORD, address=ADDRESS)


async def test_a_fingerprint_signs_in_its_account(database: Database, parts: Authentication) -> None:
    alice = await person(database, parts)
    async with database.write() as session:
        session.add(
            SshKey(account_id=alice.account_id, fingerprint="SHA256:x", algorithm="ssh-ed25519", public_key="",
                   title="", created_at=LONG_AGO)
        )  # fmt: skip
    found = await parts.authenticator.authenticate(KeyCredential("SHA256:x"))
    assert found.actor == alice
    assert found.by is ProvenBy.KEY
    with pytest.raises(BadCredentials):
        await parts.authenticator.authenticate(KeyCredential("SHA256:y"))


async def test_a_suspended_account_is_told_so_only_with_the_right_credential(
    database: Database, parts: Authentication
) -> None:
    alice = await person(database, parts)
    token = await token_of(database, alice, "repo")
    await parts.authenticator.actor_of_password("alice", PASSWORD, address=ADDRESS)
    await suspend(database, alice)
    for credential in (TokenCredential(token), PasswordCredential("alice", PASSWORD, ADDRESS)):
        with pytest.raises(AccountSuspended, match="suspended"):
            await parts.authenticator.authenticate(credential)
    with pytest.raises(BadCredentials):
        await parts.authenticator.actor_of_password("alice", "wrong", address=ADDRESS)


async def add_session(database: Database, actor: Actor, cookie: str, *, ends_in: timedelta) -> None:
    async with database.write() as session:
        now = await database_now(session)
        session.add(
            Session(cookie_sha256=hash_secret(cookie), account_id=actor.account_id, created_at=now,
                    last_used_at=now, expires_at=now + ends_in, address="", user_agent="")
        )  # fmt: skip


async def test_a_session_is_found_by_its_cookie_until_it_expires(database: Database, parts: Authentication) -> None:
    alice = await person(database, parts)
    await add_session(database, alice, "good", ends_in=timedelta(hours=1))
    await add_session(database, alice, "old", ends_in=timedelta(seconds=-2))
    found = await parts.authenticator.actor_of_session("good")
    assert found is not None
    assert found.actor == alice
    assert found.session_id == hash_secret("good")
    assert await parts.authenticator.actor_of_session("old") is None
    assert await parts.authenticator.actor_of_session("unknown") is None
    # What is stored does not open the session: only what it is the hash of.
    assert await parts.authenticator.actor_of_session(hash_secret("good")) is None


async def test_the_session_of_a_suspended_account_opens_nothing(database: Database, parts: Authentication) -> None:
    alice = await person(database, parts)
    await add_session(database, alice, "good", ends_in=timedelta(hours=1))
    await suspend(database, alice)
    assert await parts.authenticator.actor_of_session("good") is None


async def test_each_lookup_is_one_point_query(
    database: Database, parts: Authentication, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await person(database, parts)
    token = await token_of(database, alice, "repo")
    await add_session(database, alice, "good", ends_in=timedelta(hours=1))
    statements = count_statements(database, monkeypatch)
    await parts.authenticator.actor_of_token(token)
    await parts.authenticator.actor_of_session("good")
    await parts.authenticator.actor_of_password("alice", PASSWORD, address=ADDRESS)
    assert statements() == 3


async def test_refreshing_notices_suspension_revocation_and_lost_administration(
    database: Database, parts: Authentication
) -> None:
    """Attack: a push that takes an hour lands with the rights its owner had when it began."""
    alice = await person(database, parts, is_admin=True)
    token = await token_of(database, alice, "repo")
    by_token = (await parts.authenticator.actor_of_token(token)).actor
    async with database.write() as session:
        assert await refresh_actor(session, alice) == alice
        assert await refresh_actor(session, by_token) == by_token
        assert await refresh_actor(session, ANONYMOUS) is ANONYMOUS
        assert await refresh_actor(session, SYSTEM) is SYSTEM
        await session.execute(update(Account).values(is_site_admin=False))
        assert not (await refresh_actor(session, alice)).is_site_admin
        await session.execute(delete(Token))
        with pytest.raises(BadCredentials):
            await refresh_actor(session, by_token)
        assert (await refresh_actor(session, with_token(alice, "repo"))).account_id == alice.account_id
        await session.execute(update(Account).values(suspended_at=LONG_AGO))
        with pytest.raises(AccountSuspended):
            await refresh_actor(session, alice)


async def test_the_statements_mean_the_same_on_all_three_databases(any_database: Database) -> None:
    parts = make_authentication(any_database)
    alice = await person(any_database, parts)
    async with any_database.read() as session:
        end = await database_now(session) + timedelta(hours=1)
    token = await token_of(any_database, alice, "repo", expires_at=end)
    found = await parts.authenticator.actor_of_token(token)
    assert (found.actor.login, found.token_expires_at) == ("Alice", end)
    await add_session(any_database, alice, "good", ends_in=timedelta(hours=1))
    await add_session(any_database, alice, "old", ends_in=timedelta(seconds=-2))
    assert await parts.authenticator.actor_of_session("good") is not None
    assert await parts.authenticator.actor_of_session("old") is None
    for name in ("alice", "ALICE@example.test"):
        assert (await parts.authenticator.actor_of_password(name, PASSWORD, address=ADDRESS)).actor == alice
    with pytest.raises(BadCredentials):
        await parts.authenticator.actor_of_fingerprint("SHA256:x")
    assert await parts.last_used.flush(any_database) == 2
