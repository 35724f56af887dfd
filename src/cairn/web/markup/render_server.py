"""The process that renders: it forks a child for each text and lets the kernel hold the child to its bounds.

Nothing inside Python can stop a regular expression or a parser that does not end, so no thread and no check of a clock
bounds a rendering. A child has a timer whose signal ends it wherever it is, an address space that ends 64 MiB above
what it starts with, and not one descriptor left to open: it reads no file and reaches no network, whatever a library
tries. What it leaves behind (registered roles, grown caches) dies with it.

This process has loaded everything and holds no text of anybody. It ends when its socket does: with its program.
"""

import os
import resource
import signal
import socket
import sys
import traceback
from contextlib import suppress
from enum import StrEnum

import msgspec

from cairn.web.markup import restructured_text
from cairn.web.markup.documents import Heading, Source, TextKind, TextUnreadable, render_document

MEMORY_BYTES_MAX = 64 << 20
SECONDS_MAX = 2.0
"""So long a child may take, by the clock on the wall."""

IDLE_SECONDS_MAX = 15 * 60
"""A process without work for so long ends; the next text starts another."""

ANNOUNCEMENT_BYTES_MAX = 4096
REQUEST_BYTES_MAX = 4 << 20
"""A request: the text of 1 MiB, in JSON's worst case, with what it refers to."""

READY = b"ready"
TAKEN = b"+"
"""What a child says first: from here on its end is the text's doing, not that of the process it came from."""
_READ_BYTES = 1 << 18


class Announcement(msgspec.Struct):
    """What a text will need, said before it comes, so that it is loaded once and not in each child."""

    kind: TextKind
    has_formulas: bool = False
    languages: tuple[str, ...] = ()


class Problem(StrEnum):
    """Why a text is no document; each is said to the reader in words."""

    UNREADABLE = "unreadable"
    MEMORY = "memory"
    DEPTH = "depth"
    FAULT = "fault"


class Outcome(msgspec.Struct):
    """What came of a text: a document, or a problem. ``detail`` is for the log."""

    html: str = ""
    outline: tuple[Heading, ...] = ()
    notice: str = ""
    has_diagrams: bool = False
    problem: Problem | None = None
    detail: str = ""


def main() -> None:
    """Serve the socket that is standard input until it ends."""
    control = socket.socket(fileno=os.dup(0))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the children
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _load(Announcement(TextKind.MARKDOWN))
    control.sendall(READY)
    control.settimeout(IDLE_SECONDS_MAX)
    while _serve_one(control):
        pass


def _serve_one(control: socket.socket) -> bool:
    """Start the child of one text; False when there will be no more."""
    try:
        message, descriptors, _, _ = socket.recv_fds(control, ANNOUNCEMENT_BYTES_MAX, 1)
    except (TimeoutError, ConnectionError):
        return False
    if not message:
        return False
    try:
        with suppress(msgspec.DecodeError):
            _load(msgspec.msgpack.decode(message, type=Announcement))
        for descriptor in descriptors:
            _start_child(control, descriptor)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return True


def _start_child(control: socket.socket, descriptor: int) -> None:
    pages = _address_space_bytes()
    if os.fork():
        return
    # From here on this is the child: it never returns.
    code = 1
    try:
        control.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        answer(descriptor, memory_base_bytes=pages)
        code = 0
    finally:
        os._exit(code)


def _load(announced: Announcement) -> None:
    """Import what a text of this kind needs, with a small text of its kind: much loads only when it is used."""
    samples = [Source(TextKind.MARKDOWN, ":+1: *x*\n")]
    if announced.kind is TextKind.RST:
        restructured_text.load()
        samples.append(Source(TextKind.RST, "x\n=\n\n.. note:: x\n\n.. code:: python\n\n   x\n\n.. math:: x\n"))
    if announced.has_formulas or announced.kind is TextKind.NOTEBOOK:
        samples.append(Source(TextKind.MARKDOWN, "$\\sum_a^b \\frac{x}{2} \\leq \\mathbb{R}$"))
    samples += [Source(TextKind.MARKDOWN, f"```{language}\nx\n```\n") for language in announced.languages]
    for sample in samples:
        if sample.text not in _LOADED and len(_LOADED) < _LOADED_MAX:
            _LOADED.add(sample.text)
            with suppress(Exception):  # what cannot be loaded cannot be used either, and is shown plain
                render_document(sample)


_LOADED: set[str] = set()
_LOADED_MAX = 1_000


def _address_space_bytes() -> int:
    with open("/proc/self/statm", "rb") as facts:  # noqa: PTH123 (one read of the kernel's own file)
        return int(facts.read().split()[0]) * resource.getpagesize()


def answer(descriptor: int, *, memory_base_bytes: int) -> None:
    """Read a request from a socket to its end, render it within the bounds, write the outcome."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, SECONDS_MAX)
    with socket.socket(fileno=descriptor) as connection:
        connection.sendall(TAKEN)
        request = bytearray()
        while data := connection.recv(_READ_BYTES):
            request += data
            if len(request) > REQUEST_BYTES_MAX:
                return
        source = msgspec.msgpack.decode(request, type=Source)
        del request
        confine(memory_base_bytes=memory_base_bytes)
        connection.sendall(msgspec.msgpack.encode(outcome_of(source)))


def confine(*, memory_base_bytes: int) -> None:
    """Bound this process for the rest of its life: memory, processor time, and no file or socket more."""
    ceiling = memory_base_bytes + MEMORY_BYTES_MAX
    seconds = int(SECONDS_MAX) + 1
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def outcome_of(source: Source) -> Outcome:
    """Return what becomes of a text; whatever its renderer raises is part of the outcome."""
    try:
        found = render_document(source)
    except TextUnreadable as error:
        return Outcome(problem=Problem.UNREADABLE, detail=str(error)[:1_000])
    except MemoryError:
        return Outcome(problem=Problem.MEMORY)
    except RecursionError:
        return Outcome(problem=Problem.DEPTH)
    except Exception as error:  # a text must not decide which errors there are
        return Outcome(problem=Problem.FAULT, detail="".join(traceback.format_exception(error))[-4_000:])
    return Outcome(str(found.html), found.outline, found.notice, found.has_diagrams)


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, ConnectionResetError):
        sys.exit(0)
