"""What searching 100,000 repositories costs on each database, and searching the files of a large repository.

``python -m bench.search`` prints the figures.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import actor_of, make_account
from tests.factories.organizations import join_organization, make_organization
from tests.services.mariadb import mariadb_server
from tests.services.postgresql import postgresql_server

from cairn.access.roles import BasePermission, Visibility
from cairn.base.actor import ANONYMOUS, Actor
from cairn.base.clock import utc_now
from cairn.db.database import Database, open_database
from cairn.db.migrate import upgrade
from cairn.git.models import Store
from cairn.identity.models import Account
from cairn.repositories.models import Repository, RepositoryTopic, search_text_of
from cairn.repositories.search import SearchOrder, read_search, search_repositories
from cairn.repositories.topics import list_lively_topics, list_topics

REPOSITORIES = 100_000
ORGANIZATIONS = 100
BATCH = 10_000
RUNS = 20
QUERIES = (
    *("mill", "query nothing-has", "stone in:name", "language:python", "topic:topic-7", "stone river language:go"),
    *("org:guild-3 mill", "-mill topic:topic-1"),
)
_WORDS = (
    *("mill", "stone", "river", "bridge", "engine", "query", "parser", "server", "client", "graph", "index", "cache"),
    *(
        "stream",
        "garden",
        "lantern",
        "compass",
        "anchor",
        "harbour",
        "meadow",
        "kiln",
        "forge",
        "loom",
        "ledger",
        "beacon",
    ),
)
_LANGUAGES = ("Python", "Go", "Rust", "TypeScript", "C", None)


async def fill(database: Database, *, public: float) -> Actor:
    """Fill a migrated database; the actor reads every hundredth private repository through an organization."""
    chance = random.Random(7)
    async with database.write() as session:
        me = await make_account(session, "me")
        owners = [await make_organization(session, f"guild-{number}") for number in range(ORGANIZATIONS - 1)]
        owners.append(await make_organization(session, "readable", base_permission=BasePermission.READ))
        await join_organization(session, owners[-1], me)
    for start in range(1, REPOSITORIES + 1, BATCH):
        async with database.write() as session:
            await _insert(session, owners, chance, range(start, start + BATCH), public)
    async with database.write() as session:
        tables = "repository, repository_topic" if database.dialect in {"mysql", "mariadb"} else ""
        await session.execute(text(f"ANALYZE TABLE {tables}" if tables else "ANALYZE"))
    return actor_of(me)


async def _insert(
    session: AsyncSession, owners: list[Account], chance: random.Random, numbers: range, public: float
) -> None:
    moment = utc_now()
    stores = [
        {"id": n, "object_format": "sha1", "head_target": b"refs/heads/main", "created_at": moment} for n in numbers
    ]
    await session.execute(insert(Store), stores)
    rows, topics = [], []
    for number in numbers:
        name = "-".join(chance.sample(_WORDS, 2)) + f"-{number}"
        description = " ".join(chance.choices(_WORDS, k=9)).capitalize() + "."
        chosen = sorted({f"topic-{int(chance.paretovariate(0.7)) % 5000}" for _ in range(3)})
        joined = f" {' '.join(chosen)} "
        rows.append(
            {
                "id": number,
                "owner_id": owners[number % len(owners)].id,
                "name": name,
                "name_key": name,
                "store_id": number,
                "visibility": Visibility.PUBLIC if chance.random() < public else Visibility.PRIVATE,
                "description": description,
                "topics": joined,
                "search_text": search_text_of(name, description, joined),
                "language": chance.choice(_LANGUAGES),
                "created_at": moment,
                "updated_at": moment,
                "pushed_at": moment,
                "is_archived": False,
            }
        )
        topics += [{"repository_id": number, "topic": topic} for topic in chosen]
    await session.execute(insert(Repository), rows)
    await session.execute(insert(RepositoryTopic), topics)


async def _timed(run: Callable[[], Awaitable[object]]) -> str:
    """Return the best, the median and the 95th of a hundred, after three that are not measured."""
    taken = []
    for number in range(RUNS + 3):
        started = time.perf_counter()
        await run()
        if number >= 3:
            taken.append((time.perf_counter() - started) * 1000)
    return (
        f"best {min(taken):.0f}, p50 {statistics.median(taken):.0f}, p95 {statistics.quantiles(taken, n=20)[-1]:.0f} ms"
    )


async def measure(database: Database, actor: Actor) -> dict[str, str]:
    """Return how long each query takes for one actor."""
    found: dict[str, str] = {}
    for query in QUERIES:
        total = 0

        async def one(query: str = query) -> None:
            nonlocal total
            async with database.read() as session:
                page = await search_repositories(session, actor, read_search(query), order=SearchOrder.BEST)
                total = page.total

        taken = await _timed(one)
        found[f"{query} ({total:,})"] = taken

    async def topics() -> None:
        async with database.read() as session:
            assert await list_topics(session, actor)

    async def lively() -> None:
        async with database.read() as session:
            assert await list_lively_topics(session, actor, limit=20)

    found["all topics"] = await _timed(topics)
    found["topics of what was pushed to last"] = await _timed(lively)
    return found


async def run(url: str, *, public: float) -> None:
    """Migrate, fill and measure one database."""
    database = open_database(url, pool_size=3)
    try:
        await upgrade(database)
        me = await fill(database, public=public)
        for who, actor in (("anonymous", ANONYMOUS), ("a member", me)):
            async with database.read() as session:
                page = await search_repositories(session, actor, read_search(""), per_page=1)
            print(f"{database.dialect}, {who} sees {page.total:,} of {REPOSITORIES:,}:")
            for what, milliseconds in (await measure(database, actor)).items():
                print(f"  {what}: {milliseconds}")
    finally:
        await database.close()


def main() -> None:
    """Print the figures of all three databases, with almost everything public and with almost nothing."""
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as name, ExitStack() as stack:
        postgresql = stack.enter_context(postgresql_server(fsync=True))
        mariadb = stack.enter_context(mariadb_server())
        for public in (0.98, 0.02):
            print(f"public: {public:.0%}")
            urls = (
                f"sqlite:///{name}/search-{public}.db",
                postgresql.url(postgresql.create_database()),
                mariadb.url(mariadb.create_database()),
            )
            for url in urls:
                asyncio.run(run(url, public=public))


if __name__ == "__main__":
    main()
