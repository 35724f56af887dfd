import asyncssh
import pytest
from tests.factories.accounts import LONG_AGO, actor_of, make_account

from cairn.base.actor import ANONYMOUS, SYSTEM
from cairn.base.errors import NotFound
from cairn.db.database import Database
from cairn.identity.public_keys import list_public_keys
from cairn.identity.ssh_keys import add_key


async def test_everybody_may_read_the_keys_of_one_name_and_only_those(database: Database) -> None:
    async with database.write() as session:
        for login in ("ada", "bob"):
            account = await make_account(session, login)
            for _ in range(2):
                text = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
                await add_key(session, actor_of(account), account.id, title=login, text=text)
    async with database.read() as session:
        adas = await list_public_keys(session, ANONYMOUS, "ADA")
        bobs = await list_public_keys(session, ANONYMOUS, "bob")
    assert len(adas) == len(bobs) == 2
    assert [key.id for key in adas] == sorted(key.id for key in adas)
    assert not {key.text for key in adas} & {key.text for key in bobs}


async def test_the_keys_of_somebody_suspended_are_absent(database: Database) -> None:
    """Who takes keys from here into authorized_keys stops trusting them."""
    async with database.write() as session:
        account = await make_account(session, "ada")
        text = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        await add_key(session, actor_of(account), account.id, title="laptop", text=text)
        account.suspended_at = LONG_AGO
    async with database.read() as session:
        for asker in (ANONYMOUS, SYSTEM):
            with pytest.raises(NotFound):
                await list_public_keys(session, asker, "ada")


async def test_nobody_has_no_keys(database: Database) -> None:
    async with database.read() as session:
        with pytest.raises(NotFound):
            await list_public_keys(session, ANONYMOUS, "nobody")
