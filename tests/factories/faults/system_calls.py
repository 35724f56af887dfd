"""Errors of the disk where calls return: ``strace`` fails those of a running program, or of each git it starts."""

import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.processes import ServiceMissing, find_program

END_SECONDS = 30


@dataclass(frozen=True)
class CallFault:
    """One kind of failure: ``call`` returns ``error``.

    ``when`` is strace's: "3" is the third call of each thread, "2+" every one from the second on.
    """

    call: str
    error: str
    when: str

    @property
    def words(self) -> list[str]:
        """What strace is told."""
        return ["-e", f"trace={self.call}", "-e", f"inject={self.call}:error={self.error}:when={self.when}"]


@contextmanager
def failing_calls(pid: int, fault: CallFault, log: Path) -> Iterator[None]:
    """Fail calls of a process, its threads and children until the block ends; ``log`` has each that was seen.

    ServiceMissing if this machine has no strace or allows nobody to attach one.
    """
    command = [str(find_program("strace")), "-f", "-o", str(log), *fault.words, "-p", str(pid)]
    tracer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    try:
        told = tracer.stderr.readline()
        if "attached" not in told:
            raise ServiceMissing(f"strace cannot attach to a process: {told.strip()}")
        yield
    finally:
        tracer.send_signal(signal.SIGINT)  # the tracer lets go, the process runs on
        try:
            tracer.communicate(timeout=END_SECONDS)
        finally:
            tracer.kill()


class FailingGit:
    """A ``git`` to put first in a program's PATH: stock git, whose calls fail while ``failing`` runs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._fault = folder / "fault"
        script = folder / "git"
        strace, git = find_program("strace"), find_program("git")
        script.write_text(
            "#!/bin/sh\n"
            f'[ -e {shlex.quote(str(self._fault))} ] || exec {git} "$@"\n'
            f"exec {strace} -f -qq -o {shlex.quote(str(folder))}/calls.$$ "
            f'$(cat {shlex.quote(str(self._fault))}) {git} "$@"\n'
        )
        script.chmod(0o755)

    @contextmanager
    def failing(self, fault: CallFault, log: Path) -> Iterator[None]:
        """Fail calls of every git that starts until the block ends; ``log`` has each that was seen."""
        self._fault.write_text(" ".join(fault.words))
        try:
            yield
        finally:
            self._fault.unlink()
            seen = sorted(self.folder.glob("calls.*"))
            log.write_text("".join(path.read_text("utf-8", "replace") for path in seen))
            for path in seen:
                path.unlink()
