"""What authorization costs: lists out of 100,000 repositories, one authorized request, and what it asks the database.

``python -m bench.authorization`` writes ``bench/AUTHORIZATION.md``.
"""

import asyncio
import os
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx2
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import actor_of, make_account
from tests.factories.organizations import join_organization, join_team, make_organization, make_team
from tests.services.postgresql import PostgresqlServer, postgresql_server

from bench.load import requests_per_second
from bench.subject import OWNER, Subject, cairn
from cairn.access.actions import Action
from cairn.access.models import Grant, TeamGrant
from cairn.access.roles import BasePermission, Role, Visibility
from cairn.access.visible import visible
from cairn.base.actor import Actor
from cairn.db.database import Database, open_database
from cairn.db.migrate import upgrade
from cairn.git.models import Store
from cairn.identity.models import Account
from cairn.repositories.lists import Affiliation, RepositoryFilter, RepositorySort, list_repositories
from cairn.repositories.models import ACCESS_COLUMNS, Repository

REPOSITORIES = 100_000
ORGANIZATIONS = 100
TEAMS = 50
GRANTS_OF_A_TEAM = 20
DIRECT_GRANTS = 100
RUNS = 60
_LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
RESULTS = Path(__file__).parent / "AUTHORIZATION.md"


@dataclass(frozen=True)
class Stage:
    """A filled database, and who looks at it."""

    database: Database
    actor: Actor
    organization_id: int
    expected: int


