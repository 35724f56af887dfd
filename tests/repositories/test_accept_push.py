"""What a push meets: the door, the role, the rules of each ref, again under the lock; and what is told afterwards."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import delete, select, update
from tests.factories.accounts import LONG_AGO, actor_of, make_account, with_token
from tests.factories.repositories import grant

from cairn.access.models import Grant
from cairn.access.roles import Role, Visibility
from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS, Actor, TokenLimits
from cairn.base.errors import CairnError, Forbidden, NotFound, Unauthenticated
from cairn.base.ids import random_id
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.git.engine import Engine
from cairn.git.models import Ref
from cairn.git.quarantine import Quarantine
from cairn.git.ref_transaction import RefOutcome, RefUpdate
from cairn.git.types import ZERO_OID, Oid, Signature
from cairn.git.writing import File, commit_files
from cairn.identity.authenticate import AccountSuspended, BadCredentials
from cairn.identity.models import Account, Token
from cairn.identity.tokens import create_token
from cairn.repositories.accept_push import TransportClosed, begin_push, make_within, refuse_refs, remote_messages
from cairn.repositories.create import NewRepository, create_repository
from cairn.repositories.git_access import GitTarget
from cairn.repositories.models import Repository
from cairn.repositories.queries import RepositoryView, load_scope

SETTINGS = Settings(external_url="https://cairn.test")
MAIN, TOPIC = b"refs/heads/main", b"refs/heads/topic"


async def cast(database: Database, engine: Engine) -> tuple[Account, Account, RepositoryView]:
    async with database.write() as session:
        alice, bob = await make_account(session, "alice"), await make_account(session, "bob")
    made = await create_repository(
        database, engine, actor_of(alice), NewRepository(name="engine", visibility=Visibility.PRIVATE, with_readme=True)
    )
    async with database.write() as session:
        await grant(session, await session.get_one(Repository, made.id), bob, Role.WRITE)
        await session.execute(delete(EventRow))
        await session.execute(update(Repository).values(pushed_at=None))
    return alice, bob, made


async def target_of(database: Database, engine: Engine, actor: Actor, made: RepositoryView) -> GitTarget:
    async with database.read() as session:
        scope = await load_scope(session, actor, made.id)
    assert scope is not None
    return GitTarget(actor, scope, made.owner, made.name, await engine.state(made.store_id), "sha1")


async def tip(database: Database, name: bytes = MAIN) -> Oid:
    async with database.read() as session:
        return Oid(await session.scalar(select(Ref.oid).where(Ref.name == name)) or ZERO_OID)


async def push(
    database: Database, engine: Engine, actor: Actor, made: RepositoryView, *names: bytes, deletes: Sequence[bytes] = ()
) -> Sequence[RefOutcome]:
    """Push a new commit to each name, in one push that is not atomic."""
    author = Signature("a", "a@x.test", LONG_AGO)

    async def write(quarantine: Quarantine) -> list[RefUpdate]:
        updates = [RefUpdate(name, await tip(database, name), ZERO_OID) for name in deletes]
        for name in names:
            commit = await commit_files(
                quarantine,
                parents=[await tip(database)],
                changes={b"f": File(random_id().encode())},
                author=author,
                committer=author,
                message="m",
            )
            updates.append(RefUpdate(name, await tip(database, name), commit))
        return updates

    staged = replace(await engine.stage(made.store_id, write), is_atomic=False)
    within = make_within(actor, made.id)
    return await engine.land(staged, push_id=random_id(), actor=actor.label, within=within)


async def test_a_push_moves_refs_and_tells_who_moved_what(database: Database, engine: Engine) -> None:
    _, bob, made = await cast(database, engine)
    before = await tip(database)
    outcomes = await push(database, engine, actor_of(bob), made, MAIN, b"refs/heads/\xff")
    assert all(outcome.moved for outcome in outcomes)
    async with database.read() as session:
        events = list(await session.scalars(select(EventRow).order_by(EventRow.id)))
        pushes = select(AuditEntry).where(AuditEntry.action == "repository.push").order_by(AuditEntry.id)
        _, entry = await session.scalars(pushes)  # the first one made the repository
        repository = await session.get_one(Repository, made.id)
    assert repository.pushed_at is not None
    assert [event.payload["ref"] for event in events] == ["refs/heads/main", "refs/heads/\ufffd"]
    assert events[0].payload["old_oid"] == before
    assert events[0].payload["new_oid"] == await tip(database)
    assert (events[0].payload["actor"], events[0].payload["actor_id"]) == ("bob", bob.id)
    assert events[0].payload["ref_base64"] == ""
    assert events[1].payload["ref_base64"] == "cmVmcy9oZWFkcy//"
    assert {event.repository_id for event in events} == {made.id}
    assert (entry.action, entry.actor_id, entry.repository_id) == ("repository.push", bob.id, made.id)


async def test_the_default_branch_cannot_be_deleted_and_the_rest_of_the_push_lands(
    database: Database, engine: Engine
) -> None:
    _, bob, made = await cast(database, engine)
    await push(database, engine, actor_of(bob), made, b"refs/heads/old")
    outcomes = await push(database, engine, actor_of(bob), made, TOPIC, deletes=[MAIN, b"refs/heads/old"])
    said = {outcome.name: outcome.refusal for outcome in outcomes}
    assert "main is the default branch; choose another one" in said[MAIN]
    assert said[TOPIC] == said[b"refs/heads/old"] == ""
    assert await tip(database) != ZERO_OID
    assert await tip(database, b"refs/heads/old") == ZERO_OID
    async with database.read() as session:
        told = [str(row.payload["ref"]) for row in await session.scalars(select(EventRow).order_by(EventRow.id))]
    assert sorted(told[1:]) == ["refs/heads/old", "refs/heads/topic"]


def test_only_the_deletion_of_the_default_branch_is_refused() -> None:
    some = Oid("1" * 40)
    updates = [
        RefUpdate(MAIN, some, ZERO_OID),
        RefUpdate(TOPIC, some, ZERO_OID),
        RefUpdate(b"refs/tags/main", some, some),
    ]
    assert set(refuse_refs(updates, head_target=MAIN)) == {MAIN}
    assert refuse_refs(updates, head_target=b"refs/heads/other") == {}


async def test_who_may_push(database: Database, engine: Engine) -> None:
    alice, bob, made = await cast(database, engine)
    async with database.write() as session:
        reader, stranger = await make_account(session), await make_account(session)
        admin = await make_account(session, is_site_admin=True)
        await grant(session, await session.get_one(Repository, made.id), reader, Role.TRIAGE)
    writer = actor_of(bob)
    table: list[tuple[Actor, type[CairnError] | None]] = [
        (actor_of(alice), None),
        (writer, None),
        (actor_of(admin), None),
        (with_token(writer, "repo"), None),
        (with_token(writer, "repo", repository_ids=frozenset({made.id})), None),
        (actor_of(reader), Forbidden),
        (actor_of(stranger), NotFound),
        (ANONYMOUS, NotFound),
        (with_token(writer, "public_repo"), NotFound),
        (with_token(writer, "repo", repository_ids=frozenset({made.id + 1})), NotFound),
        (with_token(actor_of(admin), "repo"), NotFound),
    ]
    for actor, error in table:
        before = await tip(database)
        target = await target_of(database, engine, actor, made)
        if error is None:
            begin_push(target, transport="http", settings=SETTINGS)
            await push(database, engine, actor, made, MAIN)
            assert await tip(database) != before
            continue
        with pytest.raises(error):
            begin_push(target, transport="http", settings=SETTINGS)
        with pytest.raises(error):
            await push(database, engine, actor, made, MAIN)
        assert await tip(database) == before


async def test_what_changed_while_the_pack_was_on_its_way_counts(database: Database, engine: Engine) -> None:
    """Attack: begin a slow push, lose the right, finish it."""
    _, bob, made = await cast(database, engine)
    writer = actor_of(bob)
    async with database.write() as session:
        token = await create_token(session, writer, bob.id, name="t", scopes=["repo"])
    by_token = replace(writer, limits=TokenLimits(frozenset({"repo"}), None, token.row.id))
    await push(database, engine, by_token, made, MAIN)
    before = await tip(database)
    async with database.write() as session:
        await session.execute(delete(Token))
    with pytest.raises(BadCredentials):
        await push(database, engine, by_token, made, MAIN)
    async with database.write() as session:
        await session.execute(update(Repository).values(is_archived=True))
    with pytest.raises(Forbidden, match="archived"):
        await push(database, engine, writer, made, MAIN)
    async with database.write() as session:
        await session.execute(update(Repository).values(is_archived=False))
        await session.execute(update(Grant).values(role=Role.READ))
    with pytest.raises(Forbidden):
        await push(database, engine, writer, made, MAIN)
    async with database.write() as session:
        await session.execute(delete(Grant))
    with pytest.raises(NotFound):
        await push(database, engine, writer, made, MAIN)
    async with database.write() as session:
        await session.execute(update(Account).where(Account.id == bob.id).values(suspended_at=LONG_AGO))
    with pytest.raises(AccountSuspended):
        await push(database, engine, writer, made, MAIN)
    assert await tip(database) == before
    async with database.read() as session:
        assert len(list(await session.scalars(select(EventRow).where(EventRow.type == "pushed")))) == 1


async def test_a_closed_door_takes_no_push_and_names_the_open_one(database: Database, engine: Engine) -> None:
    alice, _, made = await cast(database, engine)
    target = await target_of(database, engine, actor_of(alice), made)
    only_ssh = Settings(push_transports=("ssh",))
    with pytest.raises(TransportClosed, match="over SSH only"):
        begin_push(target, transport="http", settings=only_ssh)
    begin_push(target, transport="ssh", settings=only_ssh)
    with pytest.raises(TransportClosed, match="over HTTP only"):
        begin_push(target, transport="ssh", settings=Settings(push_transports=("http",)))
    # Who may not push at all is told that first, and strangers learn nothing.
    with pytest.raises(NotFound):
        begin_push(replace(target, actor=ANONYMOUS), transport="http", settings=only_ssh)


async def test_an_anonymous_push_to_a_public_repository_asks_to_sign_in(database: Database, engine: Engine) -> None:
    alice, _, made = await cast(database, engine)
    target = await target_of(database, engine, actor_of(alice), made)
    public = replace(target, actor=ANONYMOUS, scope=replace(target.scope, visibility=Visibility.PUBLIC, role=None))
    with pytest.raises(Unauthenticated):
        begin_push(public, transport="http", settings=SETTINGS)


async def test_only_a_first_push_is_told_where_to_look(database: Database, engine: Engine) -> None:
    alice, _, made = await cast(database, engine)
    moved = [RefOutcome(MAIN, ZERO_OID, Oid("1" * 40))]
    refused = [RefOutcome(MAIN, ZERO_OID, Oid("1" * 40), "no")]
    later = await target_of(database, engine, actor_of(alice), made)
    assert remote_messages(later, moved, origin="https://cairn.test") == []
    first = replace(later, state=replace(later.state, ref_version=0))
    assert remote_messages(first, refused, origin="https://cairn.test") == []
    assert "  https://cairn.test/alice/engine" in remote_messages(first, moved, origin="https://cairn.test")
