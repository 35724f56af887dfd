"""The worker keeps what rulesets found within its bounds."""

from datetime import timedelta

from sqlalchemy import update
from tests.factories.accounts import actor_of, make_account
from tests.factories.repositories import make_repository

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID, Oid
from cairn.jobs.context import JobContext
from cairn.jobs.registry import registry
from cairn.repositories.rules.jobs import prune_rule_suites
from cairn.repositories.rules.judge import RefVerdict
from cairn.repositories.rules.models import RuleSuite
from cairn.repositories.rules.suites import SUITES_KEPT, list_suites, note_suites
from cairn.repositories.rules.types import SuiteResult


async def test_what_is_older_than_its_time_goes_every_hour(database: Database) -> None:
    change = RefUpdate(b"refs/heads/x", Oid("1" * 40), ZERO_OID)
    verdict = RefVerdict(change, SuiteResult.FAIL, SuiteResult.FAIL, [])
    async with database.write() as session:
        ada = await make_account(session, "ada")
        made = await make_repository(session, ada)
        note_suites(session, actor_of(ada), made.id, [verdict])
        await session.flush()
        old = await database_now(session, plus=-SUITES_KEPT - timedelta(minutes=1))
        await session.execute(update(RuleSuite).values(at=old))
        note_suites(session, actor_of(ada), made.id, [verdict])
    await prune_rule_suites(JobContext(database, job_id=1, fencing=1, attempt=1))
    async with database.read() as session:
        assert len(await list_suites(session, made.id)) == 1
    assert registry.schedules["repositories.prune_rule_suites"] == timedelta(hours=1)
