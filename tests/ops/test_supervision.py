"""Reading what the supervisor wrote: only while it lives, never half a file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cairn.ops.supervision import STATE_FILE, read_supervision


def write(folder: Path, *, pid: int, **states: str) -> None:
    """Write a state file as the supervisor does."""
    file = folder / STATE_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    children = [
        {
            "name": name,
            "pid": None,
            "state": state,
            "since": "2026-01-01T00:00:00Z",
            "restarts_in_ten_minutes": 4,
            "last_exit": -9,
        }
        for name, state in states.items()
    ]
    file.write_text(json.dumps({"pid": pid, "children": children}))


def test_without_a_supervisor_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert read_supervision(tmp_path) is None


def test_children_that_do_not_run_as_they_should_are_degraded(tmp_path: Path) -> None:
    write(tmp_path, pid=os.getpid(), web="running", ssh="backing-off", worker="failing")
    found = read_supervision(tmp_path)
    assert found is not None
    assert found.degraded == {
        "ssh": "backing-off: restarted 4 times in ten minutes",
        "worker": "failing: restarted 4 times in ten minutes",
    }


def test_the_file_of_a_dead_supervisor_counts_for_nothing(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(60)
    write(tmp_path, pid=dead.pid, web="failing")
    assert read_supervision(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "children": []}'])
def test_a_file_that_is_no_state_counts_for_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / STATE_FILE).parent.mkdir()
    (tmp_path / STATE_FILE).write_text(text)
    assert read_supervision(tmp_path) is None
