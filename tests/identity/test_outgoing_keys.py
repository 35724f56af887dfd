"""The key for other servers: sealed, replaced as a whole, gone with its account; and what hosts showed at first."""

import asyncio

import asyncssh
import pytest
from sqlalchemy import delete, func, select
from tests.factories.forge import Forge, Person
from tests.factories.other_server import ada, forge

from cairn.audit.models import AuditEntry
from cairn.base.errors import Forbidden, NotFound
from cairn.egress.ssh import line_of
from cairn.identity import outgoing_keys
from cairn.identity.models import Account, KnownHost, OutgoingKey
from cairn.identity.outgoing_keys import (
    AccountHosts,
    TooManyHosts,
    delete_outgoing_key,
    find_outgoing_key,
    forget_known_host,
    list_known_hosts,
    make_outgoing_key,
    open_outgoing_key,
    read_outgoing_key,
)

__all__ = ["ada", "forge"]


def account_of(person: Person) -> int:
    assert person.actor.account_id is not None
    return person.actor.account_id


def host_key() -> str:
    return line_of(asyncssh.generate_private_key("ssh-ed25519"))


async def test_a_key_is_kept_sealed_and_replaced_as_a_whole(forge: Forge, ada: Person) -> None:
    settings, account_id = forge.engine.settings, account_of(ada)
    made = []
    for _ in range(2):
        async with forge.database.write() as session:
            made.append(await make_outgoing_key(session, settings, ada.actor, account_id))
        async with forge.database.read() as session:
            key = await open_outgoing_key(session, settings, account_id)
            row = await session.get_one(OutgoingKey, account_id)
            shown = await find_outgoing_key(session, account_id)
        assert key is not None
        assert key.get_fingerprint() == made[-1].fingerprint
        assert made[-1] == shown
        assert made[-1].text.startswith("ssh-ed25519 ")
        assert b"PRIVATE" not in row.sealed
    assert made[0].fingerprint != made[1].fingerprint


async def test_a_deleted_key_is_gone(forge: Forge, ada: Person) -> None:
    account_id = account_of(ada)
    async with forge.database.write() as session:
        await make_outgoing_key(session, forge.engine.settings, ada.actor, account_id)
        await delete_outgoing_key(session, ada.actor, account_id)
    async with forge.database.write() as session:
        assert await open_outgoing_key(session, forge.engine.settings, account_id) is None
        with pytest.raises(NotFound):
            await delete_outgoing_key(session, ada.actor, account_id)
        actions = list(await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
    assert actions[-2:] == ["outgoing_key.make", "outgoing_key.delete"]


async def test_nobody_has_to_do_with_the_key_of_another(forge: Forge, ada: Person) -> None:
    bob = await forge.person("bob")
    async with forge.database.write() as session:
        for verb in (
            make_outgoing_key(session, forge.engine.settings, bob.actor, account_of(ada)),
            read_outgoing_key(session, bob.actor, account_of(ada)),
            delete_outgoing_key(session, bob.actor, account_of(ada)),
            list_known_hosts(session, bob.actor, account_of(ada)),
            forget_known_host(session, bob.actor, account_of(ada), "git.example:22"),
        ):
            with pytest.raises((Forbidden, NotFound)):
                await verb


async def test_the_first_key_of_a_host_stays_until_it_is_forgotten(forge: Forge, ada: Person) -> None:
    hosts, first, second = AccountHosts(forge.database, ada.actor), host_key(), host_key()
    assert await hosts.find("git.example", 22) is None
    assert await hosts.keep("git.example", 22, first) == first
    assert await hosts.keep("git.example", 22, second) == first
    assert await hosts.find("git.example", 2222) is None
    async with forge.database.write() as session:
        [known] = await list_known_hosts(session, ada.actor, account_of(ada))
        assert (known.place, known.text) == ("git.example:22", first)
        await forget_known_host(session, ada.actor, account_of(ada), "git.example:22")
        with pytest.raises(NotFound):
            await forget_known_host(session, ada.actor, account_of(ada), "git.example:22")
    assert await hosts.keep("git.example", 22, second) == second


async def test_of_two_jobs_that_see_a_host_first_one_keeps_its_key(forge: Forge, ada: Person) -> None:
    hosts = [AccountHosts(forge.database, ada.actor) for _ in range(2)]
    kept = await asyncio.gather(*(one.keep("::1", 22, host_key()) for one in hosts))
    assert kept[0] == kept[1] == await hosts[0].find("::1", 22)


async def test_what_one_person_knows_is_nothing_to_another(forge: Forge, ada: Person) -> None:
    bob = await forge.person("bob")
    await AccountHosts(forge.database, ada.actor).keep("git.example", 22, host_key())
    assert await AccountHosts(forge.database, bob.actor).find("git.example", 22) is None


async def test_hosts_have_a_bound(forge: Forge, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing_keys, "KNOWN_HOSTS_MAX", 2)
    hosts = AccountHosts(forge.database, ada.actor)
    for number in range(2):
        await hosts.keep(f"git{number}.example", 22, host_key())
    with pytest.raises(TooManyHosts):
        await hosts.keep("git9.example", 22, host_key())


async def test_key_and_hosts_go_with_the_account(forge: Forge, ada: Person) -> None:
    await AccountHosts(forge.database, ada.actor).keep("git.example", 22, host_key())
    async with forge.database.write() as session:
        await make_outgoing_key(session, forge.engine.settings, ada.actor, account_of(ada))
        await session.execute(delete(Account).where(Account.id == account_of(ada)))
    async with forge.database.read() as session:
        for table in (OutgoingKey, KnownHost):
            assert await session.scalar(select(func.count()).select_from(table)) == 0
