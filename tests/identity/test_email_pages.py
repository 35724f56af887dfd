"""A person's addresses through the pages, and the link in the mail."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from tests.identity.web_support import People, open_people
from tests.web.support import Browser

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity.models import Account, AccountEmail, OneTimeLink, Session

PATH = "/settings/emails"


@pytest.fixture
async def people(tmp_path: Path, database: Database) -> AsyncIterator[People]:
    async with open_people(tmp_path, database) as opened:
        yield opened


@pytest.fixture
async def ada(people: People) -> Browser:
    await people.account("ada")
    return await people.signed_in("ada")


async def is_verified(people: People, email: str) -> bool:
    async with people.database.read() as session:
        found = await session.scalar(select(AccountEmail.verified_at).where(AccountEmail.email == email))
    return found is not None


async def test_an_address_is_added_and_verified_by_its_mail(ada: Browser, people: People) -> None:
    answer = await ada.submit(PATH, {"email": "ada@work.test"})
    assert (answer.status_code, answer.headers["location"]) == (303, PATH)
    page = (await ada.get(PATH)).text
    assert "ask an administrator for the link that verifies ada@work.test." in page
    link = await people.link("ada@work.test")
    opened = await ada.get(link)
    assert "Is this address yours?" in opened.text
    assert opened.headers["cache-control"] == "no-store"
    assert not await is_verified(people, "ada@work.test"), "opening the link changes nothing"
    answer = await ada.submit("/-/emails/verify", {"secret": link.partition("=")[2]}, page=link)
    assert (answer.status_code, answer.headers["location"]) == (303, PATH)
    assert await is_verified(people, "ada@work.test")
    assert "does not work" in (await ada.get(link)).text


async def test_opening_a_link_uses_nothing_up(ada: Browser, people: People) -> None:
    """Mail scanners open every link, with GET and HEAD, before the reader does."""
    await ada.submit(PATH, {"email": "ada@work.test"})
    link = await people.link("ada@work.test")
    for _ in range(2):
        await ada.get(link)
        await ada.client.head(link)
    async with people.database.read() as session:
        assert (await session.scalars(select(OneTimeLink.used_at))).all() == [None]


async def test_a_visitor_signs_in_first_and_somebody_else_gets_nothing(ada: Browser, people: People) -> None:
    await ada.submit(PATH, {"email": "ada@work.test"})
    link = await people.link("ada@work.test")
    answer = await people.browser().get(link)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=/-/emails/verify")
    await people.account("bob")
    bob = await people.signed_in("bob")
    assert (await bob.get(link)).status_code == 404
    answer = await bob.submit("/-/emails/verify", {"secret": link.partition("=")[2]}, page=PATH)
    assert answer.status_code == 404
    assert not await is_verified(people, "ada@work.test")


async def test_changing_addresses_wants_a_fresh_proof(ada: Browser, people: People) -> None:
    async with people.database.write() as session:
        old = await database_now(session, plus=-timedelta(hours=2))
        await session.execute(update(Session).values(proved_at=old))
    for path in (PATH, f"{PATH}/remove", f"{PATH}/primary"):
        answer = await ada.submit(path, {"email": "mallory@evil.test"}, page=PATH)
        assert answer.status_code == 403
        assert "Confirm it is you" in answer.text
    assert "mallory" not in (await ada.get(PATH)).text


async def test_a_wrong_address_comes_back_with_a_word(ada: Browser) -> None:
    answer = await ada.submit(PATH, {"email": "nobody"})
    assert answer.status_code == 422
    assert "is not an e-mail address." in answer.text
    answer = await ada.submit(PATH, {"email": "ADA@example.test"})
    assert "belongs to an account already" in answer.text


async def test_mails_to_strangers_are_counted(ada: Browser, people: People) -> None:
    """Somebody adds a victim's address again and again, to fill a mailbox."""
    await ada.submit(PATH, {"email": "victim@else.test"})
    for _ in range(30):
        answer = await ada.submit(f"{PATH}/resend", {"email": "victim@else.test"}, page=PATH)
        if answer.status_code == 429:
            break
    assert answer.status_code == 429
    assert len(await people.mails("victim@else.test")) <= 10


async def test_privacy_is_kept(ada: Browser, people: People) -> None:
    answer = await ada.submit(f"{PATH}/privacy", {"keeps_private": "true", "public": "ada@example.test"}, page=PATH)
    assert "Verify this address before you show it." in (await ada.get(answer.headers["location"])).text
    await ada.submit(f"{PATH}/privacy", {"keeps_private": "true", "public": ""}, page=PATH)
    async with people.database.read() as session:
        account = (await session.scalars(select(Account))).one()
    assert (account.keeps_email_private, account.public_email) == (True, "")
    assert f"{account.id}+ada@users.noreply.cairn.test" in (await ada.get(PATH)).text


async def test_primary_and_removal_through_the_page(ada: Browser, people: People) -> None:
    await ada.submit(PATH, {"email": "ada@work.test"})
    link = await people.link("ada@work.test")
    await ada.submit("/-/emails/verify", {"secret": link.partition("=")[2]}, page=link)
    await ada.submit(f"{PATH}/primary", {"email": "ada@work.test"}, page=PATH)
    assert "Mail goes to ada@work.test now." in (await ada.get(PATH)).text
    await ada.submit(f"{PATH}/remove", {"email": "ada@example.test"}, page=PATH)
    async with people.database.read() as session:
        assert (await session.scalars(select(AccountEmail.email))).all() == ["ada@work.test"]


async def test_who_joins_is_sent_a_link(people: People) -> None:
    browser = people.browser()
    await browser.submit("/join", {"login": "eve", "email": "eve@else.test", "password": "correct horse 12"})
    link = await people.link("eve@else.test")
    await browser.submit("/-/emails/verify", {"secret": link.partition("=")[2]}, page=link)
    assert await is_verified(people, "eve@else.test")


async def test_a_token_adds_an_address_but_proves_none(people: People) -> None:
    """Attack: a token with ``user`` verifies the thief's address, and a password reset sent there opens the account."""
    actor = await people.account("ada")
    header = {"Authorization": f"token {await people.token(actor, 'user')}"}
    thief = people.browser()
    thief.client.headers.update(header)
    added = await thief.client.post("/api/v3/user/emails", json={"emails": ["thief@evil.test"]})
    assert added.status_code == 201
    link = await people.link("thief@evil.test")
    answer = await thief.submit("/-/emails/verify", {"secret": link.partition("=")[2]}, page=PATH)
    assert answer.status_code == 403
    assert not await is_verified(people, "thief@evil.test")
    assert (await thief.get(link)).status_code == 403
