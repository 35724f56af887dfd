"""A person's own settings, through the pages."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
from sqlalchemy import select, update
from tests.factories.accounts import LONG_AGO
from tests.factories.authentication import PASSWORD
from tests.identity.web_support import People, open_people
from tests.web.support import Browser, csrf_token_of

from cairn.db.database import Database
from cairn.identity.models import Account, Session, SshKey, Token
from cairn.identity.token_format import hash_secret
from cairn.web.routing import declared_routes

OTHER = "another horse battery"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0"
PAGES = (
    "/settings",
    "/settings/profile",
    "/settings/password",
    "/settings/sessions",
    "/settings/tokens",
    "/settings/tokens/new",
    "/settings/keys",
    "/settings/keys/new",
    "/settings/keys/signing/new",
    "/settings/keys/gpg/new",
)


@pytest.fixture
async def people(tmp_path: Path, database: Database) -> AsyncIterator[People]:
    async with open_people(tmp_path, database) as opened:
        yield opened


@pytest.fixture
async def ada(people: People) -> Browser:
    """A browser in which ada has signed in; bob has an account too."""
    await people.account("ada")
    await people.account("bob")
    return await people.signed_in("ada", **{"user-agent": FIREFOX})


def public_key(comment: str = "ada@loom") -> str:
    return asyncssh.generate_private_key("ssh-ed25519", comment=comment).export_public_key().decode().strip()


@pytest.mark.parametrize("path", PAGES)
async def test_a_visitor_is_asked_to_sign_in_first(people: People, path: str) -> None:
    answer = await people.browser().get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={path}")


async def test_no_form_of_the_settings_works_for_a_visitor(people: People) -> None:
    """Every POST below /settings, with a valid form token of the visitor's own."""
    posts = [route.path for route in declared_routes(people.running.app.litestar) if route.method == "POST"]
    paths = [path for path in posts if path.startswith("/settings")]
    assert len(paths) == 27
    for path in paths:
        assert (
            await people.browser().submit(path.replace("{token_id}", "1"), {"id": "1"}, page="/login")
        ).status_code == 401, path


@pytest.mark.parametrize(
    ("credential", "status"),
    [("user", 200), ("repo", 403), ("read:user", 403), ("", 403)],
)
async def test_a_token_reaches_the_pages_only_as_far_as_its_scopes(
    people: People, credential: str, status: int
) -> None:
    ada = await people.account("ada")
    token = await people.token(ada, *([credential] if credential else []))
    assert (await people.program(token).get("/settings/emails")).status_code == status
    assert (await people.program(token).get("/settings/tokens")).status_code == 403


async def test_pages_with_secrets_near_are_kept_by_no_cache(ada: Browser) -> None:
    for path in PAGES[1:]:
        assert (await ada.get(path)).headers["cache-control"] == "no-store"


async def test_the_profile_is_saved(ada: Browser, people: People) -> None:
    answer = await ada.submit("/settings/profile", {"name": " Ada <b>Lovelace ", "bio": "Weaves.\r\nPatterns."})
    assert answer.headers["location"] == "/settings/profile"
    page = (await ada.get("/settings/profile")).text
    assert 'value="Ada &lt;b&gt;Lovelace"' in page
    assert "Weaves.\nPatterns." in page
    assert "Your profile is saved." in page
    async with people.database.read() as session:
        account = (await session.scalars(select(Account).where(Account.login == "bob"))).one()
    assert account.name == ""


async def test_a_profile_that_is_too_long_comes_back(ada: Browser, people: People) -> None:
    answer = await ada.submit("/settings/profile", {"name": "Ada", "bio": "x" * 501})
    assert answer.status_code == 422
    assert "The bio has 501 characters; the limit is 500." in answer.text
    assert "x" * 501 in answer.text
    async with people.database.read() as session:
        assert (await session.scalars(select(Account.name))).all() == ["", ""]


async def test_a_new_password_ends_the_other_sessions_and_not_this_one(ada: Browser, people: People) -> None:
    elsewhere, bob = await people.signed_in("ada"), await people.signed_in("bob")
    answer = await ada.submit("/settings/password", {"current": PASSWORD, "password": OTHER})
    assert answer.status_code == 303
    assert "your other sessions have ended" in (await ada.get("/settings/password")).text
    assert (await elsewhere.get("/settings/profile")).status_code == 303
    assert (await bob.get("/settings/profile")).status_code == 200
    assert (await people.browser().submit("/login", {"name": "ada", "password": PASSWORD})).status_code == 422
    assert (await people.browser().submit("/login", {"name": "ada", "password": OTHER})).status_code == 303


