"""Refused sign-ins in the audit log: counted in memory and written each minute, so that an attacker cannot fill it.

A minute of one program adds at most ``ENTRIES_MAX`` entries, one for each account and network with how often it was
tried, and one for all others together. A name that nobody has is never written: people type passwords there.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from cairn.audit.record import record
from cairn.base.actor import ANONYMOUS
from cairn.base.clock import Clock, utc_now
from cairn.base.origin import Origin, current_origin
from cairn.db.database import Database
from cairn.web.rate_limits import network_of

ENTRIES_MAX = 20
"""Entries of one flush, besides the one that counts the rest."""
COUNTED_MAX = 1000
"""Pairs of account and network counted apart between two flushes."""
UNKNOWN = "(no such account)"


class Refusal(StrEnum):
    """Why somebody was not let in."""

    WRONG = "wrong name or password"
    SUSPENDED = "suspended"
    TOO_MANY = "too many attempts"


@dataclass(slots=True)
class _Tally:
    """Refusals of one account from one network."""

    account_id: int | None
    login: str
    origin: Origin
    first_at: datetime
    last_at: datetime
    reason: Refusal
    attempts: int = 1


class FailedSignIns:
    """Counts refusals; ``flush`` writes what they come to."""

    def __init__(self, *, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._tallies: dict[tuple[int | None, str], _Tally] = {}
        self._uncounted = 0

    def note(self, *, account_id: int | None, login: str, address: str, reason: Refusal) -> None:
        """Count one refusal; ``account_id`` is None and ``login`` counts for nothing where nobody has the name."""
        key = (account_id, network_of(address))
        now = self._clock()
        known = self._tallies.get(key)
        if known is not None:
            known.attempts += 1
            known.last_at, known.reason = now, reason
        elif len(self._tallies) < COUNTED_MAX:
            here = current_origin()
            origin = Origin(address, here.request_id, here.user_agent)
            name = UNKNOWN if account_id is None else login
            self._tallies[key] = _Tally(account_id, name, origin, now, now, reason)
        else:
            self._uncounted += 1

    async def flush(self, database: Database) -> int:
        """Write what was counted and return how many entries it became. A failure loses only counts."""
        tallies, self._tallies = list(self._tallies.values()), {}
        uncounted, self._uncounted = self._uncounted, 0
        if not tallies:
            return 0
        # Accounts that exist are what an administrator looks for.
        tallies.sort(key=lambda tally: (tally.account_id is None, -tally.attempts))
        shown, rest = tallies[:ENTRIES_MAX], tallies[ENTRIES_MAX:]
        async with database.write() as session:
            for tally in shown:
                record(
                    session,
                    ANONYMOUS,
                    "session.refuse",
                    tally.login,
                    account_id=tally.account_id,
                    details=_details(tally),
                    origin=tally.origin,
                )
            if rest:
                attempts = sum(tally.attempts for tally in rest) + uncounted
                told = {"attempts": str(attempts), "accounts and networks": f"{len(rest)} or more"}
                record(session, ANONYMOUS, "session.refuse", "(many)", details=told, origin=Origin())
        return len(shown) + bool(rest)


def _details(tally: _Tally) -> dict[str, str]:
    times = {"first": _text(tally.first_at), "last": _text(tally.last_at)} if tally.attempts > 1 else {}
    return {"reason": tally.reason.value, "attempts": str(tally.attempts), **times}


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
