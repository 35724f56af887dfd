"""A private Azure Blob server: Azurite, the emulator, installed by npm from its lock file.

``python -m tests.services.azure`` installs it ahead of time, so that no test waits for a download.
"""

import base64
import fcntl
import hashlib
import hmac
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from tests.services.names import fresh_name
from tests.services.ports import accepts_connections, free_port
from tests.services.processes import ServerProcess, ServiceMissing, find_program, private_folder

LOCK_FOLDER = Path(__file__).parent / "azurite"
CACHE = Path(__file__).resolve().parents[2] / ".cache"
INSTALL_SECONDS = 600
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The emulator's own, the same everywhere; no secret."""


@dataclass(frozen=True)
class AzureServer:
    """A running emulator."""

    port: int
    process: ServerProcess

    @property
    def endpoint(self) -> str:
        """The account's address, without container."""
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    def storage_url(self, *, prefix: str = "") -> str:
        """Make an empty container and return its address as ``CAIRN_STORAGE_URL`` wants it."""
        container = fresh_name("test").replace("_", "-")
        self._create(container)
        query = {"endpoint": self.endpoint, "account_name": ACCOUNT, "account_key": ACCOUNT_KEY}
        return f"azblob://{container}/{prefix}?{urllib.parse.urlencode(query)}"

    def _create(self, container: str) -> None:
        """Azure makes no container by itself; one signed request does."""
        version, date = "2021-12-02", formatdate(usegmt=True)
        path = f"/{ACCOUNT}/{container}"
        headers = f"x-ms-date:{date}\nx-ms-version:{version}"
        text = "PUT" + "\n" * 12 + f"{headers}\n/{ACCOUNT}{path}\nrestype:container"
        proof = hmac.digest(base64.b64decode(ACCOUNT_KEY), text.encode(), hashlib.sha256)
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}?restype=container", method="PUT")
        request.add_header("x-ms-date", date)
        request.add_header("x-ms-version", version)
        request.add_header("Authorization", f"SharedKey {ACCOUNT}:{base64.b64encode(proof).decode()}")
        with urllib.request.urlopen(request, timeout=10):
            pass


@contextmanager
def azure_server() -> Iterator[AzureServer]:
    """Run Azurite on a free port of 127.0.0.1 until the block ends; ServiceMissing if it cannot be installed."""
    node, program = _node("node"), installed_azurite()
    with private_folder("azurite", None) as folder:
        port = free_port()
        process = ServerProcess(
            [str(node), str(program), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location",
             str(folder / "data"), "--silent", "--skipApiVersionCheck", "--disableTelemetry"],
            log=folder / "log",
            is_ready=lambda: accepts_connections(port),
            stop_signal=signal.SIGKILL,  # a gentler one waits for idle connections
        )  # fmt: skip
        try:
            process.start()
            yield AzureServer(port, process)
        finally:
            process.stop()


def installed_azurite() -> Path:
    """Return the emulator's script, installing it first where needed; ServiceMissing without npm or network."""
    lock_text = (LOCK_FOLDER / "package-lock.json").read_bytes()
    target = CACHE / f"azurite-{hashlib.sha256(lock_text).hexdigest()[:12]}"
    script = target / "node_modules/azurite/dist/src/blob/main.js"
    if script.exists():
        return script
    npm = _node("npm")
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "azurite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel test workers install once
        if not script.exists():
            _install(npm, target)
    return script


def _node(name: str) -> Path:
    """Return Node's own program: the development tools bring it along beside the interpreter."""
    return find_program(name, folders=[str(Path(sys.executable).parent)])


def _install(npm: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(LOCK_FOLDER / name, folder)
        path = os.pathsep.join([str(npm.parent), os.environ.get("PATH", "")])
        try:
            done = subprocess.run(
                [str(npm), "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
                timeout=INSTALL_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise ServiceMissing(f"azurite was not installed within {INSTALL_SECONDS} s") from None
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"npm ended with {done.returncode}"]
            raise ServiceMissing(f"azurite cannot be installed: {lines[-1]}")
        shutil.rmtree(target, ignore_errors=True)
        Path(folder).rename(target)
        Path(folder).mkdir()


if __name__ == "__main__":
    try:
        print(installed_azurite())
    except ServiceMissing as missing:
        print(f"{missing}; tests that need it are skipped", file=sys.stderr)
