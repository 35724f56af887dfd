"""The settings of keys that sign."""

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
from sqlalchemy import func, select
from tests.factories.signing import Gpg, gpg
from tests.identity.web_support import People, open_people
from tests.web.support import Browser

from cairn.db.database import Database
from cairn.identity.models import GpgKey, SigningKey

__all__ = ["gpg"]

KEYS = "/settings/keys"


@pytest.fixture
async def people(tmp_path: Path, database: Database) -> AsyncIterator[People]:
    async with open_people(tmp_path, database) as opened:
        yield opened


@pytest.fixture
async def ada(people: People) -> Browser:
    await people.account("ada")
    await people.account("bob")
    return await people.signed_in("ada")


def public_key() -> str:
    return asyncssh.generate_private_key("ssh-ed25519", comment="ada@loom").export_public_key().decode().strip()


async def text_of(browser: Browser, path: str = KEYS) -> str:
    answer = await browser.get(path)
    assert answer.status_code == 200
    return html.unescape(answer.text)


async def test_a_signing_key_is_added_listed_and_deleted(people: People, ada: Browser) -> None:
    answer = await ada.submit(f"{KEYS}/signing/new", {"key": public_key(), "title": ""})
    assert (answer.status_code, answer.headers["location"]) == (303, KEYS)
    text = await text_of(ada)
    assert "ada@loom" in text
    assert "count as yours from now on" in text
    [key_id] = re.findall(r'action="/settings/keys/signing/delete">.*?name="id" value="(\d+)"', text, re.DOTALL)
    bob = await people.signed_in("bob")
    assert (await bob.submit(f"{KEYS}/signing/delete", {"id": key_id}, page=KEYS)).status_code == 404
    assert (await ada.submit(f"{KEYS}/signing/delete", {"id": key_id}, page=KEYS)).status_code == 303
    async with people.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(SigningKey)) == 0


async def test_a_gpg_key_is_added_listed_and_deleted(people: People, ada: Browser, gpg: Gpg) -> None:
    key = gpg.make_key("Ada <ada@example.test>", expires="30d", at="20240101T000000")
    answer = await ada.submit(f"{KEYS}/gpg/new", {"armored_public_key": gpg.export(key), "name": ""})
    assert (answer.status_code, answer.headers["location"]) == (303, KEYS), answer.text
    text = await text_of(ada)
    assert key.upper() in text
    assert "ada@example.test (not verified here)" in text
    assert "Expired" in text
    [key_id] = re.findall(r'action="/settings/keys/gpg/delete">.*?name="id" value="(\d+)"', text, re.DOTALL)
    assert (await ada.submit(f"{KEYS}/gpg/delete", {"id": key_id}, page=KEYS)).status_code == 303
    async with people.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(GpgKey)) == 0


async def test_a_wrong_key_comes_back_with_the_reason(ada: Browser) -> None:
    answer = await ada.submit(f"{KEYS}/signing/new", {"key": "<nothing>", "title": "My title"})
    assert answer.status_code == 422
    assert "no public key" in answer.text
    assert "&lt;nothing&gt;" in answer.text
    assert "My title" in answer.text
    answer = await ada.submit(f"{KEYS}/gpg/new", {"armored_public_key": "<nothing>", "name": "My name"})
    assert answer.status_code == 422
    assert "no public key" in answer.text
    assert "My name" in answer.text
