"""What a program and everything below it use while a test puts load on it: memory, and how many of which child."""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_SECONDS = 0.02


@dataclass
class Watched:
    """The highest values seen so far; ``memory_bytes_before`` was measured when the watch began."""

    memory_bytes_before: int = 0
    memory_bytes: int = 0
    children: Counter[str] = field(default_factory=Counter)
    """Of each word on a child's command line, how many had it at one time."""
    samples: int = 0

    @property
    def growth_bytes(self) -> int:
        """How much more memory there was at the worst moment than before."""
        return self.memory_bytes - self.memory_bytes_before


def below(pid: int) -> Iterator[int]:
    """Yield a process and all its descendants, those that are gone meanwhile left out."""
    yield pid
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for word in listing.read_text().split():
                yield from below(int(word))


def command_of(pid: int | str) -> list[str]:
    """Return the words a process was started with; none for one that is gone, or dead and collected by nobody yet."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")[:-1]
    return []


def command_lines() -> list[str]:
    """Return the command line of every process that this one started, and those started, with blanks between words."""
    return [" ".join(command_of(one)) for one in below(os.getpid())]


def memory_below(pid: int) -> int:
    """Return the bytes of memory a process and its descendants use; a shared page counts once.

    Pages of mapped files, such as a pack that git reads, are the kernel's to drop when it likes and do not count.
    """
    return sum(_memory_of(one) for one in below(pid))


@dataclass
class Growth:
    """How much memory a program had at first, and how much more at the highest mark of a block that has ended."""

    before_bytes: int
    grown_bytes: int = 0


@contextmanager
def highest_mark(pid: int) -> Iterator[Growth]:
    """Have the kernel note the most memory that a process has while the block runs, however shortly."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the highest mark starts again from here
    growth = Growth(_status_bytes(pid, "VmRSS"))
    yield growth
    growth.grown_bytes = _status_bytes(pid, "VmHWM") - growth.before_bytes


def _status_bytes(pid: int, field: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{field}:"))


@contextmanager
def watch(pid: int) -> Iterator[Watched]:
    """Sample a process and its descendants until the block ends."""
    before = memory_below(pid)
    seen = Watched(memory_bytes_before=before, memory_bytes=before)
    stop = threading.Event()

    def sample() -> None:
        while not stop.wait(SAMPLE_SECONDS):
            _note(pid, seen)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
        _note(pid, seen)


def _note(pid: int, seen: Watched) -> None:
    found = list(below(pid))
    counts = Counter(word for one in found for word in set(command_of(one)))
    for word, count in counts.items():
        seen.children[word] = max(seen.children[word], count)
    seen.memory_bytes = max(seen.memory_bytes, sum(map(_memory_of, found)))
    seen.samples += 1


def _memory_of(pid: int) -> int:
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
    return 0
