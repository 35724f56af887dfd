"""Whatever a database holds comes out of the dump as it went in, on whatever database it lands."""

import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import make_account
from tests.factories.backups import all_rows
from tests.factories.databases import Shelf

from cairn.access.models import Organization, Team
from cairn.db.database import Database, open_database
from cairn.identity.models import Account, AccountKind, OneTimeLink, Token
from cairn.ops.backup.dump import dump
from cairn.ops.backup.load import IDS_SKIPPED, load
from cairn.programs.schema import metadata

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
NASTY = "snow ☃, astral 𝄞, quote ', \\, \"\n\ttab, percent % :name"


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def target_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a second database beside the test's first: all three kinds, migrated and empty."""
    if request.param == "sqlite":
        shutil.copyfile(request.getfixturevalue("sqlite_template"), tmp_path / "target.db")
        yield f"sqlite:///{tmp_path / 'target.db'}"
    else:
        shelf: Shelf = request.getfixturevalue(f"{request.param}_shelf")
        yield from shelf.lend()


@pytest.fixture
async def target_database(target_url: str) -> AsyncIterator[Database]:
    """That database, open."""
    opened = open_database(target_url, pool_size=3)
    try:
        yield opened
    finally:
        await opened.close()


async def _fill(database: Database) -> None:
    """Rows with values that databases like to change: empty and long text, bytes, microseconds, JSON, a cycle."""
    tables = metadata().tables
    async with database.write() as session:
        ada = await make_account(session, "Ada")
        company = await make_account(session, "company")
        ada.name, ada.bio, ada.created_at = NASTY, "", MOMENT
        company.kind = AccountKind.ORGANIZATION
        for ids in (None, [], [1, 2**40]):
            session.add(
                Token(
                    account_id=ada.id,
                    token_sha256=f"{len(ids or []):01}{ids is None:d}" + "a" * 62,
                    name=NASTY,
                    last_characters="abcdefgh",
                    scopes=["repo", NASTY] if ids == [] else [],
                    repository_ids=ids,
                    created_at=MOMENT,
                )
            )
        await session.flush()
        store = 7
        names = [b"refs/heads/main", b"refs/heads/Main", bytes(range(1, 256)), b"refs/heads/\xff\xfe"]
        await session.execute(
            insert(tables["git_ref"]),
            [{"store_id": store, "name": name, "oid": "a" * 40, "peeled": None} for name in names],
        )
        await session.execute(
            insert(tables["git_push"]),
            [{"store_id": store, "id": "b" * 32, "result": [{"name": "\u0080\xff", "deep": {"": [None, 1.5, True]}}],
              "at": MOMENT}],
        )  # fmt: skip
        await session.execute(
            insert(tables["instance_secret"]), [{"name": "x", "sealed": bytes(range(256)) * 200, "created_at": MOMENT}]
        )
        await _nested_teams(session, company.id)


async def _nested_teams(session: AsyncSession, organization_id: int) -> None:
    """A team below one that is younger: no order of rows satisfies the foreign key."""
    session.add(Organization(account_id=organization_id))
    await session.flush()
    teams = [
        Team(organization_id=organization_id, slug=slug, name=slug, created_at=MOMENT, updated_at=MOMENT)
        for slug in ("child", "parent")
    ]
    for team in teams:
        session.add(team)
        await session.flush()
    teams[0].parent_id = teams[1].id
    await session.flush()


async def test_every_value_survives_the_way_from_any_database_to_any(
    any_database: Database, target_database: Database, tmp_path: Path
) -> None:
    await _fill(any_database)
    before = await all_rows(any_database)
    folder = tmp_path / "dump"
    async with any_database.snapshot() as connection:
        files = await dump(connection, metadata(), folder, tell=lambda _: None)
    async with target_database.write() as session:
        await make_account(session, "in-the-way")
    engine = target_database.make_migration_engine()
    try:
        for _ in range(2):  # the second time over what the first has left
            await load(engine, target_database.dialect, files, folder, tell=lambda _: None)
    finally:
        await engine.dispose()
    assert await all_rows(target_database) == before
    async with target_database.write() as session:
        highest = max(row[0] for row in before["account"] if isinstance(row[0], int))
        fresh = await make_account(session, "fresh")
        assert fresh.id == highest + IDS_SKIPPED + 1
        found = (await session.scalars(select(Account).where(Account.login == "Ada"))).one()
        assert found.created_at == MOMENT
        assert found.name == NASTY
        assert (await session.scalars(select(OneTimeLink))).all() == []
