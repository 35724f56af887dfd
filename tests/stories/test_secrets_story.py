"""No secret comes out: marked ones go into everything that takes one, and everything the forge says is searched.

And the key that seals them: lost, it stops the start by name and touches nothing; rotated, everything opens again.
"""

import base64
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from tests.factories.process_tree import below, command_of
from tests.services.ports import wait_until
from tests.stories.browser import Browser
from tests.stories.canaries import MARK, Heard, Recorder, disguises, texts_below
from tests.stories.installation import (
    Installation,
    commit_file,
    fails,
    git,
    installation,
    run_cairnd,
    ssh_key,
    working_copy,
)
from tests.stories.people import join, make_token

PASSWORD = f"{MARK}-password-1"
WRONG_PASSWORD = f"{MARK}/password&2"
NEW_PASSWORD = f"{MARK} password+3"
SECRET_KEY = f"{MARK}-secret-key-that-is-long-enough"
OLD_KEY = f"{MARK}-old-secret-key-that-is-long-enough"
STORAGE_SECRET = f"{MARK}-storage-secret"
STORAGE_ID = f"{MARK}-storage-id"
SMTP_PASSWORD = f"{MARK}-smtp-password"
MARKED = {PASSWORD, WRONG_PASSWORD, NEW_PASSWORD, SECRET_KEY, OLD_KEY, STORAGE_SECRET, STORAGE_ID, SMTP_PASSWORD}
SETTINGS = {
    "CAIRN_SECRET_KEY": SECRET_KEY,
    "CAIRN_SECRET_KEYS_OLD": OLD_KEY,
    "CAIRN_STORAGE_ACCESS_KEY_ID": STORAGE_ID,
    "CAIRN_STORAGE_SECRET_ACCESS_KEY": STORAGE_SECRET,
    "CAIRN_SMTP_HOST": "127.0.0.1",
    "CAIRN_SMTP_PORT": "9",
    "CAIRN_SMTP_USERNAME": "cairn",
    "CAIRN_SMTP_PASSWORD": SMTP_PASSWORD,
    "CAIRN_LOG_LEVEL": "debug",
}
MAIL_SECONDS = 60


def test_a_secret_is_found_in_every_disguise() -> None:
    for before in ("", "a", "ab", "abc"):
        text = f"{before}{NEW_PASSWORD}&"
        for shape in (
            text,
            text.encode().hex(),
            base64_of(text),
            json.dumps(text),
            str(httpx2.QueryParams({"q": text})),
        ):
            heard = Heard({NEW_PASSWORD})
            heard.note("somewhere", f"<{shape}>")
            assert len(heard.leaks()) == 1, shape
    heard = Heard({NEW_PASSWORD})
    heard.note("somewhere", base64_of(PASSWORD) + PASSWORD + WRONG_PASSWORD)
    assert heard.leaks() == []
    assert all(len(shape) >= len(NEW_PASSWORD) for shape in disguises(NEW_PASSWORD))


def test_no_secret_leaves_a_forge_on_one_disk(tmp_path: Path) -> None:
    """What each commit looks at: SQLite and a folder, every door once, the tables, a backup, the children."""
    heard = Heard(set(MARKED))
    backups = tmp_path / "backups"
    recorder = Recorder(tmp_path / "recorder")
    settings = SETTINGS | {"CAIRN_BACKUP_URL": f"file://{backups}"} | recorder.settings(os.environ["PATH"])
    with installation(tmp_path, settings, may_be_degraded=True) as cairn:
        _live(cairn, tmp_path, heard)
        heard.note("process list", _process_lists(cairn))
        _command(heard, cairn.environment, "backup", "create")
    _search(cairn, heard, recorder, backups, _rows(cairn))


@pytest.mark.nightly
def test_no_secret_leaves_the_forge(tmp_path: Path) -> None:
    """The same with the commands of an administrator at the machine, and starts that settings with secrets prevent."""
    heard = Heard(set(MARKED))
    backups = tmp_path / "backups"
    recorder = Recorder(tmp_path / "recorder")
    settings = SETTINGS | {"CAIRN_BACKUP_URL": f"file://{backups}"} | recorder.settings(os.environ["PATH"])
    with installation(tmp_path, settings, may_be_degraded=True) as cairn:
        _live(cairn, tmp_path, heard)
        heard.note("process list", _process_lists(cairn))
        _administer(cairn, heard)
    _start_wrongly(cairn.environment, heard)
    _search(cairn, heard, recorder, backups, _rows(cairn))


