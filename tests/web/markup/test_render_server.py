"""A child is held to its bounds by the kernel, whatever runs in it."""

import os
import signal
import socket
import subprocess
import sys

import msgspec
import pytest

from cairn.web.markup.documents import Source, TextKind
from cairn.web.markup.render_server import MEMORY_BYTES_MAX, TAKEN, Outcome, Problem, outcome_of

_CHILD = """
import os, sys
from cairn.web.markup import render_server
from cairn.web.markup.documents import Rendered, Source, TextKind
render_server.render_document(Source(TextKind.MARKDOWN, "warm"))

def instead(source):
    {body}

render_server.render_document = instead
render_server.SECONDS_MAX = {seconds}
render_server.answer(int(sys.argv[1]), memory_base_bytes=render_server._address_space_bytes())
"""


def run_child(body: str, *, seconds: float = 30) -> tuple[int, Outcome | None]:
    """Run ``body`` where a text would be rendered; return how the process ended and what it said."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            child = subprocess.Popen(
                [sys.executable, "-c", _CHILD.format(body=body, seconds=seconds), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
            )
        ours.sendall(msgspec.msgpack.encode(Source(TextKind.MARKDOWN, "x")))
        ours.shutdown(socket.SHUT_WR)
        said = b""
        while data := ours.recv(1 << 16):
            said += data
        code = child.wait()
    assert said.startswith(TAKEN)
    said = said.removeprefix(TAKEN)
    return code, msgspec.msgpack.decode(said, type=Outcome) if said else None


def test_a_child_that_does_not_end_is_ended_even_inside_a_regular_expression() -> None:
    """Attack: a pattern that backtracks for ever; no exception and no thread gets a word in there."""
    code, said = run_child('import re; re.match(r"(a+)+$", "a" * 200 + "b")', seconds=0.3)
    assert code == -signal.SIGALRM
    assert said is None


def test_a_child_that_wants_more_memory_says_so_and_has_none() -> None:
    code, said = run_child(f"x = bytearray({2 * MEMORY_BYTES_MAX})")
    assert code == 0
    assert said is not None
    assert said.problem is Problem.MEMORY


def test_a_child_may_use_what_it_was_promised() -> None:
    _, said = run_child(
        f'x = bytearray({MEMORY_BYTES_MAX // 2}); from markupsafe import Markup; return Rendered(Markup("fits"))'
    )
    assert said is not None
    assert said.html == "fits"


@pytest.mark.parametrize(
    "body",
    ['open("/etc/passwd")', 'open("/dev/null", "w")', "import socket; socket.socket()", "os.pipe()", 'os.listdir("/")'],
)
def test_a_child_opens_nothing(body: str) -> None:
    """Attack: a directive or a lexer that reads a file or asks the network. There is no descriptor left for it."""
    _, said = run_child(body)
    assert said is not None
    assert said.problem is Problem.FAULT
    assert "Too many open files" in said.detail


def test_what_goes_wrong_is_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome_of(Source(TextKind.NOTEBOOK, "{")).problem is Problem.UNREADABLE
    deep = "<div>" * 3

    def fail(source: Source) -> None:
        raise RecursionError(source.text)

    monkeypatch.setattr("cairn.web.markup.render_server.render_document", fail)
    assert outcome_of(Source(TextKind.MARKDOWN, deep)).problem is Problem.DEPTH


def test_the_process_ends_with_its_program() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        child = subprocess.Popen([sys.executable, "-m", "cairn.web.markup.render_server"], stdin=theirs.fileno())
    assert ours.recv(16) == b"ready"
    os.kill(child.pid, signal.SIGINT)  # what a terminal sends to all: its program decides when it ends
    ours.close()
    assert child.wait(timeout=60) == 0