async def fill(database: Database) -> Stage:
    """Fill a migrated database: private repositories of 100 organizations, 1 in 50 public, 1 in 50 internal.

    The actor is in 50 nested teams of ten organizations, with 20 repositories each, a plain member of a further one
    whose base permission is read, and a collaborator on 100 repositories elsewhere.
    """
    chance = random.Random(7)
    async with database.write() as session:
        me = await make_account(session, "me")
        owners = [await make_organization(session, f"guild-{number}") for number in range(ORGANIZATIONS)]
        readable = await make_organization(session, "readable", base_permission=BasePermission.READ)
        await join_organization(session, readable, me)
        owners.append(readable)
        await _insert_repositories(session, owners, chance)
    async with database.write() as session:
        for owner in owners[:10]:
            await join_organization(session, owner, me)
            owned = list(await session.scalars(select(Repository.id).where(Repository.owner_id == owner.id)))
            parent = None
            for _ in range(TEAMS // 10):
                team = await make_team(session, owner, parent=parent)
                parent = team if parent is None or chance.random() < 0.5 else parent
                await join_team(session, team, me)
                chosen = chance.sample(owned, GRANTS_OF_A_TEAM)
                await session.execute(
                    insert(TeamGrant),
                    [{"repository_id": one, "team_id": team.id, "role": Role.WRITE, "granted_at": _LONG_AGO}
                     for one in chosen],
                )  # fmt: skip
        elsewhere = list(await session.scalars(select(Repository.id).where(Repository.owner_id == owners[20].id)))
        await session.execute(
            insert(Grant),
            [{"repository_id": one, "account_id": me.id, "role": Role.READ, "granted_at": _LONG_AGO}
             for one in chance.sample(elsewhere, DIRECT_GRANTS)],
        )  # fmt: skip
    actor = actor_of(me)
    async with database.write() as session:
        await session.execute(text("ANALYZE"))
    async with database.read() as session:
        ids = await session.scalars(select(Repository.id).where(visible(actor, Action.REPOSITORY_SEE, ACCESS_COLUMNS)))
        return Stage(database, actor, readable.id, len(set(ids)))


async def _insert_repositories(session: AsyncSession, owners: list[Account], chance: random.Random) -> None:
    every = range(1, REPOSITORIES + 1)
    await session.execute(
        insert(Store),
        [{"id": number, "object_format": "sha1", "head_target": b"refs/heads/main", "created_at": _LONG_AGO}
         for number in every],
    )  # fmt: skip
    visibilities = [Visibility.PUBLIC, Visibility.INTERNAL, *[Visibility.PRIVATE] * 98]
    await session.execute(
        insert(Repository),
        [
            {
                "owner_id": owners[number % len(owners)].id,
                "name": f"repository-{number}",
                "name_key": f"repository-{number}",
                "store_id": number,
                "visibility": visibilities[chance.randrange(50) if number % 50 else number // 50 % 2],
                "created_at": _LONG_AGO,
                "updated_at": _LONG_AGO,
                "is_archived": False,
            }
            for number in every
        ],
    )


async def p95_ms(run: Callable[[], Awaitable[object]], *, runs: int = RUNS) -> float:
    """Return the time that 95 of 100 calls stay under, after five unmeasured ones."""
    taken = []
    for number in range(runs + 5):
        started = time.perf_counter()
        await run()
        if number >= 5:
            taken.append((time.perf_counter() - started) * 1000)
    return statistics.quantiles(taken, n=20)[-1]


async def measure_lists(stage: Stage) -> dict[str, float]:
    """Return p95 in milliseconds of one page of each list."""
    wanted: dict[str, tuple[RepositoryFilter, RepositorySort]] = {
        "everything visible, by name": (RepositoryFilter(), RepositorySort.FULL_NAME),
        "everything visible, by last push": (RepositoryFilter(), RepositorySort.PUSHED),
        "of one organization": (RepositoryFilter(owner_id=stage.organization_id), RepositorySort.FULL_NAME),
        "as owner or collaborator": (
            RepositoryFilter(affiliations=frozenset(Affiliation)),
            RepositorySort.FULL_NAME,
        ),
    }
    found = {}
    for name, (which, sort) in wanted.items():

        async def one(which: RepositoryFilter = which, sort: RepositorySort = sort) -> None:
            async with stage.database.read() as session:
                page = await list_repositories(session, stage.actor, which, sort=sort)
                assert page.items

        found[name] = await p95_ms(one)

    async def ids() -> None:
        async with stage.database.read() as session:
            rows = await session.scalars(
                select(Repository.id).where(visible(stage.actor, Action.REPOSITORY_SEE, ACCESS_COLUMNS)).limit(30)
            )
            assert len(rows.all()) == 30

    found["visible() alone, 30 ids"] = await p95_ms(ids)
    return found


async def run(url: str) -> dict[str, float]:
    """Migrate, fill and measure one database."""
    database = open_database(url, pool_size=3)
    try:
        await upgrade(database)
        stage = await fill(database)
        print(f"{database.dialect}: {stage.expected:,} of {REPOSITORIES:,} repositories are visible")
        return await measure_lists(stage)
    finally:
        await database.close()


def measure_requests(subject: Subject) -> float:
    """Return how many ``GET /repos/{owner}/{repo}`` of a private repository a second are answered, by token."""
    subject.create_repository("engine")
    return requests_per_second(_url(subject), headers={"Authorization": f"Bearer {subject.token}"})


def cpu_ms_of_a_request(subject: Subject, *, requests: int = 1000) -> float:
    """Return the CPU milliseconds the web program takes for one ``GET /repos/{owner}/{repo}``, whatever else runs.

    The repository is ``measure_requests``'s.
    """
    web = next(pid for pid in _children(subject.process.pid) if b"\0web\0" in Path(f"/proc/{pid}/cmdline").read_bytes())
    headers = {"Authorization": f"Bearer {subject.token}"}
    with httpx2.Client(headers=headers, trust_env=False) as client:
        for number in range(requests + 100):
            if number == 100:
                before = _cpu_seconds(web)
            assert client.get(_url(subject)).status_code == 200
    return (_cpu_seconds(web) - before) * 1000 / requests


def _children(pid: int) -> list[int]:
    return [int(name) for name in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _cpu_seconds(pid: int) -> float:
    """Return what a program and everything below it used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(_cpu_seconds(child) for child in _children(pid))


def statements_of_a_request(server: PostgresqlServer, subject: Subject) -> list[str]:
    """Return what one warm request says to PostgreSQL, in order: each is one round trip."""
    log = server.process.log
    for _ in range(3):
        subject.call("GET", f"/api/v3/repos/{OWNER}/engine")
    before = log.stat().st_size
    subject.call("GET", f"/api/v3/repos/{OWNER}/engine")
    said = [line for line in log.read_bytes()[before:].decode().splitlines() if "LOG:  " in line]
    return [line.split("LOG:  ", 1)[1] for line in said]


def _url(subject: Subject) -> str:
    return f"{subject.origin}/api/v3/repos/{OWNER}/engine"


def main() -> None:
    """Measure SQLite and PostgreSQL and write the tables."""
    requests: dict[str, tuple[float, float]] = {}
    lists: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as name:
        folder = Path(name)
        with cairn(folder / "sqlite") as subject:
            requests["SQLite"] = measure_requests(subject), cpu_ms_of_a_request(subject)
        with postgresql_server(fsync=True, options=("log_statement=all",)) as server:
            with cairn(folder / "logged", settings=_company(server)) as subject:
                subject.create_repository("engine")
                statements = statements_of_a_request(server, subject)
        with postgresql_server(fsync=True) as server:
            with cairn(folder / "postgresql", settings=_company(server)) as subject:
                requests["PostgreSQL"] = measure_requests(subject), cpu_ms_of_a_request(subject)
            lists["SQLite"] = asyncio.run(run(f"sqlite:///{folder}/lists.db"))
            lists["PostgreSQL"] = asyncio.run(run(server.url(server.create_database())))
    report = _report(requests, statements, lists)
    print(report)
    RESULTS.write_text(report)


def _report(requests: dict[str, tuple[float, float]], statements: list[str], lists: dict[str, dict[str, float]]) -> str:
    """Return the tables; times in milliseconds."""
    said = [statement for statement in statements if "SELECT" in statement]
    lines = [
        "# What authorization costs",
        "",
        f"`python -m bench.authorization` on {datetime.now(UTC):%Y-%m-%d}; all programs share two cores.",
        "",
        "## One authorized request: `GET /repos/{owner}/{repo}` of a private repository, by token",
        "",
        "| database | requests a second | CPU of the web program |",
        "|---|---:|---:|",
        *(f"| {name} | {rate:,.0f} | {cpu:.2f} ms |" for name, (rate, cpu) in requests.items()),
        "",
        f"On PostgreSQL {len(said)} of its {len(statements)} round trips are queries; the others begin and end.",
        "",
        f"## Lists out of {REPOSITORIES:,} repositories",
        "",
        f"One page of 30, p95 of {RUNS} calls; wanted: 30 ms at most. The actor is in {TEAMS} nested teams of ten",
        f"organizations, a member of one more, and a collaborator on {DIRECT_GRANTS} repositories elsewhere.",
        "",
        "| list | " + " | ".join(lists) + " |",
        "|---|" + "---:|" * len(lists),
    ]
    for what in next(iter(lists.values())):
        cells = [f"{found[what]:.1f} ms" for found in lists.values()]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _company(server: PostgresqlServer) -> dict[str, str]:
    return {
        "CAIRN_DATABASE_URL": server.url(server.create_database()),
        "CAIRN_SECRET_KEY": "a key for the bench, of no other use",
    }


if __name__ == "__main__":
    main()
