"""The parts that authentication is made of, quick enough for tests, and a clock that tests move."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from cairn.db.database import Database, PointQuery, Row
from cairn.identity.authenticate import Authenticator
from cairn.identity.last_used import LastUsed
from cairn.identity.passwords import Passwords
from cairn.identity.sign_in_limits import SignInLimits

PASSWORD = "correct horse battery"
ADDRESS = "192.0.2.7"


def quick_hasher() -> PasswordHasher:
    """Return argon2id with the least cost that the library allows."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class CountingPasswords(Passwords):
    """Real argon2id, and how often it verified."""

    def __init__(self) -> None:
        super().__init__(quick_hasher())
        self.verified = 0

    async def verify(self, password_hash: str | None, password: str) -> bool:
        self.verified += 1
        return await super().verify(password_hash, password)


@dataclass
class Authentication:
    """An authenticator with its parts in reach. ``seconds`` is its monotonic clock."""

    authenticator: Authenticator
    passwords: CountingPasswords
    limits: SignInLimits
    last_used: LastUsed
    seconds: list[float]


def make_authentication(database: Database, *, token_lifetime_max_days: int = 0) -> Authentication:
    """Return an authenticator for tests."""
    passwords, limits = CountingPasswords(), SignInLimits()
    last_used = LastUsed(session_lifetime=timedelta(days=30))
    seconds = [0.0]
    authenticator = Authenticator(
        database,
        passwords=passwords,
        limits=limits,
        last_used=last_used,
        token_lifetime_max_days=token_lifetime_max_days,
        monotonic=lambda: seconds[0],
    )
    return Authentication(authenticator, passwords, limits, last_used, seconds)


def count_statements(database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return what tells how many point queries ran since now; opening a session is an error from now on."""
    asked = 0
    fetch = database.fetch

    async def counting(query: PointQuery, **values: object) -> Row | None:
        nonlocal asked
        asked += 1
        return await fetch(query, **values)

    def no_session(*_: object) -> None:
        raise AssertionError("the hot path opens no session")

    monkeypatch.setattr(database, "fetch", counting)
    for name in ("fetch_all", "read", "write", "begin"):
        monkeypatch.setattr(database, name, no_session)
    return lambda: asked
