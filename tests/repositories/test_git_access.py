"""The hot path of git's doors: one statement, by indexes only, and one answer for absent and hidden."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import delete, update
from tests.factories.accounts import LONG_AGO, actor_of, make_account
from tests.factories.authentication import (
    ADDRESS,
    PASSWORD,
    Authentication,
    count_statements,
    make_authentication,
)
from tests.factories.repositories import grant, make_repository

from cairn.access.actions import Action
from cairn.access.roles import Role, Visibility
from cairn.base.actor import ANONYMOUS
from cairn.base.errors import CairnError, Forbidden, NotFound, Unauthenticated
from cairn.db.clock import database_now
from cairn.db.database import Database, PointQuery
from cairn.identity.authenticate import AccountSuspended, BadCredentials
from cairn.identity.credentials import Credential, KeyCredential, PasswordCredential, TokenCredential
from cairn.identity.models import Account, AccountRename, SshKey, Token
from cairn.identity.token_format import make_token
from cairn.identity.tokens import create_token
from cairn.repositories import git_access
from cairn.repositories.git_access import GitDoor, SignInMayHelp
from cairn.repositories.models import Repository, RepositoryRename

READ, PUSH = Action.REPOSITORY_READ, Action.REPOSITORY_PUSH
KEY = KeyCredential("SHA256:bob")
SIGNED_IN = PasswordCredential("bob", PASSWORD, ADDRESS)


class World:
    """Alice's repositories, and Bob, who writes to some of them, with all his credentials."""

    alice: Account
    bob: Account
    shared: Repository
    token: TokenCredential
    narrow: TokenCredential
    parts: Authentication
    door: GitDoor


@pytest.fixture
async def world(database: Database) -> World:
    made = World()
    made.parts = make_authentication(database)
    made.door = GitDoor(database, made.parts.authenticator)
    async with database.write() as session:
        made.alice = await make_account(session, "Alice")
        stored = await made.parts.passwords.hash(PASSWORD)
        made.bob = await make_account(session, "bob", password_hash=stored)
        await make_repository(session, made.alice, "open")
        await make_repository(session, made.alice, "internal", visibility=Visibility.INTERNAL)
        await make_repository(session, made.alice, "secret", visibility=Visibility.PRIVATE)
        made.shared = await make_repository(session, made.alice, "Shared", visibility=Visibility.PRIVATE)
        await grant(session, made.shared, made.bob, Role.WRITE)
        actor = actor_of(made.bob)
        wide = await create_token(session, actor, made.bob.id, name="w", scopes=["repo"])
        narrow = await create_token(session, actor, made.bob.id, name="n", scopes=["public_repo"])
        made.token, made.narrow = TokenCredential(wide.secret), TokenCredential(narrow.secret)
        session.add(
            SshKey(account_id=made.bob.id, fingerprint=KEY.fingerprint, algorithm="", public_key="", title="",
                   created_at=LONG_AGO)
        )  # fmt: skip
    return made


async def answer(
    world: World, credential: Credential | None, name: str, action: Action = READ
) -> type[CairnError] | None:
    try:
        await world.door.resolve("alice", name, credential, action=action)
    except CairnError as error:
        return type(error)
    return None


