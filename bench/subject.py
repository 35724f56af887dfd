"""Cairn as its users run it: ``cairnd up`` in a folder of its own, with an account, a token and an SSH key."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.ports import free_port
from tests.services.processes import ServerProcess

OWNER = "bench"


@dataclass(frozen=True)
class Subject:
    """A running Cairn. ``environment`` is what its programs were given."""

    origin: str
    ssh_port: int
    token: str
    process: ServerProcess
    environment: Mapping[str, str]

    def create_repository(self, name: str, *, is_private: bool = True) -> None:
        """Make an empty repository."""
        self.call("POST", "/api/v3/user/repos", {"name": name, "private": is_private})

    def call(self, method: str, path: str, body: object = None) -> object:
        """Call the API with the token; urllib's error for anything but success."""
        request = urllib.request.Request(
            self.origin + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def url(self, name: str) -> str:
        """Return a repository's HTTP address with the token in it."""
        return self.origin.replace("://", f"://{OWNER}:{self.token}@") + f"/{OWNER}/{name}.git"

    def ssh_url(self, name: str) -> str:
        """Return a repository's SSH address."""
        return f"ssh://git@127.0.0.1:{self.ssh_port}/{OWNER}/{name}.git"


@contextmanager
def cairn(folder: Path, *, key: Path | None = None, settings: Mapping[str, str] | None = None) -> Iterator[Subject]:
    """Run Cairn until the block ends: SQLite and a folder, unless ``settings`` say otherwise."""
    http, ssh = free_port(), free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")} | {
        "CAIRN_DATA_DIR": str(folder / "data"),
        "CAIRN_HTTP_ADDRESS": f"127.0.0.1:{http}",
        "CAIRN_SSH_ADDRESS": f"127.0.0.1:{ssh}",
        "CAIRN_SSH_CONNECTIONS_PER_ADDRESS": "500",
        "CAIRN_HTTP_CONNECTIONS_PER_ADDRESS": "500",
        # One client makes all the load; what is counted and what is not is the same work.
        **{f"CAIRN_RATE_{kind}": "100000000" for kind in ("API_PER_HOUR", "PAGES_PER_MINUTE", "GIT_PER_MINUTE")},
        "CAIRN_LOG_LEVEL": "warning",
        **(settings or {}),
    }
    command = [sys.executable, "-m", "cairn.programs.cairnd"]

    def run(*words: str) -> str:
        return subprocess.check_output([*command, *words], env=environment, text=True).strip()

    folder.mkdir(parents=True, exist_ok=True)
    run("migrate")
    run("admin", "create-user", OWNER, "--email", "bench@example.com", "--password", "a bench password", "--admin")
    token = run("admin", "create-token", OWNER, "--scopes", "repo,admin:public_key,delete_repo")
    origin = f"http://127.0.0.1:{http}"
    process = ServerProcess(
        [*command, "up"], log=folder / "cairn.log", environ=environment, is_ready=lambda: _is_ready(origin)
    )
    try:
        process.start()
        subject = Subject(origin, ssh, token, process, environment)
        if key is not None:
            subject.call("POST", "/api/v3/user/keys", {"title": "bench", "key": key.with_suffix(".pub").read_text()})
        yield subject
    finally:
        process.stop()


def _is_ready(origin: str) -> bool:
    try:
        with urllib.request.urlopen(f"{origin}/readyz", timeout=2) as answer:
            found = json.load(answer)
    except OSError:
        return False
    return bool(found.get("status") == "ready")


def proportional_set_size(pid: int) -> int:
    """Return the bytes of memory a process and everything below it use, shared pages divided among their users."""
    total, waiting = 0, [pid]
    while waiting:
        current = waiting.pop()
        try:
            rollup = Path(f"/proc/{current}/smaps_rollup").read_text()
            children = Path(f"/proc/{current}/task/{current}/children").read_text()
        except OSError:
            continue
        total += next(int(line.split()[1]) << 10 for line in rollup.splitlines() if line.startswith("Pss:"))
        waiting += [int(word) for word in children.split()]
    return total
