"""When credentials were last used: noted in memory, written apart, so that reading requests stay read-only.

A note keeps how long ago the use was, not at what o'clock: sessions live by it, and a node's clock may be wrong.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from sqlalchemy import or_, update

from cairn.base.origin import current_origin
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity.models import Session, SshKey, Token

FLUSH_SECONDS = 60
"""How often a program calls ``flush``."""
ADDRESS_LENGTH_MAX = 64
NOTES_MAX = 10_000
"""More are dropped until the next flush: the time shown is then a minute older."""


class Used(Enum):
    """The kinds of credential."""

    SESSION = "session"
    TOKEN = "token"  # noqa: S105 (a kind of credential)
    KEY = "key"


@dataclass(frozen=True, slots=True)
class _Use:
    """When, and from where if the door told."""

    monotonic_seconds: float
    address: str


class LastUsed:
    """Collects uses; ``flush`` writes them in one short transaction. ``clock`` is monotonic seconds."""

    def __init__(self, *, session_lifetime: timedelta, clock: Callable[[], float] = time.monotonic) -> None:
        self._session_lifetime = session_lifetime
        self._clock = clock
        self._notes: dict[tuple[Used, int | str], _Use] = {}

    def note(self, kind: Used, key: int | str, *, address: str = "") -> None:
        """Remember that a credential was used now: a session by its cookie's hash, others by row id.

        From the address of the request that runs this code, unless a door that is not in one yet gives it.
        """
        if (kind, key) in self._notes or len(self._notes) < NOTES_MAX:
            place = address or current_origin().address
            self._notes[kind, key] = _Use(self._clock(), place[:ADDRESS_LENGTH_MAX])

    async def flush(self, database: Database) -> int:
        """Write what was noted and return how many; a used session lives on from then. A failure loses only times."""
        notes, self._notes = self._notes, {}
        if not notes:
            return 0
        async with database.write() as session:
            present, present_seconds = await database_now(session), self._clock()
            # In one order everywhere, so that two nodes never wait for each other.
            for (kind, key), use in sorted(notes.items(), key=lambda note: (note[0][0].value, str(note[0][1]))):
                at = present - timedelta(seconds=present_seconds - use.monotonic_seconds)
                match kind:
                    case Used.SESSION:
                        statement = (
                            update(Session)
                            .where(Session.cookie_sha256 == key, Session.last_used_at < at)
                            .values(
                                last_used_at=at,
                                expires_at=at + self._session_lifetime,
                                address=use.address or Session.address,
                            )
                        )
                    case Used.TOKEN:
                        statement = (
                            update(Token)
                            .where(Token.id == key, or_(Token.last_used_at.is_(None), Token.last_used_at < at))
                            .values(last_used_at=at)
                        )
                    case Used.KEY:
                        statement = (
                            update(SshKey)
                            .where(SshKey.id == key, or_(SshKey.last_used_at.is_(None), SshKey.last_used_at < at))
                            .values(last_used_at=at, last_used_address=use.address)
                        )
                await session.execute(statement.execution_options(synchronize_session=False))
        return len(notes)
