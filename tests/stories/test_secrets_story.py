"""No secret comes out: marked ones go into everything that takes one, and everything the forge says is searched.

And the key that seals them: lost, it stops the start by name and touches nothing; rotated, everything opens again.
"""

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from tests.stories.browser import Browser
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

MARK = "kanarienvogel"
PASSWORD = f"{MARK}-password-1"
WRONG_PASSWORD = f"{MARK}-password-2"
SECRET_KEY = f"{MARK}-secret-key-that-is-long-enough"
STORAGE_SECRET = f"{MARK}-storage-secret"
STORAGE_ID = f"{MARK}-storage-id"
SMTP_PASSWORD = f"{MARK}-smtp-password"
MARKED = (PASSWORD, WRONG_PASSWORD, SECRET_KEY, STORAGE_SECRET, STORAGE_ID, SMTP_PASSWORD)


@dataclass
class Heard:
    """Everything that left the forge: answers, what git printed, what commands printed."""

    secrets: set[str] = field(default_factory=lambda: set(MARKED))
    texts: list[tuple[str, str]] = field(default_factory=list)

    def note(self, where: str, text: str) -> None:
        """Remember what was said somewhere."""
        self.texts.append((where, text))

    def leaks(self) -> list[str]:
        """Return where a secret stands in the open, with which one."""
        return [
            f"{where}: {secret[:30]}"
            for where, text in self.texts
            for secret in sorted(self.secrets)
            if secret in text or _encoded(secret) in text
        ]


def _encoded(secret: str) -> str:
    return httpx2.QueryParams({"s": secret}).__str__().partition("=")[2]


def _log_lines(cairn: Installation) -> str:
    """Return the programs' log; every line is JSON, so nothing hides in broken ones."""
    return cairn.log()


def _process_lists(cairn: Installation) -> str:
    """Return the command line of every process of the installation, and of what it started."""
    found = []
    pending = [cairn.process.pid]
    while pending:
        pid = pending.pop()
        try:
            found.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
            for task in Path(f"/proc/{pid}/task").iterdir():
                pending += map(int, (task / "children").read_text().split())
        except FileNotFoundError:
            continue
    return "\n".join(found)


@pytest.mark.nightly
def test_no_secret_leaves_the_forge(tmp_path: Path) -> None:
    heard = Heard()
    settings = {
        "CAIRN_SECRET_KEY": SECRET_KEY,
        "CAIRN_STORAGE_ACCESS_KEY_ID": STORAGE_ID,
        "CAIRN_STORAGE_SECRET_ACCESS_KEY": STORAGE_SECRET,
        "CAIRN_SMTP_HOST": "127.0.0.1",
        "CAIRN_SMTP_PORT": "9",
        "CAIRN_SMTP_USERNAME": "cairn",
        "CAIRN_SMTP_PASSWORD": SMTP_PASSWORD,
        "CAIRN_LOG_LEVEL": "debug",
    }
    with installation(tmp_path, settings, may_be_degraded=True) as cairn:
        _live(cairn, tmp_path, heard)
        heard.note("process list", _process_lists(cairn))
    heard.note("log", _log_lines(cairn))
    for words in (("doctor",), ("admin", "list-users")):
        done = subprocess.run(
            [sys.executable, "-m", "cairn.programs.cairnd", *words], env=dict(cairn.environment),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        heard.note(" ".join(words), done.stdout + done.stderr)
    heard.note("database", _rows(cairn))
    assert len(heard.texts) > 30
    assert heard.leaks() == []


def _live(cairn: Installation, folder: Path, heard: Heard) -> None:
    """Use every door, rightly and wrongly, and note all that comes back."""
    run_cairnd(
        dict(cairn.environment),
        "admin",
        "create-user",
        "root1",
        "--email",
        "r@x.test",
        "--admin",
        "--password",
        PASSWORD,
    )
    client = cairn.client()
    client.event_hooks = {"response": [lambda answer: _note_answer(heard, answer)]}
    browser = Browser(client)
    browser.open("/login")
    browser.submit(name="root1", password=WRONG_PASSWORD)
    browser.open("/login")
    browser.submit(name="root1", password=PASSWORD)
    heard.secrets |= {cookie.value for cookie in client.cookies.jar if "session" in cookie.name and cookie.value}
    token = make_token(cairn, client, ("repo", "user", "admin:public_key"))
    heard.texts = [(where, text) for where, text in heard.texts if token not in text]  # shown once, on purpose
    heard.secrets.add(token)
    for path in (
        "/settings/tokens",
        "/settings/sessions",
        "/settings/profile",
        "/admin/audit",
        "/admin/audit.jsonl",
        "/absent",
    ):
        browser.open(path)
    _use_the_api(cairn, token, heard)
    _use_git(cairn, token, folder, heard)
    browser.open("/admin/audit.jsonl")


def _note_answer(heard: Heard, answer: httpx2.Response) -> None:
    answer.read()
    told = "\n".join(f"{name}: {value}" for name, value in answer.headers.items() if name != "set-cookie")
    heard.note(
        f"{answer.request.method} {answer.request.url} {answer.status_code}", f"{answer.url}\n{told}\n{answer.text}"
    )


def _use_the_api(cairn: Installation, token: str, heard: Heard) -> None:
    with cairn.client(token) as api:
        api.event_hooks = {"response": [lambda answer: _note_answer(heard, answer)]}
        api.post("/api/v3/user/repos", json={"name": "engine", "private": True})
        for path in ("/user", "/user/repos", "/repos/root1/engine", "/repos/root1/none", "/user/emails"):
            api.get(f"/api/v3{path}")
        api.post("/api/v3/user/repos", content=b"{ broken json")
        api.post("/api/v3/user/repos", json={"name": f"bad name {token}"[:9]})
    with cairn.client(token[:-4] + "0000") as api:
        api.event_hooks = {"response": [lambda answer: _note_answer(heard, answer)]}
        api.get("/api/v3/user")
    with cairn.client() as api:
        api.event_hooks = {"response": [lambda answer: _note_answer(heard, answer)]}
        api.get("/api/v3/user", auth=("root1", WRONG_PASSWORD))


def _use_git(cairn: Installation, token: str, folder: Path, heard: Heard) -> None:
    work = working_copy(folder / "work")
    url = cairn.url("root1/engine", user="root1", secret=token)
    heard.note("push", git("push", url, "main", cwd=work).replace(url, "URL"))
    commit_file(work, "more.txt", "more\n")
    wrong = cairn.url("root1/engine", user="root1", secret=WRONG_PASSWORD)
    heard.note(
        "refused push", fails("push", wrong, "main", cwd=work).replace(wrong, "URL").replace(f":{WRONG_PASSWORD}@", "@")
    )
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
