"""What people do with mirrors: make one, change it, sync it now, pause it, go on, end it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import RepositoryScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, FieldProblem, Forbidden, Invalid, NotFound, Unauthenticated
from cairn.base.settings import Settings
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.events.emit import emit
from cairn.repositories.imports.credentials import NO_CREDENTIALS, Credentials, seal_credentials
from cairn.repositories.imports.login import require_fitting
from cairn.repositories.imports.models import RepositoryImport
from cairn.repositories.imports.source import clean_url
from cairn.repositories.mirrors.events import MirrorMade, MirrorRemoved
from cairn.repositories.mirrors.guard import ask_for_sync
from cairn.repositories.mirrors.models import (
    PULL_SLOT,
    PUSH_MIRRORS_MAX,
    TABLE,
    Mirror,
    MirrorRefs,
    MirrorState,
)
from cairn.repositories.mirrors.scope import check_scope
from cairn.repositories.models import Repository
from cairn.repositories.queries import RepositoryView, load_scope, lock_repository

INTERVALS = (10, 30, 60, 180, 480, 1440, 10080)
"""Minutes between two syncs that people may choose, as far as the operator allows them."""

USUAL_INTERVAL = 60
_OBJECTS_TO_COME = "Large objects (Git LFS) come with the next sync."


class MirrorsOff(Forbidden):
    """The operator has switched mirrors off."""

    def __init__(self) -> None:
        super().__init__("Mirrors are switched off on this installation (CAIRN_MIRRORS).")


class MirrorExists(Conflict):
    """The repository follows another one already, or is followed by as many as it may be."""


class MirrorIdle(Conflict):
    """The mirror is paused, so it is not synced."""


class MirrorMissing(NotFound):
    """There is no such mirror of the repository."""

    def __init__(self) -> None:
        super().__init__("There is no such mirror of this repository.")


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedMirror:
    """Which other repository, which refs, how often. ``credentials`` None: those it has, if the address stays."""

    url: str
    credentials: Credentials | None = None
    refs: MirrorRefs = MirrorRefs.ALL
    pattern: str = ""
    overwrites: bool = True
    prunes: bool = True
    with_lfs: bool = True
    interval_minutes: int = USUAL_INTERVAL


def require_mirrors(settings: Settings) -> None:
    """Return if the operator lets repositories be mirrors. Errors: MirrorsOff."""
    if settings.mirrors == "off":
        raise MirrorsOff


def intervals(settings: Settings) -> list[int]:
    """Return the minutes between two syncs that may be chosen here."""
    return [one for one in INTERVALS if one >= settings.mirror_minutes_min] or [settings.mirror_minutes_min]


def usual_interval(settings: Settings) -> int:
    """Return what is chosen unless somebody says otherwise."""
    allowed = intervals(settings)
    return USUAL_INTERVAL if USUAL_INTERVAL in allowed else allowed[0]


async def make_mirror(
    session: AsyncSession, settings: Settings, actor: Actor, repository_id: int, wanted: WantedMirror, *, is_pull: bool
) -> Mirror:
    """The repository follows another one (``is_pull``), or another one follows it; the first sync is due.

    Errors: MirrorsOff; NotFound, Forbidden; AddressRefused, Invalid; MirrorExists.
    """
    require_mirrors(settings)
    url, account_id = clean_url(wanted.url), _account(actor)
    require_fitting(url, wanted.credentials or NO_CREDENTIALS)
    repository, _ = await lock_repository(session, repository_id)
    await _authorize(session, actor, repository_id)
    moment = await database_now(session)
    mirror = Mirror(
        repository_id=repository_id,
        slot=PULL_SLOT if is_pull else await _free_slot(session, repository_id, url),
        state=MirrorState.ACTIVE,
        due_at=moment,
        created_at=moment,
        skipped=[],
    )
    if is_pull:
        await _require_no_pull(session, repository_id)
        await _require_new(session, repository_id, url)
        await _require_no_other_import(session, repository_id, url)
    _write(settings, repository, mirror, wanted, url, account_id)
    session.add(mirror)
    await session.flush()
    mirror.sealed = seal_credentials(settings, TABLE, mirror.id, wanted.credentials or NO_CREDENTIALS)
    emit(
        session,
        MirrorMade(
            repository_id=repository_id, mirror_id=mirror.id, url=url, is_pull=is_pull, actor_id=actor.account_id
        ),
    )
    _record(session, actor, repository, mirror, "mirror.create")
    return mirror


async def change_mirror(
    session: AsyncSession, settings: Settings, actor: Actor, repository_id: int, mirror_id: int, wanted: WantedMirror
) -> Mirror:
    """The mirror is as wanted, in the actor's name from now on. At another address it has no credentials but new ones.

    One that stopped after too many failures goes on; one that somebody paused stays paused.

    Errors: as ``make_mirror``; MirrorMissing.
    """
    require_mirrors(settings)
    url, account_id = clean_url(wanted.url), _account(actor)
    require_fitting(url, wanted.credentials or NO_CREDENTIALS)
    repository, mirror = await _lock(session, actor, repository_id, mirror_id)
    before = {"url": mirror.url, "refs": mirror.refs.value, "interval_minutes": str(mirror.interval_minutes)}
    is_elsewhere = url != mirror.url
    if wanted.with_lfs and not mirror.with_lfs:
        # A sync after which something was left to say looks for them although no ref has changed.
        mirror.note = _OBJECTS_TO_COME
    if is_elsewhere:
        await _require_new(session, repository_id, url)
        await _require_no_other_import(session, repository_id, url)
    _write(settings, repository, mirror, wanted, url, account_id)
    if wanted.credentials is not None or is_elsewhere:
        # Whoever may change the address must not be able to send another person's password to a place of their own.
        mirror.sealed = seal_credentials(settings, TABLE, mirror.id, wanted.credentials or NO_CREDENTIALS)
    mirror.failures, mirror.failure = 0, ""
    if mirror.state is MirrorState.FAILED:
        mirror.state = MirrorState.ACTIVE
    mirror.due_at = await database_now(session)
    after = {"url": mirror.url, "refs": mirror.refs.value, "interval_minutes": str(mirror.interval_minutes)}
    changes = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    _record(session, actor, repository, mirror, "mirror.update", changes)
    return mirror


async def renew_credentials(
    session: AsyncSession, settings: Settings, repository_id: int, credentials: Credentials
) -> None:
    """The pull mirror has these, if there is one: an import from its address got them. The caller has authorized."""
    mirror = await find_pull_mirror(session, repository_id)
    if mirror is not None and credentials.authorization:
        mirror.sealed = seal_credentials(settings, TABLE, mirror.id, credentials)


async def sync_now(session: AsyncSession, settings: Settings, actor: Actor, repository_id: int, mirror_id: int) -> None:
    """A worker syncs the mirror at once. Errors: MirrorsOff; NotFound, Forbidden; MirrorMissing; MirrorIdle."""
    require_mirrors(settings)
    repository, mirror = await _lock(session, actor, repository_id, mirror_id)
    if mirror.state is not MirrorState.ACTIVE:
        raise MirrorIdle("This mirror is paused; resume it first.")
    await ask_for_sync(session, mirror.id)
    _record(session, actor, repository, mirror, "mirror.sync")


async def pause_mirror(session: AsyncSession, actor: Actor, repository_id: int, mirror_id: int) -> Mirror:
    """Nothing is synced before somebody resumes it; a sync under way ends. Errors: NotFound, Forbidden."""
    repository, mirror = await _lock(session, actor, repository_id, mirror_id)
    if mirror.state is MirrorState.ACTIVE:
        mirror.state = MirrorState.PAUSED
        _record(session, actor, repository, mirror, "mirror.pause")
    return mirror


async def resume_mirror(
    session: AsyncSession, settings: Settings, actor: Actor, repository_id: int, mirror_id: int
) -> Mirror:
    """It goes on, at once, with all its attempts. Errors: MirrorsOff; NotFound, Forbidden; MirrorMissing."""
    require_mirrors(settings)
    repository, mirror = await _lock(session, actor, repository_id, mirror_id)
    if mirror.state is not MirrorState.ACTIVE:
        mirror.state, mirror.failures, mirror.due_at = MirrorState.ACTIVE, 0, await database_now(session)
        await ask_for_sync(session, mirror.id)
        _record(session, actor, repository, mirror, "mirror.resume")
    return mirror


async def remove_mirror(session: AsyncSession, actor: Actor, repository_id: int, mirror_id: int) -> None:
    """It is no mirror any more and its credentials are gone; branches and tags stay on both sides.

    A repository that followed another one takes pushes again. Errors: NotFound, Forbidden; MirrorMissing.
    """
    repository, mirror = await _lock(session, actor, repository_id, mirror_id)
    if mirror.is_pull:
        repository.mirror_url, repository.is_mirror = "", False
    _record(session, actor, repository, mirror, "mirror.delete")
    emit(
        session,
        MirrorRemoved(
            repository_id=repository_id,
            mirror_id=mirror.id,
            url=mirror.url,
            is_pull=mirror.is_pull,
            actor_id=actor.account_id,
        ),
    )
    await session.delete(mirror)
    await session.flush()


async def list_mirrors(session: AsyncSession, repository_id: int) -> Sequence[Mirror]:
    """Return the mirrors of a repository, the one it follows first; the caller has authorized."""
    # uq_repository_mirror_repository_id_slot
    found = select(Mirror).where(Mirror.repository_id == repository_id).order_by(Mirror.slot)
    return (await session.scalars(found)).all()


async def find_pull_mirror(session: AsyncSession, repository_id: int) -> Mirror | None:
    """Return what a repository follows; the caller has authorized."""
    # uq_repository_mirror_repository_id_slot
    found: Mirror | None = await session.scalar(
        select(Mirror).where(Mirror.repository_id == repository_id, Mirror.slot == PULL_SLOT)
    )
    return found


async def load_pull_mirror(database: Database, repository: RepositoryView) -> Mirror | None:
    """Return the same in a transaction of its own, if there is any: for pages that go on to read git."""
    if not repository.mirror_url:
        return None
    async with database.read() as session:
        return await find_pull_mirror(session, repository.id)


async def read_mirror(session: AsyncSession, repository_id: int, mirror_id: int) -> Mirror:
    """Return one mirror of a repository; the caller has authorized. Errors: MirrorMissing."""
    mirror = await session.get(Mirror, mirror_id, populate_existing=True)
    if mirror is None or mirror.repository_id != repository_id:
        raise MirrorMissing
    return mirror


async def _lock(session: AsyncSession, actor: Actor, repository_id: int, mirror_id: int) -> tuple[Repository, Mirror]:
    repository, _ = await lock_repository(session, repository_id)
    await _authorize(session, actor, repository_id)
    return repository, await read_mirror(session, repository_id, mirror_id)


def _write(
    settings: Settings, repository: Repository, mirror: Mirror, wanted: WantedMirror, url: str, account_id: int
) -> None:
    if wanted.interval_minutes not in intervals(settings):
        shown = ", ".join(str(one) for one in intervals(settings))
        message = f"Choose one of these many minutes: {shown}."
        raise Invalid(message, FieldProblem("interval_minutes", "invalid", message, "Mirror"))
    mirror.url, mirror.account_id = url, account_id
    mirror.refs, mirror.pattern = wanted.refs, check_scope(wanted.refs, wanted.pattern)
    mirror.overwrites, mirror.prunes, mirror.with_lfs = wanted.overwrites, wanted.prunes, wanted.with_lfs
    mirror.interval_minutes = wanted.interval_minutes
    if mirror.is_pull:
        repository.mirror_url, repository.is_mirror = url, wanted.refs is MirrorRefs.ALL


async def _require_no_pull(session: AsyncSession, repository_id: int) -> None:
    if await find_pull_mirror(session, repository_id) is not None:
        raise MirrorExists("This repository is a mirror already; stop that first.")


async def _require_no_other_import(session: AsyncSession, repository_id: int, url: str) -> None:
    """Imports land where others are refused, so what one brings to a mirror must be from the mirror's own source."""
    row = await session.get(RepositoryImport, repository_id)
    if row is not None and not row.state.is_over and row.url != url:
        raise MirrorExists(f"An import from {row.url} is under way; wait for its end, or cancel it.")


