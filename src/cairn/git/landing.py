"""``land``: the one transaction in which a staged plan becomes true. Its COMMIT is the only commit point of a push.

A COMMIT whose answer got lost is resolved by the push id: a tombstone row under the same key either collides with the
committed push, or makes it impossible for that push to commit later.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import Conflict, Unavailable
from cairn.base.log import get_logger
from cairn.db.clock import database_now, now
from cairn.db.database import Database, DatabaseAway, is_connection_lost, is_retryable
from cairn.db.failures import is_away
from cairn.git.fail_points import Step, fail_point
from cairn.git.models import ManifestKind, Push
from cairn.git.pack_files import UploadedPack, enter_manifest
from cairn.git.ref_queries import PLAN_LIFETIME, ROOTS_KEPT
from cairn.git.ref_transaction import RefOutcome, RefUpdate, VerifyRef, find_refusals, verify, write_refs
from cairn.git.store_state import lock_stores
from cairn.git.types import Oid, RefName

_ATTEMPTS = 5
_LAND_SECONDS = 30.0
"""All attempts together."""
_RESOLVE_SECONDS = 10.0
_KEEP_SECONDS = 5.0
_IF_REFUSED = "landing.if_refused"
_GIVEN_UP = [{"name": "", "old": "", "new": "", "refusal": "given up"}]
"""The result of a push that never committed and never will: no ref has an empty name."""
_log = get_logger(__name__)

Within = Callable[[AsyncSession, Sequence[RefUpdate]], Awaitable[dict[RefName, str]]]
"""Runs under the store's lock with the updates that can be made: authorize, lock own rows, check rules per ref, change,
emit events for what is not refused; returns the refusals by ref name (a sentence each). Raising refuses everything."""


class PlanTooOld(Conflict):
    """A staged plan waited longer than an hour."""

    def __init__(self) -> None:
        super().__init__("this change was prepared more than an hour ago; prepare it again")


class ObjectsPurged(Conflict):
    """Something was purged from the store after the plan was checked, and the plan may rely on it."""

    def __init__(self) -> None:
        super().__init__("this repository's data or visibility changed meanwhile; fetch and push again")


class OutcomeUnknown(Unavailable):
    """The database took the COMMIT but its answer was lost, and it stayed away while we asked again."""

    def __init__(self) -> None:
        super().__init__(
            "outcome unknown: the database went away during the commit; run git fetch to see what happened"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """Everything a plan needs to land: objects uploaded, checks done, no transaction held.

    ``checked_at`` is the database's time when the roots were read, ``cache_epoch`` the store's then (None: nothing was
    relied on). ``is_atomic``: all updates or none. ``verify`` pins refs, of any store, that must not have moved.
    """

    store_id: int
    updates: tuple[RefUpdate, ...]
    checked_at: datetime
    pack: UploadedPack | None = None
    is_atomic: bool = False
    verify: tuple[VerifyRef, ...] = ()
    cache_epoch: int | None = None


class _AllRefused(Exception):
    """Rolls back an atomic landing of which one update was refused."""

    def __init__(self, outcomes: list[RefOutcome]) -> None:
        self.outcomes = outcomes


class _RefusedLate(Exception):
    """Rolls back a landing in which ``within`` refused a deletion that was to make room for another ref's name."""

    def __init__(self, refusals: dict[RefName, str]) -> None:
        self.refusals = refusals


async def land(database: Database, staged: Staged, *, push_id: str, actor: str, within: Within) -> list[RefOutcome]:
    """Make the plan true in one transaction and return what became of each update, in their order.

    A push id that already landed returns its first result again. Errors: PlanTooOld, ObjectsPurged, RefMoved (a
    pinned ref), UploadExpired, whatever ``within`` raises, DatabaseAway (nothing happened), OutcomeUnknown.
    """
    give_up_at = asyncio.get_running_loop().time() + _LAND_SECONDS
    refused: dict[RefName, str] = {}
    attempt = 0
    while True:
        attempt += 1
        is_committing = False
        try:
            async with asyncio.timeout_at(give_up_at), database.begin() as session:
                outcomes = await _land_within(session, staged, refused, push_id=push_id, actor=actor, within=within)
                await fail_point(Step.BEFORE_COMMIT)
                is_committing = True
                await session.commit()
        except _AllRefused as all_refused:
            await _keep_refused(database, session, push_id)
            return all_refused.outcomes
        except _RefusedLate as late:
            refused = late.refusals  # at least one more each time, so this ends
            continue
        except Exception as error:
            is_transient = isinstance(error, DBAPIError) and is_retryable(error)
            if is_committing and not is_transient and is_connection_lost(error):
                _log.warning("commit_unknown", push_id=push_id, store_id=staged.store_id)
                return await _resolve(database, staged, push_id)
            if not is_transient and not is_away(error) and not isinstance(error, TimeoutError):
                raise
            if attempt == _ATTEMPTS or asyncio.get_running_loop().time() >= give_up_at:
                raise DatabaseAway("The database is away or busy; nothing was changed, try again.") from error
        else:
            await fail_point(Step.AFTER_COMMIT)
            return outcomes
        await asyncio.sleep(0.02 * 2**attempt)


def keep_if_refused(session: AsyncSession, keep: Callable[[AsyncSession], None]) -> None:
    """Have something written by a transaction of its own if the landing of this session is refused as a whole.

    What ``within`` writes itself is lost then. What is kept says that something was refused; it changes nothing else.
    """
    session.info.setdefault(_IF_REFUSED, []).append(keep)


