"""Progress of long work on stderr: a bar where somebody looks on, a line now and then where it goes into a file."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

LINE_SECONDS = 30.0
"""How often a line is written where no terminal is; short work writes none."""


class Progress:
    """A context manager: ``show`` says what is being done, ``advance`` that one thing is; ``total`` may be unknown."""

    def __init__(self, what: str, *, total: int | None) -> None:
        self._what = what
        self._total = total
        self._done = 0
        self._shown = ""
        self._told_at = time.monotonic()
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Bar(*columns, console=console, transient=True) if console.is_terminal else None
        self._task = self._bar.add_task(what, total=total) if self._bar is not None else None

    def __enter__(self) -> "Progress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, text: str) -> None:
        """Say what is being done now."""
        self._shown = text
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=f"{self._what} {escape(text)}")

    def advance(self) -> None:
        """One thing more is done."""
        self._done += 1
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task)
        elif time.monotonic() - self._told_at >= LINE_SECONDS:
            self._told_at = time.monotonic()
            of = "" if self._total is None else f" of {self._total:,}"
            print(f"{self._what}: {self._done:,}{of}, last {self._shown}", file=sys.stderr, flush=True)
