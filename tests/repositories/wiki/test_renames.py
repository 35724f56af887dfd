"""Old names of pages: where they lead, and how many are kept."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import make_account
from tests.factories.repositories import make_repository

from cairn.db.database import Database
from cairn.repositories.wiki import renames
from cairn.repositories.wiki.models import WikiPageRename
from cairn.repositories.wiki.renames import find_renamed, note_rename


@asynccontextmanager
async def two_repositories(database: Database) -> AsyncIterator[tuple[AsyncSession, int, int]]:
    async with database.write() as session:
        owner = await make_account(session)
        yield session, (await make_repository(session, owner)).id, (await make_repository(session, owner)).id


async def test_an_old_name_leads_to_the_new_one_in_its_own_wiki_by_any_spelling(any_database: Database) -> None:
    async with two_repositories(any_database) as (session, engine, other):
        await note_rename(session, engine, old=b"Set-up", new=b"Begin")
        assert [await find_renamed(session, engine, name) for name in (b"set up", b"Set-up", b"Begin")] == [
            b"Begin",
            b"Begin",
            None,
        ]
        assert await find_renamed(session, other, b"Set-up") is None


async def test_a_page_that_is_renamed_back_leads_nowhere_else(any_database: Database) -> None:
    async with two_repositories(any_database) as (session, engine, _):
        await note_rename(session, engine, old=b"One", new=b"Two")
        await note_rename(session, engine, old=b"Two", new=b"One")
        assert await find_renamed(session, engine, b"One") is None
        assert await find_renamed(session, engine, b"Two") == b"One"
        await note_rename(session, engine, old=b"One", new=b"ONE")
        assert await find_renamed(session, engine, b"one") is None


async def test_a_wiki_keeps_so_many_old_names_and_the_newest_among_them(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renames, "RENAMES_MAX", 3)
    async with two_repositories(any_database) as (session, engine, other):
        await note_rename(session, other, old=b"kept", new=b"there")
        for number in range(5):
            await note_rename(session, engine, old=b"old%d" % number, new=b"new%d" % number)
        found = [await find_renamed(session, engine, b"old%d" % number) for number in range(5)]
        count = await session.scalar(
            select(func.count()).select_from(WikiPageRename).where(WikiPageRename.repository_id == engine)
        )
        assert count == 3
        assert found[-1] == b"new4"
        assert await find_renamed(session, other, b"kept") == b"there"
