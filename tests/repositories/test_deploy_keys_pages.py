"""The page of deploy keys."""

import asyncssh
import pytest
from tests.factories.forge import Forge, Person

from cairn.access.roles import Role

PAGE = "/ada/engine/settings/keys"


def public_key() -> str:
    return asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()


@pytest.fixture
async def ada(forge: Forge) -> Person:
    """Ada with a public repository."""
    person = await forge.person("ada")
    await forge.repository(person, "engine")
    return person


async def test_a_key_is_added_shown_and_deleted(forge: Forge, ada: Person) -> None:
    browser, text = forge.browser(ada), f"{public_key()} deploy@web-1"
    assert "No deploy keys yet" in (await browser.get(PAGE)).text
    added = await browser.submit(PAGE, {"key": text, "title": "", "can_write": "true"}, page=PAGE)
    assert (added.status_code, added.headers["location"]) == (303, PAGE)
    shown = (await browser.get(PAGE)).text
    for words in ("deploy@web-1", "Read and write", "SHA256:", "by ada", "never used"):
        assert words in shown
    assert PAGE in (await browser.get("/ada/engine/settings")).text
    number = (await forge.api(ada).get("/repos/ada/engine/keys")).json()[0]["id"]
    deleted = await browser.submit(f"{PAGE}/delete", {"id": str(number)}, page=PAGE)
    assert deleted.headers["location"] == PAGE
    assert "No deploy keys yet" in (await browser.get(PAGE)).text


async def test_what_is_no_key_comes_back_with_the_reason_and_what_was_typed(forge: Forge, ada: Person) -> None:
    browser = forge.browser(ada)
    wrong = await browser.submit(PAGE, {"key": "-----BEGIN OPENSSH PRIVATE KEY-----", "title": "mine"}, page=PAGE)
    assert wrong.status_code == 422
    assert "must never leave your machine" in wrong.text
    assert 'value="mine"' in wrong.text
    assert "No deploy keys yet" in (await browser.get(PAGE)).text


async def test_only_administrators_see_the_page(forge: Forge, ada: Person) -> None:
    grace = await forge.person("grace")
    repository = await forge.repository(ada, "beside")
    await forge.grant(repository, grace, Role.MAINTAIN)
    page = "/ada/beside/settings/keys"
    assert (await forge.browser(grace).get(page)).status_code == 403
    refused = await forge.browser(grace).submit(page, {"key": public_key()}, page="/-/appearance")
    assert refused.status_code == 403
    assert (await forge.api(ada).get("/repos/ada/beside/keys")).json() == []
