"""Lists of repositories hold what the actor may see; filters narrow them, orders and pages cut them."""

from sqlalchemy import event
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.repositories import grant, make_repository

from cairn.access.roles import Role, Visibility
from cairn.base.actor import ANONYMOUS, SYSTEM, Actor
from cairn.db.database import Database
from cairn.identity.models import Account
from cairn.repositories.lists import (
    Affiliation,
    RepositoryFilter,
    RepositorySort,
    count_repositories,
    list_repositories,
)

ALL = RepositoryFilter()


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
