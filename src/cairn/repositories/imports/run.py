"""One attempt at one import, from the address to the last object. Every step leaves behind what it has brought."""

from cairn.base.actor import Actor, ActorKind
from cairn.base.errors import CairnError, Invalid, NotFound, TooLarge, Unavailable
from cairn.base.log import get_logger
from cairn.egress.door import AddressRefused, HostUnknown
from cairn.egress.http import ConnectionFailed
from cairn.egress.ssh import HostKeyChanged, LoginRefused
from cairn.git.engine import Engine
from cairn.git.quarantine import PackTooLarge
from cairn.git.remote_fetch import (
    FetchProgress,
    Remote,
    RemoteFailed,
    RemoteMissing,
    RemoteUnauthorized,
    RemoteUnusable,
)
from cairn.identity.models import Account
from cairn.jobs.context import JobContext
from cairn.repositories.accept_push import Arrival, make_within
from cairn.repositories.imports.attempt import Import, still_wanted
from cairn.repositories.imports.credentials import open_credentials
from cairn.repositories.imports.lfs_objects import bring_large_objects
from cairn.repositories.imports.login import load_login
from cairn.repositories.imports.models import TABLE, FailureKind, ImportStep, RepositoryImport
from cairn.repositories.imports.refs import bring_refs, choose_refs, read_remote_refs, within_first
from cairn.repositories.imports.source import Outside, open_source
from cairn.repositories.imports.wiki import bring_wiki
from cairn.repositories.imports.work import Progress
from cairn.repositories.models import Repository

_LISTED, _FETCHED, _LANDED, _LARGE = 3, 60, 75, 95
"""Percent of the whole: when the refs are known, the default branch is here, all refs are, the large objects are."""

_FETCH_SHARE = {"Receiving objects": (0.05, 0.80), "Resolving deltas": (0.80, 0.95)}
_log = get_logger(__name__)


class LargeObjectsMissing(Invalid):
    """The source does not give all objects that pointers name."""


async def open_import(
    context: JobContext, engine: Engine, outside: Outside, row: RepositoryImport, progress: Progress
) -> Import:
    """Return what an attempt works with.

    Errors: NotFound if the repository or the person is gone; LoginRefused if that one has no key.
    """
    async with context.database.read() as session:
        account = await session.get(Account, row.account_id)
        repository = await session.get(Repository, row.repository_id)
    if account is None or repository is None or repository.is_deleted:
        raise NotFound("The repository, or the account that imports it, is gone.")
    actor = Actor(ActorKind.USER, account.id, account.login, is_site_admin=account.is_site_admin)
    credentials = open_credentials(engine.settings, TABLE, row.repository_id, row.sealed)
    login = await load_login(context.database, engine.settings, actor, row.url, credentials)
    return Import(context, engine, outside, row, actor, repository, progress, login)


async def run_import(work: Import) -> None:
    """The repository has what was asked for. Errors: what ``failure_of`` explains; ImportGivenUp, LeaseLost."""
    progress, row = work.progress, work.row
    await progress.note(step=ImportStep.LISTING, percent=1)
    async with open_source(work.outside, row.url, work.login) as remote:
        remarks = [await _bring_refs(work, remote)]
        if row.with_lfs:
            await _bring_large_objects(work, remote)
        if row.with_wiki:
            await progress.note(step=ImportStep.WIKI, percent=_LARGE)
            remarks.append(await bring_wiki(work, remote))
    await progress.finish(row, " ".join(filter(None, remarks)))