async def _free_slot(session: AsyncSession, repository_id: int, url: str) -> int:
    await _require_new(session, repository_id, url)
    taken = {one.slot for one in await list_mirrors(session, repository_id)}
    free = [slot for slot in range(PULL_SLOT + 1, PUSH_MIRRORS_MAX + 1) if slot not in taken]
    if not free:
        raise MirrorExists(f"{PUSH_MIRRORS_MAX} repositories follow this one, as many as may; stop one first.")
    return free[0]


async def _require_new(session: AsyncSession, repository_id: int, url: str) -> None:
    if any(one.url == url for one in await list_mirrors(session, repository_id)):
        raise MirrorExists(f"There is a mirror with {url} already.")


def _record(
    session: AsyncSession,
    actor: Actor,
    repository: Repository,
    mirror: Mirror,
    action: str,
    changes: dict[str, tuple[str, str]] | None = None,
) -> None:
    details = {"url": mirror.url[:500], "direction": "pull" if mirror.is_pull else "push"}
    record(
        session,
        actor,
        action,
        repository.name,
        repository_id=repository.id,
        details=details,
        changes={name: (old[:500], new[:500]) for name, (old, new) in (changes or {}).items()},
    )


def _account(actor: Actor) -> int:
    if actor.account_id is None:
        raise Unauthenticated("Sign in to set up a mirror.")
    return actor.account_id


async def _authorize(session: AsyncSession, actor: Actor, repository_id: int) -> None:
    async def load(session: AsyncSession, actor: Actor) -> RepositoryScope | None:
        return await load_scope(session, actor, repository_id)

    await authorize(session, actor, Action.REPOSITORY_ADMINISTER, load)
