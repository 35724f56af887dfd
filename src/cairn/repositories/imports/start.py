"""What people do with imports: ask for one, look, ask again, give up."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import RepositoryScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, Forbidden, NotFound, Unauthenticated
from cairn.base.ids import random_id
from cairn.base.settings import Settings
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.events.emit import emit
from cairn.git.engine import Engine
from cairn.git.models import Ref
from cairn.jobs.queue import enqueue
from cairn.repositories.create import NewRepository, create_repository
from cairn.repositories.imports.credentials import NO_CREDENTIALS, Credentials, seal_credentials
from cairn.repositories.imports.events import ImportStarted
from cairn.repositories.imports.login import require_fitting
from cairn.repositories.imports.models import TABLE, ImportState, ImportStep, RepositoryImport
from cairn.repositories.imports.source import clean_url
from cairn.repositories.imports.work import IMPORT_KIND, ImportOf
from cairn.repositories.mirrors.edit import (
    WantedMirror,
    make_mirror,
    renew_credentials,
    require_mirrors,
    usual_interval,
)
from cairn.repositories.queries import RepositoryView, load_scope, lock_repository


class ImportsOff(Forbidden):
    """The operator has switched imports off."""

    def __init__(self) -> None:
        super().__init__("Imports are switched off on this installation (CAIRN_IMPORTS).")


class TooManyImports(Conflict):
    """Somebody has as many imports under way as one person may."""


class NotEmpty(Conflict):
    """The repository has refs, so an import has no place in it."""


class ImportUnderWay(Conflict):
    """There is an import of this repository already."""


class NoImport(NotFound):
    """The repository was not imported."""

    def __init__(self) -> None:
        super().__init__("There is no import of this repository.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be imported, and how."""

    url: str
    credentials: Credentials = NO_CREDENTIALS
    with_lfs: bool = True
    with_wiki: bool = True
    default_branch_only: bool = False


async def import_new(
    database: Database,
    engine: Engine,
    actor: Actor,
    repository: NewRepository,
    wanted: Wanted,
    *,
    follows: bool = False,
) -> RepositoryView:
    """There is a new repository and a job that fills it, or neither: one transaction makes both.

    With ``follows`` it is a mirror from the beginning.

    Errors: ImportsOff; MirrorsOff; AddressRefused; TooManyImports; as ``create_repository``.
    """
    _require_open(engine.settings)
    if follows:
        require_mirrors(engine.settings)
    require_fitting(clean_url(wanted.url), wanted.credentials)

    async def start(session: AsyncSession, repository_id: int) -> None:
        row = await start_import(session, engine.settings, actor, repository_id, wanted)
        if follows:
            mirror = WantedMirror(
                url=row.url,
                credentials=wanted.credentials,
                with_lfs=wanted.with_lfs,
                interval_minutes=usual_interval(engine.settings),
            )
            await make_mirror(session, engine.settings, actor, repository_id, mirror, is_pull=True)

    return await create_repository(database, engine, actor, repository, also=start)


