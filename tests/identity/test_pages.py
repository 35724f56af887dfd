"""Joining, signing in and out, the first administrator: through the pages."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text, update
from tests.factories.accounts import LONG_AGO
from tests.factories.authentication import PASSWORD
from tests.identity.web_support import People, open_people
from tests.web.support import Browser, csrf_token_of

from cairn.access.actions import Action
from cairn.base.actor import SYSTEM
from cairn.db.database import Database
from cairn.identity.accounts import invite
from cairn.identity.models import Account, LinkPurpose, Session
from cairn.identity.one_time_links import make_link
from cairn.identity.token_format import hash_secret
from cairn.web.counters import Rule
from cairn.web.routing import declared_routes

NEW = {"login": "grace", "email": "grace@example.test", "password": PASSWORD}
COOKIE = "cairn_session"


@pytest.fixture
async def people(tmp_path: Path, database: Database) -> AsyncIterator[People]:
    async with open_people(tmp_path, database) as opened:
        yield opened


async def count(people: People, table: type) -> int:
    async with people.database.read() as session:
        return int(await session.scalar(select(func.count()).select_from(table)) or 0)


async def is_signed_in(browser: Browser) -> bool:
    return (await browser.get("/settings/profile")).status_code == 200


@pytest.mark.parametrize("name", ["ada", "ADA", " ada ", "ada@example.test"])
async def test_who_has_the_password_is_signed_in_and_goes_where_they_wanted(people: People, name: str) -> None:
    await people.account("ada")
    browser = people.browser()
    fields = {"name": name, "password": PASSWORD, "next": "/settings/keys?x=1"}
    answer = await browser.submit("/login", fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/keys?x=1")
    assert await is_signed_in(browser)


async def test_a_visitor_of_a_private_page_comes_back_to_it_after_signing_in(people: People) -> None:
    answer = await people.browser().get("/settings/tokens")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/settings/tokens")
    page = await people.browser().get("/login?next=/settings/tokens")
    assert 'name="next" value="/settings/tokens"' in page.text


@pytest.mark.parametrize(
    "target",
    ["https://evil.test", "//evil.test", "/\\evil.test", "/\t/evil.test", "evil", "javascript:alert(1)", "", "/%0a//e"],
)
async def test_signing_in_never_leads_to_another_site(people: People, target: str) -> None:
    """A link to our sign-in page with a next of the attacker's: the victim must not land on the copy of our site."""
    await people.account("ada")
    browser = people.browser()
    fields = {"name": "ada", "password": PASSWORD, "next": target}
    answer = await browser.submit("/login", fields)
    assert answer.status_code == 303
    assert answer.headers["location"] in {"/", "/%0a//e"}
    again = await browser.get("/login", params={"next": target})
    assert again.headers["location"] in {"/", "/%0a//e"}


@pytest.mark.parametrize(("name", "password"), [("ada", "wrong password"), ("nobody", PASSWORD), ("bob", PASSWORD)])
async def test_a_wrong_name_and_a_wrong_password_look_alike(people: People, name: str, password: str) -> None:
    await people.account("ada")
    browser = people.browser()
    answer = await browser.submit("/login", {"name": name, "password": password, "next": "/settings/keys"})
    assert answer.status_code == 422
    assert "The name or the password is wrong." in answer.text
    assert f'value="{name}"' in answer.text
    assert 'value="/settings/keys"' in answer.text
    assert password not in answer.text
    assert COOKIE not in browser.client.cookies
    assert await count(people, Session) == 0


async def test_an_empty_form_says_what_is_missing(people: People) -> None:
    answer = await people.browser().submit("/login", {"name": "", "password": ""})
    assert answer.status_code == 422
    assert answer.text.count("Fill this in.") == 2


async def test_guessing_is_slowed_down_and_says_until_when(people: People) -> None:
    await people.account("ada")
    browser = people.browser()
    for _ in range(10):
        assert (await browser.submit("/login", {"name": "ada", "password": "wrong"})).status_code == 422
    answer = await browser.submit("/login", {"name": "ada", "password": PASSWORD})
    assert answer.status_code == 429
    assert "Too many attempts to sign in; try again in" in answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert 'value="ada"' in answer.text
    assert not await is_signed_in(browser)


async def test_a_suspended_account_is_told_so_only_with_the_right_password(people: People) -> None:
    await people.account("mallory", is_suspended=True)
    answer = await people.browser().submit("/login", {"name": "mallory", "password": PASSWORD})
    assert answer.status_code == 403
    assert "is suspended; ask an administrator" in answer.text
    assert COOKIE not in answer.headers.get("set-cookie", "")
    wrong = await people.browser().submit("/login", {"name": "mallory", "password": "wrong"})
    assert "suspended" not in wrong.text