def _administer(cairn: Installation, heard: Heard) -> None:
    """Use the commands; those that print a new secret do it once."""
    link = _command(heard, cairn.environment, "admin", "invite")
    heard.shown_once(link.partition("invitation=")[2])
    token = _command(heard, cairn.environment, "admin", "create-token", "ada", "--scopes", "repo")
    heard.shown_once(token)
    _command(heard, cairn.environment, "admin", "check-token", given=token)
    _command(heard, cairn.environment, "admin", "set-password", "ada", "--password", NEW_PASSWORD)
    for words in (("list-users",), ("list-jobs",), ("list-running",), ("totals",), ("registration",), ("rotate-keys",)):
        assert _command(heard, cairn.environment, "admin", *words), words
    for told in (("doctor",), ("backup", "create"), ("backup", "list"), ("backup", "verify")):
        assert _command(heard, cairn.environment, *told), told


def _start_wrongly(environment: Mapping[str, str], heard: Heard) -> None:
    """Start with settings that cannot work and have a secret in them."""
    password = f"{MARK}-unreachable"
    heard.secrets.add(password)
    for name, value in (
        ("CAIRN_DATABASE_URL", f"postgresql://cairn:{password}@127.0.0.1:9/cairn"),
        ("CAIRN_DATABASE_URL", f"nonsense://cairn:{password}@127.0.0.1/cairn"),
        ("CAIRN_DATABASE_URL", f"postgresql://cairn:{password}@127.0.0.1:port/cairn"),
        ("CAIRN_REDIS_URL", f"nonsense://cairn:{password}@127.0.0.1/0"),
        ("CAIRN_STORAGE_URL", f"s3://?secret_access_key={password}"),
        ("CAIRN_SECRET_KEY", password),
        ("CAIRN_SECRET_KEYS_OLD", password),
    ):
        _command(heard, {**environment, name: value}, "worker")
        assert "CAIRN_" in heard.texts[-1][1] or "database" in heard.texts[-1][1], f"{name}: {heard.texts[-1]}"


def _search(cairn: Installation, heard: Heard, recorder: Recorder, backups: Path, rows: str) -> None:
    """Look at what a forge that has ended left behind, and find no secret in it, nor in anything it said."""
    heard.note("log", cairn.log())
    heard.note("database", rows)
    for name in ("git", "pre-receive"):
        started = recorder.started(name)
        assert "GIT_DIR=" in started
        heard.note(f"children: {name}", started)
    files = dict(texts_below(backups))
    assert any("account_token" in name for name in files), sorted(files)
    for name, text in files.items():
        heard.note(f"backup: {name}", text)
    assert len(heard.secrets) > len(MARKED) + 12
    assert len(heard.texts) > 60
    leaks = heard.leaks()
    assert not leaks, "\n".join(leaks)


def base64_of(text: str) -> str:
    """Return a text in base64."""
    return base64.b64encode(text.encode()).decode()


