"""The program's own end of ``render_server``: starts it, hands it one socket for each text, replaces it if it ends."""

import atexit
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import msgspec

from cairn.base.errors import Unavailable
from cairn.web.markup.render_server import READY, Announcement

START_SECONDS_MAX = 60
"""Loading takes a third of a second, and longer where a machine does much else."""


class RenderProcessUnavailable(Unavailable):
    """The process that renders does not start, or takes no more work."""


class RenderProcessGone(RenderProcessUnavailable):
    """The process has ended since it was started: ``start`` brings another."""


class RenderProcess:
    """One process; started with the first text. Methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._is_ready = False
        self._number = 0

    @property
    def pid(self) -> int | None:
        """The process's number, None while there is none."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def spawn(self) -> None:
        """The process runs, and loads what it needs meanwhile."""
        with self._lock:
            self._spawn()

    def start(self, *, instead_of: int = 0) -> int:
        """The process takes texts; return its number in the line of those that there were.

        One that is known to have ended (``instead_of``) is replaced, even if the system has not told so yet.
        Errors: RenderProcessUnavailable after START_SECONDS_MAX.
        """
        with self._lock:
            if instead_of == self._number:
                self._drop()
            self._spawn()
            assert self._control is not None
            if self._is_ready:
                return self._number
            self._control.settimeout(START_SECONDS_MAX)
            with suppress(TimeoutError):
                self._is_ready = self._control.recv(len(READY)) == READY
            if not self._is_ready:
                self._drop()
                raise RenderProcessUnavailable("the process that renders texts does not start")
            self._control.setblocking(False)
            return self._number

    def _spawn(self) -> None:
        if self.pid is not None:
            return
        self._drop()
        self._number += 1
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cairn.web.markup.render_server"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                cwd="/",
                env=_environment(),
                start_new_session=True,
            )
        self._control = ours

    def open(self, announcement: Announcement) -> socket.socket:
        """Return the socket that a new child reads its request from, and writes the outcome to.

        Errors: RenderProcessGone; RenderProcessUnavailable if it does not run or does not keep up.
        """
        with self._lock:
            control = self._control
            if control is None:
                raise RenderProcessUnavailable("the process that renders texts does not run")
            ours, theirs = socket.socketpair()
            with theirs:
                try:
                    socket.send_fds(control, [msgspec.msgpack.encode(announcement)], [theirs.fileno()])
                except ConnectionError as error:
                    ours.close()
                    raise RenderProcessGone("the process that renders texts has ended") from error
                except OSError as error:
                    ours.close()
                    raise RenderProcessUnavailable("the process that renders texts does not answer") from error
        ours.setblocking(False)
        return ours

    def close(self) -> None:
        """The process has ended."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        self._is_ready = False
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
            self._process = None


def _environment() -> dict[str, str]:
    """Return an environment that tells the process nothing but where its modules are."""
    package = Path(__file__).parents[3]
    kept = os.environ.get("PYTHONPATH", "")
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(package), kept])), "LC_ALL": "C.UTF-8"}


@lru_cache(maxsize=1)
def program_process() -> RenderProcess:
    """Return the one process of this program."""
    process = RenderProcess()
    atexit.register(process.close)
    return process
