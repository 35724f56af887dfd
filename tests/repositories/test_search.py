"""Searching repositories, on each database: what matches, what comes first, what nobody else learns."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.repositories import grant, make_repository

from cairn.access.roles import Role, Visibility
from cairn.base.actor import ANONYMOUS, Actor
from cairn.base.clock import utc_now
from cairn.db.database import Database
from cairn.repositories.search import SearchOrder, SearchRefused, read_search, search_repositories
from cairn.repositories.topics import list_lively_topics, list_topics, set_topics


@dataclass(frozen=True)
class Place:
    database: Database
    ada: Actor
    ben: Actor

    async def names(
        self, query: str, actor: Actor | None = None, order: SearchOrder = SearchOrder.NAME, **options: Any
    ) -> list[str]:
        """Return what is found by name, and hold the count to it."""
        async with self.database.read() as session:
            found = await search_repositories(session, actor or self.ada, read_search(query), order=order, **options)
        if not options:
            assert found.total == len(found.items)
        return [item.name for item in found.items]


@pytest.fixture
async def place(any_database: Database) -> Place:
    """ada's repositories: mill (Python, public), stone-mill (Rust, private), windmill (internal fork), Übung."""
    async with any_database.write() as session:
        ada, ben = await make_account(session, "ada"), await make_account(session, "ben")
        mill = await make_repository(session, ada, "Mill")
        mill.description, mill.language = "Grinds Ärger 100% by_hand", "Python"
        mill.stars_count, mill.license, mill.is_template = 12, "MIT", True
        stone = await make_repository(session, ada, "stone-mill", visibility=Visibility.PRIVATE)
        stone.language = "Rust"
        stone.stars_count, stone.license = 3, "NOASSERTION"
        wind = await make_repository(session, ada, "windmill", visibility=Visibility.INTERNAL)
        wind.parent_id = wind.source_id = mill.id
        await make_repository(session, ada, "old", is_archived=True)
        yard = await make_repository(session, ben, "yard")
        yard.pushed_at, yard.license = utc_now(), "GPL-3.0"
        yard.created_at = datetime(2020, 5, 1, 23, 59, tzinfo=UTC)
        await session.flush()
    for repository, topics in ((mill, ("grain", "python")), (stone, ("grain", "secret-plan")), (yard, ("python",))):
        async with any_database.write() as session:
            owner = ada if repository.owner_id == ada.id else ben
            await set_topics(session, actor_of(owner), repository.id, topics)
    return Place(any_database, actor_of(ada), actor_of(ben))


QUERIES = {
    "mill": ["Mill", "stone-mill"],
    "mill fork:true": ["Mill", "stone-mill", "windmill"],
    "mill fork:only": ["windmill"],
    "is:fork": ["windmill"],
    "MILL in:name": ["Mill", "stone-mill"],
    "ärger": ["Mill"],
    '"grinds ärger"': ["Mill"],
    "grinds in:name": [],
    "GRINDS in:description": ["Mill"],
    "100%": ["Mill"],
    "y_h": ["Mill"],
    "%": ["Mill"],
    "grain": ["Mill", "stone-mill"],
    "grain in:topics": ["Mill", "stone-mill"],
    "topic:python": ["Mill", "yard"],
    "topic:PYTHON topic:grain": ["Mill"],
    "topic:pyth": [],
    "-topic:python user:ada": ["old", "stone-mill"],
    "language:python": ["Mill"],
    "language:py language:rust": ["Mill", "stone-mill"],
    "-language:rust": ["Mill", "old", "yard"],
    "user:BEN": ["yard"],
    "user:ada user:ben mill": ["Mill", "stone-mill"],
    "repo:ada/mill": ["Mill"],
    "ada/mill": ["Mill"],
    "ada/": ["Mill", "old", "stone-mill"],
    "is:private": ["stone-mill"],
    "is:public is:archived": ["old"],
    "archived:false user:ada": ["Mill", "stone-mill"],
    "mill -stone": ["Mill"],
    "stars:12": ["Mill"],
    "stars:>3": ["Mill"],
    "stars:>=3 stars:<12": ["stone-mill"],
    "stars:3..12": ["Mill", "stone-mill"],
    "-stars:0": ["Mill", "stone-mill"],
    "stars:0": ["old", "yard"],
    "license:mit": ["Mill"],
    "license:MIT license:gpl-3.0": ["Mill", "yard"],
    "license:other": ["stone-mill"],
    "-license:mit": ["old", "stone-mill", "yard"],
    "is:template": ["Mill"],
    "template:false": ["old", "stone-mill", "yard"],
    "created:2020-05-01": ["yard"],
    "created:<2020-05-01": ["Mill", "old", "stone-mill"],
    "created:>2020-05-01": [],
    "created:2020-02-01..2020-05-01T23:59:00Z": ["yard"],
    "pushed:>2020-06-01": ["yard"],
    "a\x00b": [],
    "user:\x00 topic:\x00": [],
    "nothing like it": [],
}


