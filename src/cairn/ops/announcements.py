"""Announcements: what administrators want everybody to read for a while."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import SITE
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import CairnError, Conflict, FieldProblem, Invalid, NotFound
from cairn.base.log import get_logger
from cairn.base.settings import Settings
from cairn.base.text import problem_of_text
from cairn.db.clock import database_now, now
from cairn.db.database import Database
from cairn.identity.accounts import administrator_exists
from cairn.identity.registration import read_registration
from cairn.ops.models import ANNOUNCEMENT_LENGTH_MAX, Announcement, AnnouncementLevel
from cairn.web.site_state import FRESH_SECONDS, Banner, SiteState

ANNOUNCEMENTS_MAX = 20
"""That stand at a time; more would bury the page."""

_log = get_logger(__name__)


class TooManyAnnouncements(Conflict):
    """So many announcements stand already that nobody would read another one."""


async def announce(
    session: AsyncSession,
    actor: Actor,
    *,
    text: str,
    level: AnnouncementLevel,
    is_dismissible: bool,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
) -> Announcement:
    """Show a text on every page from ``starts_at`` (or now) until ``ends_at`` (or until it is taken down)."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    text = text.strip()
    problem = problem_of_text(text, max_length=ANNOUNCEMENT_LENGTH_MAX) if text else "is empty."
    if problem is not None:
        raise _refused("text", f"The text {problem}")
    moment = await database_now(session)
    starts_at = starts_at or moment
    if ends_at is not None and ends_at <= max(starts_at, moment):
        raise _refused("ends_at", "It would be over before it begins.")
    if len(await list_announcements(session)) >= ANNOUNCEMENTS_MAX:
        raise TooManyAnnouncements(f"{ANNOUNCEMENTS_MAX} announcements stand already; take one down first.")
    row = Announcement(
        text=text, level=level, is_dismissible=is_dismissible, starts_at=starts_at, ends_at=ends_at, created_at=moment
    )
    session.add(row)
    await session.flush()
    record(session, actor, "announcement.create", str(row.id), details={"text": text, "level": level.value})
    return row


async def take_down(session: AsyncSession, actor: Actor, announcement_id: int) -> None:
    """Delete an announcement; NotFound if it is gone."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    row = await session.get(Announcement, announcement_id)
    if row is None:
        raise NotFound("There is no such announcement.")
    record(session, actor, "announcement.delete", str(row.id), details={"text": row.text})
    await session.delete(row)
    await session.flush()


async def list_announcements(session: AsyncSession) -> Sequence[Announcement]:
    """Return what stands or is to come, the newest first; for everybody to read, so it asks nobody."""
    is_over = or_(Announcement.ends_at.is_(None), Announcement.ends_at > now())
    query = select(Announcement).where(is_over).order_by(Announcement.id.desc()).limit(ANNOUNCEMENTS_MAX)
    return (await session.scalars(query)).all()


async def renew(database: Database, settings: Settings, state: SiteState) -> None:
    """Bring what every page shows up to date."""
    async with database.read() as session:
        rows = await list_announcements(session)
        state.registration = (await read_registration(session, settings)).mode
        # Once there is an administrator there always is one: the last cannot be demoted or deleted.
        if state.awaits_administrator is not False:
            state.awaits_administrator = not await administrator_exists(session)
    state.banners = tuple(
        Banner(row.id, row.text, row.level.value, row.is_dismissible, row.starts_at, row.ends_at) for row in rows
    )


async def renew_forever(database: Database, settings: Settings, state: SiteState) -> None:
    """Renew every few seconds until cancelled; what was read last stands while the database is away."""
    while True:
        try:
            await renew(database, settings, state)
        except CairnError as error:
            _log.warning("site_state_stands_still", error=error.message)
        await asyncio.sleep(FRESH_SECONDS)


def _refused(field: str, message: str) -> Invalid:
    return Invalid(message, FieldProblem(field, "invalid", message))
