"""``cairnd up``: keep web, ssh and worker running on one machine.

``main`` checks the settings and then becomes (exec) the supervisor proper, which imports the standard library only
(``base.folders`` is no more than that): it stays in memory for as long as the node runs and must not cost what the
settings' libraries cost.
What it knows is written to ``run/supervisor.json`` in the data folder (``cairn.ops.supervision`` reads it).
"""

import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO, NamedTuple

from cairn.base.folders import make_folder

HELP = """Usage: cairnd up

Migrate the database, then run web, ssh and worker as child processes and restart what dies. Stop with Ctrl-C or
SIGTERM: running requests and clones get CAIRN_DRAIN_SECONDS to finish. A second signal stops at once.
"""
STATE_FILE = Path("run", "supervisor.json")
MODULE = "cairn.programs.supervisor"
LOCK_FILE = Path("run", "supervisor.lock")
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
EXIT_MISCONFIGURED = 2
"""A program ends with it when only a changed setting or environment would let it start."""
EXIT_NOT_FOUND = 127
PR_SET_PDEATHSIG = 1
KILL_AFTER_DRAIN_SECONDS = 5
FIRST_LINK = "Create the first administrator: "
"""How the line begins that ``identity.first_run`` prints; it is shown again where it is not buried in log lines."""
_LOOK_SECONDS = 0.2

Say = Callable[..., None]


class Program(NamedTuple):
    """A program to keep running: its name on the health page and its command line."""

    name: str
    command: Sequence[str]


class Policy(NamedTuple):
    """When a program that died is started again, and when that is worth a warning."""

    first_delay_seconds: float = 1.0
    delay_seconds_max: float = 30.0
    healthy_after_seconds: float = 60.0
    window_seconds: float = 600.0
    failing_after_restarts: int = 3


class Child:
    """One program under supervision. Times called ``now`` are monotonic seconds."""

    def __init__(self, program: Program, policy: Policy) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.last_exit: int | None = None
        self.since = _wall_clock()
        self._policy = policy
        self._delay = policy.first_delay_seconds
        self._changed_at = 0.0  # of the last start while it runs, of the last death otherwise
        self._start_at = 0.0
        self._restarts: list[float] = []
        self._was_started = False
        self._is_restarted = False
        self.is_refused = False

    def started(self, process: subprocess.Popen[bytes] | None, now: float) -> None:
        """Note that the program was started; ``process`` None says that the system could not start it."""
        if self._was_started:
            self._restarts.append(now)
            self._is_restarted = True
        self._was_started = True
        self.process = process
        self._changed_at = now
        self.since = _wall_clock()
        if process is None:
            self.ended(EXIT_NOT_FOUND, now)

    def ended(self, code: int, now: float) -> float:
        """Note the death and return the seconds until the next start; a long healthy life resets them.

        ``is_refused`` then says whether the very first start was declined: it will not succeed by being repeated. On a
        later start the same code may pass by itself, as when the dead one's address is still held.
        """
        is_first_life = self._was_started and not self._is_restarted
        self.is_refused = code == EXIT_MISCONFIGURED and is_first_life and not self._is_well(now)
        if self._is_well(now):
            self._delay = self._policy.first_delay_seconds
        delay = self._delay
        self._delay = min(2 * delay, self._policy.delay_seconds_max)
        self.process = None
        self.last_exit = code
        self._changed_at = now
        self.since = _wall_clock()
        self._start_at = now + delay
        return delay

    def is_due(self, now: float) -> bool:
        """True when the program does not run and its pause is over."""
        return self.process is None and now >= self._start_at

    def restarts(self, now: float) -> int:
        """Return how often it was restarted within the window."""
        self._restarts = [at for at in self._restarts if now - at < self._policy.window_seconds]
        return len(self._restarts)

    def state(self, now: float) -> str:
        """Return running, backing-off or failing, as ``ChildReport`` explains them."""
        if self.restarts(now) >= self._policy.failing_after_restarts and not self._is_well(now):
            return "failing"
        return "backing-off" if self.process is None else "running"

    def seconds_until_change(self, now: float) -> float:
        """Return after how many seconds, without any signal, the child wants a start or its report is out of date."""
        moments = [at + self._policy.window_seconds for at in self._restarts[:1]]
        if self.process is None:
            moments.append(self._start_at)
        elif not self._is_well(now):
            moments.append(self._changed_at + self._policy.healthy_after_seconds)
        return max(0.0, min(moments, default=now + 3600) - now)

    def _is_well(self, now: float) -> bool:
        return self.process is not None and now - self._changed_at >= self._policy.healthy_after_seconds