@pytest.mark.parametrize("query", QUERIES)
async def test_a_query_finds_what_it_says(place: Place, query: str) -> None:
    assert await place.names(query) == QUERIES[query]
    for order in SearchOrder:
        assert sorted(await place.names(query, order=order)) == sorted(QUERIES[query])


async def test_what_is_hidden_changes_neither_results_nor_counts(place: Place) -> None:
    """Attack: counts, topics and orders that tell of a private repository and its words."""
    for query in ("secret-plan", "stone", "topic:secret-plan", "is:private", "repo:ada/stone-mill", "language:rust"):
        assert await place.names(query) != []
        for actor in (ANONYMOUS, place.ben, with_token(place.ada, "public_repo")):
            assert await place.names(query, actor) == []
    assert await place.names("mill fork:true", ANONYMOUS) == ["Mill"]
    assert await place.names("mill fork:true", place.ben) == ["Mill", "windmill"]
    async with place.database.read() as session:
        assert await list_topics(session, place.ada) == [("grain", 2), ("python", 2), ("secret-plan", 1)]
        assert await list_topics(session, place.ben) == [("python", 2), ("grain", 1)]
        assert await list_topics(session, place.ben, containing=["plan"]) == []
        assert await list_topics(session, place.ada, containing=["rai"]) == [("grain", 2)]
        assert await list_lively_topics(session, place.ada, limit=2) == ["grain", "python"]
        assert await list_lively_topics(session, ANONYMOUS, limit=9) == ["python", "grain"]


async def test_what_is_called_so_comes_first(place: Place) -> None:
    async with place.database.write() as session:
        ben = await make_account(session, "cy")
        for name in ("mill-stones", "yard-of-mills", "far"):
            made = await make_repository(session, ben, name)
            made.description, made.pushed_at = "a mill of sorts", utc_now()
    best = await place.names("mill fork:true", place.ben, SearchOrder.BEST)
    assert best == ["Mill", "mill-stones", "yard-of-mills", "windmill", "far"]
    assert await place.names("yard", place.ben, SearchOrder.UPDATED) == ["yard-of-mills", "yard"]
    assert await place.names("mill", place.ben, SearchOrder.NAME, per_page=2, page=2) == [
        "mill-stones",
        "yard-of-mills",
    ]


async def test_the_most_stars_come_first_or_last(place: Place) -> None:
    stars = SearchOrder.STARS
    assert (await place.names("mill", order=stars)) == ["Mill", "stone-mill"]
    assert (await place.names("stars:*..20 user:ada", order=stars)) == ["Mill", "stone-mill", "old"]
    assert (await place.names("mill", order=stars, descending=False)) == ["stone-mill", "Mill"]


async def test_a_grant_shows_and_a_search_costs_two_statements(place: Place) -> None:
    async with place.database.write() as session:
        cy = await make_account(session, "cy")
        for number in range(5):
            made = await make_repository(session, cy, f"mill-{number}", visibility=Visibility.PRIVATE)
            account = await make_account(session, f"friend{number}")
            await grant(session, made, account, Role.READ)
    statements: list[str] = []
    async with place.database.read() as session:
        connection = await session.connection()

        def note(conn: object, cursor: object, statement: str, *rest: object) -> None:
            statements.append(statement)

        event.listen(connection.sync_connection, "before_cursor_execute", note)
        found = await search_repositories(session, actor_of(cy), read_search("mill-"))
    assert found.total == 5
    assert len(statements) == 2


@pytest.mark.parametrize(
    "query",
    [
        *(
            "forks:>5",
            "size:1",
            "stars:many",
            "license:mine",
            "created:soon",
            "template:maybe",
            "in:readme",
            "-in:name",
            "is:nice",
            "fork:maybe",
            "archived:x",
            "language:klingon",
        ),
        *("repo:mill", "x" * 1001, " ".join("abcdefghijklmnopqrstu")),
    ],
)
def test_what_there_is_not_is_refused_and_not_passed_over(query: str) -> None:
    with pytest.raises(SearchRefused):
        read_search(query)