async def test_the_cookie_is_for_the_browser_alone(people: People) -> None:
    await people.account("ada")
    answer = await people.browser().submit("/login", {"name": "ada", "password": PASSWORD})
    [cookie] = [line for line in answer.headers.get_list("set-cookie") if line.startswith(COOKIE)]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert "Domain" not in cookie


async def test_over_https_the_cookie_is_bound_to_the_host(tmp_path: Path, database: Database) -> None:
    async with open_people(tmp_path, database, external_url="https://cairn.test") as people:
        await people.account("ada")
        answer = await people.browser().submit("/login", {"name": "ada", "password": PASSWORD})
        [cookie] = [line for line in answer.headers.get_list("set-cookie") if "session=" in line]
    assert cookie.startswith("__Host-cairn_session=")
    assert "Secure" in cookie.split("; ")


async def test_signing_in_always_changes_the_session(people: People) -> None:
    """Fixation: a cookie that the attacker planted, or knows from before, must not become the victim's session."""
    await people.account("ada")
    browser = people.browser()
    browser.client.cookies.set(COOKIE, "planted", domain="cairn.test")
    await browser.submit("/login", {"name": "ada", "password": PASSWORD})
    [first] = [c.value for c in browser.client.cookies.jar if c.name == COOKIE and c.value != "planted"]
    assert first is not None
    planted = people.browser()
    planted.client.cookies.set(COOKIE, "planted", domain="cairn.test")
    assert not await is_signed_in(planted)

    token = csrf_token_of((await browser.get("/settings/profile")).text)
    browser.client.cookies.clear()
    browser.client.cookies.set(COOKIE, first, domain="cairn.test")
    answer = await browser.post("/login", {"name": "ada", "password": PASSWORD, "csrf_token": token})
    assert answer.status_code == 303
    old = people.browser()
    old.client.cookies.set(COOKIE, first, domain="cairn.test")
    assert not await is_signed_in(old)
    assert await count(people, Session) == 1


async def test_a_dump_of_the_database_opens_no_session(people: People) -> None:
    """The attacker reads every row and sends each value as the cookie."""
    await people.account("ada")
    await people.signed_in("ada")
    async with people.database.read() as session:
        row = (await session.execute(text("SELECT * FROM account_session"))).one()
    for value in row:
        thief = people.browser()
        thief.client.cookies.set(COOKIE, str(value).replace(" ", "_"), domain="cairn.test")
        assert not await is_signed_in(thief)


async def test_no_other_site_can_sign_a_visitor_in(people: People) -> None:
    """Login CSRF: the victim's browser is made to sign in as the attacker, who later reads what they did there."""
    await people.account("eve")
    fields = {"name": "eve", "password": PASSWORD}
    eves = csrf_token_of((await people.browser().get("/login")).text)
    victim = people.browser()
    await victim.get("/login")
    for sent, headers in [
        (fields, {}),
        (fields | {"csrf_token": eves}, {}),
        (fields | {"csrf_token": csrf_token_of((await victim.get("/login")).text)}, {"origin": "https://evil.test"}),
        (
            fields | {"csrf_token": csrf_token_of((await victim.get("/login")).text)},
            {"sec-fetch-site": "cross-site"},
        ),
    ]:
        assert (await victim.post("/login", sent, **headers)).status_code == 403
    assert await count(people, Session) == 0


async def test_signing_out_ends_the_session_itself(people: People) -> None:
    await people.account("ada")
    browser = await people.signed_in("ada")
    stolen = browser.client.cookies[COOKIE]
    answer = await browser.submit("/logout", {}, page="/settings/profile")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert COOKIE not in browser.client.cookies
    thief = people.browser()
    thief.client.cookies.set(COOKIE, stolen, domain="cairn.test")
    assert not await is_signed_in(thief)


async def test_signing_out_needs_a_form_of_ours(people: People) -> None:
    await people.account("ada")
    browser = await people.signed_in("ada")
    assert (await browser.get("/logout")).status_code == 405
    assert (await browser.post("/logout", {})).status_code == 403
    assert await is_signed_in(browser)


async def test_an_expired_session_and_a_suspended_owner_are_strangers(people: People) -> None:
    await people.account("ada")
    browser = await people.signed_in("ada")
    assert await is_signed_in(browser)
    async with people.database.write() as session:
        await session.execute(update(Session).values(expires_at=LONG_AGO))
    assert not await is_signed_in(browser)
    again = await people.signed_in("ada")
    async with people.database.write() as session:
        await session.execute(update(Account).values(suspended_at=Account.created_at))
    assert not await is_signed_in(again)


