"""The public profile: whose it is, what may stand in it."""

import pytest
from sqlalchemy import select
from tests.factories.accounts import actor_of, make_account, with_token

from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS
from cairn.base.errors import Forbidden, Invalid, Unauthenticated
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.identity.profile import ProfileChange, update_profile


async def test_a_profile_is_edited_by_its_owner_only(database: Database) -> None:
    async with database.write() as session:
        alice, other = await make_account(session, "alice"), await make_account(session, "other")
        changed = await update_profile(
            session, actor_of(alice), alice.id, ProfileChange(name=" Alice A. ", bio="Hello", pronouns="she/her")
        )
        assert (changed.name, changed.bio, changed.pronouns) == ("Alice A.", "Hello", "she/her")
        for actor, error in [
            (actor_of(other), Forbidden),
            (ANONYMOUS, Unauthenticated),
            (with_token(actor_of(alice), "repo"), Forbidden),
        ]:
            with pytest.raises(error):
                await update_profile(session, actor, alice.id, ProfileChange(name="Mallory"))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "x" * 256, "255"),
        ("bio", "\x00", "cannot be shown"),
        ("bio", "\ud800", "half of one"),
        ("location", "\x1b[31m", "one line"),
        ("pronouns", "x" * 41, "40"),
        ("company", "a\nb", "one line"),
        ("website", "javascript://%0aalert(1)", "http"),
        ("website", "https://user:secret@evil.test", "http"),
        ("website", "https://a.test/ x", "http"),
        ("website", "data:text/html,x", "http"),
    ],
    ids=[f"case{number}" for number in range(10)],
)
async def test_what_no_page_could_show_safely_is_refused(database: Database, field: str, value: str, said: str) -> None:
    """A website in a profile becomes a link on everybody's page."""
    async with database.write() as session:
        alice = await make_account(session, "alice")
        with pytest.raises(Invalid, match=said) as refused:
            await update_profile(session, actor_of(alice), alice.id, ProfileChange(**{field: value}))
    assert refused.value.problems[0].field == field


async def test_a_website_without_a_scheme_gets_the_safe_one(database: Database) -> None:
    async with database.write() as session:
        alice = await make_account(session, "alice")
        changed = await update_profile(session, actor_of(alice), alice.id, ProfileChange(website="alice.test/me"))
        assert changed.website == "https://alice.test/me"


async def test_a_change_is_noted_with_before_and_after_and_none_is_not(database: Database) -> None:
    async with database.write() as session:
        alice = await make_account(session, "alice")
        for _ in range(2):
            await update_profile(session, actor_of(alice), alice.id, ProfileChange(name="Alice"))
    async with database.read() as session:
        [entry] = await session.scalars(select(AuditEntry))
        [event] = await session.scalars(select(EventRow))
    assert (entry.action, entry.changes) == ("account.update_profile", {"name": ["", "Alice"]})
    assert event.type == "account_edited"