async def _keep_refused(database: Database, refused: AsyncSession, push_id: str) -> None:
    wanted: list[Callable[[AsyncSession], None]] = refused.info.get(_IF_REFUSED, [])
    if not wanted:
        return
    try:
        async with asyncio.timeout(_KEEP_SECONDS), database.write() as session:
            for keep in wanted:
                keep(session)
    except (DBAPIError, DatabaseAway, TimeoutError) as error:
        # Nothing moved, and whoever asked is told so: that is true whether it is noted or not.
        _log.warning("refusal_not_kept", push_id=push_id, error=type(error).__name__)


async def find_landed(database: Database, store_id: int, push_id: str) -> list[RefOutcome] | None:
    """Return what a push id that landed did, None if it did not (yet): whoever repeats it learns that it is done."""
    async with database.read() as session:
        _, result = await _look(session, store_id, push_id)
    return None if result is None or result == _GIVEN_UP else _decode(result)


async def _land_within(
    session: AsyncSession,
    staged: Staged,
    refused: dict[RefName, str],
    *,
    push_id: str,
    actor: str,
    within: Within,
) -> list[RefOutcome]:
    """Do everything but the COMMIT; ``refused`` is what ``within`` refused in an attempt before."""
    locked = await lock_stores(session, sorted({staged.store_id, *(item.store_id for item in staged.verify)}))
    store = locked[staged.store_id]
    at, earlier = await _look(session, store.id, push_id)
    if earlier is not None and earlier != _GIVEN_UP:
        return _decode(earlier)
    if at - staged.checked_at > PLAN_LIFETIME:
        raise PlanTooOld
    if staged.cache_epoch not in {None, store.cache_epoch}:
        raise ObjectsPurged
    await verify(session, staged.verify)
    asked = [update for update in staged.updates if update.name not in refused]
    refusals = refused | await find_refusals(session, store.id, asked)
    if refusals and staged.is_atomic:
        raise _AllRefused(_outcomes(staged, refusals))
    possible = [update for update in asked if update.name not in refusals]
    late = await within(session, possible) if possible else {}
    refusals |= late
    if refusals and staged.is_atomic:
        raise _AllRefused(_outcomes(staged, refusals))
    moving = [update for update in possible if update.name not in refusals]
    if any(update.is_deletion and update.name in late for update in possible) and (
        await find_refusals(session, store.id, moving)
    ):
        raise _RefusedLate(refused | late)
    outcomes = _outcomes(staged, refusals)
    if moving:
        await write_refs(session, store, moving, push_id=push_id, actor=actor, at=at)
    if staged.pack is not None and any(not update.is_deletion for update in moving):
        await enter_manifest(session, store, staged.pack, kind=ManifestKind.PUSH, at=at)
        if refusals and store.collect_after is None:
            store.collect_after = at + ROOTS_KEPT  # the pack has objects that only a refused update wanted
    result = _encode(outcomes)
    if earlier is None:
        await session.execute(insert(Push).values(store_id=store.id, id=push_id, result=result, at=at))
    else:
        # The tombstone of an attempt that never committed and never can: this attempt takes its place.
        await session.execute(
            update(Push).where(Push.store_id == store.id, Push.id == push_id).values(result=result, at=at)
        )
    await session.flush()
    return outcomes


async def _look(session: AsyncSession, store_id: int, push_id: str) -> tuple[datetime, list[dict[str, str]] | None]:
    """Return the database's time and what an earlier landing under this push id left, in one statement."""
    earlier = select(Push.result).where(Push.store_id == store_id, Push.id == push_id).scalar_subquery()
    moment, result = (await session.execute(select(now(), earlier))).one()
    return moment, result


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
            async with asyncio.timeout_at(deadline), database.begin() as session:
                found = await session.execute(
                    select(Push.result).where(Push.store_id == staged.store_id, Push.id == push_id)
                )
                result = found.scalar_one_or_none()
                if result is None:
                    # Waits for the lost transaction if that is still open on the server; the key lets one of us win.
                    await session.execute(
                        insert(Push).values(
                            store_id=staged.store_id, id=push_id, result=_GIVEN_UP, at=await database_now(session)
                        )
                    )
                    await session.commit()
                    result = _GIVEN_UP
                return _decode(result)
        except IntegrityError:
            pass  # it committed after we looked
        except Exception as error:
            if not is_connection_lost(error):
                raise
            _log.warning("resolve_retry", push_id=push_id, error=type(error).__name__)
        await asyncio.sleep(0.1)
    raise OutcomeUnknown


def _encode(outcomes: Sequence[RefOutcome]) -> list[dict[str, str]]:
    return [
        {"name": item.name.decode("latin-1"), "old": item.old, "new": item.new, "refusal": item.refusal}
        for item in outcomes
    ]


def _decode(result: list[dict[str, str]]) -> list[RefOutcome]:
    """Read a stored result; DatabaseAway for the tombstone of a push that never committed."""
    if result == _GIVEN_UP:
        raise DatabaseAway("An earlier attempt was given up; nothing was changed, try again.")
    return [
        RefOutcome(item["name"].encode("latin-1"), Oid(item["old"]), Oid(item["new"]), item["refusal"])
        for item in result
    ]
