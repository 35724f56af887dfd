"""One sync of one mirror: what it works with, whether it is still wanted, and what is noted of it at the end.

Rows are locked in one order everywhere: the store, the mirror, its job.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import RepositoryScope
from cairn.base.actor import Actor, ActorKind
from cairn.base.errors import Conflict, Forbidden, NotFound, Unauthenticated
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.git.engine import Engine
from cairn.git.landing import Within
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import RefName
from cairn.identity.authenticate import refresh_actor
from cairn.identity.models import Account
from cairn.identity.queries import primary_email
from cairn.jobs.context import JobContext
from cairn.mail.outbox import Outbox
from cairn.repositories.imports.credentials import open_credentials
from cairn.repositories.imports.login import load_login
from cairn.repositories.imports.models import RepositoryImport
from cairn.repositories.imports.source import Login, Outside, open_outside
from cairn.repositories.mirrors.events import MirrorFailed, MirrorSynced
from cairn.repositories.mirrors.models import (
    FORGOTTEN_AFTER,
    SKIPPED_KEPT_MAX,
    TABLE,
    TEXT_LENGTH_MAX,
    Mirror,
    MirrorState,
)
from cairn.repositories.models import Repository
from cairn.repositories.queries import load_scope

FAILURES_MAX = 10
"""So many failures in a row pause a mirror: after some two and a half days, by the pauses between them."""

FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(days=1)
_LOOK_SECONDS = 2.0


class SyncGivenUp(Conflict):
    """Somebody paused, changed or ended the mirror, or deleted the repository: this sync has nothing to do any more."""

    def __init__(self) -> None:
        super().__init__("this sync was given up")


class NobodyResponsible(Forbidden):
    """Whoever set up the mirror may not do so any more."""

    def __init__(self, login: str) -> None:
        super().__init__(
            f"{login} set this mirror up and may no longer administer the repository. Whoever may saves it anew."
        )


@dataclass(slots=True)
class Result:
    """What a sync did: refs that moved, why others did not, and what else a person should know."""

    moved: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(slots=True)
class Sync:
    """What one attempt at one sync works with. ``mirror`` is the row as it was at its beginning.

    ``goes_on`` if the attempt before it did not come to its end: what that left undone is still to do.
    """

    context: JobContext
    engine: Engine
    outside: Outside
    mirror: Mirror
    repository: Repository
    actor: Actor
    login: Login
    goes_on: bool
    _looked_at: float = 0.0

    def may_lack_objects(self, *, has_changed: bool) -> bool:
        """Tell whether large objects may be lacking that the mirror brings; it is dear to find out which."""
        return self.mirror.with_lfs and (has_changed or self.goes_on or bool(self.mirror.note))

    async def still_wanted(self) -> None:
        """Return if nobody changed the mirror meanwhile; asks at most every two seconds. Errors: SyncGivenUp."""
        if time.monotonic() - self._looked_at < _LOOK_SECONDS:
            return
        async with self.context.database.read() as session:
            _require_same(self.mirror, await session.get(Mirror, self.mirror.id))
        self._looked_at = time.monotonic()

    def fenced(self, within: Within) -> Within:
        """Return ``within`` behind the question whether this attempt may still publish anything."""

        async def first(session: AsyncSession, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
            _require_same(self.mirror, await session.get(Mirror, self.mirror.id, populate_existing=True))
            await self.context.still_mine(session)
            return await within(session, updates)

        return first


async def begin_sync(context: JobContext, engine: Engine, mirror_id: int) -> Sync | None:
    """Return what a sync works with, noted as tried; None if the mirror is gone, paused or has to wait.

    Errors: LeaseLost; NobodyResponsible and LoginRefused, of which the caller tells people.
    """
    async with context.database.write() as session:
        mirror = await _hold(session, mirror_id)
        repository = None if mirror is None else await session.get(Repository, mirror.repository_id)
        if mirror is None or repository is None or repository.is_deleted or repository.is_archived:
            return None
        await context.still_mine(session)
        if mirror.state is not MirrorState.ACTIVE or await _is_importing(session, repository.id):
            return None
        moment = await database_now(session)
        goes_on = mirror.synced_at is None or mirror.tried_at is None or mirror.synced_at < mirror.tried_at
        mirror.tried_at, mirror.due_at = moment, moment + FORGOTTEN_AFTER
    async with context.database.read() as session:
        actor = await _responsible(session, mirror)
    settings = engine.settings
    credentials = open_credentials(settings, TABLE, mirror.id, mirror.sealed)
    login = await load_login(context.database, settings, actor, mirror.url, credentials)
    return Sync(context, engine, open_outside(settings), mirror, repository, actor, login, goes_on)


async def finish_sync(sync: Sync, result: Result) -> None:
    """The mirror is in step, but for what was skipped. Errors: SyncGivenUp, LeaseLost."""
    async with sync.context.database.write() as session:
        mirror = await _hold(session, sync.mirror.id)
        mirror = _require_same(sync.mirror, mirror)
        await sync.context.still_mine(session)
        moment = await database_now(session)
        mirror.synced_at = moment
        mirror.due_at = moment + timedelta(minutes=mirror.interval_minutes)
        mirror.failures, mirror.failure, mirror.note = 0, "", result.note[:TEXT_LENGTH_MAX]
        mirror.skipped = [[name[:TEXT_LENGTH_MAX], why[:TEXT_LENGTH_MAX]] for name, why in _first(result.skipped)]
        mirror.skipped_count, mirror.moved_count = len(result.skipped), result.moved
        if result.moved:
            emit(
                session,
                MirrorSynced(
                    repository_id=mirror.repository_id,
                    mirror_id=mirror.id,
                    url=mirror.url,
                    is_pull=mirror.is_pull,
                    moved=result.moved,
                    skipped=len(result.skipped),
                ),
            )


async def fail_sync(context: JobContext, mirror_id: int, reason: str) -> None:
    """The failure is noted and told; the next attempt waits longer, and after too many there is none.

    Whoever set the mirror up gets a mail when it stops, or the owner if that one is gone. Nothing happens to a mirror
    that was paused meanwhile.
    """
    async with context.database.write() as session:
        mirror = await _hold(session, mirror_id)
        if mirror is None or mirror.state is not MirrorState.ACTIVE:
            return
        await context.still_mine(session)
        mirror.failures += 1
        mirror.failure = reason[:TEXT_LENGTH_MAX]
        mirror.due_at = await _next_attempt(session, mirror)
        if mirror.failures >= FAILURES_MAX:
            mirror.state = MirrorState.FAILED
            await _tell(session, context.service(Outbox), mirror)
        emit(
            session,
            MirrorFailed(
                repository_id=mirror.repository_id,
                mirror_id=mirror.id,
                url=mirror.url,
                is_pull=mirror.is_pull,
                reason=mirror.failure,
                is_paused=mirror.state is MirrorState.FAILED,
            ),
        )


def pause_after(failures: int) -> timedelta:
    """Return how long a mirror waits after so many failures in a row: from five minutes doubling up to a day."""
    doubled: timedelta = FIRST_PAUSE * (1 << min(failures - 1, 20))
    return min(doubled, LONGEST_PAUSE)


async def _next_attempt(session: AsyncSession, mirror: Mirror) -> datetime:
    return await database_now(session, plus=pause_after(mirror.failures))


async def _hold(session: AsyncSession, mirror_id: int) -> Mirror | None:
    return await session.get(Mirror, mirror_id, with_for_update=True, populate_existing=True)


def _require_same(before: Mirror, now: Mirror | None) -> Mirror:
    """Return the row if it still means what this sync began with."""
    if (
        now is None
        or now.state is not MirrorState.ACTIVE
        or (now.url, now.refs, now.pattern) != (before.url, before.refs, before.pattern)
        or (now.overwrites, now.prunes, now.with_lfs) != (before.overwrites, before.prunes, before.with_lfs)
    ):
        raise SyncGivenUp
    return now


async def _is_importing(session: AsyncSession, repository_id: int) -> bool:
    """Tell whether an import brings the repository here, which comes first."""
    row = await session.get(RepositoryImport, repository_id)
    return row is not None and not row.state.is_over


async def _responsible(session: AsyncSession, mirror: Mirror) -> Actor:
    """Return the person in whose name it happens, if they may still have it so."""
    account = await session.get(Account, mirror.account_id)
    if account is None:
        raise NobodyResponsible("Somebody who is gone")
    actor = Actor(ActorKind.USER, account.id, account.login, is_site_admin=account.is_site_admin)

    async def load(session: AsyncSession, actor: Actor) -> RepositoryScope | None:
        return await load_scope(session, actor, mirror.repository_id)

    try:
        actor = await refresh_actor(session, actor)
        await authorize(session, actor, Action.REPOSITORY_ADMINISTER, load)
    except (Forbidden, NotFound, Unauthenticated):
        raise NobodyResponsible(account.login) from None
    return actor


async def _tell(session: AsyncSession, outbox: Outbox, mirror: Mirror) -> None:
    to = await primary_email(session, await _whom_to_tell(session, mirror))
    name = (
        await session.execute(
            select(Account.login, Repository.name)
            .join(Repository, Repository.owner_id == Account.id)
            .where(Repository.id == mirror.repository_id)
        )
    ).one()
    if to is not None:
        await outbox.post(
            session,
            "repositories/mail/mirror_paused",
            to=to,
            repository="/".join(name),
            url=mirror.url,
            is_pull=mirror.is_pull,
            failures=mirror.failures,
            reason=mirror.failure,
        )


async def _whom_to_tell(session: AsyncSession, mirror: Mirror) -> int:
    """Return who set it up, or the owner where that one has nothing to do with the repository any more."""
    try:
        await _responsible(session, mirror)
    except NobodyResponsible:
        return (await session.get_one(Repository, mirror.repository_id)).owner_id
    return mirror.account_id


def _first(skipped: dict[str, str]) -> list[tuple[str, str]]:
    return sorted(skipped.items())[:SKIPPED_KEPT_MAX]