async def _bring_refs(work: Import, remote: Remote) -> str:
    found = await read_remote_refs(work.engine, remote)
    wanted = choose_refs(found, default_branch_only=work.row.default_branch_only)
    await work.progress.note(
        step=ImportStep.FETCHING, percent=_LISTED, refs_total=len(wanted), refs_left_out=found.others
    )
    is_first_landed = found.head_target is None

    async def tell(done: int, fetch: FetchProgress) -> None:
        nonlocal is_first_landed
        is_first_landed = is_first_landed or done > 0
        share = _share(fetch)
        if is_first_landed:
            percent = _FETCHED + int((_LANDED - _FETCHED) * done / max(1, len(wanted)))
        else:
            percent = _LISTED + int((_FETCHED - _LISTED) * share)
        is_landing = share >= 1
        await work.progress.note_now_and_then(
            step=ImportStep.LANDING if is_landing else ImportStep.FETCHING,
            percent=percent,
            refs_done=done,
            objects_done=fetch.objects,
            objects_total=fetch.objects_total,
            bytes_done=fetch.bytes,
        )

    store_id = work.repository.store_id
    ruled = make_within(work.actor, work.repository.id, arrival=Arrival.MIRRORED)
    within = still_wanted(work, ruled)
    brought = await bring_refs(
        work.engine,
        store_id,
        remote,
        wanted,
        head_target=found.head_target,
        import_id=work.row.id,
        actor=work.actor.label,
        within=within_first(found.head_target, work.engine, store_id, within),
        tell=tell,
    )
    await work.progress.note(percent=_LANDED, refs_done=brought.done)
    if not wanted:
        return "The source has no branches and no tags."
    return brought.remark


async def _bring_large_objects(work: Import, remote: Remote) -> None:
    async def tell(done: int, total: int) -> None:
        percent = _LANDED + int((_LARGE - _LANDED) * done / max(1, total))
        await work.progress.note_now_and_then(step=ImportStep.LFS, percent=percent, lfs_done=done, lfs_total=total)

    brought = await bring_large_objects(
        work.engine,
        work.outside,
        remote,
        work.actor,
        repository_id=work.repository.id,
        store_id=work.repository.store_id,
        tell=tell,
    )
    await work.progress.note(lfs_done=brought.done, lfs_total=brought.total)
    if brought.remark:
        raise LargeObjectsMissing(brought.remark)


def _share(fetch: FetchProgress) -> float:
    """Return how much of a group's fetch is done, from 0 to 1."""
    if fetch.phase not in _FETCH_SHARE:
        return 0.0
    low, high = _FETCH_SHARE[fetch.phase]
    if fetch.phase == "Resolving deltas" and fetch.percent == 100:
        return 1.0
    return low + (high - low) * fetch.percent / 100


_KINDS: tuple[tuple[type[CairnError], FailureKind, str], ...] = (
    (AddressRefused, FailureKind.ADDRESS_REFUSED, ""),
    (HostKeyChanged, FailureKind.HOST_KEY, ""),
    (LoginRefused, FailureKind.UNAUTHORIZED, ""),
    (
        RemoteUnauthorized,
        FailureKind.UNAUTHORIZED,
        "Give a user and password or token that may read it, and try again.",
    ),
    (
        RemoteMissing,
        FailureKind.NOT_FOUND,
        "Check the address; a private repository wants a user and password or token.",
    ),
    (RemoteUnusable, FailureKind.NOT_GIT, "Give the address that git clone takes."),
    (PackTooLarge, FailureKind.TOO_LARGE, "An operator may raise the limit."),
    (TooLarge, FailureKind.TOO_LARGE, "An operator may raise the limit."),
    (LargeObjectsMissing, FailureKind.LFS_MISSING, ""),
    (HostUnknown, FailureKind.UNREACHABLE, "Check the address, and try again."),
    (ConnectionFailed, FailureKind.UNREACHABLE, "Try again later: what has come so far stays."),
    (RemoteFailed, FailureKind.UNREACHABLE, "Try again: what has come so far stays."),
    (Invalid, FailureKind.REFUSED, ""),
)


def failure_of(error: CairnError) -> tuple[FailureKind, str]:
    """Return why an import failed, in words, with what somebody may do."""
    for kind, found, advice in _KINDS:
        if isinstance(error, kind):
            return found, f"{error.message} {advice}".strip()
    return FailureKind.OTHER, error.message


def is_worth_another_attempt(error: CairnError) -> bool:
    """Tell whether the same may work in a while, without anybody doing anything."""
    return isinstance(error, Unavailable) and not isinstance(error, HostUnknown | ConnectionFailed)
