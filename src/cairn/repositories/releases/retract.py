"""What becomes of releases whose tags are deleted, by whatever door: they are drafts again, as on GitHub."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.events.types import Event
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import show
from cairn.repositories.releases.events import ReleaseDrafted, ReleasePublished
from cairn.repositories.releases.latest import choose_latest_without
from cairn.repositories.releases.models import Release

TAG_PREFIX = b"refs/tags/"


async def retract_releases(
    session: AsyncSession, actor: Actor, repository_id: int, moving: Sequence[RefUpdate]
) -> None:
    """No release is published under a tag that these updates delete: notes and files stay, for who may push.

    For who moves the refs, in the same transaction, which holds the repository's store. Without a deleted tag it asks
    nothing.
    """
    tags = [
        update.name.removeprefix(TAG_PREFIX)
        for update in moving
        if update.is_deletion and update.name.startswith(TAG_PREFIX)
    ]
    if not tags:
        return
    # uq_repository_release_repository_id_published_tag
    found = await session.scalars(
        select(Release).where(Release.repository_id == repository_id, Release.published_tag.in_(tags))
    )
    releases = list(found)
    for release in releases:
        release.published_tag = release.published_at = None
        release.updated_at = await database_now(session)
        emit(session, written_event(release, actor))
        record(session, actor, "release.retract", show(bytes(release.tag)), repository_id=repository_id)
    if releases:
        await session.flush()
        await choose_latest_without(session, repository_id)


def written_event(release: Release, actor: Actor) -> Event:
    """Return the event that says what a release is now: a draft, or published."""
    tag = show(bytes(release.tag))
    if release.is_draft:
        return ReleaseDrafted(
            repository_id=release.repository_id, release_id=release.id, tag=tag, actor_id=actor.account_id
        )
    return ReleasePublished(
        repository_id=release.repository_id,
        release_id=release.id,
        tag=tag,
        is_prerelease=release.is_prerelease,
        actor_id=actor.account_id,
    )
