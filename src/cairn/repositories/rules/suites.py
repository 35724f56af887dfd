"""What rulesets found, kept for a while: refusals, bypasses, and what a ruleset on trial would have refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.db.clock import database_now, now
from cairn.db.database import Database
from cairn.git.types import Oid, RefName
from cairn.repositories.models import Repository
from cairn.repositories.rules.judge import RefVerdict
from cairn.repositories.rules.models import RuleSuite
from cairn.repositories.rules.types import SuiteResult

SUITES_KEPT = timedelta(days=30)
SUITES_MAX = 10_000
"""Kept of one repository; the oldest go first."""

SUITES_PER_CHANGE = 100
"""Refs of one push that are noted; what is beyond has been told to whoever pushed."""

FINDINGS_PER_SUITE = 20
PER_PAGE_MAX = 100
_BATCH = 1000


class SuiteFinding(msgspec.Struct, frozen=True):
    """What one rule had against a change of a ref; never a secret itself."""

    ruleset_id: int
    ruleset: str
    enforcement: str
    rule: str
    message: str
    is_bypassed: bool


@dataclass(frozen=True, slots=True)
class Suite:
    """One change of a ref that some ruleset had something against."""

    id: int
    repository_id: int
    repository: str
    """Its name, without the owner."""
    actor_id: int | None
    actor: str
    ref: RefName
    old_oid: Oid
    new_oid: Oid
    result: SuiteResult
    evaluation: SuiteResult
    findings: Sequence[SuiteFinding]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteFilter:
    """Which suites are wanted; None or empty for all. ``ref`` is a full name, ``repository`` one without its owner."""

    repository: str = ""
    ref: RefName | None = None
    actor: str = ""
    result: SuiteResult | None = None
    evaluation: SuiteResult | None = None
    since: datetime | None = None
    before_id: int | None = None
    """Only what was found before that one: where a page goes on."""


def note_suites(session: AsyncSession, actor: Actor, repository_id: int, verdicts: Sequence[RefVerdict]) -> None:
    """Keep what was found, when the session flushes; it counts if the change is decided in its transaction."""
    for verdict in verdicts[:SUITES_PER_CHANGE]:
        session.add(
            RuleSuite(
                repository_id=repository_id,
                actor_id=actor.account_id,
                actor=actor.label[:255],
                ref=verdict.update.name,
                old_oid=verdict.update.old,
                new_oid=verdict.update.new,
                result=verdict.result,
                evaluation=verdict.evaluation,
                findings=[
                    {
                        "ruleset_id": one.ruleset_id,
                        "ruleset": one.ruleset,
                        "enforcement": one.enforcement.value,
                        "rule": one.rule,
                        "message": one.message[:1000],
                        "is_bypassed": one.is_bypassed,
                    }
                    for one in verdict.findings[:FINDINGS_PER_SUITE]
                ],
                at=now(),
            )
        )


async def list_suites(
    session: AsyncSession,
    repository_id: int,
    wanted: SuiteFilter = SuiteFilter(),
    *,
    page: int = 1,
    per_page: int = 30,
) -> list[Suite]:
    """Return one page of what was found, the newest first. The caller has authorized."""
    return await _list(session, Repository.id == repository_id, wanted, page=page, per_page=per_page)


async def list_suites_of_owner(
    session: AsyncSession,
    owner_id: int,
    wanted: SuiteFilter = SuiteFilter(),
    *,
    page: int = 1,
    per_page: int = 30,
) -> list[Suite]:
    """Return one page of what was found in all repositories of an account, the newest first.

    The caller has authorized.
    """
    # uq_repository_owner_id_name_key leads to the repositories, ix_rule_suite_repository_id_id to what each has.
    return await _list(session, Repository.owner_id == owner_id, wanted, page=page, per_page=per_page)


async def _list(
    session: AsyncSession, where: ColumnElement[bool], wanted: SuiteFilter, *, page: int, per_page: int
) -> list[Suite]:
    conditions = [where, Repository.is_deleted.is_(False)]
    if wanted.repository:
        conditions.append(Repository.name_key == wanted.repository.lower())
    if wanted.ref is not None:
        conditions.append(RuleSuite.ref == wanted.ref)
    if wanted.actor:
        conditions.append(func.lower(RuleSuite.actor) == wanted.actor.lower())
    if wanted.result is not None:
        conditions.append(RuleSuite.result == wanted.result)
    if wanted.evaluation is not None:
        conditions.append(RuleSuite.evaluation == wanted.evaluation)
    if wanted.since is not None:
        conditions.append(RuleSuite.at >= wanted.since)
    if wanted.before_id is not None:
        conditions.append(RuleSuite.id < wanted.before_id)
    per_page = min(per_page, PER_PAGE_MAX)
    # ix_rule_suite_repository_id_id
    rows = await session.execute(
        select(RuleSuite, Repository.name)
        .join(Repository, Repository.id == RuleSuite.repository_id)
        .where(*conditions)
        .order_by(RuleSuite.id.desc())
        .limit(per_page)
        .offset((page - 1) * per_page)
    )
    return [_suite(row, name) for row, name in rows]


async def read_suite(session: AsyncSession, repository_id: int, suite_id: int) -> Suite:
    """Return one; NotFound if it is none of the repository's. The caller has authorized."""
    return await _read(session, Repository.id == repository_id, suite_id)


