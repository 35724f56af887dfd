"""SSH signing keys of an account, on every database."""

import asyncio

import asyncssh
import pytest
from sqlalchemy import select, update
from tests.factories.accounts import LONG_AGO, actor_of, make_account, with_token

from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS, Actor
from cairn.base.errors import Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.identity import signing_keys
from cairn.identity.models import Account
from cairn.identity.signing_keys import (
    add_signing_key,
    delete_signing_key,
    list_signing_keys,
    list_signing_keys_of,
    read_signing_key,
)
from cairn.identity.ssh_keys import SshKeyInvalid, add_key


def public_key() -> str:
    return asyncssh.generate_private_key("ssh-ed25519", comment="ada@loom").export_public_key().decode().strip()


async def person(database: Database, login: str) -> Actor:
    async with database.write() as session:
        return actor_of(await make_account(session, login))


async def add(database: Database, who: Actor, text: str, title: str = "") -> int:
    assert who.account_id is not None
    async with database.write() as session:
        return (await add_signing_key(session, who, who.account_id, title=title, text=text)).id


async def test_a_key_is_kept_told_to_everybody_and_deleted(any_database: Database) -> None:
    database = any_database
    ada = await person(database, "ada")
    assert ada.account_id is not None
    text = public_key()
    key_id, other = await add(database, ada, text), await add(database, ada, public_key(), "Other")
    async with database.read() as session:
        own = await list_signing_keys(session, ada, ada.account_id)
        assert await list_signing_keys_of(session, ANONYMOUS, "ada") == own
        assert await read_signing_key(session, ada, ada.account_id, key_id) == own[0]
    assert [(key.id, key.title) for key in own] == [(key_id, "ada@loom"), (other, "Other")]
    assert own[0].text == " ".join(text.split()[:2])
    async with database.write() as session:
        await delete_signing_key(session, ada, ada.account_id, key_id)
        with pytest.raises(NotFound):
            await delete_signing_key(session, ada, ada.account_id, key_id)
    async with database.read() as session:
        assert [key.id for key in await list_signing_keys(session, ada, ada.account_id)] == [other]
        entries = list(await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
    assert entries == ["signing_key.add", "signing_key.add", "signing_key.delete"]


async def test_a_key_that_signs_in_may_sign_commits_too_and_in_several_accounts(database: Database) -> None:
    ada, bob = await person(database, "ada"), await person(database, "bob")
    assert ada.account_id is not None
    text = public_key()
    async with database.write() as session:
        await add_key(session, ada, ada.account_id, title="", text=text)
    await add(database, bob, text)
    await add(database, ada, text)
    done = await asyncio.gather(*(add(database, ada, text) for _ in range(2)), return_exceptions=True)
    assert all(isinstance(one, SshKeyInvalid) for one in done)


async def test_what_is_no_key_and_one_too_many_are_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await person(database, "ada")
    with pytest.raises(SshKeyInvalid, match="no public key"):
        await add(database, ada, "-----BEGIN PGP PUBLIC KEY BLOCK-----")
    with pytest.raises(SshKeyInvalid, match="The title"):
        await add(database, ada, public_key(), "a\0b")
    monkeypatch.setattr(signing_keys, "KEYS_MAX", 1)
    await add(database, ada, public_key())
    with pytest.raises(SshKeyInvalid, match="at most 1 signing keys"):
        await add(database, ada, public_key())


async def test_only_the_owner_changes_them_with_the_right_scope(database: Database) -> None:
    ada, bob = await person(database, "ada"), await person(database, "bob")
    assert ada.account_id is not None
    key_id = await add(database, with_token(ada, "admin:ssh_signing_key"), public_key())
    async with database.read() as session:
        assert await list_signing_keys(session, with_token(ada, "read:ssh_signing_key"), ada.account_id)
    for other in (bob, with_token(ada, "read:ssh_signing_key"), with_token(ada, "admin:public_key"), ANONYMOUS):
        async with database.write() as session:
            with pytest.raises((NotFound, Forbidden, Unauthenticated)):
                await delete_signing_key(session, other, ada.account_id, key_id)


async def test_the_keys_of_somebody_suspended_are_absent(database: Database) -> None:
    ada = await person(database, "ada")
    await add(database, ada, public_key())
    async with database.write() as session:
        await session.execute(update(Account).values(suspended_at=LONG_AGO))
    async with database.read() as session:
        with pytest.raises(NotFound):
            await list_signing_keys_of(session, ANONYMOUS, "ada")
