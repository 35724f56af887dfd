"""Which release of a repository is the latest: as its publisher says, else the highest version, else the newest."""

import re
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.clock import now
from cairn.repositories.models import Repository
from cairn.repositories.releases.models import Release

_COMPARED_MAX = 1_000
"""The newest so many are compared."""

_VERSION = re.compile(rb"(?:[a-zA-Z._/-]{0,40})(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?(?:\+.*)?")


class MakeLatest(StrEnum):
    """What a publisher wants of a release."""

    TRUE = "true"
    FALSE = "false"
    LEGACY = "legacy"
    """Whichever has the highest version, and of those without one the newest."""


async def choose_latest(session: AsyncSession, release: Release, wanted: MakeLatest | None) -> None:
    """Exactly the right release of the repository is marked as the latest; the caller holds the repository.

    ``wanted`` None leaves the mark where it is if it may stay there. A draft or a pre-release never has it.
    """
    await _touch(session, release.repository_id)
    if wanted is not None:
        release.may_be_latest = wanted is not MakeLatest.FALSE
        await session.flush()
    if wanted is MakeLatest.TRUE and release.published_at is not None and not release.is_prerelease:
        chosen: int | None = release.id
    else:
        chosen = await _choose(session, release.repository_id, keeps=wanted is not MakeLatest.LEGACY)
    of_repository = update(Release).where(Release.repository_id == release.repository_id)
    await session.execute(
        of_repository.where(Release.is_latest.is_(True), Release.id != (chosen or 0)).values(is_latest=False)
    )
    if chosen is not None:
        await session.execute(of_repository.where(Release.id == chosen).values(is_latest=True))


async def choose_latest_without(session: AsyncSession, repository_id: int) -> None:
    """Mark the right one after a release went away or became a draft."""
    await _touch(session, repository_id)
    chosen = await _choose(session, repository_id, keeps=True)
    await session.execute(
        update(Release)
        .where(Release.repository_id == repository_id, Release.is_latest.is_(True), Release.id != (chosen or 0))
        .values(is_latest=False)
    )
    if chosen is not None:
        await session.execute(update(Release).where(Release.id == chosen).values(is_latest=True))


async def _touch(session: AsyncSession, repository_id: int) -> None:
    """Say that pages of the repository show something else now: they are kept by when it was changed."""
    changed = update(Repository).where(Repository.id == repository_id).values(updated_at=now())
    await session.execute(changed.execution_options(synchronize_session=False))


async def _choose(session: AsyncSession, repository_id: int, *, keeps: bool) -> int | None:
    # ix_repository_release_repository_id_created_at
    rows = await session.execute(
        select(Release.id, Release.tag, Release.created_at, Release.is_latest)
        .where(
            Release.repository_id == repository_id,
            Release.published_at.is_not(None),
            Release.is_prerelease.is_(False),
            Release.may_be_latest.is_(True),
        )
        .order_by(Release.created_at.desc(), Release.id.desc())
        .limit(_COMPARED_MAX)
    )
    candidates = [(release_id, bytes(tag), at, is_latest) for release_id, tag, at, is_latest in rows]
    if keeps:
        kept = next((release_id for release_id, _, _, is_latest in candidates if is_latest), None)
        if kept is not None:
            return kept
    return _highest((release_id, tag, at) for release_id, tag, at, _ in candidates)


def _highest(candidates: Iterable[tuple[int, bytes, datetime]]) -> int | None:
    best = max(candidates, key=lambda each: (version_of(each[1]) or (-1, 0, 0), each[2], each[0]), default=None)
    return None if best is None else best[0]


def version_of(tag: bytes) -> tuple[int, int, int] | None:
    """Return the version a tag names (``v1.2.3``, ``release-1.2``), None for none, or for one that only leads to it."""
    found = _VERSION.fullmatch(tag)
    if found is None:
        return None
    return int(found[1]), int(found[2]), int(found[3] or 0)