@pytest.mark.parametrize(
    ("current", "new", "said"),
    [
        ("wrong password", OTHER, "This is not your current password."),
        (PASSWORD, "short", "needs at least 8"),
        (PASSWORD, "password123", "guessed first"),
        ("", OTHER, "Fill this in."),
    ],
)
async def test_a_refused_change_leaves_the_password(
    ada: Browser, people: People, current: str, new: str, said: str
) -> None:
    answer = await ada.submit("/settings/password", {"current": current, "password": new})
    assert answer.status_code == 422
    assert said in answer.text
    assert OTHER not in answer.text
    assert PASSWORD not in answer.text
    assert (await people.browser().submit("/login", {"name": "ada", "password": PASSWORD})).status_code == 303


async def test_a_stolen_session_is_no_place_to_guess_the_password(ada: Browser) -> None:
    """The attacker has the cookie and wants the account for good: tries passwords where nobody counts."""
    for _ in range(10):
        await ada.submit("/settings/password", {"current": "wrong", "password": OTHER})
    answer = await ada.submit("/settings/password", {"current": PASSWORD, "password": OTHER})
    assert answer.status_code == 429
    assert "Too many attempts" in answer.text


async def test_sessions_are_told_apart_and_ended_one_by_one(ada: Browser, people: People) -> None:
    elsewhere = await people.signed_in("ada", **{"user-agent": "<script>curl/8"})
    page = (await ada.get("/settings/sessions")).text
    assert "Firefox on Linux" in page
    assert "192.0.2.7" in page
    assert page.count("This browser") == 1
    [other] = re.findall(r'name="session_id" value="([0-9a-f]+)"', page)
    answer = await ada.submit("/settings/sessions/revoke", {"session_id": other}, page="/settings/sessions")
    assert answer.status_code == 303
    assert (await elsewhere.get("/settings/profile")).status_code == 303
    assert (await ada.get("/settings/profile")).status_code == 200


async def test_all_other_sessions_end_at_once(ada: Browser, people: People) -> None:
    others = [await people.signed_in("ada") for _ in range(2)]
    bob = await people.signed_in("bob")
    await ada.submit("/settings/sessions/revoke-others", {}, page="/settings/sessions")
    assert "2 other sessions ended." in (await ada.get("/settings/sessions")).text
    for browser in others:
        assert (await browser.get("/settings/profile")).status_code == 303
    assert (await bob.get("/settings/profile")).status_code == 200


async def test_the_id_of_a_session_opens_nothing_and_ends_nobody_elses(ada: Browser, people: People) -> None:
    await people.signed_in("bob")
    async with people.database.read() as session:
        statement = select(Session.cookie_sha256).join(Account, Account.id == Session.account_id)
        bobs = (await session.scalars(statement.where(Account.login == "bob"))).one()
    answer = await ada.submit("/settings/sessions/revoke", {"session_id": bobs}, page="/settings/sessions")
    assert answer.status_code == 404
    thief = people.browser()
    thief.client.cookies.set("cairn_session", bobs, domain="cairn.test")
    assert (await thief.get("/settings/profile")).status_code == 303


async def make(browser: Browser, **fields: object) -> str:
    """Make a token through the page and return its secret."""
    answer = await browser.submit("/settings/tokens/new", {"name": "laptop", "lifetime": "30"} | fields)
    assert answer.status_code == 200, answer.text
    [secret] = set(re.findall(r"crn_[0-9A-Za-z]{36}", answer.text))
    return str(secret)


async def test_a_token_is_shown_once_and_works(ada: Browser, people: People) -> None:
    answer = await ada.submit(
        "/settings/tokens/new", {"name": "laptop", "lifetime": "30", "scopes": ["repo", "read:user"]}
    )
    [secret] = set(re.findall(r"crn_[0-9A-Za-z]{36}", answer.text))
    assert answer.headers["cache-control"] == "no-store"
    assert secret not in str(answer.headers)
    assert secret not in str(answer.url)
    later = (await ada.get("/settings/tokens")).text
    assert secret not in later
    assert secret[-4:] in later
    async with people.database.read() as session:
        [row] = await session.scalars(select(Token))
    assert (row.name, row.scopes, row.token_sha256) == ("laptop", ["read:user", "repo"], hash_secret(secret))
    assert row.expires_at is not None
    assert 29 <= (row.expires_at - row.created_at).days <= 30
    assert (await people.program(secret).get("/api/v3/user")).json()["login"] == "ada"


async def test_a_token_may_last_for_ever_and_have_no_scope(ada: Browser, people: People) -> None:
    await make(ada, lifetime="never")
    async with people.database.read() as session:
        [row] = await session.scalars(select(Token))
    assert (row.expires_at, row.scopes) == (None, [])
    page = (await ada.get("/settings/tokens")).text
    assert "never expires" in page
    assert "No scopes: reads what is public." in page


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": ""}, "Fill this in."),
        ({"name": "x" * 256}, "The name has 256 characters"),
        ({"lifetime": "36500"}, "Choose one of the options."),
        ({"scopes": ["repo", "root"]}, "is no scope"),
    ],
)
async def test_a_refused_token_comes_back_filled_in(
    ada: Browser, people: People, changed: dict[str, object], said: str
) -> None:
    fields = {"name": "laptop", "lifetime": "90", "scopes": ["repo"]} | changed
    answer = await ada.submit("/settings/tokens/new", fields)
    assert answer.status_code == 422
    assert said in answer.text
    assert 'value="repo" checked' in answer.text
    async with people.database.read() as session:
        assert (await session.scalars(select(Token))).all() == []


