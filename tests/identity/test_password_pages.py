"""A forgotten password through the pages; the change of a known one."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.factories.authentication import PASSWORD
from tests.identity.web_support import People, open_people
from tests.web.support import Browser

from cairn.db.database import Database
from cairn.identity.password_reset import send_reset

NEW = "another horse battery"
FORGOT = "/password/forgot"


@pytest.fixture
async def people(tmp_path: Path, database: Database) -> AsyncIterator[People]:
    async with open_people(tmp_path, database) as opened:
        yield opened


async def work(people: People, name: str) -> None:
    """Do what the worker does for a name that was asked for."""
    async with people.database.write() as session:
        await send_reset(session, people.outbox, people.running.settings, name)


async def test_a_new_password_by_mail(people: People) -> None:
    await people.account("ada")
    ada, browser = await people.signed_in("ada"), people.browser()
    assert FORGOT in (await browser.get("/login")).text
    answer = await browser.submit(FORGOT, {"name": "ada"})
    assert "Ask an administrator" in answer.text
    await work(people, "ada")
    link = await people.link("ada@example.test")
    page = await browser.get(link)
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "same-origin"
    secret = link.partition("=")[2]
    answer = await browser.submit("/password/reset", {"secret": secret, "password": "short"}, page=link)
    assert answer.status_code == 422
    answer = await browser.submit("/password/reset", {"secret": secret, "password": NEW}, page=link)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert (await ada.get("/settings/profile")).status_code == 303, "whoever was signed in is not any more"
    assert (await browser.submit("/login", {"name": "ada", "password": NEW})).status_code == 303
    assert (await people.browser().get(link)).status_code == 404


async def test_the_answer_does_not_tell_who_exists(people: People) -> None:
    await people.account("ada")
    shown = []
    for name in ("ada@example.test", "eve@example.test"):
        answer = await people.browser().submit(FORGOT, {"name": name})
        text = re.sub(r'(value|nonce)="[^"]{10,}"', "", answer.text.replace(name, "NAME"))
        shown.append((answer.status_code, sorted(answer.headers), text))
    assert shown[0] == shown[1]


async def test_asking_is_bounded_for_each_address(people: People) -> None:
    browser = people.browser()
    for number in range(40):
        answer = await browser.submit(FORGOT, {"name": f"nobody-{number}"})
        if answer.status_code == 429:
            break
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


async def test_a_changed_password_gives_this_browser_another_cookie(people: People) -> None:
    """A session rotates when what it may do could change hands; the cookie from before opens nothing."""
    await people.account("ada")
    ada: Browser = await people.signed_in("ada")
    old = str(ada.client.cookies["cairn_session"])
    answer = await ada.submit("/settings/password", {"current": PASSWORD, "password": NEW})
    assert answer.status_code == 303
    assert ada.client.cookies["cairn_session"] != old
    assert (await ada.get("/settings/password")).status_code == 200
    thief = people.browser()
    thief.client.cookies.set("cairn_session", old)
    assert (await thief.get("/settings/password")).status_code == 303
    assert any("Your password was changed" in mail.subject for mail in await people.mails("ada@example.test"))


async def test_a_link_for_a_password_dies_when_it_is_changed_otherwise(people: People) -> None:
    """Somebody had a link sent; the owner, warned by the mail, changes the password at once."""
    await people.account("ada")
    await work(people, "ada")
    link = await people.link("ada@example.test")
    ada = await people.signed_in("ada")
    await ada.submit("/settings/password", {"current": PASSWORD, "password": NEW})
    assert (await people.browser().get(link)).status_code == 404
