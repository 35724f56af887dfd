"""Reading repositories: hidden is absent, renamed is elsewhere, lists hold what the actor may see."""

import pytest
from sqlalchemy import event
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.repositories import grant, make_repository

from cairn.access.actions import Action
from cairn.access.roles import Role, Visibility
from cairn.base.actor import ANONYMOUS, SYSTEM, Actor
from cairn.base.errors import CairnError, Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.identity.models import Account, AccountRename
from cairn.repositories.models import RepositoryRename
from cairn.repositories.queries import (
    Affiliation,
    RepositoryFilter,
    RepositoryMoved,
    RepositorySort,
    count_repositories,
    find_repository,
    find_repository_by_id,
    list_repositories,
    load_scope,
)

ALL = RepositoryFilter()


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


async def names(database: Database, actor: Actor, wanted: RepositoryFilter = ALL) -> list[str]:
    async with database.read() as session:
        page = await list_repositories(session, actor, wanted)
    assert page.total == len(page.items)
    return [view.name for view in page.items]


async def cast(database: Database) -> tuple[Account, Account]:
    async with database.write() as session:
        alice, bob = await make_account(session, "alice"), await make_account(session, "bob")
        await make_repository(session, alice, "a-public")
        await make_repository(session, alice, "a-internal", visibility=Visibility.INTERNAL)
        await make_repository(session, alice, "a-private", visibility=Visibility.PRIVATE)
        shared = await make_repository(session, alice, "a-shared", visibility=Visibility.PRIVATE)
        await grant(session, shared, bob, Role.READ)
        await make_repository(session, bob, "b-private", visibility=Visibility.PRIVATE)
    return alice, bob


async def test_a_list_holds_what_the_actor_may_see(database: Database) -> None:
    alice, bob = await cast(database)
    assert await names(database, ANONYMOUS) == ["a-public"]
    assert await names(database, actor_of(bob)) == ["a-internal", "a-public", "a-shared", "b-private"]
    assert await names(database, actor_of(alice)) == ["a-internal", "a-private", "a-public", "a-shared"]
    assert await names(database, with_token(actor_of(alice), "public_repo")) == ["a-public"]
    assert len(await names(database, SYSTEM)) == 5


async def test_filters_narrow_and_never_widen(database: Database) -> None:
    alice, bob = await cast(database)
    actor = actor_of(bob)
    owner, collaborator = Affiliation.OWNER, Affiliation.COLLABORATOR

    async def listed(**fields: object) -> list[str]:
        return await names(database, actor, RepositoryFilter(**fields))  # type: ignore[arg-type]  # each below fits

    assert await listed(owner_id=alice.id) == ["a-internal", "a-public", "a-shared"]
    assert await listed(affiliations=frozenset({owner})) == ["b-private"]
    assert await listed(affiliations=frozenset({collaborator})) == ["a-shared"]
    assert await listed(affiliations=frozenset({owner, collaborator})) == ["a-shared", "b-private"]
    assert await listed(affiliations=frozenset()) == []
    assert await listed(visibilities=frozenset({Visibility.PRIVATE})) == ["a-shared", "b-private"]
    assert await listed(text="SHAR") == ["a-shared"]
    assert await listed(text="%") == []
    assert await listed(text="_") == []
    assert await listed(text="a\x00") == []
    assert await listed(text="\ud800") == []


async def test_pages_and_orders(database: Database) -> None:
    alice, _ = await cast(database)
    async with database.read() as session:
        second = await list_repositories(session, actor_of(alice), ALL, page=2, per_page=3)
        assert (second.total, [view.name for view in second.items]) == (4, ["a-shared"])
        down = await list_repositories(session, actor_of(alice), ALL, descending=True, per_page=1)
        assert [view.name for view in down.items] == ["a-shared"]
        for sort in RepositorySort:
            page = await list_repositories(session, actor_of(alice), ALL, sort=sort, page=-3, per_page=10**9)
            assert len(page.items) == 4


async def test_a_list_takes_two_statements_however_long_it_is(database: Database) -> None:
    alice, _ = await cast(database)
    async with database.write() as session:
        for _ in range(20):
            await make_repository(session, alice)
    async with database.read() as session:
        ran: list[str] = []
        connection = await session.connection()
        event.listen(connection.sync_connection, "before_cursor_execute", lambda *found: ran.append(found[2]))
        page = await list_repositories(session, actor_of(alice), ALL)
    assert len(page.items) == 24
    assert len(ran) == 2


async def test_an_account_s_repositories_are_counted_by_who_may_see_them(database: Database) -> None:
    async with database.write() as session:
        alice, bob = await make_account(session, "alice"), await make_account(session, "bob")
        await make_repository(session, alice, "open")
        await make_repository(session, alice, "secret", visibility=Visibility.PRIVATE)
        await make_repository(session, alice, "ours", visibility=Visibility.INTERNAL)
        await make_repository(session, bob, "other")
    async with database.read() as session:
        counts = await count_repositories(session, alice.id)
        assert (counts.public, counts.private, counts.disk_kib) == (1, 2, 0)