async def test_a_revoked_token_stops_working(ada: Browser, people: People) -> None:
    secret = await make(ada)
    [token_id] = set(re.findall(r'name="id" value="(\d+)"', (await ada.get("/settings/tokens")).text))
    bob = await people.signed_in("bob")
    for refused in (token_id, "999999"):
        answer = await bob.submit("/settings/tokens/revoke", {"id": refused}, page="/settings/tokens")
        assert answer.status_code == 404
    assert (await people.program(secret).get("/api/v3/user")).status_code == 200
    assert (await ada.submit("/settings/tokens/revoke", {"id": token_id}, page="/settings/tokens")).status_code == 303
    assert (await people.program(secret).get("/api/v3/user")).status_code == 401
    assert "No tokens yet" in (await ada.get("/settings/tokens")).text


async def test_an_expired_token_is_marked(ada: Browser, people: People) -> None:
    await make(ada)
    async with people.database.write() as session:
        await session.execute(update(Token).values(expires_at=LONG_AGO))
    assert "Expired" in (await ada.get("/settings/tokens")).text


async def test_the_power_over_the_site_is_offered_to_administrators_only(ada: Browser, people: People) -> None:
    await people.account("root1", is_site_admin=True)
    root = await people.signed_in("root1")
    assert 'value="site_admin"' in (await root.get("/settings/tokens/new")).text
    assert 'value="site_admin"' not in (await ada.get("/settings/tokens/new")).text


async def test_a_key_is_added_shown_and_deleted(ada: Browser, people: People) -> None:
    answer = await ada.submit("/settings/keys/new", {"key": public_key() + "\n", "title": ""})
    assert answer.status_code == 303
    page = (await ada.get("/settings/keys")).text
    assert "ada@loom" in page
    assert re.search(r"SHA256:[A-Za-z0-9+/]{43}", page)
    [key_id] = re.findall(r'name="id" value="(\d+)"', page)
    bob = await people.signed_in("bob")
    assert (await bob.submit("/settings/keys/delete", {"id": key_id}, page="/settings/keys")).status_code == 404
    assert (await ada.submit("/settings/keys/delete", {"id": key_id}, page="/settings/keys")).status_code == 303
    assert "No SSH keys yet" in (await ada.get("/settings/keys")).text


async def test_a_key_tells_when_and_from_where_it_was_used(ada: Browser, people: People) -> None:
    await ada.submit("/settings/keys/new", {"key": public_key(), "title": "loom"})
    page = (await ada.get("/settings/keys")).text
    assert ("never used" in page, 'href="/ada.keys"' in page) == (True, True)
    async with people.database.write() as session:
        await session.execute(update(SshKey).values(last_used_at=LONG_AGO, last_used_address="192.0.2.9"))
    page = (await ada.get("/settings/keys")).text
    assert re.search(r'last used <time[^>]*>[^<]+</time> from <span class="mono">192\.0\.2\.9</span>', page)
    assert "never used" not in page


async def test_a_refused_key_comes_back_filled_in(ada: Browser, people: People) -> None:
    taken = public_key()
    bob = await people.signed_in("bob")
    assert (await bob.submit("/settings/keys/new", {"key": taken, "title": "x"})).status_code == 303
    for key, said in [
        ("hello", "This is no public key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "This is a private key"),
        (taken, "This key is already in use"),
    ]:
        answer = await ada.submit("/settings/keys/new", {"key": key, "title": "loom"})
        assert answer.status_code == 422
        assert said in answer.text
        assert 'value="loom"' in answer.text
    async with people.database.read() as session:
        assert len((await session.scalars(select(SshKey))).all()) == 1


async def test_a_button_without_its_row_changes_nothing(ada: Browser) -> None:
    for path in ("/settings/tokens/revoke", "/settings/keys/delete", "/settings/sessions/revoke"):
        for sent in ({}, {"id": "x", "session_id": ""}):
            assert (await ada.submit(path, sent, page="/settings/tokens")).status_code == 422


async def test_no_form_works_without_its_token_or_from_another_site(ada: Browser, people: People) -> None:
    """A page elsewhere posts each form of the settings with the victim's cookie."""
    token = csrf_token_of((await ada.get("/settings/profile")).text)
    posts = [route.path for route in declared_routes(people.running.app.litestar) if route.method == "POST"]
    for path in posts:
        if not path.startswith("/settings"):
            continue
        path = path.replace("{token_id}", "1")  # noqa: PLW2901 (the address of it)
        assert (await ada.post(path, {})).status_code == 403, path
        foreign = await ada.post(path, {"csrf_token": token}, origin="https://evil.test")
        assert foreign.status_code == 403, path
    assert (await ada.get("/settings/sessions")).status_code == 200
