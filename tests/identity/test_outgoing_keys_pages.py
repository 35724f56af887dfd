"""The settings of the key for other servers."""

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
from tests.identity.web_support import People, open_people

from cairn.db.database import Database
from cairn.egress.ssh import fingerprint_of, line_of
from cairn.identity.outgoing_keys import AccountHosts

KEYS = "/settings/keys"


@pytest.fixture
async def people(tmp_path: Path, database: Database) -> AsyncIterator[People]:
    async with open_people(tmp_path, database) as opened:
        yield opened


async def test_a_key_is_made_shown_replaced_and_deleted(people: People) -> None:
    await people.account("ada")
    ada = await people.signed_in("ada")
    shown = []
    for _ in range(2):
        answer = await ada.submit(f"{KEYS}/outgoing", {}, page=KEYS)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{KEYS}#keys-outgoing")
        text = html.unescape((await ada.get(KEYS)).text)
        shown += re.findall(r">(ssh-ed25519 \S+ ada@\S+)</pre>", text)
        assert "PRIVATE KEY" not in text
    assert len(set(shown)) == 2
    assert (await ada.submit(f"{KEYS}/outgoing/delete", {}, page=KEYS)).status_code == 303
    assert "Make a key" in (await ada.get(KEYS)).text
    assert (await ada.submit(f"{KEYS}/outgoing/delete", {}, page=KEYS)).status_code == 404


async def test_a_known_host_is_shown_and_forgotten_by_its_owner_alone(people: People) -> None:
    account = await people.account("ada")
    await people.account("bob")
    key = line_of(asyncssh.generate_private_key("ssh-ed25519"))
    await AccountHosts(people.database, account).keep("git.example", 2222, key)
    ada, bob = await people.signed_in("ada"), await people.signed_in("bob")
    text = html.unescape((await ada.get(KEYS)).text)
    assert "git.example:2222" in text
    assert fingerprint_of(key) in text
    wanted = {"host": "git.example:2222"}
    assert (await bob.submit(f"{KEYS}/hosts/forget", wanted, page=KEYS)).status_code == 404
    assert (await ada.submit(f"{KEYS}/hosts/forget", wanted, page=KEYS)).status_code == 303
    assert "Hosts it knows" not in (await ada.get(KEYS)).text
