"""What ``cairnd up`` says of its children, for the health page: written by the supervisor, read by the web program."""

import os
from pathlib import Path
from typing import Literal

import msgspec

STATE_FILE = Path("run", "supervisor.json")
"""Below the data folder; replaced in one step, so that a reader never sees half of it."""


class ChildReport(msgspec.Struct, frozen=True):
    """One supervised program.

    ``failing`` means that it has died again and again within ten minutes and has not been well for a minute since,
    whether or not it runs at this moment.
    """

    name: str
    pid: int | None
    state: Literal["running", "backing-off", "failing"]
    since: str
    restarts_in_ten_minutes: int
    last_exit: int | None


class Supervision(msgspec.Struct, frozen=True):
    """The supervisor's process and its children, in start order."""

    pid: int
    children: tuple[ChildReport, ...]

    @property
    def degraded(self) -> dict[str, str]:
        """Return the programs that do not run as they should, each with a sentence for the health page."""
        return {
            child.name: f"{child.state}: restarted {child.restarts_in_ten_minutes} times in ten minutes"
            for child in self.children
            if child.state != "running"
        }


def read_supervision(data_dir: Path) -> Supervision | None:
    """Return what the supervisor of this data folder says; None if no supervisor runs.

    The file of a supervisor that was killed stays behind; it counts for nothing once that process is gone.
    """
    try:
        text = (data_dir / STATE_FILE).read_bytes()
        found = msgspec.json.decode(text, type=Supervision)
        os.kill(found.pid, 0)
    except (FileNotFoundError, ProcessLookupError, msgspec.DecodeError):
        return None
    except PermissionError:
        return found  # it runs, under another user
    return found
