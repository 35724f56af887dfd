"""Slowing down guessing without locking anybody out.

Failures count per (name, address) and per address, never per name alone: a stranger elsewhere cannot shut a person out
of their account. In this process for now; the storage is one of ``limits``, so Redis can take its place.
"""

import ipaddress
import math
import time

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from cairn.base.errors import RateLimited

PER_NAME_AND_ADDRESS: RateLimitItem = RateLimitItemPerMinute(10, 15)
"""Ten attempts in 15 minutes; a right password clears them."""
PER_ADDRESS: RateLimitItem = RateLimitItemPerMinute(100, 15)
"""A hundred failures in 15 minutes over all names: a whole office behind one address stays below it."""


class SignInLimits:
    """Counts attempts to prove a password."""

    def __init__(
        self,
        *,
        per_name_and_address: RateLimitItem = PER_NAME_AND_ADDRESS,
        per_address: RateLimitItem = PER_ADDRESS,
    ) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._per_name_and_address = per_name_and_address
        self._per_address = per_address

    async def attempt(self, name: str, address: str) -> None:
        """Count an attempt before it is judged, so that many at once are no way round.

        Errors: RateLimited when it is one too many.
        """
        network = network_of(address)
        if not await self._limiter.test(self._per_address, "address", network):
            raise await self._refusal(self._per_address, "address", network)
        key = _name_key(name)
        if not await self._limiter.hit(self._per_name_and_address, "name", key, network):
            raise await self._refusal(self._per_name_and_address, "name", key, network)

    async def failed(self, address: str) -> None:
        """Count a wrong password against its address."""
        await self._limiter.hit(self._per_address, "address", network_of(address))

    async def succeeded(self, name: str, address: str) -> None:
        """Forget the attempts of a person who has the right password."""
        await self._limiter.clear(self._per_name_and_address, "name", _name_key(name), network_of(address))

    async def _refusal(self, item: RateLimitItem, *key: str) -> RateLimited:
        window = await self._limiter.get_window_stats(item, *key)
        seconds = max(1, math.ceil(window.reset_time - time.time()))
        minutes = math.ceil(seconds / 60)
        return RateLimited(
            f"Too many attempts to sign in; try again in {minutes} minute{'s' if minutes > 1 else ''}.",
            retry_after_seconds=seconds,
        )


def network_of(address: str) -> str:
    """Return what counts as one address: an IPv4 address, an IPv6 /64 (one customer has that many); text as it is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def _name_key(name: str) -> str:
    return name.strip().lower()[:254]
