"""``cairnd web`` as an operator runs it: one process, or as many workers at one address as were asked for."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.services.ports import wait_until
from tests.stories.installation import installation

from cairn.programs import web
from cairn.programs.supervisor import KILL_AFTER_DRAIN_SECONDS, Supervisor

COMMAND = [sys.executable, "-m", "cairn.programs.cairnd", "web"]


def run(environ: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the program, which must end by itself."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
    return subprocess.run(
        [*COMMAND, *arguments], env=kept | environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_help_says_where_it_listens_and_starts_nothing(tmp_path: Path) -> None:
    done = run({"CAIRN_DATA_DIR": str(tmp_path / "data")}, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: cairnd web\n")
    assert "CAIRN_HTTP_ADDRESS" in done.stdout
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_taken_port_is_named_and_nothing_is_started(workers: str, tmp_path: Path) -> None:
    """Workers share their port: a second installation on it would silently get every other connection."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        done = run(
            {
                "CAIRN_DATA_DIR": str(tmp_path / "data"),
                "CAIRN_HTTP_ADDRESS": address,
                "CAIRN_WEB_WORKERS": workers,
            }
        )
    assert done.returncode == 2
    assert done.stderr == f"cairnd web: CAIRN_HTTP_ADDRESS={address}: cannot listen there (Address already in use)\n"
    assert not (tmp_path / "data").exists()


def test_a_worker_that_hangs_gets_the_drain_time_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def noting(_supervisor: Supervisor, _signals: object, *, stop_seconds: float) -> int:
        given.append(stop_seconds)
        return 0

    monkeypatch.setattr(Supervisor, "run", noting)
    monkeypatch.setattr(sys, "argv", ["cairnd web"])
    for name, value in {"DATA_DIR": str(tmp_path), "HTTP_ADDRESS": "127.0.0.1:0", "WEB_WORKERS": "3"}.items():
        monkeypatch.setenv(f"CAIRN_{name}", value)
    monkeypatch.setenv("CAIRN_DRAIN_SECONDS", "7")
    monkeypatch.setattr("cairn.programs.start.configure_logging", lambda **_: None)
    with pytest.raises(SystemExit) as ended:
        web.main()
    assert ended.value.code == 0
    assert given == [7 + KILL_AFTER_DRAIN_SECONDS]


def children(pid: int) -> set[int]:
    """Return the ids of a process's children."""
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def listeners(port: int) -> int:
    """Return how many sockets listen at a port of 127.0.0.1."""
    lines = Path("/proc/net/tcp").read_text().splitlines()
    return sum(1 for line in lines if line.split()[1:4:2] == [f"0100007F:{port:04X}", "0A"])


def test_workers_share_one_address_and_a_stop_ends_them_all(tmp_path: Path) -> None:
    with installation(tmp_path, {"CAIRN_WEB_WORKERS": "2"}, program="web") as running:
        wait_until(lambda: listeners(running.port) == 2, within_seconds=60, what="both workers listen")
        workers = children(running.process.pid)
        assert len(workers) == 2
        os.kill(min(workers), signal.SIGKILL)
        wait_until(lambda: listeners(running.port) == 1, within_seconds=20, what="the killed one is gone")
        with running.client() as client:
            assert client.get("/healthz").status_code == 200
        os.kill(running.process.pid, signal.SIGTERM)
        assert running.process.exit_code(within_seconds=20) == 0
        assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
