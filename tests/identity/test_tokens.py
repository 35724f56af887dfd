"""Personal tokens: known scopes only, shown once, made by people and never by tokens."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.actors import make_cast
from tests.factories.authentication import make_authentication
from tests.factories.outcomes import Act, act, outcome

from cairn.access.actions import KNOWN_SCOPES
from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS, SYSTEM, TokenLimits
from cairn.base.errors import Forbidden, NotFound, Unauthenticated
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.identity import tokens
from cairn.identity.authenticate import BadCredentials, refresh_actor
from cairn.identity.models import Token
from cairn.identity.tokens import (
    REPOSITORIES_MAX,
    TokenInvalid,
    change_fine_grained_token,
    change_token,
    create_fine_grained_token,
    create_token,
    list_tokens,
    regenerate_token,
    revoke_token,
)


async def test_a_token_works_until_it_is_revoked(database: Database) -> None:
    parts = make_authentication(database)
    async with database.write() as session:
        alice = await make_account(session, "alice")
        made = await create_token(session, actor_of(alice), alice.id, name=" laptop ", scopes=["repo", "gist", "repo"])
    assert made.row.name == "laptop"
    assert made.row.scopes == ("gist", "repo")
    assert made.row.last_characters == made.secret[-4:]
    await parts.authenticator.actor_of_token(made.secret)
    async with database.write() as session:
        await revoke_token(session, actor_of(alice), alice.id, made.row.id)
    with pytest.raises(BadCredentials):
        await parts.authenticator.actor_of_token(made.secret)


async def test_the_secret_is_stored_nowhere(database: Database) -> None:
    async with database.write() as session:
        alice = await make_account(session)
        made = await create_token(session, actor_of(alice), alice.id, name="t", scopes=[])
    async with database.read() as session:
        [row] = await session.scalars(select(Token))
        [entry] = await session.scalars(select(AuditEntry))
        [event] = await session.scalars(select(EventRow))
        stored = str(vars(row)) + str(vars(entry)) + str(vars(event))
        [listed] = await list_tokens(session, actor_of(alice), alice.id)
    assert made.secret[4:20] not in stored
    assert listed == made.row
    assert entry.action == "token.create"


async def test_every_known_scope_can_be_given_and_an_unknown_one_is_named(database: Database) -> None:
    async with database.write() as session:
        alice = await make_account(session)
        made = await create_token(session, actor_of(alice), alice.id, name="all", scopes=sorted(KNOWN_SCOPES))
        assert set(made.row.scopes) == KNOWN_SCOPES
        for unknown in ("everything", "(none)", "", "REPO", "repo,gist"):
            with pytest.raises(TokenInvalid) as refused:
                await create_token(session, actor_of(alice), alice.id, name="t", scopes=["repo", unknown])
            assert repr(unknown) in refused.value.message


async def test_bad_names_expiries_and_repositories_are_refused(database: Database) -> None:
    async with database.write() as session:
        alice = await make_account(session)
        actor = actor_of(alice)
        now = await database_now(session)
        for name in ("", "  ", "x" * 256, "a\x00", "\ud800"):
            with pytest.raises(TokenInvalid, match="name"):
                await create_token(session, actor, alice.id, name=name, scopes=[])
        with pytest.raises(TokenInvalid, match="past"):
            await create_token(session, actor, alice.id, name="t", scopes=[], expires_at=now - timedelta(seconds=1))
        for ids in (frozenset[int](), frozenset(range(101))):
            with pytest.raises(TokenInvalid, match="repositories"):
                await create_token(session, actor, alice.id, name="t", scopes=[], repository_ids=ids)


async def test_an_account_holds_a_bounded_number_of_tokens(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "TOKENS_MAX", 2)
    async with database.write() as session:
        alice = await make_account(session)
        for name in ("a", "b"):
            await create_token(session, actor_of(alice), alice.id, name=name, scopes=[])
        with pytest.raises(TokenInvalid, match="at most 2"):
            await create_token(session, actor_of(alice), alice.id, name="c", scopes=[])


async def test_who_may_handle_tokens(database: Database) -> None:
    """Attack: a leaked token makes itself a wider, longer-lived successor."""
    async with database.write() as session:
        alice, mallory = await make_account(session), await make_account(session)
        admin = actor_of(await make_account(session, is_site_admin=True))
        made = await create_token(session, actor_of(alice), alice.id, name="t", scopes=["repo"])
        leaked = with_token(actor_of(alice), *KNOWN_SCOPES)
        for actor, error in (
            (leaked, Forbidden),
            (actor_of(mallory), Forbidden),
            (ANONYMOUS, Unauthenticated),
            (with_token(admin, *KNOWN_SCOPES), Forbidden),
        ):
            with pytest.raises(error):
                await create_token(session, actor, alice.id, name="t", scopes=["repo"])
            with pytest.raises(error):
                await list_tokens(session, actor, alice.id)
            with pytest.raises(error):
                await revoke_token(session, actor, alice.id, made.row.id)
        for powerful in (SYSTEM, admin):
            await create_token(session, powerful, alice.id, name="t", scopes=["repo"])


async def test_the_token_of_another_account_is_not_there(database: Database) -> None:
    async with database.write() as session:
        alice, mallory = await make_account(session), await make_account(session)
        made = await create_token(session, actor_of(alice), alice.id, name="t", scopes=["repo"])
        with pytest.raises(NotFound):
            await revoke_token(session, actor_of(mallory), mallory.id, made.row.id)
        with pytest.raises(NotFound):
            await revoke_token(session, actor_of(alice), alice.id, made.row.id + 1)
        assert await list_tokens(session, actor_of(mallory), mallory.id) == []


async def test_a_fine_grained_token_signs_in_with_its_permissions(any_database: Database) -> None:
    async with any_database.write() as session:
        cast = await make_cast(session)
        owner, guild = cast.actors["owner"], cast.organization.id
        made = await create_fine_grained_token(
            session,
            owner,
            cast.accounts["owner"].id,
            name="ci",
            owner_id=guild,
            permissions={"contents": "write", "members": "read"},
            repository_ids=frozenset({cast.repository.id}),
        )
        assert made.row.permissions == {"contents": "write", "members": "read"}
        [entry] = await session.scalars(select(AuditEntry).where(AuditEntry.action == "token.create"))
        assert entry.details["permissions"] == "contents:write,members:read"
    found = await make_authentication(any_database).authenticator.actor_of_token(made.secret)
    assert found.actor.limits == TokenLimits(
        frozenset(),
        frozenset({cast.repository.id}),
        made.row.id,
        guild,
        frozenset({"metadata:read", "contents:read", "contents:write", "members:read"}),
    )


async def test_a_fine_grained_token_carries_only_what_can_be_chosen(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
    me = cast.accounts["member"].id

    def make(owner_id: int, **permissions: str) -> Act:
        return act(
            create_fine_grained_token,
            cast.actors["member"],
            me,
            name="t",
            owner_id=owner_id,
            permissions=permissions,
        )

    guild = cast.organization.id
    for owner_id, permissions in [
        (me, {"nonsense": "read"}),
        (me, {"contents": "admin"}),
        (me, {"metadata": "write"}),
        (me, {"members": "read"}),
        (guild, {"profile": "write"}),
        (cast.accounts["stranger"].id, {"contents": "read"}),
        (10**6, {"contents": "read"}),
    ]:
        assert await outcome(database, make(owner_id, **permissions)) is TokenInvalid, permissions
    assert await outcome(database, make(me, profile="write", contents="read")) is None
    assert await outcome(database, make(guild, members="read")) is None
    ids = frozenset(range(REPOSITORIES_MAX + 1))
    tried = act(
        create_fine_grained_token, cast.actors["member"], me, name="t", owner_id=me, permissions={}, repository_ids=ids
    )
    assert await outcome(database, tried) is TokenInvalid


async def test_the_policy_bounds_how_long_a_new_token_lives(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        now = await database_now(session)
    member, me = cast.actors["member"], cast.accounts["member"].id
    for days, wanted in [(None, TokenInvalid), (31, TokenInvalid), (30, None), (1, None), (-1, TokenInvalid)]:
        expires_at = None if days is None else now + timedelta(days=days)
        for tried in (
            act(create_token, member, me, name="t", scopes=[], expires_at=expires_at, lifetime_max_days=30),
            act(
                create_fine_grained_token,
                member,
                me,
                name="t",
                owner_id=me,
                permissions={},
                expires_at=expires_at,
                lifetime_max_days=30,
            ),
        ):
            assert await outcome(database, tried) is wanted, days


async def test_a_regenerated_token_keeps_its_rights_and_its_old_secret_is_dead(any_database: Database) -> None:
    parts = make_authentication(any_database)
    async with any_database.write() as session:
        alice, bob = await make_account(session, "alice"), await make_account(session, "bob")
        old = await create_token(session, actor_of(alice), alice.id, name="laptop", scopes=["repo"])
        new = await regenerate_token(session, actor_of(alice), alice.id, old.row.id, expires_at=None)
        with pytest.raises(NotFound):
            await regenerate_token(session, actor_of(bob), bob.id, old.row.id, expires_at=None)
    assert (new.row.id, new.row.scopes, new.row.name) == (old.row.id, ("repo",), "laptop")
    assert (await parts.authenticator.actor_of_token(new.secret)).actor.account_id == alice.id
    with pytest.raises(BadCredentials):
        await parts.authenticator.actor_of_token(old.secret)


async def test_changed_rights_count_from_the_next_request_and_within_a_running_one(any_database: Database) -> None:
    parts = make_authentication(any_database)
    async with any_database.write() as session:
        alice = await make_account(session, "alice")
        me = actor_of(alice)
        classic = await create_token(session, me, alice.id, name="c", scopes=["repo"])
        fine = await create_fine_grained_token(
            session, me, alice.id, name="f", owner_id=alice.id, permissions={"contents": "write"}
        )
    running = (await parts.authenticator.actor_of_token(fine.secret)).actor
    async with any_database.write() as session:
        await change_token(session, me, alice.id, classic.row.id, scopes=["gist"])
        await change_fine_grained_token(
            session, me, alice.id, fine.row.id, permissions={"contents": "read"}, repository_ids=frozenset({7})
        )
        with pytest.raises(TokenInvalid):
            await change_token(session, me, alice.id, fine.row.id, scopes=["repo"])
        with pytest.raises(TokenInvalid):
            await change_fine_grained_token(session, me, alice.id, classic.row.id, permissions={}, repository_ids=None)
        limits = (await refresh_actor(session, running)).limits
    assert limits is not None
    assert limits.permissions == frozenset({"metadata:read", "contents:read"})
    assert limits.repository_ids == frozenset({7})
    assert (await parts.authenticator.actor_of_token(fine.secret)).actor.limits == limits
    changed = (await parts.authenticator.actor_of_token(classic.secret)).actor.limits
    assert changed is not None
    assert changed.scopes == {"gist"}
    async with any_database.read() as session:
        entries = (await session.scalars(select(AuditEntry.action))).all()
    assert entries[-2:] == ["token.update", "token.update"]
