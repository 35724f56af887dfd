"""Reading a repository: hidden is absent, renamed is elsewhere."""

import pytest
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.repositories import grant, make_repository

from cairn.access.actions import Action
from cairn.access.roles import Role, Visibility
from cairn.base.actor import ANONYMOUS, SYSTEM, Actor
from cairn.base.errors import CairnError, Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.identity.models import AccountRename
from cairn.repositories.models import RepositoryRename
from cairn.repositories.queries import RepositoryMoved, find_repository, find_repository_by_id, load_scope


async def answer(database: Database, actor: Actor, owner: str, name: str, action: Action) -> type[CairnError] | None:
    async with database.read() as session:
        try:
            await find_repository(session, actor, owner, name, action)
        except CairnError as error:
            return type(error)
    return None


async def test_a_hidden_repository_and_an_absent_one_are_one_answer(database: Database) -> None:
    """Attack: the difference between 403 and 404 tells which private repositories exist."""
    async with database.write() as session:
        alice, mallory = await make_account(session, "alice"), await make_account(session, "mallory")
        await make_repository(session, alice, "secret", visibility=Visibility.PRIVATE)
    for actor in (ANONYMOUS, actor_of(mallory), with_token(actor_of(alice), "public_repo")):
        for action in (Action.REPOSITORY_READ, Action.REPOSITORY_PUSH, Action.REPOSITORY_DELETE):
            for name in ("secret", "absent", "..", "a\x00b"):
                assert await answer(database, actor, "alice", name, action) is NotFound
    async with database.read() as session:
        texts = set()
        for name in ("secret", "absent"):
            with pytest.raises(NotFound) as refused:
                await find_repository(session, ANONYMOUS, "alice", name)
            texts.add(refused.value.message)
    assert len(texts) == 1


async def test_what_is_seen_but_not_allowed_is_forbidden_or_wants_a_sign_in(database: Database) -> None:
    async with database.write() as session:
        alice, bob = await make_account(session, "alice"), await make_account(session)
        await make_repository(session, alice, "open")
    push = Action.REPOSITORY_PUSH
    assert await answer(database, ANONYMOUS, "alice", "open", push) is Unauthenticated
    assert await answer(database, actor_of(bob), "alice", "open", push) is Forbidden
    assert await answer(database, actor_of(alice), "Alice", "OPEN", push) is None


async def test_a_renamed_repository_is_found_only_by_those_who_may_read_it(database: Database) -> None:
    """Attack: the redirect from an old name tells the new name of a private repository."""
    async with database.write() as session:
        alice, mallory = await make_account(session, "alice"), await make_account(session)
        made = await make_repository(session, alice, "new", visibility=Visibility.PRIVATE)
        session.add(RepositoryRename(owner_id=alice.id, name_key="old", repository_id=made.id))
    async with database.read() as session:
        with pytest.raises(RepositoryMoved) as moved:
            await find_repository(session, actor_of(alice), "alice", "OLD")
    assert (moved.value.owner, moved.value.name, moved.value.repository_id) == ("alice", "new", made.id)
    for actor in (ANONYMOUS, actor_of(mallory)):
        assert await answer(database, actor, "alice", "old", Action.REPOSITORY_READ) is NotFound


async def test_a_renamed_owner_is_followed(database: Database) -> None:
    async with database.write() as session:
        alice = await make_account(session, "alice")
        made = await make_repository(session, alice, "now")
        session.add(AccountRename(login_key="alison", account_id=alice.id))
        session.add(RepositoryRename(owner_id=alice.id, name_key="before", repository_id=made.id))
    async with database.read() as session:
        for name in ("now", "before"):
            with pytest.raises(RepositoryMoved) as moved:
                await find_repository(session, ANONYMOUS, "Alison", name)
            assert (moved.value.owner, moved.value.name) == ("alice", "now")
        with pytest.raises(NotFound) as absent:
            await find_repository(session, ANONYMOUS, "alison", "never")
    assert not isinstance(absent.value, RepositoryMoved)


async def test_a_view_tells_the_actors_role_whatever_the_token_leaves_of_it(database: Database) -> None:
    async with database.write() as session:
        alice, bob = await make_account(session), await make_account(session)
        made = await make_repository(session, alice, visibility=Visibility.INTERNAL)
        await grant(session, made, bob, Role.TRIAGE)
    async with database.read() as session:
        for actor, role in (
            (actor_of(alice), Role.ADMIN),
            (actor_of(bob), Role.TRIAGE),
            (with_token(actor_of(bob), "repo"), Role.TRIAGE),
            (SYSTEM, Role.ADMIN),
        ):
            view = await find_repository_by_id(session, actor, made.id)
            assert view.role is role
            assert view.scope == await load_scope(session, actor, made.id)
        assert await load_scope(session, SYSTEM, made.id + 1) is None
