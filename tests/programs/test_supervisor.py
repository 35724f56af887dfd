"""The supervisor against real child processes: small Python programs that live, die or refuse to die."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from cairn.ops.supervision import STATE_FILE, ChildReport, read_supervision
from cairn.programs import supervisor
from cairn.programs.supervisor import Child, Policy, Program

T = TypeVar("T")
DEADLINE_SECONDS = 30
POLICY = Policy()

LIVES = "import time; time.sleep(600)"
DIES = "raise SystemExit(3)"
IS_DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {ready}; time.sleep(600)"
LEAVES_A_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({file!r}, "w").write(str(child.pid))
time.sleep(600)
"""
DRIVER = """
import json, sys
from pathlib import Path
from cairn.programs.supervisor import Policy, Program, Signals, Supervisor, logger
given = json.loads(sys.argv[1])
programs = [Program(name, command) for name, command in given["programs"].items()]
keeper = Supervisor(programs, state_file=Path(given["state_file"]), say=logger(plain=False),
    policy=Policy(**given["policy"]))
with Signals() as signals:
    sys.exit(keeper.run(signals, stop_seconds=given["stop_seconds"]))
"""


def eventually(question: Callable[[], T | None], what: str) -> T:
    """Ask until the answer is true; fail after the deadline."""
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end:
        if answer := question():
            return answer
        time.sleep(0.01)
    pytest.fail(f"not within {DEADLINE_SECONDS} s: {what}")


def is_alive(pid: int) -> bool:
    """False for a process that is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Node:
    """A data folder with a supervisor, driven from outside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pids: set[int] = set()
        self.process: subprocess.Popen[str] | None = None
        (folder / STATE_FILE).parent.mkdir(parents=True)

    def start(self, *, stop_seconds: float = 20, policy: dict[str, float] | None = None, **programs: str) -> None:
        given = {
            "programs": {name: [sys.executable, "-c", code] for name, code in programs.items()},
            "policy": policy or {},
            "stop_seconds": stop_seconds,
            "state_file": str(self.folder / STATE_FILE),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, json.dumps(given)], stderr=subprocess.PIPE, text=True
        )

    def child(self, name: str) -> ChildReport | None:
        found = read_supervision(self.folder)
        if found is None:
            return None
        self.pids |= {child.pid for child in found.children if child.pid}
        return next(child for child in found.children if child.name == name)

    def pid_of(self, name: str) -> int:
        def running() -> int | None:
            child = self.child(name)
            return child.pid if child else None

        return eventually(running, f"{name} runs")

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def ends(self) -> tuple[int, list[dict[str, object]]]:
        """Return the exit code and the log lines."""
        assert self.process is not None
        _, log = self.process.communicate(timeout=DEADLINE_SECONDS)
        return self.process.returncode, [json.loads(line) for line in log.splitlines()]

    def clean_up(self) -> None:
        if self.process is None:
            return
        self.process.kill()
        for pid in filter(is_alive, self.pids):
            os.kill(pid, signal.SIGKILL)
        self.process.wait(DEADLINE_SECONDS)
        assert self.process.stderr is not None
        self.process.stderr.close()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.clean_up()


def test_a_child_that_dies_is_started_again_and_its_sibling_is_not_touched(node: Node) -> None:
    node.start(web=LIVES, ssh=LIVES, policy={"first_delay_seconds": 0.05})
    web, ssh = node.pid_of("web"), node.pid_of("ssh")

    os.kill(web, signal.SIGKILL)

    eventually(lambda: node.pid_of("web") != web, "web has a new process")
    assert node.pid_of("ssh") == ssh
    assert is_alive(ssh)
    report = node.child("web")
    assert report is not None
    assert (report.state, report.restarts_in_ten_minutes, report.last_exit) == ("running", 1, -signal.SIGKILL)


def test_a_child_that_keeps_dying_is_reported_as_failing_while_the_others_run(node: Node) -> None:
    node.start(web=LIVES, worker=DIES, policy={"first_delay_seconds": 0.01, "delay_seconds_max": 0.02})

    def failing() -> ChildReport | None:
        child = node.child("worker")
        return child if child and child.state == "failing" else None

    report = eventually(failing, "worker is failing")
    assert report.restarts_in_ten_minutes >= POLICY.failing_after_restarts
    assert report.last_exit == 3
    found = read_supervision(node.folder)
    assert found is not None
    assert list(found.degraded) == ["worker"]
    assert is_alive(node.pid_of("web"))


