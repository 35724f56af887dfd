"""People who sign, with stock ``gpg`` and ``ssh-keygen``: keys are made on the fly and lie in a folder of the test's.

with open_gpg(folder) as gpg:
    key = gpg.make_key("Ada <ada@example.org>")
    oid = gpg.signing(stock, key, email="ada@example.org").commit({"f": "1"}, "Signed")
"""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.factories.git_repositories import StockRepository


class SigningFailed(Exception):
    """A tool refused; the message is its standard error."""


def _run(*command: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, env=env, timeout=60)
    if done.returncode != 0:
        raise SigningFailed(done.stderr.decode("utf-8", "backslashreplace"))
    return done.stdout


@dataclass(frozen=True)
class Gpg:
    """A GnuPG home of its own, without passphrases."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """What gpg wants, also when git starts it."""
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "GNUPGHOME": str(self.home),
            "LC_ALL": "C",
            "HOME": str(self.home),
        }

    def run(self, *arguments: str, stdin: bytes = b"", at: str = "") -> bytes:
        """Run gpg; ``at`` (``20240110T000000``) is what it takes for the present moment."""
        clock = ["--faked-system-time", f"{at}!", "--ignore-time-conflict"] if at else []
        options = ["--batch", "--yes", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", ""]
        return _run("gpg", *options, *clock, *arguments, stdin=stdin, env=self.environment)

    def make_key(
        self, name: str, algorithm: str = "ed25519", usage: str = "sign,cert", expires: str = "0", at: str = ""
    ) -> str:
        """Make a key and return its fingerprint."""
        self.run("--quick-gen-key", name, algorithm, usage, expires, at=at)
        return self.fingerprints(name)[-1]

    def add_subkey(self, key: str, algorithm: str = "ed25519", usage: str = "sign", expires: str = "0") -> str:
        """Add a subkey and return its fingerprint."""
        before = set(self.fingerprints(key))
        self.run("--quick-add-key", key, algorithm, usage, expires)
        [added] = set(self.fingerprints(key)) - before
        return added

    def fingerprints(self, key: str) -> list[str]:
        """Return the fingerprints of a key, or of the keys of a name, with its subkeys."""
        lines = self.run("--list-keys", "--with-colons", "--with-subkey-fingerprint", key).decode().splitlines()
        return [line.split(":")[9].lower() for line in lines if line.startswith("fpr:")]

    def export(self, key: str) -> str:
        """Return the public key as people paste it."""
        return self.run("--armor", "--export", key).decode()

    def revoke(self, key: str, *, reason: int = 0, at: str = "") -> None:
        """Revoke a key; reasons: 0 none, 1 compromised, 2 superseded, 3 no longer used."""
        clock = ["--faked-system-time", f"{at}!"] if at else []
        asked = ["--no-tty", "--pinentry-mode", "loopback", "--passphrase", "", "--command-fd", "0", "--armor", *clock]
        said = f"y\n{reason}\n\ny\n".encode()
        made = _run("gpg", *asked, "--gen-revoke", key, stdin=said, env=self.environment)
        self.run("--import", stdin=made)

    def sign(self, key: str, data: bytes, *options: str, at: str = "") -> bytes:
        """Return a detached signature; ``key`` with an exclamation mark takes that very key."""
        return self.run("--armor", "--detach-sign", "--local-user", key, *options, stdin=data, at=at)

    def signing(
        self, stock: StockRepository, key: str, *, email: str = "", at: str = "", options: str = ""
    ) -> StockRepository:
        """Return the repository as somebody uses it who signs every commit and tag with a key."""
        clock = f"--faked-system-time {at}! --ignore-time-conflict" if at else ""
        words = f'gpg --batch --pinentry-mode loopback --passphrase "" {clock} {options}'
        program = self.home / f"gpg-{hashlib.sha256(words.encode()).hexdigest()[:16]}"
        if not program.exists():
            program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
            program.chmod(0o755)
        settings = {
            "user.signingKey": key,
            "gpg.program": str(program),
            "commit.gpgSign": "true",
            "tag.gpgSign": "true",
        }
        return _configured(stock, settings, email, {"GNUPGHOME": str(self.home)})


@contextmanager
def open_gpg() -> Iterator[Gpg]:
    """Yield an empty GnuPG home; its agent is gone afterwards. Its path is short, for the agent's socket."""
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not installed")
    home = Path(tempfile.mkdtemp(prefix="cairn-gpg-"))
    gpg = Gpg(home)
    try:
        yield gpg
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env=gpg.environment, check=False, capture_output=True, timeout=60)
        shutil.rmtree(home, ignore_errors=True)


@dataclass(frozen=True)
class SshKeyPair:
    """A key made by ssh-keygen."""

    path: Path

    @property
    def public(self) -> str:
        """The line of the ``.pub`` file."""
        return self.path.with_suffix(".pub").read_text().strip()

    def sign(self, data: bytes, *, namespace: str = "git") -> bytes:
        """Return an armored signature."""
        return _run("ssh-keygen", "-Y", "sign", "-q", "-n", namespace, "-f", self.path, stdin=data)

    def signing(self, stock: StockRepository, *, email: str = "") -> StockRepository:
        """Return the repository as somebody uses it who signs every commit and tag with the key."""
        settings = {
            "gpg.format": "ssh",
            "user.signingKey": str(self.path),
            "commit.gpgSign": "true",
            "tag.gpgSign": "true",
        }
        return _configured(stock, settings, email, {})


def make_ssh_key(folder: Path, name: str = "id", algorithm: str = "ed25519", bits: int = 0) -> SshKeyPair:
    """Make a key without passphrase."""
    path = folder / f"{name}_{algorithm}"
    size = ["-b", str(bits)] if bits else []
    _run("ssh-keygen", "-q", "-t", algorithm, *size, "-N", "", "-C", f"{name}@loom", "-f", path)
    return SshKeyPair(path)


def _configured(
    stock: StockRepository, settings: Mapping[str, str], email: str, environment: Mapping[str, str]
) -> StockRepository:
    """Return the repository with settings that live in the environment alone, and another committer's address."""
    found = {**stock.environment, **environment, "GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        found[f"GIT_CONFIG_KEY_{number}"], found[f"GIT_CONFIG_VALUE_{number}"] = key, value
    if email:
        found["GIT_COMMITTER_EMAIL"] = found["GIT_AUTHOR_EMAIL"] = email
    return replace(stock, environment=found)


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """A GnuPG home for the tests of one file."""
    with open_gpg() as opened:
        yield opened
