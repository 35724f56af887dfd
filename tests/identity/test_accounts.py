"""Making accounts: what is refused, what is unique, who may."""

import asyncio

import pytest
from sqlalchemy import func, select
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.authentication import ADDRESS, PASSWORD, CountingPasswords, make_authentication

from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS, SYSTEM, Actor
from cairn.base.errors import CairnError, Forbidden, Invalid, NotFound
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.identity.accounts import (
    change_password,
    create_account,
    invite,
    set_password,
    sign_up,
    suspend,
    unsuspend,
)
from cairn.identity.authenticate import BadCredentials
from cairn.identity.models import Account, AccountEmail, AccountRename
from cairn.identity.names import NameTaken
from cairn.identity.one_time_links import LinkUnusable
from cairn.identity.passwords import PasswordRefused
from cairn.identity.registration import RegistrationClosed
from cairn.identity.sessions import sign_in

OPEN = Settings()
INVITE = Settings(registration="invite")
CLOSED = Settings(registration="closed")


@pytest.fixture
def passwords() -> CountingPasswords:
    return CountingPasswords()


async def enter(database: Database, passwords: CountingPasswords, login: str = "Alice", email: str = "") -> Actor:
    email = email or f"{login}@example.test"
    return await sign_up(database, passwords, OPEN, login=login, email=email, password=PASSWORD)


async def count(database: Database, table: type) -> int:
    async with database.read() as session:
        return int(await session.scalar(select(func.count()).select_from(table)) or 0)


async def test_signing_up_makes_an_account_with_its_address_and_tells_the_rest(
    database: Database, passwords: CountingPasswords
) -> None:
    actor = await enter(database, passwords)
    assert actor.login == "Alice"
    assert not actor.is_site_admin
    async with database.read() as session:
        [account] = await session.scalars(select(Account))
        [email] = await session.scalars(select(AccountEmail))
        [event] = await session.scalars(select(EventRow))
        [entry] = await session.scalars(select(AuditEntry))
    assert account.login_key == "alice"
    assert (account.password_hash or "").startswith("$argon2id$")
    assert (email.email, email.email_key, email.is_primary) == ("Alice@example.test", "alice@example.test", True)
    assert email.verified_at is None
    assert PASSWORD not in str(event.payload)
    assert (entry.action, entry.actor_id, entry.account_id) == ("account.create", account.id, account.id)


@pytest.mark.parametrize(
    ("login", "email"), [("ALICE", "b@x.test"), ("alice", "b@x.test"), ("bob", "ALICE@example.test")]
)
async def test_names_and_addresses_are_unique_without_case(
    database: Database, passwords: CountingPasswords, login: str, email: str
) -> None:
    await enter(database, passwords)
    with pytest.raises(NameTaken) as refused:
        await enter(database, passwords, login, email)
    assert refused.value.problems[0].code == "already_exists"
    assert await count(database, Account) == 1
    assert await count(database, AccountEmail) == 1


async def test_of_two_sign_ups_with_one_name_at_once_one_wins(database: Database, passwords: CountingPasswords) -> None:
    results = await asyncio.gather(
        *(enter(database, passwords, "alice", f"a{number}@x.test") for number in range(4)), return_exceptions=True
    )
    assert sum(isinstance(result, Actor) for result in results) == 1
    assert sum(isinstance(result, NameTaken) for result in results) == 3
    assert await count(database, Account) == 1


