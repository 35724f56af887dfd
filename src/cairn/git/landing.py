"""``land``: the one transaction in which a staged plan becomes true. Its COMMIT is the only commit point of a push.

A COMMIT whose answer got lost is resolved by the push id: a tombstone row under the same key either collides with the
committed push, or makes it impossible for that push to commit later.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import Conflict, Unavailable
from cairn.base.log import get_logger
from cairn.db.clock import database_now
from cairn.db.database import Database, DatabaseAway, is_connection_lost, is_retryable
from cairn.git.fail_points import Step, fail_point
from cairn.git.models import ManifestKind, Push
from cairn.git.pack_files import UploadedPack, enter_manifest
from cairn.git.ref_transaction import RefOutcome, RefUpdate, VerifyRef, find_refusals, verify, write_refs
from cairn.git.store_state import lock_stores
from cairn.git.types import Oid, RefName

PLAN_LIFETIME = timedelta(hours=1)
"""RELIABILITY 1.3 B: a plan older than this may rely on objects that collection is about to drop."""

_ATTEMPTS = 5
_RESOLVE_SECONDS = 10.0
_log = get_logger(__name__)

Within = Callable[[AsyncSession, Sequence[RefUpdate]], Awaitable[dict[RefName, str]]]
"""Runs under the store's lock with the updates that can be made: authorize, lock own rows, check rules per ref, change,
emit events for what is not refused; returns the refusals by ref name (a sentence each). Raising refuses everything."""


class PlanTooOld(Conflict):
    """A staged plan waited longer than an hour."""

    def __init__(self) -> None:
        super().__init__("this change was prepared more than an hour ago; prepare it again")


class OutcomeUnknown(Unavailable):
    """The database took the COMMIT but its answer was lost, and it stayed away while we asked again."""

    def __init__(self) -> None:
        super().__init__(
            "outcome unknown: the database went away during the commit; run git fetch to see what happened"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """Everything a plan needs to land: objects uploaded, checks done, no transaction held.

    ``checked_at`` is the database's time when the roots were read. ``is_atomic``: all updates or none. ``verify`` pins
    refs, of any store, that must not have moved.
    """

    store_id: int
    updates: tuple[RefUpdate, ...]
    checked_at: datetime
    pack: UploadedPack | None = None
    is_atomic: bool = False
    verify: tuple[VerifyRef, ...] = ()


class _AllRefused(Exception):
    """Rolls back an atomic landing of which one update was refused."""

    def __init__(self, outcomes: list[RefOutcome]) -> None:
        self.outcomes = outcomes


async def land(database: Database, staged: Staged, *, push_id: str, actor: str, within: Within) -> list[RefOutcome]:
    """Make the plan true in one transaction and return what became of each update, in their order.

    A push id that already landed returns its first result again. Errors: PlanTooOld, RefMoved (a pinned ref),
    UploadExpired, whatever ``within`` raises, DatabaseAway (nothing happened), OutcomeUnknown.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        is_committing = False
        try:
            async with database.begin() as session:
                outcomes = await _land_within(session, staged, push_id=push_id, actor=actor, within=within)
                await fail_point(Step.BEFORE_COMMIT)
                is_committing = True
                await session.commit()
            await fail_point(Step.AFTER_COMMIT)
            return outcomes
        except _AllRefused as refused:
            return refused.outcomes
        except (DBAPIError, OSError, TimeoutError) as error:
            if is_committing and is_connection_lost(error):
                _log.warning("commit_unknown", push_id=push_id, store_id=staged.store_id)
                return await _resolve(database, staged, push_id)
            is_transient = isinstance(error, DBAPIError) and is_retryable(error)
            if not is_transient and not is_connection_lost(error):
                raise
            if attempt == _ATTEMPTS:
                raise DatabaseAway("The database is away or busy; nothing was changed, try again.") from error
        await asyncio.sleep(0.02 * 2**attempt)
    raise AssertionError("unreachable")


async def _land_within(
    session: AsyncSession, staged: Staged, *, push_id: str, actor: str, within: Within
) -> list[RefOutcome]:
    locked = await lock_stores(session, sorted({staged.store_id, *(item.store_id for item in staged.verify)}))
    store = locked[staged.store_id]
    earlier = await session.get(Push, (store.id, push_id))
    if earlier is not None:
        return _decode(earlier.result)
    now = await database_now(session)
    if now - staged.checked_at > PLAN_LIFETIME:
        raise PlanTooOld
    await verify(session, staged.verify)
    refusals = await find_refusals(session, store.id, staged.updates)
    if refusals and staged.is_atomic:
        raise _AllRefused(_outcomes(staged, refusals))
    possible = [update for update in staged.updates if update.name not in refusals]
    if possible:
        refusals |= await within(session, possible)
        if refusals and staged.is_atomic:
            raise _AllRefused(_outcomes(staged, refusals))
    outcomes = _outcomes(staged, refusals)
    moving = [update for update in possible if update.name not in refusals]
    if moving:
        await write_refs(session, store, moving, push_id=push_id, actor=actor, at=now)
        if staged.pack is not None:
            await enter_manifest(session, store, staged.pack, kind=ManifestKind.PUSH, at=now)
    await session.execute(insert(Push).values(store_id=store.id, id=push_id, result=_encode(outcomes), at=now))
    await session.flush()
    return outcomes


def _outcomes(staged: Staged, refusals: dict[RefName, str]) -> list[RefOutcome]:
    """Pair every update with its refusal; in an atomic plan one refusal refuses the others too."""
    others = "atomic push failed: another ref was refused" if refusals and staged.is_atomic else ""
    return [
        RefOutcome(update.name, update.old, update.new, refusals.get(update.name, others)) for update in staged.updates
    ]


async def _resolve(database: Database, staged: Staged, push_id: str) -> list[RefOutcome]:
    """Find out whether a push committed, and make sure that it cannot commit after we answered that it did not."""
    deadline = asyncio.get_running_loop().time() + _RESOLVE_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS), database.begin() as session:
                found = await session.execute(
                    select(Push.result).where(Push.store_id == staged.store_id, Push.id == push_id)
                )
                result = found.scalar_one_or_none()
                if result is None:
                    # Waits for the lost transaction if that is still open on the server; the key lets one of us win.
                    await session.execute(
                        insert(Push).values(
                            store_id=staged.store_id, id=push_id, result=[], at=await database_now(session)
                        )
                    )
                    await session.commit()
                    raise DatabaseAway("The database went away; nothing was changed, try again.")
                return _decode(result)
        except IntegrityError:
            continue
        except (DBAPIError, OSError, TimeoutError) as error:
            _log.warning("resolve_retry", push_id=push_id, error=type(error).__name__)
        await asyncio.sleep(0.25)
    raise OutcomeUnknown


def _encode(outcomes: Sequence[RefOutcome]) -> list[dict[str, str]]:
    return [
        {"name": item.name.decode("latin-1"), "old": item.old, "new": item.new, "refusal": item.refusal}
        for item in outcomes
    ]


def _decode(result: list[dict[str, str]]) -> list[RefOutcome]:
    """Read a stored result; an empty one is the tombstone of a push that never committed."""
    if not result:
        raise DatabaseAway("An earlier attempt was given up; nothing was changed, try again.")
    return [
        RefOutcome(item["name"].encode("latin-1"), Oid(item["old"]), Oid(item["new"]), item["refusal"])
        for item in result
    ]