def test_a_program_that_cannot_be_started_is_tried_again_and_does_not_stop_the_others(node: Node) -> None:
    given = {
        "programs": {"web": ["/nonexistent/program"], "ssh": [sys.executable, "-c", LIVES]},
        "policy": {"first_delay_seconds": 0.01},
        "stop_seconds": 20,
        "state_file": str(node.folder / STATE_FILE),
    }
    node.process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, json.dumps(given)], stderr=subprocess.PIPE, text=True
    )

    def restarted() -> bool:
        child = node.child("web")
        return child is not None and child.restarts_in_ten_minutes >= 2 and child.last_exit == supervisor.EXIT_NOT_FOUND

    eventually(restarted, "web was tried again")
    assert is_alive(node.pid_of("ssh"))


def test_a_child_that_declines_its_first_start_stops_everything_with_its_code(node: Node) -> None:
    node.start(web=LIVES, ssh="raise SystemExit(2)")

    code, log = node.ends()

    assert code == supervisor.EXIT_MISCONFIGURED
    assert [line["event"] for line in log] == ["child cannot start, stopping everything", "child stopped"]
    assert (log[0]["child"], log[1]["child"]) == ("ssh", "web")
    assert not (node.folder / STATE_FILE).exists()


def test_a_child_that_declines_a_later_start_is_tried_again(node: Node) -> None:
    """The dead one's address may still be held."""
    file = node.folder / "started"
    code = f"import pathlib, sys; f = pathlib.Path({str(file)!r}); sys.exit(2 if f.exists() else f.touch() or 3)"
    node.start(web=LIVES, ssh=code, policy={"first_delay_seconds": 0.01, "delay_seconds_max": 0.02})

    def retried() -> bool:
        child = node.child("ssh")
        return child is not None and child.restarts_in_ten_minutes >= 3 and child.last_exit == 2

    eventually(retried, "ssh was tried again")
    assert is_alive(node.pid_of("web"))


@pytest.mark.parametrize("number", supervisor.STOP_SIGNALS)
def test_a_stop_signal_stops_every_child_and_leaves_no_state(node: Node, number: signal.Signals) -> None:
    node.start(web=LIVES, ssh=LIVES)
    pids = [node.pid_of("web"), node.pid_of("ssh")]

    node.signal(number)

    code, log = node.ends()
    assert code == 0
    assert sorted(str(line["child"]) for line in log if line["event"] == "child stopped") == ["ssh", "web"]
    assert not any(map(is_alive, pids))
    assert not (node.folder / STATE_FILE).exists()
    assert read_supervision(node.folder) is None


def test_a_child_that_ignores_the_stop_signal_is_killed_after_the_drain_time(node: Node) -> None:
    ready = node.folder / "ready"
    node.start(web=IS_DEAF.format(ready=f"open({str(ready)!r}, 'w')"), stop_seconds=0.2)
    pid = node.pid_of("web")
    eventually(ready.exists, "the child is deaf")

    node.signal(signal.SIGTERM)

    code, log = node.ends()
    assert code == 1
    assert log[-1]["children"] == ["web"]
    assert not is_alive(pid)


def test_a_second_signal_does_not_wait_for_the_drain_time(node: Node) -> None:
    ready, asked = node.folder / "ready", node.folder / "asked"
    code = (
        "import signal, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: open({str(asked)!r}, 'w'))\n"
        f"open({str(ready)!r}, 'w')\n"
        "while True: time.sleep(600)"
    )
    node.start(web=code, stop_seconds=600)
    pid = node.pid_of("web")
    eventually(ready.exists, "the child handles the signal itself")
    node.signal(signal.SIGINT)
    eventually(asked.exists, "the child was asked to stop")

    node.signal(signal.SIGINT)

    assert node.ends()[0] == 1
    assert not is_alive(pid)


def test_a_killed_supervisor_leaves_no_child_behind(node: Node) -> None:
    node.start(web=LIVES, ssh=LIVES)
    pids = [node.pid_of("web"), node.pid_of("ssh")]

    node.signal(signal.SIGKILL)
    assert node.process is not None
    node.process.wait(DEADLINE_SECONDS)

    eventually(lambda: not any(map(is_alive, pids)), "the children are gone")
    assert (node.folder / STATE_FILE).exists()
    assert read_supervision(node.folder) is None


