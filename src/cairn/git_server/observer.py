"""How a door tells what it did: ``ops`` counts, a test listens, ``unobserved`` forgets."""

from enum import StrEnum
from typing import Literal, Protocol

from cairn.git_server.requests import Verb

DoorName = Literal["http", "ssh"]


class Result(StrEnum):
    """How a git operation ended."""

    OK = "ok"
    REFUSED = "refused"
    """The client was told why: not allowed, not there, not understood, too large."""
    FAILED = "failed"
    """We could not: a dependency was away, or a defect."""
    GONE = "gone"
    """The client left before the end."""


class Large(StrEnum):
    """What became of one large object that a client asked about."""

    RECEIVED = "received"
    """Its bytes came and were proved."""
    HERE = "here"
    """It was to be sent, and is here already."""
    SENT = "sent"
    """Its bytes, or a part of them, went out through this program."""
    LINKED = "linked"
    """The client was given an address of the object store."""
    ABSENT = "absent"
    TOO_LARGE = "too_large"
    OVER_QUOTA = "over_quota"
    MISMATCHED = "mismatched"
    """Other bytes came than were announced."""


class LargeObserver(Protocol):
    """Hears what became of each large object."""

    def __call__(self, outcome: Large) -> None:
        """Count one; it must be quick: it runs on the loop."""
        ...


def uncounted(outcome: Large) -> None:
    """Count nothing."""


class GitObserver(Protocol):
    """Hears of every finished git operation."""

    def __call__(
        self, *, door: DoorName, verb: Verb, step: str, result: Result, seconds: float, bytes_in: int, bytes_out: int
    ) -> None:
        """Note one operation; ``step`` is ``advertise`` or ``transfer``. It must be quick: it runs on the loop."""
        ...


def unobserved(
    *, door: DoorName, verb: Verb, step: str, result: Result, seconds: float, bytes_in: int, bytes_out: int
) -> None:
    """Note nothing."""
