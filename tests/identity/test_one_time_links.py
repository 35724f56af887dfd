"""Links work once, for their purpose, until they expire."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from cairn.db.database import Database
from cairn.identity.models import LinkPurpose, OneTimeLink
from cairn.identity.one_time_links import LinkUnusable, link_works, make_link, use_link

HOUR = timedelta(hours=1)
INVITATION = LinkPurpose.INVITATION


async def test_a_link_works_once(database: Database) -> None:
    async with database.write() as session:
        secret = await make_link(session, INVITATION, lifetime=HOUR)
    async with database.write() as session:
        assert await link_works(session, INVITATION, secret)
        await use_link(session, INVITATION, secret)
        assert not await link_works(session, INVITATION, secret)
        with pytest.raises(LinkUnusable):
            await use_link(session, INVITATION, secret)


async def test_only_the_hash_is_stored(database: Database) -> None:
    async with database.write() as session:
        secret = await make_link(session, INVITATION, lifetime=HOUR)
        stored = await session.scalar(select(OneTimeLink.secret_sha256))
        assert secret not in (stored or "")
        assert not await link_works(session, INVITATION, stored or "")


async def test_expired_unknown_and_foreign_links_do_not_work(database: Database) -> None:
    async with database.write() as session:
        old = await make_link(session, INVITATION, lifetime=timedelta(seconds=-1))
        other = await make_link(session, LinkPurpose.FIRST_ADMINISTRATOR, lifetime=HOUR)
        for secret in (old, other, "unknown", ""):
            assert not await link_works(session, INVITATION, secret)
            with pytest.raises(LinkUnusable):
                await use_link(session, INVITATION, secret)


async def test_of_many_uses_at_once_one_wins(database: Database) -> None:
    async with database.write() as session:
        secret = await make_link(session, INVITATION, lifetime=HOUR)

    async def use() -> None:
        async with database.write() as session:
            await use_link(session, INVITATION, secret)

    results = await asyncio.gather(*(use() for _ in range(4)), return_exceptions=True)
    assert results.count(None) == 1
    assert sum(isinstance(result, LinkUnusable) for result in results) == 3


async def test_a_new_link_can_void_the_older_ones_of_its_purpose(database: Database) -> None:
    async with database.write() as session:
        first = await make_link(session, LinkPurpose.FIRST_ADMINISTRATOR, lifetime=HOUR)
        invitation = await make_link(session, INVITATION, lifetime=HOUR)
        await make_link(session, LinkPurpose.FIRST_ADMINISTRATOR, lifetime=HOUR, voids_others=True)
        assert not await link_works(session, LinkPurpose.FIRST_ADMINISTRATOR, first)
        assert await link_works(session, INVITATION, invitation)
