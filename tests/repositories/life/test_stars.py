"""Stars: counted once, by whom the rule lets, listed for whom the rule shows."""

import pytest
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.repositories import make_repository

from cairn.access.roles import Visibility
from cairn.base.actor import ANONYMOUS, Actor
from cairn.base.errors import CairnError, Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.identity.models import Account
from cairn.repositories.life import stars
from cairn.repositories.life.stars import (
    TooManyStars,
    forget_stars,
    list_stargazers,
    list_starred,
    require_starred,
    star,
    unstar,
)
from cairn.repositories.queries import find_repository_by_id


async def people(database: Database, *names: str) -> list[Account]:
    async with database.write() as session:
        return [await make_account(session, name) for name in names]


async def count(database: Database, actor: Actor, repository_id: int) -> tuple[int, bool]:
    async with database.read() as session:
        found = await find_repository_by_id(session, actor, repository_id)
    return found.stars_count, found.is_starred


async def test_a_star_counts_once_and_can_be_taken_back(database: Database) -> None:
    alice, bob = await people(database, "alice", "bob")
    async with database.write() as session:
        made = await make_repository(session, alice)
    for _ in range(2):
        async with database.write() as session:
            await star(session, actor_of(bob), made.id)
    assert await count(database, actor_of(bob), made.id) == (1, True)
    assert await count(database, actor_of(alice), made.id) == (1, False)
    assert await count(database, ANONYMOUS, made.id) == (1, False)
    async with database.read() as session:
        await require_starred(session, actor_of(bob), made.id)
        with pytest.raises(NotFound):
            await require_starred(session, actor_of(alice), made.id)
        found = await find_repository_by_id(session, actor_of(alice), made.id)
        assert [one.login for one in await list_stargazers(session, found, page=1, per_page=10)] == ["bob"]
    for _ in range(2):
        async with database.write() as session:
            await unstar(session, actor_of(bob), made.id)
    assert await count(database, actor_of(bob), made.id) == (0, False)


async def test_who_may_star(database: Database) -> None:
    alice, bob = await people(database, "alice", "bob")
    async with database.write() as session:
        made = await make_repository(session, alice)
        hidden = await make_repository(session, alice, visibility=Visibility.PRIVATE)
    table: list[tuple[Actor, int, type[CairnError]]] = [
        (ANONYMOUS, made.id, Unauthenticated),
        (actor_of(bob), hidden.id, NotFound),
        (actor_of(bob), 10**6, NotFound),
        (with_token(actor_of(bob), "read:org"), made.id, Forbidden),
        (with_token(actor_of(alice), "public_repo"), hidden.id, NotFound),
    ]
    for actor, repository_id, error in table:
        with pytest.raises(error) as refused:
            async with database.write() as session:
                await star(session, actor, repository_id)
        assert type(refused.value) is error, (actor, repository_id)
    async with database.write() as session:
        await star(session, with_token(actor_of(bob), "public_repo"), made.id)
    assert await count(database, actor_of(bob), made.id) == (1, True)


async def test_a_list_of_stars_shows_only_what_its_reader_may_see(database: Database) -> None:
    alice, bob = await people(database, "alice", "bob")
    async with database.write() as session:
        open_ = await make_repository(session, alice)
        hidden = await make_repository(session, alice, visibility=Visibility.PRIVATE)
        for one in (open_, hidden):
            await star(session, actor_of(alice), one.id)

    async def seen(actor: Actor) -> list[int]:
        async with database.read() as session:
            found = await list_starred(session, actor, alice.id, page=1, per_page=10)
        return [one.repository.id for one in found]

    assert await seen(actor_of(alice)) == [hidden.id, open_.id]
    assert await seen(actor_of(bob)) == await seen(ANONYMOUS) == [open_.id]


async def test_an_account_has_so_many_stars_to_give(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    (alice,) = await people(database, "alice")
    monkeypatch.setattr(stars, "STARS_MAX", 1)
    async with database.write() as session:
        one, two = await make_repository(session, alice), await make_repository(session, alice)
        await star(session, actor_of(alice), one.id)
    with pytest.raises(TooManyStars):
        async with database.write() as session:
            await star(session, actor_of(alice), two.id)


async def test_the_stars_of_who_is_gone_go(database: Database) -> None:
    alice, bob = await people(database, "alice", "bob")
    async with database.write() as session:
        made = [await make_repository(session, alice) for _ in range(3)]
        for one in made:
            await star(session, actor_of(bob), one.id)
        await star(session, actor_of(alice), made[0].id)
    async with database.write() as session:
        assert await forget_stars(session, bob.id, limit=2) == 2
        assert await forget_stars(session, bob.id, limit=2) == 1
    assert [(await count(database, ANONYMOUS, one.id))[0] for one in made] == [1, 0, 0]
