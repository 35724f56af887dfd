import socket
from collections.abc import Iterator

import msgspec
import pytest

from cairn.web.markup.documents import Source, TextKind
from cairn.web.markup.render_process import RenderProcess, RenderProcessUnavailable, program_process
from cairn.web.markup.render_server import TAKEN, Announcement, Outcome


@pytest.fixture
def process() -> Iterator[RenderProcess]:
    found = RenderProcess()
    yield found
    found.close()


def ask(process: RenderProcess, text: str, announced: Announcement | None = None) -> Outcome:
    with process.open(announced or Announcement(TextKind.MARKDOWN)) as connection:
        connection.setblocking(True)
        connection.sendall(msgspec.msgpack.encode(Source(TextKind.MARKDOWN, text)))
        connection.shutdown(socket.SHUT_WR)
        said = b""
        while data := connection.recv(1 << 16):
            said += data
    return msgspec.msgpack.decode(said.removeprefix(TAKEN), type=Outcome)


def test_a_text_is_rendered_in_a_child(process: RenderProcess) -> None:
    process.start()
    assert ask(process, "*x*").html == "<p><em>x</em></p>\n"


def test_what_a_text_needs_is_loaded_before_it_comes(process: RenderProcess) -> None:
    """A child can open no file, so what was not announced cannot be loaded: code in such a language stays plain."""
    process.start()
    text = "```nim\nproc f() = discard\n```\n"
    assert "hl-k" not in ask(process, text).html
    assert "hl-k" in ask(process, text, Announcement(TextKind.MARKDOWN, languages=("nim",))).html


def test_before_the_start_and_after_the_end_nothing_is_taken(process: RenderProcess) -> None:
    with pytest.raises(RenderProcessUnavailable):
        process.open(Announcement(TextKind.MARKDOWN))
    process.start()
    first = process.pid
    process.close()
    assert process.pid is None
    process.start()
    assert process.pid not in {None, first}


def test_one_that_is_known_to_have_ended_is_replaced_once(process: RenderProcess) -> None:
    number = process.start()
    assert process.start(instead_of=number) == number + 1
    assert process.start(instead_of=number) == number + 1
    assert ask(process, "*x*").html


def test_starting_twice_starts_once(process: RenderProcess) -> None:
    process.spawn()
    first = process.pid
    process.start()
    process.start()
    assert process.pid == first


def test_a_program_has_one() -> None:
    assert program_process() is program_process()
