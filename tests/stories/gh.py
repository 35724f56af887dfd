"""Stock ``gh`` beside a running Cairn: it wants HTTPS or a Unix socket, which is passed on to the web program."""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.stories.installation import Installation

HOST = "cairn.test"
SETTINGS = {"CAIRN_EXTERNAL_URL": f"http://{HOST}"}
"""What an installation needs for ``gh`` to find it."""
SECONDS = 60
is_installed = shutil.which("gh") is not None


@dataclass(frozen=True)
class Gh:
    """Somebody's ``gh``."""

    environment: dict[str, str]
    folder: Path

    def __call__(self, *words: str) -> str:
        """Run a command and return what it printed; AssertionError if it fails."""
        done = self._run(words)
        assert done.returncode == 0, f"gh {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def fails(self, *words: str) -> str:
        """Run a command that must fail and return what it complained of."""
        done = self._run(words)
        assert done.returncode != 0, f"gh {' '.join(words)}: {done.stdout}"
        return done.stderr

    def _run(self, words: tuple[str, ...]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["gh", *words],
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


@contextmanager
def open_gh(cairn: Installation, folder: Path, token: str) -> Iterator[Gh]:
    """Yield a ``gh`` whose every request comes to ``cairn`` with the token; ``folder`` is its working directory."""
    home = folder / "home"
    home.mkdir(parents=True)
    address = home / "socket"
    (home / "config.yml").write_text(f"http_unix_socket: {address}\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home),
        "GH_CONFIG_DIR": str(home),
        "GH_HOST": HOST,
        "GH_ENTERPRISE_TOKEN": token,
        "GH_PROMPT_DISABLED": "1",
        "GH_NO_UPDATE_NOTIFIER": "1",
    }
    with _passed_on(address, cairn.port):
        yield Gh(environment, folder)


@contextmanager
def _passed_on(address: Path, port: int) -> Iterator[None]:
    """Pass every connection to a Unix socket on to a port of this machine."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(address))
        listening.listen()

        def accept() -> None:
            with suppress(OSError):  # it was closed
                while True:
                    client = listening.accept()[0]
                    server = socket.create_connection(("127.0.0.1", port))
                    for source, target in ((client, server), (server, client)):
                        threading.Thread(target=_copy, args=(source, target), daemon=True).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            accepting.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
