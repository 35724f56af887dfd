"""The session's cookie, as browsers get it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.factories.authentication import PASSWORD
from tests.identity.web_support import People, open_people

from cairn.db.database import Database


@pytest.fixture
async def people(tmp_path: Path, database: Database) -> AsyncIterator[People]:
    async with open_people(tmp_path, database) as opened:
        yield opened


async def test_the_cookie_is_for_this_site_and_no_script(people: People) -> None:
    await people.account("ada")
    answer = await people.browser().submit("/login", {"name": "ada", "password": PASSWORD})
    [cookie] = [one for one in answer.headers.get_list("set-cookie") if one.startswith("cairn_session=")]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))


async def test_over_https_no_other_host_can_set_it(tmp_path: Path, database: Database) -> None:
    """A neighbouring host of the same domain plants a session of its own (fixation)."""
    async with open_people(tmp_path, database, external_url="https://cairn.test") as people:
        await people.account("ada")
        browser = people.browser()
        answer = await browser.submit("/login", {"name": "ada", "password": PASSWORD})
        [cookie] = [one for one in answer.headers.get_list("set-cookie") if "session=" in one]
        assert cookie.startswith("__Host-cairn_session=")
        assert "Secure" in cookie.split("; ")


async def test_signing_out_takes_it_away(people: People) -> None:
    await people.account("ada")
    ada = await people.signed_in("ada")
    answer = await ada.submit("/logout", {}, page="/settings/profile")
    [cookie] = [one for one in answer.headers.get_list("set-cookie") if one.startswith("cairn_session=")]
    assert "Max-Age=0" in cookie
