"""Who a request is from: cookie, token, password, and what a browser sends by itself."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import update
from tests.factories.accounts import LONG_AGO
from tests.factories.authentication import PASSWORD, count_statements
from tests.identity.web_support import People, open_people

from cairn.db.database import Database
from cairn.identity.models import Account, Token

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPPKwNd2RGoFT7JHzjhCqqDyz3Zpcu1IYBSvGvGvqzcq ada"


@pytest.fixture
async def people(tmp_path: Path, database: Database) -> AsyncIterator[People]:
    async with open_people(tmp_path, database) as opened:
        yield opened


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


async def test_every_way_to_carry_a_token_or_password_signs_in(people: People) -> None:
    token = await people.token(await people.account("ada"))
    for header in (
        f"token {token}",
        f"Bearer {token}",
        f"bearer {token}",
        basic("anybody", token),
        basic(token, ""),
        basic(token, "x-oauth-basic"),
        basic("ada", PASSWORD),
        basic("ada@example.test", PASSWORD),
    ):
        answer = await people.running.client(authorization=header).get("/api/v3/user")
        assert (answer.status_code, answer.json().get("login")) == (200, "ada"), header


@pytest.mark.parametrize(
    "header",
    [
        "token crn_000000000000000000000000000000000000",
        "token nonsense",
        "Bearer",
        "Digest x",
        "Basic !!!",
        basic("ada", "wrong password"),
        basic("nobody", PASSWORD),
        basic("ada", "crn_x"),
        "x" * 9000,
    ],
)
async def test_a_wrong_credential_is_bad_credentials_and_never_anonymous(people: People, header: str) -> None:
    await people.account("ada")
    for path in ("/api/v3/user", "/api/v3/users/ada"):
        answer = await people.running.client(authorization=header).get(path)
        assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")


async def test_a_revoked_and_an_expired_token_are_bad_credentials(people: People) -> None:
    token = await people.token(await people.account("ada"))
    async with people.database.write() as session:
        await session.execute(update(Token).values(expires_at=LONG_AGO))
    answer = await people.program(token).get("/api/v3/user")
    assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")


async def test_a_suspended_account_is_told_why(people: People) -> None:
    token = await people.token(await people.account("ada"))
    async with people.database.write() as session:
        await session.execute(update(Account).values(suspended_at=LONG_AGO))
    for header in (f"token {token}", basic("ada", PASSWORD)):
        answer = await people.running.client(authorization=header).get("/api/v3/user")
        assert answer.status_code == 403
        assert "suspended; ask an administrator" in answer.json()["message"]


async def test_a_header_goes_before_a_cookie(people: People) -> None:
    await people.account("ada")
    bobs = await people.token(await people.account("bob"))
    browser = await people.signed_in("ada")
    answer = await browser.client.get("/api/v3/user", headers={"authorization": f"token {bobs}"})
    assert answer.json()["login"] == "bob"
    wrong = await browser.client.get("/api/v3/user", headers={"authorization": "token wrong"})
    assert wrong.status_code == 401


async def test_an_unknown_cookie_is_a_stranger(people: People) -> None:
    browser = people.browser()
    for value in ("x", "a" * 43, "ä", '"; DROP TABLE account'):
        browser.client.cookies.clear()
        answer = await browser.client.get("/login", headers={b"cookie": f"cairn_session={value}".encode()})
        assert answer.status_code == 200


async def test_one_query_tells_who_asks(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await people.token(await people.account("ada"))
    browser = await people.signed_in("ada")
    asked = count_statements(people.database, monkeypatch)
    assert (await browser.client.get("/-/avatar/ada.svg")).status_code == 200
    assert asked() == 1
    assert (await people.program(token).get("/-/avatar/ada.svg")).status_code == 200
    assert asked() == 2
    assert (await people.browser().get("/-/avatar/ada.svg")).status_code == 200
    assert asked() == 2


async def test_guessing_through_the_api_is_slowed_down(people: People) -> None:
    await people.account("ada")
    for _ in range(10):
        wrong = people.running.client(authorization=basic("ada", "wrong"))
        assert (await wrong.get("/api/v3/user")).status_code == 401
    answer = await people.running.client(authorization=basic("ada", PASSWORD)).get("/api/v3/user")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_password_that_the_browser_remembers_is_no_way_in_for_other_sites(
    people: People, headers: dict[str, str]
) -> None:
    """After git's Basic challenge the browser sends the password along with a foreign page's text/plain form.

    The form's body is JSON that adds the attacker's key.
    """
    token = await people.token(await people.account("ada"), "admin:public_key")
    for remembered in (basic("ada", PASSWORD), basic("ada", token)):
        victim = people.running.client(authorization=remembered)
        body = f'{{"key": "{KEY}"}}'.encode()
        answer = await victim.post("/api/v3/user/keys", content=body, headers={"content-type": "text/plain"} | headers)
        assert answer.status_code == 403
        assert (await victim.get("/api/v3/user/keys")).json() == []


async def test_programs_may_use_a_password_and_pages_elsewhere_a_token_of_their_own(people: People) -> None:
    token = await people.token(await people.account("ada"), "admin:public_key")
    program = people.running.client(authorization=basic("ada", PASSWORD))
    assert (await program.patch("/api/v3/user", json={"name": "Ada"})).status_code == 200
    # Only script that knows the token can send this header.
    elsewhere = people.running.client(authorization=f"token {token}", origin="https://tool.test")
    assert (await elsewhere.post("/api/v3/user/keys", json={"key": KEY})).status_code == 201