@pytest.mark.parametrize(
    ("login", "email", "password"),
    [("api", "a@x.test", PASSWORD), ("a--b", "a@x.test", PASSWORD), ("a", "nobody", PASSWORD), ("a", "a@x.test", "x")],
)
async def test_bad_input_is_refused_before_anything_is_stored(
    database: Database, passwords: CountingPasswords, login: str, email: str, password: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await sign_up(database, passwords, OPEN, login=login, email=email, password=password)
    assert refused.value.problems
    assert await count(database, Account) == 0


async def test_all_that_is_wrong_with_a_sign_up_is_said_at_once(
    database: Database, passwords: CountingPasswords
) -> None:
    with pytest.raises(Invalid) as refused:
        await sign_up(database, passwords, OPEN, login="Ada Lovelace", email=" nobody ", password="short")
    assert [problem.field for problem in refused.value.problems] == ["login", "email", "password"]


async def test_a_taken_name_no_longer_redirects(database: Database, passwords: CountingPasswords) -> None:
    first = await enter(database, passwords, "first")
    async with database.write() as session:
        session.add(AccountRename(login_key="oldname", account_id=first.account_id))
    await enter(database, passwords, "OldName")
    assert await count(database, AccountRename) == 0


async def test_closed_registration_lets_nobody_in(database: Database, passwords: CountingPasswords) -> None:
    with pytest.raises(RegistrationClosed):
        await sign_up(database, passwords, CLOSED, login="a", email="a@x.test", password=PASSWORD, invitation="x")


async def test_an_invitation_lets_one_person_in(database: Database, passwords: CountingPasswords) -> None:
    async with database.write() as session:
        secret = await invite(session, SYSTEM)
    with pytest.raises(RegistrationClosed):
        await sign_up(database, passwords, INVITE, login="a", email="a@x.test", password=PASSWORD)
    with pytest.raises(LinkUnusable):
        await sign_up(database, passwords, INVITE, login="a", email="a@x.test", password=PASSWORD, invitation="x")
    with pytest.raises(PasswordRefused):
        await sign_up(database, passwords, INVITE, login="a", email="a@x.test", password="x", invitation=secret)
    await sign_up(database, passwords, INVITE, login="a", email="a@x.test", password=PASSWORD, invitation=secret)
    with pytest.raises(LinkUnusable):
        await sign_up(database, passwords, INVITE, login="b", email="b@x.test", password=PASSWORD, invitation=secret)
    assert await count(database, Account) == 1


async def test_a_sign_up_that_fails_leaves_the_invitation(database: Database, passwords: CountingPasswords) -> None:
    await enter(database, passwords, "taken")
    async with database.write() as session:
        secret = await invite(session, SYSTEM)
    with pytest.raises(NameTaken):
        await sign_up(
            database, passwords, INVITE, login="taken", email="n@x.test", password=PASSWORD, invitation=secret
        )
    await sign_up(database, passwords, INVITE, login="free", email="n@x.test", password=PASSWORD, invitation=secret)


async def test_only_administrators_make_accounts_suspend_and_invite(
    database: Database, passwords: CountingPasswords
) -> None:
    async with database.write() as session:
        plain, admin = await make_account(session, "plain"), await make_account(session, "admin", is_site_admin=True)
        await make_account(session, "target")
    narrow = with_token(actor_of(admin), "repo", "user", "admin:org")
    for actor in (ANONYMOUS, actor_of(plain), narrow):
        with pytest.raises(CairnError):
            await create_account(database, passwords, actor, login="x", email="x@x.test", password=PASSWORD)
        with pytest.raises(CairnError):
            await set_password(database, passwords, actor, "target", "another password")
        for change in (suspend, unsuspend):
            with pytest.raises(CairnError):
                async with database.write() as session:
                    await change(session, actor, "target")
        with pytest.raises(CairnError):
            async with database.write() as session:
                await invite(session, actor)
    assert await count(database, Account) == 3
    assert await count(database, AuditEntry) == 0
    made = await create_account(
        database, passwords, actor_of(admin), login="x", email="x@x.test", password=PASSWORD, is_site_admin=True
    )
    assert made.is_site_admin


async def test_a_suspension_ends_sessions_and_signing_in_until_it_is_lifted(
    database: Database, passwords: CountingPasswords
) -> None:
    parts = make_authentication(database)
    alice = await enter(database, parts.passwords)

    async def enter_site() -> str:
        signed = await sign_in(
            database, parts.authenticator, OPEN, name="alice", password=PASSWORD, address=ADDRESS, user_agent=""
        )
        return signed.cookie

    cookie = await enter_site()
    async with database.write() as session:
        await suspend(session, SYSTEM, "ALICE")
    assert await parts.authenticator.actor_of_session(cookie) is None
    with pytest.raises(Forbidden, match="suspended"):
        await enter_site()
    async with database.write() as session:
        await unsuspend(session, SYSTEM, "alice")
    assert await parts.authenticator.actor_of_session(cookie) is None
    found = await parts.authenticator.actor_of_session(await enter_site())
    assert found is not None
    assert found.actor == alice


async def test_administrators_cannot_suspend_themselves_or_nobody(database: Database) -> None:
    async with database.write() as session:
        admin = actor_of(await make_account(session, "admin", is_site_admin=True))
        with pytest.raises(Forbidden):
            await suspend(session, admin, "admin")
        with pytest.raises(NotFound, match="'nobody'"):
            await suspend(session, admin, "nobody")


async def test_changing_a_password_wants_the_old_one_and_ends_other_sessions(database: Database) -> None:
    parts = make_authentication(database)
    alice = await enter(database, parts.passwords)
    signed = [
        await sign_in(
            database, parts.authenticator, OPEN, name="alice", password=PASSWORD, address=ADDRESS, user_agent=""
        )
        for _ in range(2)
    ]
    with pytest.raises(Forbidden, match="current password"):
        await change_password(database, parts.passwords, alice, current="wrong", new="another password")
    with pytest.raises(PasswordRefused):
        await change_password(database, parts.passwords, alice, current=PASSWORD, new="short")
    narrow = with_token(alice, "repo")
    with pytest.raises(Forbidden):
        await change_password(database, parts.passwords, narrow, current=PASSWORD, new="another password")
    await change_password(
        database,
        parts.passwords,
        alice,
        current=PASSWORD,
        new="another password",
        keep_session_id=signed[1].session_id,
    )
    assert await parts.authenticator.actor_of_session(signed[0].cookie) is None
    assert await parts.authenticator.actor_of_session(signed[1].cookie) is not None
    with pytest.raises(BadCredentials):
        await parts.authenticator.prove_password("alice", PASSWORD, address=ADDRESS)
    await parts.authenticator.prove_password("alice", "another password", address=ADDRESS)
