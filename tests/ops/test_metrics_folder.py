"""Where a node's programs keep their numbers: one folder a host, only the living in it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cairn.ops.metrics_folder import FOLDER, drop_dead, share_metrics, shared_folder

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@pytest.fixture(autouse=True)
def unshared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the test sets is gone after it."""
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)


@pytest.fixture
def dead_pid() -> int:
    """The id of a process that was."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_program_that_shares_nothing_has_no_folder() -> None:
    assert shared_folder() is None


def test_a_program_that_shares_is_told_an_absolute_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings may be relative; a program that changes its folder must go on writing to the same files."""
    monkeypatch.chdir(tmp_path)
    folder = share_metrics(Path("data"))
    assert folder == tmp_path / "data" / FOLDER / socket.gethostname()
    assert folder.is_dir()
    assert shared_folder() == folder
    assert os.environ[VARIABLE] == str(folder)


def test_hosts_on_one_data_folder_keep_apart(tmp_path: Path, dead_pid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two containers have the same process ids: one must not delete the other's files."""
    monkeypatch.setattr(socket, "gethostname", lambda: "one")
    (share_metrics(tmp_path) / f"counter_{dead_pid}.db").touch()
    monkeypatch.setattr(socket, "gethostname", lambda: "two")
    assert share_metrics(tmp_path).name == "two"
    assert (tmp_path / FOLDER / "one" / f"counter_{dead_pid}.db").exists()


def test_a_start_drops_the_numbers_of_the_dead_and_keeps_those_of_the_living(tmp_path: Path, dead_pid: int) -> None:
    folder = share_metrics(tmp_path)
    for name in (f"counter_{dead_pid}.db", f"gauge_livesum_{dead_pid}.db", f"counter_{os.getpid()}.db"):
        (folder / name).touch()
    assert share_metrics(tmp_path) == folder
    assert [path.name for path in folder.iterdir()] == [f"counter_{os.getpid()}.db"]


def test_a_reader_drops_only_what_would_count_as_alive(tmp_path: Path, dead_pid: int) -> None:
    for name in (f"counter_{dead_pid}.db", f"gauge_livesum_{dead_pid}.db", f"gauge_livesum_{os.getpid()}.db"):
        (tmp_path / name).touch()
    drop_dead(tmp_path, live_gauges_only=True)
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {f"counter_{dead_pid}.db", f"gauge_livesum_{os.getpid()}.db"}


def test_files_that_are_not_a_program_s_stay(tmp_path: Path, dead_pid: int) -> None:
    names = {f"counter_{dead_pid}.txt", "notes.db", f"{dead_pid}.db"}
    for name in names:
        (tmp_path / name).touch()
    drop_dead(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == names


def test_a_program_of_another_account_counts_as_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_pid: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbidden)
    (tmp_path / "counter_1.db").touch()
    drop_dead(tmp_path)
    assert (tmp_path / "counter_1.db").exists()


def test_the_folder_is_chosen_before_the_metrics_library_is_loaded() -> None:
    """prometheus-client looks for the folder when it is imported: too early an import, and nothing is shared."""
    code = """
import sys
from importlib import import_module
import cairn.ops.metrics_folder
for program in ("web_server", "ssh", "worker"):
    import_module(f"cairn.programs.{program}")
    if "prometheus_client" in sys.modules:
        sys.exit(f"{program} loads it too early")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
