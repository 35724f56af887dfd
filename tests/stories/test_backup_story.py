"""Backups under fire (RELIABILITY B1, B3): a backup in the midst of pushers, and restores of it."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest
from tests.factories.seeds import chosen_seed
from tests.stories.installation import PASSWORD, Installation, commit_file, git, installation, run_cairnd, working_copy

PUSHERS = 8


class Pusher(threading.Thread):
    """Pushes one commit after the other to a branch of its own with stock git; remembers what was acknowledged."""

    def __init__(self, site: Installation, folder: Path, number: int, secret: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.branch = f"of-{number}"
        self._site = site
        self.acknowledged: list[str] = []
        self.error = ""
        self._stop_asked = threading.Event()
        self._random = Random(seed + number)
        self._work = working_copy(folder / self.branch)
        git("checkout", "-qb", self.branch, cwd=self._work)
        url = site.url(f"ada/r{number % 2}", user="ada", secret=secret)
        git("remote", "add", "origin", url, cwd=self._work)
        self.has_pushed = threading.Event()

    def run(self) -> None:
        """Push until told to stop."""
        try:
            while not self._stop_asked.is_set():
                commit_file(self._work, f"{self._random.randrange(20)}.txt", self._random.randbytes(2000).hex())
                git("push", "-q", "origin", self.branch, cwd=self._work)
                self.acknowledged.append(git("rev-parse", "HEAD", cwd=self._work).strip())
                self.has_pushed.set()
        except BaseException as error:
            log = [line for line in self._site.log().splitlines() if '"level": "info"' not in line]
            self.error = "\n".join([str(error), *log[-40:]])
            self.has_pushed.set()

    def stop(self) -> None:
        """End after the push under way."""
        self._stop_asked.set()
        self.join(timeout=120)
        assert not self.error, self.error


def _prepare(site: Installation) -> str:
    run_cairnd(site.environment, "admin", "create-user", "ada", "--email", "ada@x.test", "--password", PASSWORD)
    token = run_cairnd(site.environment, "admin", "create-token", "ada", "--scopes", "repo")
    with site.client(token) as client:
        for number in range(2):
            assert client.post("/api/v3/user/repos", json={"name": f"r{number}"}).status_code == 201
    return token


def _restore(source: Mapping[str, str], folder: Path, backup: str, *words: str, **settings: str) -> dict[str, str]:
    """Restore into a new installation, let the doctor see it, and return its environment."""
    environment = {**source, "CAIRN_DATA_DIR": str(folder), **settings}
    done = _cairnd(environment, "backup", "restore", backup, *words)
    assert done.returncode == 0, done.stderr
    examined = _cairnd(environment, "doctor").stdout
    # Beside a newer bucket what came after the backup is unknown, and nothing else may be wrong.
    wrong = [line for line in examined.splitlines() if line.startswith("ada/") and not _is_stranger(line)]
    assert not wrong, examined
    assert words or "2 examined, 0 with findings" in examined, examined
    return environment | {"TOLD": done.stdout}


def _is_stranger(line: str) -> bool:
    return "No row knows packs/" in line or "more unknown keys" in line


def _cairnd(environment: Mapping[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "cairn.programs.cairnd", *words]
    return subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=300, check=False)


def _heads(site: Installation, token: str) -> dict[str, str]:
    """Return the branches of both repositories, as a fresh, checked clone has them."""
    found = {}
    for number in range(2):
        mirror = site.folder / f"mirror-{number}"
        git("clone", "-q", "--mirror", site.url(f"ada/r{number}", user="ada", secret=token), mirror)
        git("fsck", "--strict", "--no-progress", cwd=mirror)
        for line in git("for-each-ref", "--format=%(objectname) %(refname:short)", cwd=mirror).splitlines():
            oid, _, name = line.partition(" ")
            found[name] = oid
    return found


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_backup_under_eight_pushers_restores_clean(tmp_path: Path) -> None:
    """B1: whatever was acknowledged before the backup began is in it, and nothing that never was."""
    seed = chosen_seed()
    backups = {"CAIRN_BACKUP_URL": f"file://{tmp_path / 'backups'}", "CAIRN_SECRET_KEY": "s" * 32}
    with installation(tmp_path / "site", backups | {"CAIRN_BACKUP_EVERY_SECONDS": "0"}) as site:
        token = _prepare(site)
        pushers = [Pusher(site, tmp_path / "clients", number, token, seed) for number in range(PUSHERS)]
        for pusher in pushers:
            pusher.start()
        for pusher in pushers:
            assert pusher.has_pushed.wait(120)
        before = {pusher.branch: len(pusher.acknowledged) for pusher in pushers}
        made = [run_cairnd(site.environment, "backup", "create").split(":")[0] for _ in range(2)]
        for pusher in pushers:
            pusher.stop()
        environment = dict(site.environment)
    _restore(environment, tmp_path / "new" / "data", made[1])
    with installation(tmp_path / "new", backups | {"CAIRN_BACKUP_EVERY_SECONDS": "0"}) as there:
        heads = _heads(there, token)
    for pusher in pushers:
        place = pusher.acknowledged.index(heads[pusher.branch]) if heads[pusher.branch] in pusher.acknowledged else -1
        assert place >= before[pusher.branch] - 1, f"{pusher.branch} lost an acknowledged push"


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_an_older_database_beside_a_newer_bucket_is_consistent(tmp_path: Path) -> None:
    """B3: the bucket goes on for a while, sweepers run, then the database of before is put back beside it."""
    seed = chosen_seed()
    settings = {
        "CAIRN_BACKUP_URL": f"file://{tmp_path / 'backups'}",
        "CAIRN_STORAGE_URL": f"file://{tmp_path / 'bucket'}",
        "CAIRN_SECRET_KEY": "s" * 32,
        "CAIRN_BACKUP_EVERY_SECONDS": "0",
    }
    with installation(tmp_path / "site", settings) as site:
        token = _prepare(site)
        pushers = [Pusher(site, tmp_path / "clients", number, token, seed) for number in range(2)]
        for pusher in pushers:
            pusher.start()
        for pusher in pushers:
            assert pusher.has_pushed.wait(120)
        backup = run_cairnd(site.environment, "backup", "create").split(":")[0]
        counts = [len(pusher.acknowledged) for pusher in pushers]
        for pusher, count in zip(pushers, counts, strict=True):
            while len(pusher.acknowledged) < count + 5 and pusher.is_alive():
                pusher.join(0.1)
            pusher.stop()
        environment = dict(site.environment)
    shutil.rmtree(tmp_path / "backups" / "objects" / "copies")  # nothing may be needed from there
    there = _restore(environment, tmp_path / "new" / "data", backup, "--database-only")
    assert "packs came after the backup" in there["TOLD"]
    assert "0 objects copied" in there["TOLD"]
    with installation(tmp_path / "new", settings) as again:
        heads = _heads(again, token)
        lost = [set(pusher.acknowledged) - {heads[pusher.branch]} for pusher in pushers]
        assert all(lost)
        for pusher in pushers:  # have their owners push again
            git("remote", "set-url", "origin", again.url(f"ada/r{pusher.branch[-1]}", user="ada", secret=token),
                cwd=tmp_path / "clients" / pusher.branch)  # fmt: skip
            git("push", "-q", "origin", pusher.branch, cwd=tmp_path / "clients" / pusher.branch)
