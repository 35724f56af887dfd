"""The first run prints one link; it makes one administrator, once."""

import asyncio

import pytest
from sqlalchemy import select
from tests.factories.accounts import make_account
from tests.factories.authentication import PASSWORD, CountingPasswords

from cairn.base.actor import SYSTEM, Actor
from cairn.base.errors import Conflict
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.identity.accounts import create_account, create_first_administrator
from cairn.identity.first_run import announce
from cairn.identity.models import Account
from cairn.identity.names import NameTaken
from cairn.identity.one_time_links import LinkUnusable

SETTINGS = Settings(external_url="https://cairn.test:8443")


async def printed_secret(database: Database, capsys: pytest.CaptureFixture[str]) -> str:
    link = await announce(database, SETTINGS)
    [line] = capsys.readouterr().out.splitlines()
    assert line == f"Create the first administrator: {link}"
    start = "https://cairn.test:8443/-/setup/"
    assert link is not None
    assert link.startswith(start)
    return link.removeprefix(start)


async def use(database: Database, secret: str, login: str = "root-1") -> Actor:
    return await create_first_administrator(
        database, CountingPasswords(), secret, login=login, email=f"{login}@x.test", password=PASSWORD
    )


async def test_the_printed_link_makes_an_administrator_once(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = await printed_secret(database, capsys)
    made = await use(database, secret)
    assert made.is_site_admin
    with pytest.raises(LinkUnusable):
        await use(database, secret, "root-2")
    assert await announce(database, SETTINGS) is None
    assert capsys.readouterr().out == ""


async def test_another_run_prints_another_link_and_voids_the_first(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """Attack: a link from an old log file makes an administrator months later."""
    first = await printed_secret(database, capsys)
    second = await printed_secret(database, capsys)
    with pytest.raises(LinkUnusable):
        await use(database, first)
    await use(database, second)


async def test_of_many_uses_at_once_one_makes_an_administrator(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = await printed_secret(database, capsys)
    results = await asyncio.gather(
        *(use(database, secret, f"root-{number}") for number in range(4)), return_exceptions=True
    )
    assert sum(isinstance(result, Actor) for result in results) == 1
    assert sum(isinstance(result, LinkUnusable) for result in results) == 3
    async with database.read() as session:
        assert len(list(await session.scalars(select(Account)))) == 1


async def test_a_refused_name_leaves_the_link(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    secret = await printed_secret(database, capsys)
    async with database.write() as session:
        await make_account(session, "root-1")
    with pytest.raises(NameTaken):
        await use(database, secret)
    await use(database, secret, "root-2")


async def test_the_link_is_dead_once_there_is_an_administrator_by_other_means(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = await printed_secret(database, capsys)
    await create_account(
        database, CountingPasswords(), SYSTEM, login="boss", email="b@x.test", password=PASSWORD, is_site_admin=True
    )
    with pytest.raises(Conflict):
        await use(database, secret)


async def test_accounts_without_an_administrator_still_get_a_link(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    async with database.write() as session:
        await make_account(session, "early")
    await use(database, await printed_secret(database, capsys))
