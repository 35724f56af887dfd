"""Private S3 servers: versitygw (real: checks signatures, keeps files) and moto (quick, checks nothing).

``python -m tests.services.s3`` builds versitygw ahead of time, so that no test waits for a compiler.
"""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from tests.services.names import fresh_name
from tests.services.ports import accepts_connections, free_port
from tests.services.processes import ServerProcess, ServiceMissing, find_program, private_folder

VERSITYGW = "github.com/versity/versitygw/cmd/versitygw"
VERSITYGW_VERSION = "v1.8.0"
BUILD_SECONDS = 900
CACHE = Path(__file__).resolve().parents[2] / ".cache"
REGION = "us-east-1"
ACCESS_KEY_ID = "cairn-test-key"
SECRET_ACCESS_KEY = "cairn-test-secret"


@dataclass(frozen=True)
class S3Server:
    """A running server; ``process`` may be stopped, killed and started again (moto then is empty)."""

    port: int
    process: ServerProcess
    folder: Path | None
    """Where versitygw keeps a bucket as a folder and an object as a file; None: moto keeps all in memory."""

    @property
    def endpoint(self) -> str:
        """The server's address, without bucket."""
        return f"http://127.0.0.1:{self.port}"

    def create_bucket(self, name: str | None = None) -> str:
        """Make an empty bucket and return its name."""
        name = name or fresh_name("test").replace("_", "-")
        if self.folder is not None:
            (self.folder / name).mkdir()
            return name
        request = urllib.request.Request(f"{self.endpoint}/{name}", method="PUT")
        with urllib.request.urlopen(request, timeout=10):
            return name

    def storage_url(self, bucket: str, *, prefix: str = "", endpoint: str | None = None) -> str:
        """Return the address of a bucket as ``CAIRN_STORAGE_URL`` wants it; ``endpoint`` names a proxy in between."""
        query = {
            "endpoint": endpoint or self.endpoint,
            "region": REGION,
            "access_key_id": ACCESS_KEY_ID,
            "secret_access_key": SECRET_ACCESS_KEY,
        }
        return f"s3://{bucket}/{prefix}?{urlencode(query)}"


@contextmanager
def versitygw_server() -> Iterator[S3Server]:
    """Run versitygw on a free port of 127.0.0.1 until the block ends; ServiceMissing if it cannot be built."""
    program = installed_versitygw()
    with private_folder("versitygw", None) as folder:
        data, port = folder / "data", free_port()
        data.mkdir()
        _require_attributes(data)
        process = ServerProcess(
            [str(program), "--access", ACCESS_KEY_ID, "--secret", SECRET_ACCESS_KEY, "--region", REGION,
             "--port", f"127.0.0.1:{port}", "--keep-alive", "--quiet", "posix", str(data)],
            log=folder / "log",
            is_ready=lambda: accepts_connections(port),
            stop_signal=signal.SIGKILL,  # a gentler one waits for idle connections
        )  # fmt: skip
        try:
            process.start()
            yield S3Server(port, process, data)
        finally:
            process.stop()


@contextmanager
def moto_server() -> Iterator[S3Server]:
    """Run moto on a free port of 127.0.0.1 until the block ends."""
    with private_folder("moto", None) as folder:
        port = free_port()
        process = ServerProcess(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            log=folder / "log",
            is_ready=lambda: accepts_connections(port),
            stop_signal=signal.SIGKILL,  # a gentler one waits for idle connections
        )
        try:
            process.start()
            yield S3Server(port, process, None)
        finally:
            process.stop()


def installed_versitygw() -> Path:
    """Return the program, building it first where needed (minutes); ServiceMissing without Go or network."""
    target = CACHE / f"versitygw-{VERSITYGW_VERSION}"
    if target.exists():
        return target
    go = find_program("go")
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "versitygw.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel test workers build once
        if not target.exists():
            _build(go, target)
    return target


def _build(go: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        try:
            done = subprocess.run(
                [str(go), "install", f"{VERSITYGW}@{VERSITYGW_VERSION}"],
                env={**os.environ, "GOBIN": folder}, cwd=folder, capture_output=True, text=True, check=False,
                timeout=BUILD_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise ServiceMissing(f"versitygw was not built within {BUILD_SECONDS} s") from None
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"go ended with {done.returncode}"]
            raise ServiceMissing(f"versitygw cannot be built with this Go: {lines[-1]}")
        (Path(folder) / "versitygw").replace(target)


def _require_attributes(folder: Path) -> None:
    try:
        os.setxattr(folder, "user.cairn", b"1")
    except OSError as error:
        raise ServiceMissing(f"versitygw needs extended attributes in {folder.parent}: {error.strerror}") from None


if __name__ == "__main__":
    try:
        print(installed_versitygw())
    except ServiceMissing as missing:
        print(f"{missing}; tests that need it are skipped", file=sys.stderr)
