"""A7: whoever reads the whole database signs in as nobody, and a cookie from before a sign-in is worth nothing."""

import hashlib
import sqlite3
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing

import httpx2
import pytest
from tests.stories.browser import Browser, Form, forms_of
from tests.stories.installation import PASSWORD, Installation, installation
from tests.stories.people import join

SIGNED_IN = "/settings/profile"


@pytest.fixture(scope="module")
def cairn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("forged"), program="web") as running:
        yield running


def session_cookie_of(client: httpx2.Client) -> tuple[str, str]:
    """Return name and value of the cookie that signs the browser in."""
    return next((name, value) for name, value in client.cookies.items() if "session" in name)


def opens(cairn: Installation, name: str, value: str) -> bool:
    """Tell whether a browser with this cookie is somebody."""
    with cairn.client() as client:
        return client.get(SIGNED_IN, headers={b"cookie": f"{name}={value}".encode("latin-1")}).status_code == 200


def dumped(cairn: Installation) -> set[bytes]:
    """Return every value of every row that could be a secret or what becomes one."""
    found: set[bytes] = set()
    with closing(sqlite3.connect(f"file:{cairn.folder / 'data' / 'cairn.db'}?mode=ro", uri=True)) as connection:
        tables = [str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            if table in {"audit_entry", "event", "outbox"}:
                continue  # told in words; the words below are searched for the cookie itself
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                found |= {value if isinstance(value, bytes) else str(value).encode() for value in row if value}
    return {value for value in found if 8 <= len(value) <= 200}


def forgeries(values: set[bytes]) -> set[str]:
    """Return cookies that somebody could make of what the database holds."""
    made: set[str] = set()
    for value in values:
        digest = hashlib.sha256(value)
        for form in (value, digest.digest(), digest.hexdigest().encode()):
            made |= {form.hex(), b64encode(form).decode().rstrip("="), urlsafe_b64encode(form).decode().rstrip("=")}
            made |= {form.decode()} if form.isascii() and form.decode().isprintable() else set()
    return {cookie for cookie in made if 8 <= len(cookie) <= 300 and not set(cookie) & set(' ;,"\\')}


def test_no_session_can_be_made_of_a_dump_of_the_database(cairn: Installation) -> None:
    """Attack: a stolen backup. Every value in it, as it is, hashed and in each encoding, is tried as a cookie."""
    client, token = join(cairn, "ada")
    with closing(client):
        name, cookie = session_cookie_of(client)
        assert opens(cairn, name, cookie), "a real cookie opens"
        values = dumped(cairn)
        assert hashlib.sha256(cookie.encode()).hexdigest().encode() in values, "the session's row is in the dump"
        dump = (cairn.folder / "data" / "cairn.db").read_bytes()
        log = cairn.folder / "data" / "cairn.db-wal"
        dump += log.read_bytes() if log.exists() else b""
        for secret in (cookie, token, PASSWORD):
            assert secret.encode() not in dump
        own = {value for value in values if b"ada" in value or len(value) in {32, 40, 43, 64}}
        tried = forgeries(own)
        print(f"{len(values)} values, {len(tried)} cookies tried")
        assert len(tried) > 20
        with cairn.client() as thief:
            for forged in tried:
                answer = thief.get(SIGNED_IN, headers={"cookie": f"{name}={forged}"})
                assert answer.status_code != 200, forged
                bearer = thief.get("/api/v3/user", headers={"authorization": f"Bearer {forged}"})
                assert bearer.status_code == 401, forged
        assert opens(cairn, name, cookie)


def person_of(cairn: Installation, name: str, value: str) -> str:
    """Return whose browser has this cookie, empty for nobody's."""
    with cairn.client() as client:
        answer = client.get("/api/v3/user", headers={"cookie": f"{name}={value}"})
        return str(answer.json()["login"]) if answer.status_code == 200 else ""


@pytest.mark.parametrize("is_live", [False, True], ids=["made-up", "of-the-attacker"])
def test_a_cookie_from_before_the_sign_in_opens_nothing_afterwards(cairn: Installation, *, is_live: bool) -> None:
    """Attack (session fixation): plant a cookie, made up or one's own, and wait until the victim signs in."""
    attacker, victim = ("mallory", "victor") if is_live else ("marvin", "vera")
    mallory, _ = join(cairn, attacker)
    victor, _ = join(cairn, victim)
    with closing(mallory), closing(victor), cairn.client() as browser:
        name, live = session_cookie_of(mallory)
        assert person_of(cairn, name, live) == attacker
        planted = live if is_live else "a" * len(live)
        walker = Browser(browser)
        browser.cookies.set(name, planted)
        page = walker.open("/-/appearance")
        csrf = next(form.fields["csrf_token"] for form in forms_of(page.text) if "csrf_token" in form.fields)
        # By hand: who has a session is not shown the form, but a tab that was open before still sends it.
        walker.post(Form("/login", "post", {"csrf_token": csrf, "name": victim, "password": PASSWORD, "next": "/"}))
        found = [cookie.value for cookie in browser.cookies.jar if cookie.name == name and cookie.value != planted]
        assert len(found) == 1, "the sign-in gave another cookie"
        assert person_of(cairn, name, str(found[0])) == victim
        assert person_of(cairn, name, planted) == "", "what was planted opens neither account"
