"""What handlers call: a text to safe HTML within two seconds and 64 MiB, or the text as it is with the reason."""

import asyncio
import hashlib
import os
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

import msgspec
from markupsafe import Markup

from cairn.base.log import get_logger
from cairn.web.markup.code_blocks import language_of_notebook, languages_in
from cairn.web.markup.documents import TEXT_BYTES_MAX, VERSION, Rendered, Source, TextKind
from cairn.web.markup.render_process import RenderProcess, RenderProcessGone, RenderProcessUnavailable, program_process
from cairn.web.markup.render_server import SECONDS_MAX, TAKEN, Announcement, Outcome, Problem
from cairn.web.markup.sanitise import SafeHtml

WAITING_MAX = 64
"""So many texts wait for their turn; more are shown as they are."""

KEPT_BYTES_MAX = 32 << 20
"""So much HTML is kept in memory for the next reader."""

PROBLEM_SECONDS_KEPT = 60
"""A text that was too much is not tried again for so long."""

_HTML_BYTES_MAX = 16 << 20
_GRACE_SECONDS = 0.5
_READ_BYTES = 1 << 18
_REASONS = {
    Problem.UNREADABLE: "This file is not what its name says, so it is shown as it is.",
    Problem.MEMORY: "This text takes too much memory to render, so it is shown as it is.",
    Problem.DEPTH: "This text is nested too deeply to render, so it is shown as it is.",
    Problem.FAULT: "This text could not be rendered, so it is shown as it is.",
}
_TOO_LARGE = "This text is over 1 MiB, so it is shown as it is."
_TOO_SLOW = "This text takes too long to render, so it is shown as it is."
_BUSY = "There is much to do here at the moment, so this text is shown as it is. Ask again for it rendered."


class _Ended(Exception):
    """A child ended without an outcome: the kernel held it to its bounds."""