class Signals:
    """The signals that matter, as something to wait for; each ``wait`` forgets what it has told."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def __enter__(self) -> "Signals":
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _noted) for number in (*STOP_SIGNALS, signal.SIGCHLD)}
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def wait(self, seconds: float) -> bool:
        """Return at the next signal, or after ``seconds``; True if the signal asks to stop."""
        ready, _, _ = select.select([self._read], [], [], max(0.0, seconds))
        arrived = os.read(self._read, 4096) if ready else b""
        return any(number in STOP_SIGNALS for number in arrived)


class Supervisor:
    """Keeps ``programs`` running until it is told to stop; one that dies does not touch the others."""

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        state_file: Path,
        say: Say,
        policy: Policy | None = None,
        greeter: "Greeter | None" = None,
    ) -> None:
        self._greeter = greeter
        self._children = [Child(program, policy or Policy()) for program in programs]
        self._state_file = state_file
        self._say = say
        self._written = b""

    def run(self, signals: Signals, *, stop_seconds: float) -> int:
        """Supervise until a stop signal, then stop the children within ``stop_seconds``.

        Return 0, 1 if a child had to be killed, or EXIT_MISCONFIGURED if one declined its first start.
        The state file exists exactly while this runs.
        """
        try:
            while True:
                self._start_due()
                self._write_state()
                now = time.monotonic()
                if signals.wait(self._seconds_until_change(now)):
                    break
                if self._greeter is not None and not self._greeter.is_done:
                    self._greeter.try_to_greet()
                if self._bury_dead():
                    self._stop(signals, stop_seconds)
                    return EXIT_MISCONFIGURED
            return self._stop(signals, stop_seconds)
        finally:
            self._kill_all()
            self._state_file.unlink(missing_ok=True)

    def _seconds_until_change(self, now: float) -> float:
        seconds = min(child.seconds_until_change(now) for child in self._children)
        return seconds if self._greeter is None or self._greeter.is_done else min(seconds, _LOOK_SECONDS)

    def _start_due(self) -> None:
        for child in self._children:
            if child.is_due(time.monotonic()):
                process = self._start(child.program)
                child.started(process, time.monotonic())

    def _start(self, program: Program) -> subprocess.Popen[bytes] | None:
        try:
            return start_child(program.command)
        except OSError as error:
            self._say("error", "child cannot start", child=program.name, reason=str(error))
            return None

    def _bury_dead(self) -> bool:
        """Note who died; True if one declined its first start, so that nothing should go on."""
        is_refused = False
        for child, code in reap(self._children):
            delay = child.ended(code, time.monotonic())
            if child.is_refused:
                is_refused = True
                self._say("error", "child cannot start, stopping everything", child=child.program.name, exit=code)
            else:
                self._say("warning", "child died", child=child.program.name, exit=code, restart_in_seconds=delay)
        return is_refused

    def _stop(self, signals: Signals, stop_seconds: float) -> int:
        deadline = time.monotonic() + stop_seconds
        for child in self._running():
            assert child.process is not None
            os.kill(child.process.pid, signal.SIGTERM)
        while True:
            for child, code in reap(self._children):
                child.ended(code, time.monotonic())
                self._say("info", "child stopped", child=child.program.name, exit=code)
            left = deadline - time.monotonic()
            if not self._running() or left <= 0 or signals.wait(left):
                break
        late = [child.program.name for child in self._running()]
        if late:
            self._say("warning", "children killed", children=late)
        return 1 if late else 0

    def _kill_all(self) -> None:
        for child in self._running():
            assert child.process is not None
            _kill_group(child.process.pid)
            child.ended(child.process.wait(), time.monotonic())

    def _running(self) -> list[Child]:
        return [child for child in self._children if child.process is not None]

    def _write_state(self) -> None:
        now = time.monotonic()
        content = json.dumps({"pid": os.getpid(), "children": [report(child, now) for child in self._children]})
        if content.encode() == self._written:
            return
        self._written = content.encode()
        beside = self._state_file.with_suffix(".new")
        beside.write_bytes(self._written)
        beside.replace(self._state_file)


def report(child: Child, now: float) -> dict[str, object]:
    """Return what the state file says of a child (``cairn.ops.supervision.ChildReport``)."""
    return {
        "name": child.program.name,
        "pid": child.process.pid if child.process else None,
        "state": child.state(now),
        "since": child.since,
        "restarts_in_ten_minutes": child.restarts(now),
        "last_exit": child.last_exit,
    }


def start_child(command: Sequence[str], *, stdout: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own that is asked to stop when this process dies, however it dies."""
    parent = os.getpid()
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        process_group=0,
        preexec_fn=lambda: _tie_to(parent),  # noqa: PLW1509 - single-threaded by design
    )


def reap(children: Sequence[Child]) -> list[tuple[Child, int]]:
    """Collect every dead process and return the dead children with their exit codes (negative: the signal).

    What a dead child left running in its group is killed before its id is given back: it may hold the port.
    As the first process of a container this one also collects strangers.
    """
    known = {child.process.pid: (child, child.process) for child in children if child.process is not None}
    dead = []
    while (pid := _next_dead()) is not None:
        if pid not in known:
            os.waitpid(pid, 0)
            continue
        child, process = known[pid]
        _kill_group(pid)
        dead.append((child, process.wait()))
    return dead


def _next_dead() -> int | None:
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return found.si_pid if found else None


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody is left in it
        os.killpg(pid, signal.SIGKILL)


