"""The profile and its picture through the pages."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.identity.test_avatar_images import picture
from tests.identity.web_support import People, open_people
from tests.web.support import Browser, csrf_token_of

from cairn.db.database import Database
from cairn.identity.models import Account

PATH = "/settings/profile"


@pytest.fixture
async def people(tmp_path: Path, database: Database) -> AsyncIterator[People]:
    async with open_people(tmp_path, database) as opened:
        yield opened


@pytest.fixture
async def ada(people: People) -> Browser:
    await people.account("ada")
    return await people.signed_in("ada")


async def upload(browser: Browser, data: bytes, name: str = "me.png") -> int:
    token = csrf_token_of((await browser.get(PATH)).text)
    answer = await browser.client.post(
        f"{PATH}/picture",
        data={"csrf_token": token},
        files={"picture": (name, data, "image/png")},
        headers={"origin": browser._origin, "sec-fetch-site": "same-origin"},
    )
    return answer.status_code


async def test_every_field_is_saved_and_shown_again(ada: Browser, people: People) -> None:
    fields = {
        "name": "Ada <b>",
        "pronouns": "she/her",
        "bio": "Weaves.\r\nPatterns.",
        "website": "ada.test",
        "company": "Engines & Co",
        "location": "London",
    }
    answer = await ada.submit(PATH, fields)
    assert answer.headers["location"] == PATH
    page = (await ada.get(PATH)).text
    for shown in ("Ada &lt;b&gt;", "she/her", "Weaves.\nPatterns.", "https://ada.test", "Engines &amp; Co", "London"):
        assert shown in page
    answer = await ada.submit(PATH, fields | {"website": "javascript:alert(1)"})
    assert answer.status_code == 422
    assert "http://" in answer.text


async def test_a_picture_is_uploaded_shown_and_removed(ada: Browser, people: People) -> None:
    grown = await ada.get("/-/avatar/ada")
    assert (grown.status_code, grown.headers["content-type"]) == (200, "image/svg+xml")
    assert await upload(ada, picture("PNG")) == 303
    stable = await people.browser().get("/-/avatar/ada?s=90")
    assert stable.status_code == 302
    assert stable.headers["cache-control"] == "public, max-age=300"
    assert stable.headers["location"].endswith("/96.webp")
    shown = await people.browser().get(stable.headers["location"])
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/webp")
    assert shown.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "sandbox" in shown.headers["content-security-policy"]
    assert shown.content[:4] == b"RIFF"
    assert stable.headers["location"].split("/")[3] in (await ada.get(PATH)).text
    assert (await ada.submit(f"{PATH}/picture/remove", {}, page=PATH)).status_code == 303
    assert (await people.browser().get("/-/avatar/ada")).headers["content-type"] == "image/svg+xml"


async def test_what_is_no_picture_is_refused_beside_the_field(ada: Browser, people: People) -> None:
    assert await upload(ada, b"<svg/>") == 422
    assert await upload(ada, b"", name="") == 422
    assert await upload(ada, bytes(7 << 20)) == 413
    async with people.database.read() as session:
        assert await session.scalar(select(Account.avatar_id)) is None


@pytest.mark.parametrize(
    "path", ["x/48.webp", "0" * 32 + "/48.webp", "0" * 32 + "/47.webp", "0" * 32 + "/48.svg", "0" * 32 + "/x"]
)
async def test_no_such_picture(people: People, path: str) -> None:
    assert (await people.browser().get(f"/-/avatar/{path}")).status_code == 404


async def test_a_name_that_nobody_has_gets_a_picture_too(ada: Browser, people: People) -> None:
    """A stranger learns nothing of who exists from pictures."""
    answers = [await people.browser().get(f"/-/avatar/{name}") for name in ("ada", "eve")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert sorted(answers[0].headers) == sorted(answers[1].headers)


@pytest.mark.parametrize("size", ["0", "-1", "x", "99999999", "", "٣"])
async def test_any_size_asked_for_gets_an_answer(ada: Browser, people: People, size: str) -> None:
    await upload(ada, picture("PNG"))
    answer = await people.browser().get("/-/avatar/ada", params={"s": size})
    assert answer.status_code == 302