async def start_import(
    session: AsyncSession, settings: Settings, actor: Actor, repository_id: int, wanted: Wanted
) -> RepositoryImport:
    """A job fills the repository, which has no refs so far unless an earlier import of the same address broke off.

    Errors: ImportsOff; AddressRefused; NotFound, Forbidden; NotEmpty, ImportUnderWay, TooManyImports.
    """
    _require_open(settings)
    url = clean_url(wanted.url)
    require_fitting(url, wanted.credentials)
    repository, _ = await lock_repository(session, repository_id)
    await _authorize(session, actor, repository_id)
    if repository.mirror_url not in {"", url}:
        raise NotEmpty(f"This repository is a mirror of {repository.mirror_url}; stop mirroring before you import.")
    before = await session.get(RepositoryImport, repository_id)
    if before is not None and not before.state.is_over:
        raise ImportUnderWay("An import of this repository is under way; cancel it first.")
    goes_on = before is not None and before.url == url and before.state is not ImportState.DONE
    # Primary key of git_ref, its first column.
    if not goes_on and await session.scalar(select(Ref.name).where(Ref.store_id == repository.store_id).limit(1)):
        raise NotEmpty("This repository has branches or tags already; only an empty one can be imported into.")
    await _require_room(session, settings, actor)
    moment = await database_now(session)
    row = before or RepositoryImport(repository_id=repository_id, failure="", note="")
    row.id, row.account_id, row.url = random_id(), _account(actor), url
    row.sealed = seal_credentials(settings, TABLE, repository_id, wanted.credentials)
    row.with_lfs, row.with_wiki = wanted.with_lfs, wanted.with_wiki
    row.default_branch_only = wanted.default_branch_only
    row.state, row.step, row.percent = ImportState.WAITING, ImportStep.WAITING, 0
    row.refs_done = row.refs_total = row.refs_left_out = row.objects_done = row.objects_total = 0
    row.bytes_done = row.lfs_done = row.lfs_total = 0
    row.failure_kind, row.failure, row.note, row.finished_at = None, "", "", None
    row.started_at = row.seen_at = moment
    session.add(row)
    await renew_credentials(session, settings, repository_id, wanted.credentials)
    await session.flush()
    await enqueue(session, IMPORT_KIND, ImportOf(repository_id, row.id))
    emit(session, ImportStarted(repository_id=repository_id, url=url, actor_id=actor.account_id))
    record(
        session, actor, "repository.import", repository.name, repository_id=repository_id, details={"url": url[:500]}
    )
    return row


async def retry_import(
    session: AsyncSession, settings: Settings, actor: Actor, repository_id: int, credentials: Credentials
) -> RepositoryImport:
    """An import that failed or was given up goes on with what it has got. Errors: NoImport; as ``start_import``."""
    row = await session.get(RepositoryImport, repository_id)
    if row is None or row.state is ImportState.DONE:
        await _authorize(session, actor, repository_id)
        raise NoImport
    wanted = Wanted(
        url=row.url,
        credentials=credentials,
        with_lfs=row.with_lfs,
        with_wiki=row.with_wiki,
        default_branch_only=row.default_branch_only,
    )
    return await start_import(session, settings, actor, repository_id, wanted)


async def cancel_import(session: AsyncSession, actor: Actor, repository_id: int) -> None:
    """The import brings nothing more, and its credentials are gone; what it has brought stays.

    Its job ends within a second or so. Errors: NotFound, Forbidden; NoImport if none is under way.
    """
    repository, _ = await lock_repository(session, repository_id)
    await _authorize(session, actor, repository_id)
    row = await session.get(RepositoryImport, repository_id, with_for_update=True, populate_existing=True)
    if row is None or row.state.is_over:
        raise NoImport
    row.state, row.sealed, row.finished_at = ImportState.CANCELLED, None, await database_now(session)
    record(
        session,
        actor,
        "repository.import_cancel",
        repository.name,
        repository_id=repository_id,
        details={"url": row.url[:500]},
    )


async def read_import(session: AsyncSession, repository_id: int) -> RepositoryImport | None:
    """Return the import of a repository; the caller has authorized."""
    return await session.get(RepositoryImport, repository_id)


def _require_open(settings: Settings) -> None:
    if settings.imports == "off":
        raise ImportsOff


def _account(actor: Actor) -> int:
    if actor.account_id is None:
        raise Unauthenticated("Sign in to import a repository.")
    return actor.account_id


async def _require_room(session: AsyncSession, settings: Settings, actor: Actor) -> None:
    """Return unless the actor has as many imports under way as one person may."""
    # ix_repository_import_account_id_state
    under_way = await session.scalar(
        select(func.count())
        .select_from(RepositoryImport)
        .where(
            RepositoryImport.account_id == _account(actor),
            RepositoryImport.state.in_([ImportState.WAITING, ImportState.RUNNING]),
        )
    )
    if (under_way or 0) >= settings.imports_per_person:
        raise TooManyImports(
            f"You have {under_way} imports under way, as many as one person may (CAIRN_IMPORTS_PER_PERSON); "
            "wait until one is over, or cancel one."
        )


async def _authorize(session: AsyncSession, actor: Actor, repository_id: int) -> None:
    async def load(session: AsyncSession, actor: Actor) -> RepositoryScope | None:
        return await load_scope(session, actor, repository_id)

    await authorize(session, actor, Action.REPOSITORY_ADMINISTER, load)