@pytest.mark.parametrize("name", ["shared", "Shared.git", "SHARED.GIT"])
async def test_each_credential_finds_the_repository_with_one_statement(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    statements = count_statements(database, monkeypatch)
    credentials: list[Credential] = [world.token, KEY]
    for number, credential in enumerate(credentials, start=1):
        target = await world.door.resolve("ALICE", name, credential, action=PUSH)
        assert statements() == number
        assert (target.actor.account_id, target.actor.login) == (world.bob.id, "bob")
        assert (target.repository_id, target.store_id) == (world.shared.id, world.shared.store_id)
        assert (target.full_name, target.was_renamed) == ("Alice/Shared", False)
        assert (target.scope.role, target.scope.visibility) == (Role.WRITE, Visibility.PRIVATE)
        assert (target.state.head_target, target.object_format) == (b"refs/heads/main", "sha1")
    target = await world.door.resolve("alice", "open", None)
    assert statements() == 3
    assert target.actor is ANONYMOUS
    # A password is looked up first; proven before, it costs no hashing.
    for _ in range(3):
        target = await world.door.resolve("alice", name, SIGNED_IN)
        assert target.actor == actor_of(world.bob)
    assert statements() == 9
    assert world.parts.passwords.verified == 1


async def test_a_token_narrows_what_its_owner_may(world: World) -> None:
    assert await answer(world, world.token, "shared", PUSH) is None
    assert await answer(world, world.narrow, "shared") is NotFound
    assert await answer(world, world.narrow, "open") is None
    assert await answer(world, world.token, "open", PUSH) is Forbidden


@pytest.mark.parametrize(
    ("name", "anonymous", "signed_in"),
    [
        ("open", None, None),
        ("internal", SignInMayHelp, None),
        ("secret", SignInMayHelp, NotFound),
        ("absent", SignInMayHelp, NotFound),
        ("..", SignInMayHelp, NotFound),
        ("a\x00b", SignInMayHelp, NotFound),
        ("x" * 300, SignInMayHelp, NotFound),
    ],
)
async def test_absent_and_hidden_are_one_answer_by_every_credential(
    world: World, name: str, anonymous: type[CairnError] | None, signed_in: type[CairnError] | None
) -> None:
    """Attack: asking git for names until the answers differ."""
    assert await answer(world, None, name) is anonymous
    for credential in (world.token, KEY, SIGNED_IN):
        assert await answer(world, credential, name) is signed_in, credential


async def test_the_texts_do_not_tell_either(world: World) -> None:
    texts = set()
    for credential in (None, world.token):
        for name in ("secret", "absent"):
            with pytest.raises(CairnError) as refused:
                await world.door.resolve("alice", name, credential)
            texts.add(refused.value.message.replace(name, "NAME"))
    assert len(texts) == 2


@pytest.mark.parametrize("name", ["open", "secret", "absent", "..", "bad name"])
async def test_wrong_credentials_are_told_so_wherever_they_knock(world: World, name: str) -> None:
    wrong: list[Credential] = [
        TokenCredential(make_token()),
        TokenCredential("crn_x"),
        KeyCredential("SHA256:nobody"),
        PasswordCredential("bob", "wrong", ADDRESS),
    ]
    for credential in wrong:
        assert await answer(world, credential, name) is BadCredentials, credential


async def test_the_suspended_are_told_so(world: World, database: Database) -> None:
    assert await answer(world, SIGNED_IN, "shared") is None
    async with database.write() as session:
        await session.execute(update(Account).where(Account.id == world.bob.id).values(suspended_at=LONG_AGO))
    for credential in (world.token, KEY, SIGNED_IN):
        for name in ("open", "shared", "absent"):
            assert await answer(world, credential, name) is AccountSuspended, credential


async def test_a_revoked_token_and_a_deleted_key_stop_working_at_once(world: World, database: Database) -> None:
    assert await answer(world, world.token, "shared") is None
    assert await answer(world, KEY, "shared") is None
    async with database.write() as session:
        await session.execute(delete(Token))
        await session.execute(delete(SshKey))
    assert await answer(world, world.token, "shared") is BadCredentials
    assert await answer(world, KEY, "shared") is BadCredentials


async def test_reading_anonymously_needs_a_sign_in_to_push(world: World) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await world.door.resolve("alice", "open", None, action=PUSH)
    assert "Sign in" in refused.value.message


async def test_a_renamed_repository_is_found_where_it_is_now_by_those_who_may_read_it(
    world: World, database: Database
) -> None:
    async with database.write() as session:
        session.add(RepositoryRename(owner_id=world.alice.id, name_key="old", repository_id=world.shared.id))
        session.add(AccountRename(login_key="alison", account_id=world.alice.id))
    for owner, name in (("alice", "OLD.git"), ("alison", "old"), ("Alison", "shared")):
        target = await world.door.resolve(owner, name, world.token)
        assert (target.full_name, target.was_renamed) == ("Alice/Shared", True)
        with pytest.raises(SignInMayHelp):
            await world.door.resolve(owner, name, None)
        with pytest.raises(NotFound):
            await world.door.resolve(owner, name, world.narrow)


async def test_uses_of_tokens_and_keys_are_noted(world: World, database: Database) -> None:
    await world.door.resolve("alice", "shared", world.token)
    await world.door.resolve("alice", "shared", KEY)
    assert await world.parts.last_used.flush(database) == 2


SAMPLE: dict[str, object] = {
    "owner": "alice",
    "name": "shared",
    "token": "0" * 64,
    "fingerprint": "SHA256:bob",
    "account": 1,
}


@pytest.mark.parametrize("variant", ["ANONYMOUSLY", "WITH_TOKEN", "WITH_KEY", "WITH_ACCOUNT", "RENAMED"])
async def test_no_table_is_scanned(world: World, database: Database, variant: str) -> None:
    query: PointQuery = getattr(git_access, variant)
    values = {name: SAMPLE[name] for name in query.names}
    if database.dialect == "sqlite":
        explained = PointQuery(f"EXPLAIN QUERY PLAN {query.sql}")
        rows = await database.fetch_all(explained, **values)
        plan = [str(row["detail"]) for row in rows]
        assert [line for line in plan if re.match(r"SCAN (?!one\b|\(subquery|CONSTANT)", line)] == [], plan
        assert any("USING INDEX" in line for line in plan), plan
        return
    # On a few rows PostgreSQL would rather scan: forbid it, and a scan that is left has no index to use.
    async with database.engine.connect() as connection:
        await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        await connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        plan = list((await connection.execute(PointQuery(f"EXPLAIN {query.sql}").clause, values)).scalars())
    assert not any("Seq Scan" in line for line in plan), plan
    assert sum("Index" in line for line in plan) >= 3, plan


async def test_the_statements_mean_the_same_on_all_three_databases(any_database: Database) -> None:
    """They are written by hand, in the SQL the three share."""
    async with any_database.write() as session:
        alice = await make_account(session, "Alice")
        made = await make_repository(session, alice, "engine", visibility=Visibility.PRIVATE)
        token = await create_token(session, actor_of(alice), alice.id, name="t", scopes=["repo"],
                                   repository_ids=frozenset({made.id}))  # fmt: skip
        session.add(RepositoryRename(owner_id=alice.id, name_key="old", repository_id=made.id))
    door = GitDoor(any_database, make_authentication(any_database).authenticator)
    for name in ("engine", "OLD"):
        target = await door.resolve("ALICE", name, TokenCredential(token.secret), action=PUSH)
        assert (target.full_name, target.actor.login, target.was_renamed) == ("Alice/engine", "Alice", name == "OLD")
        with pytest.raises(SignInMayHelp):
            await door.resolve("alice", name, None)
    async with any_database.write() as session:
        past = await database_now(session) - timedelta(seconds=2)
        await session.execute(update(Token).values(expires_at=past))
    with pytest.raises(BadCredentials):
        await door.resolve("alice", "engine", TokenCredential(token.secret))