class TextRenderer:
    """Renders texts in children of one process, as many at a time as there are processors, and keeps what it made."""

    def __init__(self, process: RenderProcess | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._process = process or program_process()
        self._places = asyncio.Semaphore(max(1, len(os.sched_getaffinity(0))))
        self._waiting = 0
        self._kept = _Kept(KEPT_BYTES_MAX, clock)

    def spawn(self) -> None:
        """The process is on its way, so that the first reader does not wait for it."""
        self._process.spawn()

    async def render(self, source: Source) -> Rendered:
        """Return the text as a document; as plain text with a notice where that would cost too much.

        Never fails because of the text. Equal texts in equal places are rendered once.
        """
        if len(source.text) > TEXT_BYTES_MAX or len(source.text.encode("utf-8", "replace")) > TEXT_BYTES_MAX:
            return as_it_is(source.text, _TOO_LARGE)
        request = msgspec.msgpack.encode(source)
        key = hashlib.blake2b(request, digest_size=20).digest() + bytes([VERSION])
        if (kept := self._kept.get(key)) is not None:
            return kept
        if self._waiting >= WAITING_MAX:
            return as_it_is(source.text, _BUSY, is_passing=True)
        self._waiting += 1
        try:
            async with self._places:
                # Another reader may have asked for the same meanwhile.
                return self._kept.get(key) or await self._render(source, request, key)
        finally:
            self._waiting -= 1

    async def _render(self, source: Source, request: bytes, key: bytes) -> Rendered:
        started = time.monotonic()
        try:
            outcome = await self._outcome(_announcement(source), request)
        except RenderProcessUnavailable as error:
            get_logger(__name__).error("markup_unavailable", exc_info=error)
            return as_it_is(source.text, _BUSY, is_passing=True)
        except TimeoutError:
            return self._kept.put(key, as_it_is(source.text, _TOO_SLOW, is_passing=True), seconds=PROBLEM_SECONDS_KEPT)
        except _Ended:
            # The timer's signal leaves no trace but the time; anything sooner is another bound, or a fault of ours.
            is_slow = time.monotonic() - started >= SECONDS_MAX * 0.75
            if not is_slow:
                get_logger(__name__).warning("markup_ended", kind=source.kind.value, characters=len(source.text))
            why = _TOO_SLOW if is_slow else _REASONS[Problem.FAULT]
            return self._kept.put(key, as_it_is(source.text, why, is_passing=True), seconds=PROBLEM_SECONDS_KEPT)
        if outcome.problem is None:
            found = Rendered(SafeHtml(outcome.html), outcome.outline, outcome.notice, outcome.has_diagrams)
            return self._kept.put(key, found)
        if outcome.problem is Problem.FAULT:
            get_logger(__name__).error("markup_failed", kind=source.kind.value, detail=outcome.detail)
        return self._kept.put(key, as_it_is(source.text, _REASONS[outcome.problem]), seconds=PROBLEM_SECONDS_KEPT)

    async def _outcome(self, announcement: Announcement, request: bytes) -> Outcome:
        """Return what a child makes of a request. Errors: _Ended, TimeoutError, RenderProcessUnavailable."""
        number = await asyncio.to_thread(self._process.start)
        try:
            return await self._ask(announcement, request)
        except RenderProcessGone:
            # It had been idle, or was killed: not the text's fault.
            await asyncio.to_thread(self._process.start, instead_of=number)
            return await self._ask(announcement, request)

    async def _ask(self, announcement: Announcement, request: bytes) -> Outcome:
        loop = asyncio.get_running_loop()
        with self._process.open(announcement) as connection:
            async with asyncio.timeout(SECONDS_MAX + _GRACE_SECONDS):
                with suppress(ConnectionError):  # what it said before it ended is there to read
                    await loop.sock_sendall(connection, request)
                    connection.shutdown(socket.SHUT_WR)
                answer = await _read(loop, connection)
        if not answer:
            raise RenderProcessGone("the process that renders texts has ended")
        try:
            return await asyncio.to_thread(msgspec.msgpack.decode, answer[len(TAKEN) :], type=Outcome)
        except msgspec.DecodeError:
            raise _Ended from None


async def _read(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> bytes:
    answer = bytearray()
    with suppress(ConnectionError):
        while data := await loop.sock_recv(connection, _READ_BYTES):
            answer += data
            if len(answer) > _HTML_BYTES_MAX:
                raise _Ended
    return bytes(answer)


def _announcement(source: Source) -> Announcement:
    languages = languages_in(source.text)
    if source.kind is TextKind.NOTEBOOK:
        languages = [language_of_notebook(source.text) or "python", *languages]
    has_formulas = "$" in source.text or "math" in source.text
    return Announcement(source.kind, has_formulas, tuple(languages))


def as_it_is(text: str, why: str = "", *, is_passing: bool = False) -> Rendered:
    """Return a text with nothing in it meaning anything, and the reason."""
    shown = Markup('<pre class="markdown-plain">{}</pre>').format(text[:TEXT_BYTES_MAX])
    return Rendered(SafeHtml(shown), notice=why, is_passing=is_passing)


class _Kept:
    """The documents asked for last, up to some bytes together; some only for a while."""

    def __init__(self, bytes_max: int, clock: Callable[[], float]) -> None:
        self._bytes_max = bytes_max
        self._clock = clock
        self._bytes = 0
        self._found: OrderedDict[bytes, tuple[Rendered, float]] = OrderedDict()

    def get(self, key: bytes) -> Rendered | None:
        """Return what is kept, and keep it longer than what is not asked for."""
        found = self._found.get(key)
        if found is None:
            return None
        if found[1] < self._clock():
            self._drop(key)
            return None
        self._found.move_to_end(key)
        return found[0]

    def put(self, key: bytes, rendered: Rendered, *, seconds: float = float("inf")) -> Rendered:
        """Keep a document and return it; those not asked for longest go."""
        if len(rendered.html) <= self._bytes_max // 8:
            if key in self._found:
                self._drop(key)
            self._found[key] = (rendered, self._clock() + seconds)
            self._bytes += len(rendered.html)
            while self._bytes > self._bytes_max:
                self._drop(next(iter(self._found)))
        return rendered

    def _drop(self, key: bytes) -> None:
        rendered, _ = self._found.pop(key)
        self._bytes -= len(rendered.html)
