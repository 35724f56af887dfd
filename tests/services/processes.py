"""One private server process: started, waited for, stopped, never left behind."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.services.ports import wait_until

START_SECONDS = 60
STOP_SECONDS = 15
LOG_TAIL_BYTES = 2000
EXTRA_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/usr/local/go/bin")


class ServiceMissing(Exception):
    """This machine lacks what the server needs; the message says what to install. Fixtures skip with it."""


def find_program(*names: str, folders: Sequence[str] = ()) -> Path:
    """Return the path of the first of these programs that is installed; ServiceMissing otherwise."""
    search = os.pathsep.join([*folders, os.environ.get("PATH", ""), *EXTRA_FOLDERS])
    for name in names:
        found = shutil.which(name, path=search)
        if found:
            return Path(found)
    raise ServiceMissing(f"{' or '.join(names)} is not installed")


def unprivileged_user(*preferred: str) -> str | None:
    """Return the account a server that refuses root runs as; None when the tests do not run as root."""
    if os.geteuid() != 0:
        return None
    for name in (*preferred, "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise ServiceMissing(f"no account among {preferred} to run the server as")


def as_user(user: str | None, command: Sequence[str]) -> list[str]:
    """Return the command to run under another account (None: as it is)."""
    if user is None:
        return list(command)
    group = str(pwd.getpwnam(user).pw_gid)
    return [str(find_program("setpriv")), f"--reuid={user}", f"--regid={group}", "--clear-groups", "--", *command]


def run(command: Sequence[str], *, user: str | None = None, within_seconds: float = START_SECONDS) -> str:
    """Run a short command to its end and return its output; RuntimeError with that output if it fails."""
    done = subprocess.run(
        as_user(user, command), capture_output=True, text=True, timeout=within_seconds, check=False, cwd="/"
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


@contextmanager
def private_folder(name: str, user: str | None) -> Iterator[Path]:
    """Give a temporary folder that belongs to ``user``; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"cairn-{name}-", ignore_cleanup_errors=True) as folder:
        if user is not None:
            account = pwd.getpwnam(user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        yield Path(folder)


class ServerProcess:
    """A server that can be started, stopped, killed and started again on the same port and data."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        is_ready: Callable[[], bool],
        user: str | None = None,
        environ: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self._command = as_user(user, command)
        self._name = Path(command[0]).name
        self._log = log
        self._is_ready = is_ready
        self._environ = {**os.environ, **(environ or {})}
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The file with everything the server said."""
        return self._log

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the server and return when it is ready; RuntimeError with its log if it ends or stays silent."""
        assert self._process is None, "already started"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                _dying_with_parent(self._command),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self._environ,
                cwd="/",
                start_new_session=True,
            )
        try:
            wait_until(self._is_up, within_seconds=START_SECONDS, what=f"{self._name} is ready")
        except (RuntimeError, TimeoutError) as error:
            self.kill()
            raise RuntimeError(f"{self._name} did not start: {error}\n{self._log_tail()}") from error
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End the server gracefully, by force after a bound; nothing happens if it does not run."""
        if self._process is None:
            return
        self._signal(self._stop_signal)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self.kill()

    def terminate(self) -> None:
        """Ask the server to end and do not wait for it."""
        self._signal(self._stop_signal)

    def exit_code(self, *, within_seconds: float) -> int:
        """Wait for the server to end by itself and return its exit code; TimeoutExpired if it goes on."""
        assert self._process is not None
        return self._process.wait(within_seconds)

    def kill(self) -> None:
        """End the server and its children at once, as a power cut would."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL, group=True)
        self._process.wait(STOP_SECONDS)
        self._process = None

    def _is_up(self) -> bool:
        assert self._process is not None
        code = self._process.poll()
        if code is not None:
            raise RuntimeError(f"ended with {code}")
        return self._is_ready()

    def _signal(self, number: signal.Signals, *, group: bool = False) -> None:
        assert self._process is not None
        try:
            if group:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)
        except ProcessLookupError:
            pass

    def _log_tail(self) -> str:
        return self._log.read_bytes()[-LOG_TAIL_BYTES:].decode("utf-8", "replace")


def _dying_with_parent(command: list[str]) -> list[str]:
    """Let the kernel end the server when the test process is killed and cannot clean up.

    Not from another thread than the main one: the kernel ends the server already when the thread ends.
    """
    if threading.current_thread() is not threading.main_thread():
        return command
    try:
        setpriv = find_program("setpriv")
    except ServiceMissing:
        return command
    if command[0] == str(setpriv):
        return [command[0], "--pdeathsig=KILL", *command[1:]]
    return [str(setpriv), "--pdeathsig=KILL", "--", *command]