def _command(heard: Heard, environment: Mapping[str, str], *words: str, given: str = "") -> str:
    """Run a command, which may fail, note what it printed, and return that."""
    done = subprocess.run(
        [sys.executable, "-m", "cairn.programs.cairnd", *words], env=dict(environment), input=given,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    heard.note(" ".join(words), done.stdout + done.stderr)
    return done.stdout.strip()


def _process_lists(cairn: Installation) -> str:
    """Return the command line of every process of the installation, and of what it started."""
    found = [" ".join(words) for pid in below(cairn.process.pid) if (words := command_of(pid))]
    assert len(found) > 3
    return "\n".join(found)


def _live(cairn: Installation, folder: Path, heard: Heard) -> None:
    """Use every door, rightly and wrongly, and note all that comes back."""
    words = ("admin", "create-user", "root1", "--email", "r@x.test", "--admin", "--password", PASSWORD)
    _command(heard, cairn.environment, *words)
    with _client(cairn, heard) as client, _client(cairn, heard) as other:
        browser = Browser(client)
        browser.open("/login")
        browser.submit(name="root1", password=WRONG_PASSWORD)
        browser.open("/login")
        browser.submit(name="root1", password=PASSWORD)
        classic = make_token(cairn, client, ("repo", "user", "admin:public_key", "admin:org", "site_admin"))
        heard.shown_once(classic)
        fine = _fine_grained(browser)
        heard.shown_once(fine)
        _use_the_api(cairn, (classic, fine), heard)
        _use_git(cairn, classic, folder, heard)
        _be_ada(cairn, Browser(other), browser, heard)
        _use_pages_wrongly(cairn, client, classic)
        _read_the_administration(browser)


def _client(cairn: Installation, heard: Heard, token: str = "") -> httpx2.Client:
    client = cairn.client(token)
    client.event_hooks = {"response": [heard.note_answer]}
    return client


def _fine_grained(browser: Browser) -> str:
    browser.open("/settings/tokens/fine-grained/new")
    form = browser.form("/settings/tokens/fine-grained/new")
    answer = browser.post(form, {"name": "fine", "reach": "all", "permissions": "contents:read", "step": "save"})
    found = re.search(r"\bcrn_[0-9A-Za-z]{36}\b", answer.text)
    assert found, answer.text[:2000]
    return found[0]


def _be_ada(cairn: Installation, ada: Browser, administrator: Browser, heard: Heard) -> None:
    """Somebody signs up and is sent three links; an administrator reads them out, and they are used, wrongly first."""
    ada.open("/join")
    ada.submit(login="ada", email="ada@x.test", password=PASSWORD)
    ada.open("/settings/emails")
    ada.post(ada.form("/settings/emails"), {"email": "second@x.test"})
    verification = _mailed(administrator, "second@x.test", heard)
    ada.open(f"/-/emails/verify?secret={verification}")
    ada.submit(secret=verification)
    ada.open(f"/-/emails/verify?secret={verification}")
    for current, new in ((WRONG_PASSWORD, NEW_PASSWORD), (PASSWORD, "short"), (PASSWORD, NEW_PASSWORD)):
        ada.open("/settings/password")
        ada.submit(current=current, password=new)
    with _client(cairn, heard) as client:
        stranger = Browser(client)
        invitation = _mailed(administrator, "new@x.test", heard)
        stranger.open(f"/join?invitation={invitation}")
        stranger.submit(login="-", email="new@x.test", password=PASSWORD)
        stranger.open("/password/forgot")
        stranger.submit(name="ada")
        reset = _mailed(administrator, "ada@x.test", heard, "Choose a new password")
        stranger.open(f"/password/reset?secret={reset}")
        for new in ("short", PASSWORD):
            stranger.submit(secret=reset, password=new)
        assert stranger.open(f"/password/reset?secret={reset}").status_code == 404


def _mailed(administrator: Browser, recipient: str, heard: Heard, subject: str = "") -> str:
    """Return the secret of the link in a mail, which an administrator may read while it waits."""
    listed = re.compile(rf'href="(/admin/mail/[0-9a-f]+)">{subject}[^<]*</a>\s*<p class="list-meta">to {recipient}')

    def is_there() -> bool:
        return listed.search(administrator.open("/admin/mail").text) is not None

    wait_until(is_there, within_seconds=MAIL_SECONDS, what=f"a mail to {recipient}")
    path = listed.search(administrator.page.text)[1]  # type: ignore[union-attr, index]
    administrator.open(path)
    answer = administrator.post(administrator.form(f"{path}/read"))
    found = re.search(r"(?:secret|invitation)=([\w-]{20,})", answer.text)
    assert found, answer.text[:2000]
    heard.shown_once(found[1])
    return found[1]


def _use_pages_wrongly(cairn: Installation, client: httpx2.Client, token: str) -> None:
    """Put secrets where they do not belong."""
    words = {"name": "root1", "password": PASSWORD}
    client.post("/login", data=words)  # without the form's token
    client.post("/login", json=words)
    client.post("/login", content=f"name=root1&password={PASSWORD}&%ff", headers={"content-type": "text/plain"})
    client.get("/absent", headers={"x-token": token})
    client.get("/root1/engine", headers={"authorization": f"Nonsense {token}", "cookie": f"session={token}"})


def _read_the_administration(browser: Browser) -> None:
    browser.open("/settings/tokens")
    browser.open("/settings/sessions")
    for place in ("", "/settings", "/mail", "/jobs", "/programs", "/storage", "/backups", "/users", "/audit"):
        assert browser.open(f"/admin{place}").status_code == 200, place
    assert "mail.read" in browser.open("/admin/audit.jsonl").text
    assert "cairn_http_requests" in browser.open("/metrics").text


def _use_the_api(cairn: Installation, tokens: tuple[str, str], heard: Heard) -> None:
    token, fine = tokens
    with _client(cairn, heard, token) as api:
        assert api.post("/api/v3/user/repos", json={"name": "engine", "private": True}).status_code == 201
        made = api.post("/api/v3/admin/organizations", json={"login": "acme", "admin": "root1"})
        assert made.status_code == 201, made.text
        invited = api.post("/api/v3/orgs/acme/invitations", json={"email": "new@x.test"})
        assert invited.status_code == 201, invited.text
        for path in ("/user", "/user/repos", "/repos/root1/engine", "/repos/root1/none", "/user/emails"):
            api.get(f"/api/v3{path}")
        api.post("/api/v3/user/repos", content=f'{{"name": "x", "token": "{token}"'.encode())
        api.post("/api/v3/user/repos", content=f"{token}".encode())
        for wrong in ({"password": PASSWORD}, {"login": "eve", "email": "none", "password": PASSWORD}):
            assert api.post("/api/v3/admin/users", json=wrong).status_code == 422
        api.get("/api/v3/user/repos", params={"access_token": token, "per_page": "many", "sort": "none"})
    with _client(cairn, heard, fine) as api:
        assert api.get("/api/v3/user").status_code == 200
        api.post("/api/v3/user/repos", json={"name": "other"})
    for header in (
        f"Bearer {token[:-4]}0000",
        f"token {token} {token}",
        token,
        f"Basic {token}",
        f"Basic {base64_of(token)}",
    ):
        with _client(cairn, heard) as api:
            api.get("/api/v3/user", headers={"authorization": header})
    with _client(cairn, heard) as api:
        assert api.get("/api/v3/user", auth=("root1", WRONG_PASSWORD)).status_code == 401


def _use_git(cairn: Installation, token: str, folder: Path, heard: Heard) -> None:
    work = working_copy(folder / "work")
    url = cairn.url("root1/engine", user="root1", secret=token)
    heard.note("push", git("push", url, "main", cwd=work).replace(url, "URL"))
    commit_file(work, "more.txt", "more\n")
    wrong = cairn.url("root1/engine", user="root1", secret=httpx2.QueryParams({"": WRONG_PASSWORD}).__str__()[1:])
    heard.note("refused push", fails("push", wrong, "main", cwd=work).replace(wrong, "URL"))
    line, command = ssh_key(folder)
    with cairn.client(token) as api:
        api.post("/api/v3/user/keys", json={"title": "laptop", "key": line})
    heard.note("ssh push", git("push", cairn.ssh_url("root1/engine"), "main", cwd=work, ssh_command=command))
    _, stranger = ssh_key(folder, "stranger")
    heard.note("refused ssh", fails("ls-remote", cairn.ssh_url("root1/engine"), cwd=work, ssh_command=stranger))


def _rows(cairn: Installation) -> str:
    """Return everything in the database as text: a leaked copy of it opens nothing."""
    with closing(sqlite3.connect(cairn.folder / "data" / "cairn.db")) as connection:
        return "\n".join(connection.iterdump())


@pytest.fixture
def embedded(tmp_path: Path) -> dict[str, str]:
    """The environment of a migrated installation that has run once, with one repository's bytes in its store."""
    with installation(tmp_path) as cairn:
        _, token = join(cairn, "ada")
        with cairn.client(token) as api:
            assert api.post("/api/v3/user/repos", json={"name": "engine"}).is_success
        git("push", cairn.url("ada/engine", user="ada", secret=token), "main", cwd=working_copy(tmp_path / "work"))
        return dict(cairn.environment)


def _start(environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cairn.programs.cairnd", "worker"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_lost_key_stops_the_start_by_name_and_touches_nothing(embedded: dict[str, str]) -> None:
    folder = Path(embedded["CAIRN_DATA_DIR"])
    key = folder / "secret_key"
    right = key.read_text()
    before = {path: path.read_bytes() for path in sorted((folder / "storage").rglob("*")) if path.is_file()}
    assert any("packs" in path.parts for path in before)
    for wrong in (None, "w" * 64):
        key.unlink()
        if wrong is not None:
            key.write_text(wrong)
        done = _start(embedded)
        assert done.returncode == 2
        assert "The secret key is not the one of this installation" in done.stderr
        assert "Repositories are not affected" in done.stderr
    assert {path: path.read_bytes() for path in before} == before
    key.write_text(right)
    assert "Every secret carries the current key" in run_cairnd(embedded, "admin", "rotate-keys")


def test_a_rotated_key_opens_everything_and_the_old_one_may_go(embedded: dict[str, str]) -> None:
    folder = Path(embedded["CAIRN_DATA_DIR"])
    old = (folder / "secret_key").read_text()
    assert "Start Cairn anew" in run_cairnd(embedded, "admin", "rotate-keys", "--new")
    assert (folder / "secret_key").read_text() != old
    assert (folder / "secret_key.old").read_text() == old
    assert "Every secret carries the current key" in run_cairnd(embedded, "admin", "rotate-keys")
    assert not (folder / "secret_key.old").exists()
    (folder / "secret_key").rename(folder / "kept")
    (folder / "secret_key").write_text(old)
    assert _start(embedded).returncode == 2
    (folder / "kept").rename(folder / "secret_key")
    assert "1 examined, 0 with findings." in run_cairnd(embedded, "doctor")
