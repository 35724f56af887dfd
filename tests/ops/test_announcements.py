"""What is announced reaches every page in its time, bounded in number and length."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.factories.accounts import make_account

from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS, SYSTEM
from cairn.base.errors import Invalid, NotFound, Unauthenticated
from cairn.base.settings import Settings
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.ops.announcements import (
    ANNOUNCEMENTS_MAX,
    TooManyAnnouncements,
    announce,
    list_announcements,
    renew,
    take_down,
)
from cairn.ops.models import AnnouncementLevel
from cairn.web.site_state import SiteState

NOTICE = AnnouncementLevel.NOTICE


async def _announce(database: Database, text: str, **values: object) -> int:
    async with database.write() as session:
        made = await announce(session, SYSTEM, text=text, level=NOTICE, is_dismissible=True, **values)  # type: ignore[arg-type]  # mixed
        return made.id


async def test_an_announcement_stands_until_it_is_taken_down(any_database: Database) -> None:
    number = await _announce(any_database, " Back at noon. ")
    state = SiteState()
    await renew(any_database, Settings(registration="invite"), state)
    assert [banner.text for banner in state.banners] == ["Back at noon."]
    assert state.registration == "invite"
    async with any_database.write() as session:
        await take_down(session, SYSTEM, number)
    await renew(any_database, Settings(), state)
    assert state.banners == ()
    async with any_database.read() as session:
        actions = (await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))).all()
    assert actions == ["announcement.create", "announcement.delete"]
    with pytest.raises(NotFound):
        async with any_database.write() as session:
            await take_down(session, SYSTEM, number)


async def test_it_is_known_whether_anybody_administers_the_site(any_database: Database) -> None:
    state = SiteState()
    await renew(any_database, Settings(), state)
    assert state.awaits_administrator is True
    async with any_database.write() as session:
        await make_account(session, "root", is_site_admin=True)
    await renew(any_database, Settings(), state)
    assert state.awaits_administrator is False


async def test_what_is_over_or_never_was_is_refused_or_gone(database: Database) -> None:
    now = await database.now()
    for values in ({"ends_at": now - timedelta(hours=1)}, {"starts_at": now + timedelta(hours=2), "ends_at": now}):
        with pytest.raises(Invalid, match="over before it begins"):
            await _announce(database, "x", **values)
    for text in ("", "  ", "x" * 1001, "a\x00b"):
        with pytest.raises(Invalid):
            await _announce(database, text)


async def test_their_number_has_a_bound(database: Database) -> None:
    for number in range(ANNOUNCEMENTS_MAX):
        await _announce(database, f"number {number}")
    with pytest.raises(TooManyAnnouncements):
        await _announce(database, "one more")
    async with database.read() as session:
        assert len(await list_announcements(session)) == ANNOUNCEMENTS_MAX


async def test_only_administrators_announce(database: Database) -> None:
    async with database.write() as session:
        assert await database_now(session)
        with pytest.raises((NotFound, Unauthenticated)):
            await announce(session, ANONYMOUS, text="x", level=NOTICE, is_dismissible=True)
