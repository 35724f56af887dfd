"""Passwords: what is refused, and argon2id in threads, a few at a time.

One hash takes ``MEMORY_KIB`` and some 50 ms of a core, so the number at work bounds memory, and the wait has an end.
"""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cairn.base.errors import FieldProblem, Invalid, Unavailable

T = TypeVar("T")

PASSWORD_LENGTH_MIN = 8
PASSWORD_LENGTH_MAX = 1000
MEMORY_KIB = 32 << 10
CONCURRENT_MAX = 4
WAIT_SECONDS = 10

# The most used ones of at least eight characters; a longer list belongs into a file when people ask for it.
_COMMON = frozenset(
    [
        "12345678",
        "123456789",
        "1234567890",
        "123123123",
        "11111111",
        "00000000",
        "87654321",
        "password",
        "password1",
        "password12",
        "password123",
        "passw0rd",
        "p@ssw0rd",
        "p@ssword",
        "qwertyuiop",
        "qwerty123",
        "qwerty12",
        "1q2w3e4r",
        "1q2w3e4r5t",
        "1qaz2wsx",
        "zaq12wsx",
        "iloveyou",
        "sunshine",
        "princess",
        "football",
        "baseball",
        "superman",
        "trustno1",
        "welcome1",
        "changeme",
        "administrator",
        "letmein1",
        "abc12345",
        "abcd1234",
        "asdfghjkl",
    ]
)


class PasswordRefused(Invalid):
    """The password is too short, too long or one that is guessed first."""


def default_hasher() -> PasswordHasher:
    """Return argon2id as Cairn uses it: 3 passes over 32 MiB, one lane (a request gets one core, not all)."""
    return PasswordHasher(time_cost=3, memory_cost=MEMORY_KIB, parallelism=1)


def check_new_password(password: str, *, login: str, email: str = "") -> None:
    """Return if the password may be chosen; PasswordRefused says why not. No rules about kinds of characters."""
    if len(password) < PASSWORD_LENGTH_MIN:
        raise _refused(f"The password needs at least {PASSWORD_LENGTH_MIN} characters.")
    if len(password) > PASSWORD_LENGTH_MAX:
        raise _refused(f"The password has {len(password):,} characters; use at most {PASSWORD_LENGTH_MAX:,}.")
    lowered = password.lower()
    if lowered in _COMMON or len(set(lowered)) < 3:
        raise _refused("The password is one of those that are guessed first; choose another one.")
    if lowered in {login.lower(), email.lower(), email.lower().split("@")[0]}:
        raise _refused("The password is your name or address; choose another one.")


class Passwords:
    """Hashes and verifies passwords off the event loop."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or default_hasher()
        self._places = asyncio.Semaphore(CONCURRENT_MAX)
        # Threads of its own: a flood of sign-ins must not take those that read and write files.
        self._threads = ThreadPoolExecutor(CONCURRENT_MAX, thread_name_prefix="password")
        self._nobodys_hash: str | None = None

    async def hash(self, password: str) -> str:
        """Return the argon2id hash to store."""
        return await self._in_thread(lambda: self._hasher.hash(_normal(password)))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Tell whether the password fits. Without a hash (no such account) it is False after the same time."""
        if len(password) > PASSWORD_LENGTH_MAX:
            return False
        if password_hash is not None:
            return await self._in_thread(lambda: self._fits(password_hash, password))
        if self._nobodys_hash is None:
            self._nobodys_hash = await self.hash("nobody's password")
        nobodys_hash = self._nobodys_hash
        await self._in_thread(lambda: self._fits(nobodys_hash, password))
        return False

    def is_outdated(self, password_hash: str) -> bool:
        """Tell whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def _fits(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, _normal(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._places.acquire()
        except TimeoutError:
            raise Unavailable("Too many people sign in at this moment; try again in a few seconds.") from None
        # The place is given back by the work itself: a cancelled caller leaves a running thread behind.
        task = asyncio.get_running_loop().run_in_executor(self._threads, work)
        task.add_done_callback(lambda _: self._places.release())
        return await asyncio.shield(task)


def _normal(password: str) -> bytes:
    """The same characters typed on different keyboards are the same password (RFC 8265, NIST 800-63B 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _refused(message: str) -> PasswordRefused:
    return PasswordRefused(message, FieldProblem("password", "invalid", message, "User"))
