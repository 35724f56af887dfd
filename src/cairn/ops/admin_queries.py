"""What the administration pages read and change, besides people: repositories, jobs, storage. SITE_ADMINISTER each."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.roles import Visibility
from cairn.access.scopes import SITE
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.git.models import Pack, Store
from cairn.identity.models import Account, AccountKind
from cairn.jobs.models import Job
from cairn.jobs.queue import Counts, counts, dead_jobs, discard_dead, retry_dead
from cairn.repositories.models import Repository

_WikiStore = aliased(Store)


@dataclass(frozen=True, slots=True)
class SizedRepository:
    """A repository in an administrator's list; the size is of the packs its manifest names."""

    id: int
    store_id: int
    owner: str
    name: str
    visibility: Visibility
    is_archived: bool
    is_deleted: bool
    """Absent for everybody, and still there to be restored."""
    size_bytes: int
    wiki_bytes: int = 0
    """What its wiki takes besides; the order is by the code's size."""


@dataclass(frozen=True, slots=True)
class Totals:
    """The installation in numbers."""

    users: int
    suspended: int
    administrators: int
    organizations: int
    repositories: int
    packs: dict[str, tuple[int, int]]
    """State: how many packs, and their bytes."""


async def list_by_size(
    session: AsyncSession, actor: Actor, *, text: str = "", after: tuple[int, int] | None = None, limit: int = 50
) -> Sequence[SizedRepository]:
    """Return repositories, the largest first and of equals the newest, after (size, store id)."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    # ix_git_store_pack_bytes_id backwards; then uq_repository_store_id and the primary keys of account and git_store.
    query = (
        select(Repository, Account.login, Store.pack_bytes, func.coalesce(_WikiStore.pack_bytes, 0))
        .join(Store, Store.id == Repository.store_id)
        .outerjoin(_WikiStore, _WikiStore.id == Repository.wiki_store_id)
        .join(Account, Account.id == Repository.owner_id)
        .order_by(Store.pack_bytes.desc(), Store.id.desc())
        .limit(limit)
    )
    if text:
        owner, slash, name = text.lower().partition("/")
        places = [Repository.name_key.contains(text.lower(), autoescape=True), Account.login_key == text.lower()]
        if slash:
            places = [and_(Account.login_key == owner, Repository.name_key.startswith(name, autoescape=True))]
        query = query.where(or_(*places))
    if after is not None:
        size, store_id = after
        # The first condition says where in the index to begin: not every database sees that in the second.
        query = query.where(Store.pack_bytes <= size, or_(Store.pack_bytes < size, Store.id < store_id))
    return [
        SizedRepository(
            one.id, one.store_id, login, one.name, one.visibility, one.is_archived, one.is_deleted, total, wiki
        )
        for one, login, total, wiki in await session.execute(query)
    ]


async def read_totals(session: AsyncSession, actor: Actor) -> Totals:
    """Return the installation in numbers: each table is counted."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    is_person = and_(Account.kind == AccountKind.USER, Account.deleted_at.is_(None))
    people = select(func.count()).where(is_person)
    organizations = select(func.count()).where(Account.kind == AccountKind.ORGANIZATION, Account.deleted_at.is_(None))
    packs = await session.execute(
        select(Pack.state, func.count(), func.sum(Pack.pack_bytes + Pack.index_bytes)).group_by(Pack.state)
    )
    return Totals(
        users=await session.scalar(people) or 0,
        suspended=await session.scalar(people.where(Account.suspended_at.is_not(None))) or 0,
        administrators=await session.scalar(people.where(Account.is_site_admin.is_(True))) or 0,
        organizations=await session.scalar(organizations) or 0,
        repositories=await session.scalar(select(func.count()).select_from(Repository)) or 0,
        packs={str(state): (count, int(total or 0)) for state, count, total in packs},
    )


async def read_queue(
    session: AsyncSession, actor: Actor, *, before_id: int | None = None, limit: int = 50
) -> tuple[Counts, Sequence[Job]]:
    """Return the queue in numbers and the newest dead jobs."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    return await counts(session), await dead_jobs(session, limit=limit, before_id=before_id)


async def retry_job(session: AsyncSession, actor: Actor, job_id: int) -> None:
    """Let a dead job wait again; NotFound if it is none any more."""
    kind = await _dead_kind(session, actor, job_id)
    if not await retry_dead(session, job_id):
        raise NotFound("This job is not dead any more.")
    record(session, actor, "job.retry", f"{kind} {job_id}")


async def discard_job(session: AsyncSession, actor: Actor, job_id: int) -> None:
    """Delete a dead job; NotFound if it is none any more."""
    kind = await _dead_kind(session, actor, job_id)
    if not await discard_dead(session, job_id):
        raise NotFound("This job is not dead any more.")
    record(session, actor, "job.discard", f"{kind} {job_id}")


async def _dead_kind(session: AsyncSession, actor: Actor, job_id: int) -> str:
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    kind = await session.scalar(select(Job.kind).where(Job.id == job_id))
    if kind is None:
        raise NotFound("This job is not dead any more.")
    return kind
