"""What a push meets where mirrors are: refs that follow another repository change there, and followers are told."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec
from sqlalchemy import ColumnElement, exists, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import RefName
from cairn.jobs.queue import enqueue
from cairn.repositories.mirrors.models import PULL_SLOT, Mirror, MirrorState
from cairn.repositories.mirrors.scope import scope_of
from cairn.repositories.models import Repository

SYNC_KIND = "repositories.sync_mirror"
SETTLE = timedelta(seconds=10)
"""So long a push mirror waits after a push for others that may follow."""


class SyncOf(msgspec.Struct, frozen=True):
    """The payload of a sync's job: no address and no secret."""

    mirror_id: int


def has_push_mirrors(repository_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Return whether anything follows a repository, as a column for a statement that is made anyway."""
    # uq_repository_mirror_repository_id_slot
    mine = (Mirror.repository_id == repository_id, Mirror.slot > PULL_SLOT, Mirror.state == MirrorState.ACTIVE)
    return exists(select(literal(1)).where(*mine))


async def refuse_mirrored(
    session: AsyncSession, repository: Repository, updates: Sequence[RefUpdate], *, head_target: RefName
) -> dict[RefName, str]:
    """Return which refs a push may not change because a mirror brings them, and why; an absent name may."""
    # uq_repository_mirror_repository_id_slot
    mirror = await session.scalar(select(Mirror).where(Mirror.repository_id == repository.id, Mirror.slot == PULL_SLOT))
    if mirror is None:
        return {}
    covers = await scope_of(session, mirror, head_target=head_target)
    said = f"this repository is a mirror of {mirror.url}; change it there, it comes here by itself"
    return {change.name: said for change in updates if covers(change.name)}


async def ask_for_push_mirrors(session: AsyncSession, repository_id: int) -> None:
    """What follows a repository is synced soon after this transaction; once, however many pushes come meanwhile."""
    followers = select(Mirror.id).where(
        Mirror.repository_id == repository_id, Mirror.slot > PULL_SLOT, Mirror.state == MirrorState.ACTIVE
    )
    for mirror_id in await session.scalars(followers.order_by(Mirror.id)):
        await ask_for_sync(session, mirror_id, delay=SETTLE)


async def ask_for_sync(session: AsyncSession, mirror_id: int, *, delay: timedelta | None = None) -> None:
    """A worker syncs a mirror after this transaction. Of one mirror there is one job, so one node works at a time."""
    await enqueue(session, SYNC_KIND, SyncOf(mirror_id), delay=delay, unique_key=f"{SYNC_KIND}:{mirror_id}")
