"""The counts that are kept, on each database."""

from sqlalchemy import select
from tests.factories.accounts import make_account
from tests.factories.repositories import make_repository

from cairn.db.database import Database
from cairn.git.models import Store
from cairn.jobs.models import Job
from cairn.repositories.languages.counting import Counted
from cairn.repositories.languages.recorded import (
    COUNT_KIND,
    LANGUAGES_KEPT_MAX,
    ask_for_count,
    counted_tree,
    list_uncounted,
    load_languages,
    record_languages,
)
from cairn.repositories.models import Repository


async def test_a_count_takes_the_place_of_the_one_before(any_database: Database) -> None:
    async with any_database.write() as session:
        made = await make_repository(session, await make_account(session, "ada"))
    updated = made.updated_at
    many = {f"L{number}": 1000 - number for number in range(LANGUAGES_KEPT_MAX + 5)}
    for tree, counted in (("1" * 40, {"C": 5, "Go": 9}), ("2" * 40, many), ("3" * 40, {})):
        async with any_database.write() as session:
            await record_languages(session, made.id, tree, Counted(counted, is_complete=True))
        kept = dict(sorted(counted.items(), key=lambda item: -item[1])[:LANGUAGES_KEPT_MAX])
        assert await load_languages(any_database, made.id) == (kept if tree[0] != "1" else {"Go": 9, "C": 5})
        async with any_database.read() as session:
            row = await session.get_one(Repository, made.id)
            assert row.language == next(iter(counted), None)
            assert row.updated_at == updated, "nobody changed anything"
            assert await counted_tree(session, made.id) == tree
    async with any_database.write() as session:
        await record_languages(session, 999_999, "1" * 40, Counted({"C": 1}, is_complete=True))
    assert await load_languages(any_database, 999_999) == {}


async def test_many_askings_are_one_job(any_database: Database) -> None:
    async with any_database.write() as session:
        made = await make_repository(session, await make_account(session, "ada"))
        for _ in range(3):
            await ask_for_count(session, made.id)
    async with any_database.read() as session:
        assert [job.kind for job in await session.scalars(select(Job))] == [COUNT_KIND]


async def test_what_has_commits_and_no_count_is_found(any_database: Database) -> None:
    async with any_database.write() as session:
        ada = await make_account(session, "ada")
        made = [await make_repository(session, ada) for _ in range(4)]
        for one in made[1:]:
            (await session.get_one(Store, one.store_id)).pack_bytes = 9
        await record_languages(session, made[2].id, "1" * 40, Counted({}, is_complete=True))
    async with any_database.read() as session:
        assert await list_uncounted(session, after=0, limit=9) == [made[1].id, made[3].id]
        assert await list_uncounted(session, after=made[1].id, limit=1) == [made[3].id]
