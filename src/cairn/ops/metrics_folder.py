"""Where the programs of one node keep their numbers, so that any web worker can show the sum of all.

prometheus-client writes each process's values into files of this folder when it is told so by an environment variable
*before it is imported*: programs call ``share_metrics`` first and import ``cairn.ops.metrics`` after. Counters of
processes that ended are dropped at the next start of a program, which rates read as a restart.
"""

import os
import re
import socket
from pathlib import Path

FOLDER = Path("run", "metrics")
_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_FILE = re.compile(r".+_([0-9]+)\.db")


def share_metrics(data_dir: Path) -> Path:
    """Make this process keep its metrics below ``data_dir``, drop those of dead processes; return the folder."""
    # Containers may share the data folder and have the same process ids: the host's name keeps them apart.
    folder = (data_dir / FOLDER / socket.gethostname()).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    drop_dead(folder)
    os.environ[_VARIABLE] = str(folder)
    return folder


def shared_folder() -> Path | None:
    """Return the folder this process shares, None if it keeps its metrics to itself."""
    folder = os.environ.get(_VARIABLE)
    return Path(folder) if folder else None


def drop_dead(folder: Path, *, live_gauges_only: bool = False) -> None:
    """Delete the files of processes that are gone; with ``live_gauges_only`` only what would still count as alive."""
    for path in folder.glob("gauge_live*.db" if live_gauges_only else "*.db"):
        match = _FILE.fullmatch(path.name)
        if match is not None and not _is_alive(int(match[1])):
            path.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
