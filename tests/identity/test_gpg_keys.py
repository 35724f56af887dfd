"""GPG keys of an account, on every database."""

import asyncio

import pytest
from sqlalchemy import func, select, update
from tests.factories.accounts import LONG_AGO, actor_of, make_account, with_token
from tests.factories.signing import Gpg, gpg

from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS, Actor
from cairn.base.errors import Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.identity import gpg_keys
from cairn.identity.gpg_keys import (
    GpgKeyInvalid,
    add_gpg_key,
    delete_gpg_key,
    list_gpg_keys,
    list_gpg_keys_of,
    read_gpg_key,
)
from cairn.identity.models import Account, AccountEmail, GpgKey

__all__ = ["gpg"]


async def person(database: Database, login: str) -> Actor:
    async with database.write() as session:
        return actor_of(await make_account(session, login))


async def add(database: Database, who: Actor, text: str, title: str = "") -> int:
    assert who.account_id is not None
    async with database.write() as session:
        return (await add_gpg_key(session, who, who.account_id, title=title, text=text)).id


async def test_a_key_is_kept_with_its_subkeys_and_told_to_everybody(database: Database, gpg: Gpg) -> None:
    ada = await person(database, "ada")
    assert ada.account_id is not None
    key = gpg.make_key("Ada <Ada@example.test>", expires="2y")
    signs, encrypts = gpg.add_subkey(key), gpg.add_subkey(key, "cv25519", "encr")
    await add(database, ada, gpg.export(key))
    async with database.write() as session:
        await session.execute(update(AccountEmail).values(verified_at=LONG_AGO))
    async with database.read() as session:
        [own] = await list_gpg_keys(session, ada, ada.account_id)
        [public] = await list_gpg_keys_of(session, ANONYMOUS, "ada")
    assert own == public
    assert (own.fingerprint, own.key_id, own.title) == (key, key[-16:], "Ada <Ada@example.test>")
    assert own.emails == (("ada@example.test", True),)
    assert own.expires_at is not None
    assert [one.fingerprint for one in own.subkeys] == [signs, encrypts]
    assert {one.primary_id for one in own.subkeys} == {own.id}
    assert [one.can_sign for one in (own, *own.subkeys)] == [True, True, False]
    assert gpg.run("--show-keys", "--with-colons", stdin=own.text.encode()).decode().count("\nfpr:") == 3


async def test_a_key_is_deleted_with_its_subkeys_and_alone(any_database: Database, gpg: Gpg) -> None:
    database = any_database
    ada = await person(database, "ada")
    assert ada.account_id is not None
    first, second = gpg.make_key("One <one@example.test>"), gpg.make_key("Two <two@example.test>")
    gpg.add_subkey(first)
    key_id, other_id = await add(database, ada, gpg.export(first)), await add(database, ada, gpg.export(second))
    async with database.read() as session:
        found = await read_gpg_key(session, ada, ada.account_id, key_id)
    async with database.write() as session:
        with pytest.raises(NotFound):
            await delete_gpg_key(session, ada, ada.account_id, found.subkeys[0].id)
        await delete_gpg_key(session, ada, ada.account_id, key_id)
    async with database.read() as session:
        assert [row.id for row in await list_gpg_keys(session, ada, ada.account_id)] == [other_id]
        assert await session.scalar(select(func.count()).select_from(GpgKey)) == 1
        entries = list(await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
    assert entries == ["gpg_key.add", "gpg_key.add", "gpg_key.delete"]


async def test_a_key_stands_once_in_an_account_but_in_several(database: Database, gpg: Gpg) -> None:
    ada, bob = await person(database, "ada"), await person(database, "bob")
    text = gpg.export(gpg.make_key("Ada <three@example.test>"))
    await add(database, bob, text)
    await add(database, ada, text)
    with pytest.raises(GpgKeyInvalid, match="already"):
        await add(database, ada, text)


async def test_of_two_equal_additions_at_once_one_wins(database: Database, gpg: Gpg) -> None:
    ada = await person(database, "ada")
    text = gpg.export(gpg.make_key("Ada <four@example.test>"))
    done = await asyncio.gather(*(add(database, ada, text) for _ in range(3)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["GpgKeyInvalid", "GpgKeyInvalid", "int"]


async def test_what_is_no_key_and_one_too_many_are_refused(
    database: Database, gpg: Gpg, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await person(database, "ada")
    text = gpg.export(gpg.make_key("Ada <five@example.test>"))
    with pytest.raises(GpgKeyInvalid, match="no public key"):
        await add(database, ada, "ssh-ed25519 AAAA")
    with pytest.raises(GpgKeyInvalid, match="The title"):
        await add(database, ada, text, title="a\0b")
    monkeypatch.setattr(gpg_keys, "KEYS_MAX", 1)
    await add(database, ada, text)
    with pytest.raises(GpgKeyInvalid, match="at most 1 GPG keys"):
        await add(database, ada, gpg.export(gpg.make_key("Ada <six@example.test>")))


async def test_only_the_owner_lists_and_changes_with_the_right_scope(database: Database, gpg: Gpg) -> None:
    ada, bob = await person(database, "ada"), await person(database, "bob")
    assert ada.account_id is not None
    text = gpg.export(gpg.make_key("Ada <seven@example.test>"))
    key_id = await add(database, with_token(ada, "write:gpg_key"), text)
    async with database.read() as session:
        assert await list_gpg_keys(session, with_token(ada, "read:gpg_key"), ada.account_id)
        for actor in (bob, ANONYMOUS, with_token(ada, "repo")):
            with pytest.raises((NotFound, Forbidden, Unauthenticated)):
                await list_gpg_keys(session, actor, ada.account_id)
    for other in (with_token(ada, "read:gpg_key"), with_token(ada, "admin:public_key")):
        with pytest.raises(Forbidden):
            await add(database, other, text)
    for other in (bob, with_token(ada, "read:gpg_key"), with_token(ada, "admin:public_key")):
        async with database.write() as session:
            with pytest.raises((NotFound, Forbidden)):
                await delete_gpg_key(session, other, ada.account_id, key_id)


async def test_the_keys_of_somebody_suspended_are_absent(database: Database, gpg: Gpg) -> None:
    ada = await person(database, "ada")
    await add(database, ada, gpg.export(gpg.make_key("Ada <eight@example.test>")))
    async with database.write() as session:
        await session.execute(update(Account).values(suspended_at=LONG_AGO))
    async with database.read() as session:
        with pytest.raises(NotFound):
            await list_gpg_keys_of(session, ANONYMOUS, "ada")