async def test_joining_makes_an_account_and_signs_in(people: People) -> None:
    browser = people.browser()
    answer = await browser.submit("/join", NEW | {"next": "/settings/keys"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/keys")
    page = await browser.get("/settings/profile")
    assert "Welcome, grace." in page.text
    assert "grace@example.test" in (await browser.get("/settings/emails")).text
    assert (await browser.get("/join")).status_code == 303


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"login": "a--b"}, "use 1 to 39 letters"),
        ({"login": "settings"}, "is reserved; choose another one"),
        ({"login": "ADA"}, "is taken; choose another one"),
        ({"email": "nowhere"}, "is not an e-mail address"),
        ({"email": "Ada@Example.test"}, "belongs to another account"),
        ({"password": "short"}, "needs at least 8"),
        ({"password": "grace@example.test"}, "is your name or address"),
        ({"login": ""}, "Fill this in."),
    ],
)
async def test_a_refused_form_comes_back_filled_in(people: People, changed: dict[str, str], said: str) -> None:
    await people.account("ada")
    answer = await people.browser().submit("/join", NEW | changed)
    assert answer.status_code == 422
    assert answer.text.count(said) == 1
    assert 'aria-invalid="true"' in answer.text
    for name, value in (NEW | changed).items():
        assert (name == "password") or f'value="{value}"' in answer.text
    assert PASSWORD not in answer.text
    assert await count(people, Account) == 1


async def test_what_was_typed_is_shown_as_text(people: People) -> None:
    answer = await people.browser().submit("/join", NEW | {"login": '"><script>alert(1)</script>'})
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert" in answer.text