def test_what_a_dead_child_left_running_is_killed_before_it_is_started_again(node: Node) -> None:
    file = node.folder / "grandchild"
    node.start(web=LEAVES_A_CHILD.format(file=str(file)), policy={"first_delay_seconds": 0.05})
    web = node.pid_of("web")
    grandchild = eventually(lambda: file.exists() and int(file.read_text() or 0), "the grandchild runs")
    node.pids.add(grandchild)

    os.kill(web, signal.SIGKILL)

    eventually(lambda: not is_alive(grandchild), "the grandchild is gone")
    node.pids.discard(grandchild)
    node.pids.add(
        eventually(lambda: (pid := int(file.read_text() or 0)) != grandchild and pid, "a new grandchild runs")
    )


def test_the_pause_before_a_restart_doubles_up_to_thirty_seconds() -> None:
    child, now, pauses = Child(Program("web", []), POLICY), 100.0, []
    for _ in range(7):
        child.started(fake_process(), now)
        pauses.append(child.ended(1, now + 1))
        now += 1 + pauses[-1]
        assert not child.is_due(now - 0.001)
        assert child.is_due(now)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]


def test_a_minute_of_health_forgets_the_earlier_deaths() -> None:
    child = Child(Program("web", []), POLICY)
    for start in (0, 10, 20, 30):
        child.started(fake_process(), start)
        child.ended(1, start + 1)
    child.started(fake_process(), 50)
    assert child.state(51) == "failing"
    assert child.seconds_until_change(51) == 59

    assert child.state(110) == "running"
    assert child.restarts(110) == 4
    assert child.ended(1, 111) == POLICY.first_delay_seconds


def test_restarts_older_than_ten_minutes_are_not_counted() -> None:
    child = Child(Program("web", []), POLICY)
    child.started(fake_process(), 0)
    child.ended(1, 1)
    child.started(fake_process(), 2)
    assert child.restarts(601) == 1
    assert child.seconds_until_change(600) == 2
    assert child.restarts(602) == 0


def fake_process() -> subprocess.Popen[bytes]:
    """A stand-in where only "there is a process" matters."""
    return object.__new__(subprocess.Popen)


def start_up(tmp_path: Path, **variables: str) -> subprocess.Popen[str]:
    """Start the real ``cairnd up`` on a data folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
    environment |= {"CAIRN_DATA_DIR": str(tmp_path / "data"), **variables}
    command = [sys.executable, "-m", "cairn.programs.cairnd", "up"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_wrong_setting_stops_the_start_and_is_named(tmp_path: Path) -> None:
    process = start_up(tmp_path, CAIRN_REGISTRATION="x")
    _, error = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 1
    assert "CAIRN_REGISTRATION='x'" in error
    assert "Traceback" not in error
    assert not (tmp_path / "data").exists()


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    process = start_up(tmp_path)
    _, error = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 1
    assert f"CAIRN_DATA_DIR='{tmp_path / 'data'}': cannot be written" in error
    assert "Traceback" not in error


def test_only_one_supervisor_runs_on_a_data_folder(tmp_path: Path) -> None:
    (tmp_path / "data" / "run").mkdir(parents=True)
    with (tmp_path / "data" / supervisor.LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = start_up(tmp_path)
        _, error = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 1
    assert "already runs" in error


def test_nothing_starts_when_the_migration_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "cairnd", lambda name: [sys.executable, "-c", DIES])
    plan = supervisor.Plan(
        data_dir=str(tmp_path),
        origin="http://127.0.0.1:1",
        drain_seconds=1,
        plain_log=False,
        http_address="127.0.0.1:1",
    )
    assert supervisor.become(plan) == 3
    assert read_supervision(tmp_path) is None


def test_the_supervisor_imports_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; import cairn.programs.cairnd, cairn.programs.supervisor as s; s.logger(plain=False)\n"
        "print(*{name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    foreign = set(done.stdout.split()) - {"cairn"}
    assert not foreign & {"msgspec", "sqlalchemy", "litestar", "pygit2", "typer", "rich", "structlog"}, foreign
    assert "asyncio" not in done.stdout.split()
