"""What rulesets found is listed, filtered and forgotten in time."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from tests.factories.accounts import actor_of, make_account
from tests.factories.repositories import make_repository

from cairn.base.errors import NotFound
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID, Oid
from cairn.repositories.rules import suites
from cairn.repositories.rules.judge import RefVerdict, RuleFinding
from cairn.repositories.rules.models import RuleSuite
from cairn.repositories.rules.suites import SuiteFilter, list_suites, note_suites, prune_suites, read_suite
from cairn.repositories.rules.types import Enforcement, SuiteResult


def verdict(number: int) -> RefVerdict:
    refused = RuleFinding(3, "set", Enforcement.ACTIVE, "deletion", "x" * 5000)
    change = RefUpdate(b"refs/heads/%d" % number, Oid("1" * 40), ZERO_OID)
    return RefVerdict(change, SuiteResult.FAIL, SuiteResult.FAIL, [refused] * 50)


async def test_a_push_is_noted_within_bounds_and_found_by_what_it_was(any_database: Database) -> None:
    async with any_database.write() as session:
        ada = await make_account(session, "ada")
        made, other = await make_repository(session, ada), await make_repository(session, ada)
        note_suites(session, actor_of(ada), made.id, [verdict(number) for number in range(150)])
    async with any_database.read() as session:
        found = await list_suites(session, made.id, per_page=1000)
        assert len(found) == suites.PER_PAGE_MAX == suites.SUITES_PER_CHANGE
        assert found[0].id > found[-1].id
        assert len(found[0].findings) == suites.FINDINGS_PER_SUITE
        assert len(found[0].findings[0].message) == 1000
        [one] = await list_suites(session, made.id, SuiteFilter(ref=b"refs/heads/7", actor="ADA"))
        assert await list_suites(session, made.id, SuiteFilter(actor="bob")) == []
        assert await list_suites(session, made.id, SuiteFilter(evaluation=SuiteResult.PASS)) == []
        assert len(await list_suites(session, made.id, SuiteFilter(since=found[-1].at), page=2, per_page=60)) == 40
        assert (await read_suite(session, made.id, one.id)).ref == b"refs/heads/7"
        with pytest.raises(NotFound):
            await read_suite(session, other.id, one.id)


async def test_what_is_old_or_too_much_goes(any_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suites, "SUITES_MAX", 5)
    monkeypatch.setattr(suites, "_BATCH", 3)
    async with any_database.write() as session:
        ada = await make_account(session, "ada")
        made, other = await make_repository(session, ada), await make_repository(session, ada)
        note_suites(session, actor_of(ada), made.id, [verdict(number) for number in range(20)])
        note_suites(session, actor_of(ada), other.id, [verdict(1)])
        await session.flush()
        old = await database_now(session, plus=-suites.SUITES_KEPT - timedelta(minutes=1))
        await session.execute(update(RuleSuite).where(RuleSuite.ref < b"refs/heads/2").values(at=old))
    assert await prune_suites(any_database) > 0
    async with any_database.read() as session:
        rows = await session.execute(select(RuleSuite.repository_id, func.count()).group_by(RuleSuite.repository_id))
        assert [tuple(row) for row in rows] == [(made.id, 5)]
        assert (await list_suites(session, made.id))[0].ref == b"refs/heads/9"
    assert await prune_suites(any_database) == 0
