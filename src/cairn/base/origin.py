"""Where a request came from: what the door knows and the audit log keeps."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """The peer's address (after trusted proxies), the request's id and what the client calls itself.

    All are empty for Cairn's own work.
    """

    address: str = ""
    request_id: str = ""
    user_agent: str = ""


NOWHERE = Origin()

# Ambient on purpose, like the log's request id: every decision of a request comes from the same place, and a parameter
# through all of them would be forgotten where it matters.
_current: ContextVar[Origin] = ContextVar("origin", default=NOWHERE)


def current_origin() -> Origin:
    """Return where the request that runs this code came from; NOWHERE in jobs and commands."""
    return _current.get()


@contextmanager
def bind_origin(origin: Origin) -> Iterator[None]:
    """Make everything inside the block, tasks it starts included, come from ``origin``."""
    token = _current.set(origin)
    try:
        yield
    finally:
        _current.reset(token)