async def read_suite_of_owner(session: AsyncSession, owner_id: int, suite_id: int) -> Suite:
    """Return one; NotFound if it is none of any of the account's repositories. The caller has authorized."""
    return await _read(session, Repository.owner_id == owner_id, suite_id)


async def _read(session: AsyncSession, where: ColumnElement[bool], suite_id: int) -> Suite:
    # Primary key of rule_suite.
    rows = await session.execute(
        select(RuleSuite, Repository.name)
        .join(Repository, Repository.id == RuleSuite.repository_id)
        .where(RuleSuite.id == suite_id, where, Repository.is_deleted.is_(False))
    )
    found = rows.one_or_none()
    if found is None:
        raise NotFound("Not Found")
    return _suite(*found)


async def prune_suites(database: Database) -> int:
    """Delete what is older than SUITES_KEPT, and of each repository the oldest beyond SUITES_MAX; return how many."""
    pruned = 0
    async with database.read() as session:
        until = await database_now(session, plus=-SUITES_KEPT)
        crowded = await session.scalars(
            select(RuleSuite.repository_id).group_by(RuleSuite.repository_id).having(func.count() > SUITES_MAX)
        )
        repositories = list(crowded)
    while deleted := await _delete_older(database, until):
        pruned += deleted
    for repository_id in repositories:
        async with database.write() as session:
            last = await session.scalar(
                select(RuleSuite.id)
                .where(RuleSuite.repository_id == repository_id)
                .order_by(RuleSuite.id.desc())
                .offset(SUITES_MAX)
                .limit(1)
            )
            if last is not None:
                done = await session.execute(
                    delete(RuleSuite).where(RuleSuite.repository_id == repository_id, RuleSuite.id <= last)
                )
                pruned += int(getattr(done, "rowcount", 0))
    return pruned


async def _delete_older(database: Database, until: datetime) -> int:
    async with database.write() as session:
        # ix_rule_suite_at
        old = list(await session.scalars(select(RuleSuite.id).where(RuleSuite.at < until).limit(_BATCH)))
        if old:
            await session.execute(delete(RuleSuite).where(RuleSuite.id.in_(old)))
        return len(old)


def _suite(row: RuleSuite, repository: str) -> Suite:
    return Suite(
        row.id,
        row.repository_id,
        repository,
        row.actor_id,
        row.actor,
        bytes(row.ref),
        Oid(row.old_oid),
        Oid(row.new_oid),
        row.result,
        row.evaluation,
        msgspec.convert(row.findings, list[SuiteFinding]),
        row.at,
    )