async def test_accounts_cannot_be_made_by_the_thousand(
    people: People, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("cairn.identity.pages.SIGN_UPS_PER_ADDRESS", Rule("sign-up", 2, 3600))
    async with open_people(tmp_path, people.database) as slow:
        for number in range(2):
            fields = {"login": f"bot{number}", "email": f"bot{number}@x.test", "password": PASSWORD}
            assert (await slow.browser().submit("/join", fields)).status_code == 303
        answer = await slow.browser().submit("/join", NEW)
    assert answer.status_code == 429
    assert "Too many accounts are being made from your address" in answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert await count(people, Account) == 2


async def test_closed_registration_says_so_and_lets_nobody_in(tmp_path: Path, database: Database) -> None:
    async with open_people(tmp_path, database, registration="closed") as people:
        page = await people.browser().get("/join")
        assert page.status_code == 200
        assert "an administrator makes the accounts" in page.text
        assert "<form" not in page.text.split("<main")[1].split("</main>")[0]
        answer = await people.browser().submit("/join", NEW, page="/login")
        assert answer.status_code == 403
        assert "/join" not in (await people.browser().get("/login")).text
        assert await count(people, Account) == 0


async def test_an_invitation_lets_one_person_in(tmp_path: Path, database: Database) -> None:
    async with open_people(tmp_path, database, registration="invite") as people:
        assert "you need an invitation" in (await people.browser().get("/join")).text
        assert (await people.browser().submit("/join", NEW, page="/login")).status_code == 403
        unknown = await people.browser().get("/join?invitation=guess")
        assert unknown.status_code == 404
        assert "ask who invited you for a new one" in unknown.text
        async with database.write() as session:
            secret = await invite(session, SYSTEM)
        page = f"/join?invitation={secret}"
        first = await people.browser().submit("/join", NEW | {"invitation": secret}, page=page)
        assert first.status_code == 303
        late = {"login": "late", "email": "late@x.test", "password": PASSWORD, "invitation": secret}
        assert (await people.browser().submit("/join", late, page="/login")).status_code == 404
        assert await count(people, Account) == 1


async def first_link(people: People, lifetime: timedelta = timedelta(hours=1)) -> str:
    async with people.database.write() as session:
        secret = await make_link(session, LinkPurpose.FIRST_ADMINISTRATOR, lifetime=lifetime)
    return f"/-/setup/{secret}"


async def test_the_link_of_the_first_run_makes_an_administrator_once(people: People) -> None:
    link = await first_link(people)
    browser = people.browser()
    refused = await browser.submit(link, NEW | {"password": "short"})
    assert refused.status_code == 422
    assert 'value="grace"' in refused.text
    assert (await browser.submit(link, NEW)).status_code == 303
    async with people.database.read() as session:
        [account] = await session.scalars(select(Account))
    assert (account.login, account.is_site_admin) == ("grace", True)
    assert await is_signed_in(browser)
    again = await people.browser().get(link)
    assert again.status_code == 404
    assert "it prints a new link" in again.text
    other = {"login": "eve", "email": "eve@x.test", "password": PASSWORD}
    assert (await people.browser().submit(link, other, page="/login")).status_code == 404
    assert await count(people, Account) == 1


async def test_of_two_uses_of_the_link_at_once_one_wins(people: People) -> None:
    link = await first_link(people)
    browsers = [people.browser() for _ in range(3)]
    tokens = [csrf_token_of((await browser.get(link)).text) for browser in browsers]
    answers = await asyncio.gather(
        *(
            browser.post(link, {"login": f"a{n}", "email": f"a{n}@x.test", "password": PASSWORD, "csrf_token": token})
            for n, (browser, token) in enumerate(zip(browsers, tokens, strict=True))
        )
    )
    assert sorted(answer.status_code for answer in answers) == [303, 404, 404]
    assert await count(people, Account) == 1


async def test_a_wrong_an_old_and_a_needless_link_show_the_same_page(people: People) -> None:
    old = await first_link(people, timedelta(seconds=-1))
    needless = await first_link(people)
    await people.account("root1", is_site_admin=True)
    for link in (old, needless, "/-/setup/guess"):
        page = await people.browser().get(link)
        assert page.status_code == 404
        assert "This link no longer works" in page.text
        assert (await people.browser().submit(link, NEW, page="/login")).status_code == 404
    assert await count(people, Account) == 1


async def test_an_invitation_is_no_link_of_the_first_run(people: People) -> None:
    async with people.database.write() as session:
        secret = await invite(session, SYSTEM)
    assert (await people.browser().submit(f"/-/setup/{secret}", NEW, page="/login")).status_code == 404


async def test_an_avatar_is_a_picture_whoever_exists(people: People) -> None:
    answer = await people.browser().get("/-/avatar/ada.svg")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.content.startswith(b'<svg xmlns="http://www.w3.org/2000/svg"')
    assert answer.content == (await people.browser().get("/-/avatar/ADA.svg")).content
    assert answer.content != (await people.browser().get("/-/avatar/bob.svg")).content
    for path in ("ada.png", "-.svg", "%3Cscript%3E.svg", ".svg"):
        assert (await people.browser().get(f"/-/avatar/{path}")).status_code == 404


async def test_reading_a_page_writes_nothing(people: People) -> None:
    """Every page that GET serves, as an owner, against the rows before and after."""
    ada = await people.account("ada", is_site_admin=True)
    browser = await people.signed_in("ada")
    await people.token(ada, "repo")
    link = await first_link(people)

    async def rows() -> str:
        tables = ("account", "account_session", "account_token", "account_ssh_key", "one_time_link", "audit_entry")
        async with people.database.read() as session:
            return repr([(await session.execute(text(f"SELECT * FROM {table} ORDER BY 1"))).all() for table in tables])

    before = await rows()
    seen = 0
    for route in declared_routes(people.running.app.litestar):
        if route.method != "GET" or "{org}" in route.path:
            continue
        path = route.path.replace("{secret}", link.rsplit("/", 1)[1]).replace("{username}", "ada")
        path = (
            path.replace("{key_id}", "1")
            .replace("{file_name}", "ada.svg")
            .replace("{avatar_id}", "0" * 32)
            .replace("{account_id}", "1")
            .replace("{token_id}", "1")
            .replace("{gpg_key_id}", "1")
            .replace("{ssh_signing_key_id}", "1")
            .replace("{name}", "rocket")
        )
        assert "{" not in path
        assert (await browser.get(path)).status_code < 500, path
        seen += 1
    assert seen >= 20
    assert await rows() == before


async def test_every_page_of_a_person_declares_an_action_of_accounts(people: People) -> None:
    for route in declared_routes(people.running.app.litestar):
        if route.path.startswith("/settings"):
            assert route.declaration.action in {
                Action.ACCOUNT_READ_PRIVATE,
                Action.ACCOUNT_EDIT,
                Action.ACCOUNT_EDIT_EMAILS,
                Action.ACCOUNT_EDIT_SECURITY,
                Action.ACCOUNT_DELETE,
                Action.ACCOUNT_EDIT_TOKENS,
                Action.ACCOUNT_EDIT_KEYS,
                Action.ACCOUNT_READ_KEYS,
                Action.ACCOUNT_EDIT_SIGNING_KEYS,
                Action.ACCOUNT_EDIT_GPG_KEYS,
            }


async def test_the_session_in_the_database_is_a_hash(people: People) -> None:
    await people.account("ada")
    browser = await people.signed_in("ada")
    async with people.database.read() as session:
        [row] = await session.scalars(select(Session))
    assert row.cookie_sha256 == hash_secret(browser.client.cookies[COOKIE])
    assert row.address == "192.0.2.7"