def _noted(number: int, frame: FrameType | None) -> None:
    """Do nothing: the wake-up pipe tells the loop."""


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _tie_to(parent: int) -> None:
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def _wall_clock() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Plan(NamedTuple):
    """What the supervisor must know of the settings; handed over as JSON."""

    data_dir: str
    origin: str
    drain_seconds: int
    plain_log: bool
    http_address: str


def main() -> None:
    """Check the settings, then become the supervisor: this process goes on as ``python -m`` of this module."""
    if set(sys.argv[1:]) & {"-h", "--help"}:
        print(HELP, end="")
        return
    if sys.argv[1:]:
        sys.exit(f"cairnd up: takes no arguments, got {sys.argv[1]!r}; settings are CAIRN_... variables")
    from cairn.base.settings import SettingInvalid, load_settings

    try:
        settings = load_settings(os.environ)
    except SettingInvalid as error:
        sys.exit(f"cairnd up: {error}")
    plan = Plan(
        data_dir=str(settings.data_dir.absolute()),
        origin=settings.origin,
        drain_seconds=settings.drain_seconds,
        plain_log=settings.log_format == "plain",
        http_address=settings.http_address,
    )
    os.execv(sys.executable, [sys.executable, "-m", MODULE, json.dumps(plan._asdict())])  # noqa: S606 - no shell is meant


def become(plan: Plan) -> int:
    """Hold the data folder, migrate, supervise until a stop signal; return the exit code."""
    say = logger(plain=plan.plain_log)
    data_dir = Path(plan.data_dir)
    try:
        make_folder(data_dir / "run")
        lock_file = (data_dir / LOCK_FILE).open("a")
    except OSError as error:
        print(f"cairnd up: CAIRN_DATA_DIR={plan.data_dir!r}: cannot be written ({error.strerror})", file=sys.stderr)
        return 1
    with lock_file as lock, Signals() as signals:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"cairnd up: another one already runs on {plan.data_dir}", file=sys.stderr)
            return 1
        stop_seconds = plan.drain_seconds + KILL_AFTER_DRAIN_SECONDS
        code, said = run_once(cairnd("migrate"), signals, stop_seconds=stop_seconds)
        if code is None:
            return 0
        if code != 0:
            say("error", "migration failed, nothing was started", exit=code)
            return code if code > 0 else 1
        greeting = f"Cairn runs at {plan.origin} and stops with Ctrl-C. Sign in: {plan.origin}/login"
        links = [line for line in said.splitlines() if line.startswith(FIRST_LINK)]
        programs = [Program(name, cairnd(name)) for name in ("web", "ssh", "worker")]
        greeter = Greeter(plan.http_address, ["", greeting, *links, ""])
        supervisor = Supervisor(programs, state_file=data_dir / STATE_FILE, say=say, greeter=greeter)
        return supervisor.run(signals, stop_seconds=stop_seconds)


def cairnd(name: str) -> list[str]:
    """Return the command line of a ``cairnd`` sub-command under this very Python."""
    return [sys.executable, "-m", "cairn.programs.cairnd", name]


def run_once(command: Sequence[str], signals: Signals, *, stop_seconds: float) -> tuple[int | None, str]:
    """Run a command to its end and return its exit code and what it printed, after that was shown.

    The code is None if a stop signal ended it, within ``stop_seconds``.
    """
    with tempfile.TemporaryFile() as output:
        process = start_child(command, stdout=output)
        code = _await_end(process, signals, stop_seconds=stop_seconds)
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
        print(said, end="", flush=True)
        return code, said


def _await_end(process: "subprocess.Popen[bytes]", signals: Signals, *, stop_seconds: float) -> int | None:
    while process.poll() is None:
        if signals.wait(3600):
            process.terminate()
            break
    else:
        return process.returncode
    try:
        process.wait(stop_seconds)
    except subprocess.TimeoutExpired:
        _kill_group(process.pid)
        process.wait()
    return None


class Greeter:
    """Shows its lines once somebody listens at ``HOST:PORT``: who opens the address at once finds it open."""

    def __init__(self, address: str, lines: Sequence[str]) -> None:
        host, _, port = address.rpartition(":")
        self._address = ({"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]")), int(port))  # noqa: S104
        self._lines = lines
        self.is_done = False

    def try_to_greet(self) -> None:
        """Look once, and speak if it is time."""
        with suppress(OSError), socket.create_connection(self._address, timeout=1):
            print("\n".join(self._lines), flush=True)
            self.is_done = True


def logger(*, plain: bool) -> Say:
    """Return a function that writes one log line to standard error, in the shape of ``cairn.base.log``."""

    def say(level: str, event: str, **values: object) -> None:
        line = {"program": "up", "level": level, "timestamp": _wall_clock(), "event": event, **values}
        if plain:
            details = " ".join(f"{name}={value!r}" for name, value in values.items())
            print(f"{line['timestamp']} [{level}] {event} {details}", file=sys.stderr, flush=True)
        else:
            print(json.dumps(line), file=sys.stderr, flush=True)

    return say


if __name__ == "__main__":
    sys.exit(become(Plan(**json.loads(sys.argv[1]))))
