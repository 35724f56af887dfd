"""The key for other servers over REST."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
from tests.identity.web_support import People, open_people

from cairn.db.database import Database
from cairn.egress.ssh import fingerprint_of, line_of
from cairn.identity.outgoing_keys import AccountHosts

KEY, HOSTS = "/api/v3/user/outgoing_key", "/api/v3/user/known_hosts"


@pytest.fixture
async def people(tmp_path: Path, database: Database) -> AsyncIterator[People]:
    async with open_people(tmp_path, database) as opened:
        yield opened


async def test_a_key_is_made_read_and_deleted(people: People) -> None:
    client = people.program(await people.token(await people.account("ada"), "admin:public_key"))
    assert (await client.get(KEY)).status_code == 404
    made = await client.post(KEY)
    assert made.status_code == 201, made.text
    assert set(made.json()) == {"key", "fingerprint", "created_at"}
    assert fingerprint_of(made.json()["key"]) == made.json()["fingerprint"]
    assert (await client.get(KEY)).json() == made.json()
    assert (await client.post(KEY)).json()["key"] != made.json()["key"]
    assert (await client.delete(KEY)).status_code == 204
    assert (await client.delete(KEY)).status_code == 404


async def test_a_token_that_may_only_read_keys_makes_none(people: People) -> None:
    client = people.program(await people.token(await people.account("ada"), "read:public_key"))
    assert (await client.post(KEY)).status_code in {403, 404}
    assert (await client.get(KEY)).status_code == 404


async def test_known_hosts_are_listed_and_forgotten(people: People) -> None:
    account = await people.account("ada")
    key = line_of(asyncssh.generate_private_key("ssh-ed25519"))
    await AccountHosts(people.database, account).keep("git.example", 22, key)
    client = people.program(await people.token(account, "admin:public_key"))
    [found] = (await client.get(HOSTS)).json()
    assert (found["host"], found["key"], found["fingerprint"]) == ("git.example:22", key, fingerprint_of(key))
    assert (await client.delete(HOSTS)).status_code == 404
    assert (await client.delete(HOSTS, params={"host": "git.example:22"})).status_code == 204
    assert (await client.get(HOSTS)).json() == []
