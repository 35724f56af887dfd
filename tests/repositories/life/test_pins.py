"""Pins: six at most, in their order, shown to whom the rule shows them."""

import pytest
from tests.factories.accounts import actor_of, make_account
from tests.factories.organizations import make_organization
from tests.factories.repositories import make_repository

from cairn.access.roles import Visibility
from cairn.base.actor import ANONYMOUS
from cairn.base.errors import Forbidden
from cairn.db.database import Database
from cairn.repositories.life.pins import PinsInvalid, forget_pins, list_pins, set_pins


async def test_pins_keep_their_order_and_hide_what_is_hidden(database: Database) -> None:
    async with database.write() as session:
        alice, bob = await make_account(session, "alice"), await make_account(session, "bob")
        made = [await make_repository(session, alice) for _ in range(7)]
        hidden = await make_repository(session, alice, visibility=Visibility.PRIVATE)
        await set_pins(session, actor_of(alice), alice.id, [made[3].id, hidden.id, made[0].id, made[3].id])
    async with database.read() as session:
        assert [one.id for one in await list_pins(session, actor_of(alice), alice.id)] == [
            made[3].id,
            hidden.id,
            made[0].id,
        ]
        assert [one.id for one in await list_pins(session, ANONYMOUS, alice.id)] == [made[3].id, made[0].id]
    with pytest.raises(PinsInvalid):
        async with database.write() as session:
            await set_pins(session, actor_of(alice), alice.id, [one.id for one in made])
    with pytest.raises(PinsInvalid):
        async with database.write() as session:
            await set_pins(session, actor_of(bob), bob.id, [hidden.id])
    with pytest.raises(Forbidden):
        async with database.write() as session:
            await set_pins(session, actor_of(bob), alice.id, [made[0].id])
    async with database.write() as session:
        await forget_pins(session, alice.id)
        assert await list_pins(session, actor_of(alice), alice.id) == []


async def test_an_organization_pins_its_own(database: Database) -> None:
    async with database.write() as session:
        alice = await make_account(session, "alice")
        guild = await make_organization(session, "guild", owner=alice)
        own, other = await make_repository(session, guild), await make_repository(session, alice)
        await set_pins(session, actor_of(alice), guild.id, [own.id])
        assert [one.id for one in await list_pins(session, ANONYMOUS, guild.id)] == [own.id]
    with pytest.raises(PinsInvalid):
        async with database.write() as session:
            await set_pins(session, actor_of(alice), guild.id, [other.id])
