"""A whole Cairn as its users run it: ``cairnd up`` in a folder of its own, stock git beside it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from tests.factories.process_tree import command_of
from tests.services.ports import free_port
from tests.services.processes import ServerProcess

REQUEST_SECONDS = 30
GIT_SECONDS = 300
"""Only for what would never end: a push of 100 MB to a machine under load has taken more than one minute."""
CAIRND_SECONDS = 180
"""Of these the interpreter takes one to start, on a machine that does nothing else."""
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Installation:
    """A running Cairn; ``process`` may be stopped, killed and started again on the same data."""

    origin: str
    ssh_port: int
    folder: Path
    process: ServerProcess
    environment: Mapping[str, str]

    @property
    def port(self) -> int:
        """The port of the web program."""
        return int(self.origin.rpartition(":")[2])

    def client(self, token: str = "", **options: Any) -> httpx2.Client:
        """Return an HTTP client, with a token if there is one; redirects are not followed."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx2.Client(base_url=self.origin, headers=headers, timeout=REQUEST_SECONDS, trust_env=False, **options)

    def url(self, path: str, *, user: str = "", secret: str = "") -> str:
        """Return a repository's HTTP address, with credentials if there are some."""
        return self.origin.replace("://", f"://{user}:{secret}@" if user else "://") + f"/{path}.git"

    def ssh_url(self, path: str) -> str:
        """Return a repository's SSH address."""
        return f"ssh://git@127.0.0.1:{self.ssh_port}/{path}.git"

    def log(self) -> str:
        """Return everything the programs printed so far."""
        return (self.folder / "cairn.log").read_text("utf-8", "replace")

    def children(self) -> dict[str, int]:
        """Return the process ids of the supervised programs by name."""
        return {words[-1]: process for process, words in self.child_commands().items()}

    def child_commands(self) -> dict[int, list[str]]:
        """Return the command line of each child that lives, by process id."""
        found: dict[int, list[str]] = {}
        for name in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            if words := command_of(name):
                found[int(name)] = words
        return found

    def readiness(self) -> dict[str, Any]:
        """Return what ``/readyz`` says, an empty answer while nobody listens."""
        try:
            with self.client() as client:
                answer = client.get("/readyz")
                return json.loads(answer.content) if answer.content else {}
        except (httpx2.HTTPError, ValueError):
            return {}


def run_cairnd(environment: Mapping[str, str], *words: str, under: Sequence[str] = ()) -> str:
    """Run a short ``cairnd`` command and return its output; ``under`` are words before it, such as a tracer's."""
    command = [*under, sys.executable, "-m", "cairn.programs.cairnd", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=CAIRND_SECONDS, check=False)
    assert done.returncode == 0, f"cairnd {' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


@contextmanager
def installation(
    folder: Path,
    settings: Mapping[str, str] | None = None,
    *,
    program: str = "up",
    may_be_degraded: bool = False,
    port: int | None = None,
    under: Sequence[str] = (),
) -> Iterator[Installation]:
    """Run ``cairnd up`` until the block ends: SQLite and a folder, unless ``settings`` say otherwise.

    ``program`` ``"web"`` runs that one alone, on a migrated database: nothing else then writes rows.
    ``may_be_degraded``: something that the settings name is away, and the start is complete without it. ``port`` is
    the web program's, where somebody had to know it before. ``under`` are words before each command.
    """
    http, ssh = port or free_port(), free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")} | {
        "CAIRN_DATA_DIR": str(folder / "data"),
        "CAIRN_HTTP_ADDRESS": f"127.0.0.1:{http}",
        "CAIRN_SSH_ADDRESS": f"127.0.0.1:{ssh}",
        "CAIRN_DRAIN_SECONDS": "1",
        **(settings or {}),
    }
    is_whole = program == "up" and not may_be_degraded  # alone, the web program misses the others
    ready = {"ready"} if is_whole else {"ready", "degraded"}
    running: list[Installation] = []
    process = ServerProcess(
        [*under, sys.executable, "-m", "cairn.programs.cairnd", program],
        log=folder / "cairn.log",
        environ=environment,
        is_ready=lambda: running[0].readiness().get("status") in ready,
    )
    found = Installation(f"http://127.0.0.1:{http}", ssh, folder, process, environment)
    running.append(found)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if program != "up":
            run_cairnd(environment, "migrate", under=under)
        process.start()
        yield found
    finally:
        process.stop()


def git(*words: str | Path, cwd: Path | None = None, ssh_command: str = "") -> str:
    """Run stock git without the machine's configuration and return what it printed; AssertionError if it fails."""
    running = start_git(*words, cwd=cwd, ssh_command=ssh_command)
    try:
        printed = running.communicate(timeout=GIT_SECONDS)[0].decode("utf-8", "replace")
    except BaseException:
        running.kill()
        running.wait()
        raise
    assert running.returncode == 0, f"git {words[0]}: {printed}"
    return printed


def start_git(*words: str | Path, cwd: Path | None = None, ssh_command: str = "") -> "subprocess.Popen[bytes]":
    """Start stock git without the machine's configuration; output and errors go into one pipe."""
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.org",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.org",
        "GIT_SSH_COMMAND": ssh_command or "ssh -F /dev/null -o BatchMode=yes",
    }
    command = ["git", *map(str, words)]
    return subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def fails(*words: str | Path, cwd: Path | None = None, ssh_command: str = "") -> str:
    """Run stock git, which must fail, and return what it printed."""
    try:
        printed = git(*words, cwd=cwd, ssh_command=ssh_command)
    except AssertionError as error:
        return str(error)
    raise AssertionError(f"git {words[0]} succeeded: {printed}")


def ssh_key(folder: Path, name: str = "key") -> tuple[str, str]:
    """Make an SSH key and return its public line and the GIT_SSH_COMMAND that uses it."""
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, timeout=GIT_SECONDS)
    options = ("IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
    command = " ".join([f"ssh -i {path} -F /dev/null", *(f"-o {option}" for option in options)])
    return path.with_suffix(".pub").read_text().strip(), command


def commit_file(work: Path, name: str, text: str) -> None:
    """Write a file and commit everything that changed."""
    path = work / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    git("add", "-A", cwd=work)
    git("commit", "-qm", f"Write {name}", cwd=work)


def working_copy(folder: Path, files: Mapping[str, str] | None = None) -> Path:
    """Make a repository with one commit on ``main``."""
    folder.mkdir(parents=True)
    git("init", "-q", "-b", "main", cwd=folder)
    for name, text in (files or {"README.md": "# Hello\n"}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git("add", "-A", cwd=folder)
    git("commit", "-qm", "Begin", cwd=folder)
    return folder
