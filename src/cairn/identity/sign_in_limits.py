"""Slowing down guessing without locking anybody out (``docs/decisions/0008-sign-in-slows-down.md``).

An attempt by a browser that has signed in to the account before is counted for that browser alone: nobody else can use
up its attempts. All others meet three leaky buckets: of the name from this address, of the name from anywhere (so that
a thousand addresses do not have a thousand times the guesses) and of failures from this address. A bucket never closes:
the next attempt is a minute and a half away, or seconds.

Counted in Redis where there is one, exactly; in this process while it is away: guessing stays slow whatever fails.
"""

import math

from cairn.base.errors import RateLimited
from cairn.web.counters import Counters, Rule, Usage
from cairn.web.rate_limits import network_of

_QUARTER_HOUR = 15 * 60
PER_NAME_AND_ADDRESS = Rule("sign-in-pair", 10, _QUARTER_HOUR)
"""Ten attempts, then one each 90 seconds; a right password clears them."""
PER_NAME = Rule("sign-in-name", 100, _QUARTER_HOUR)
"""A hundred attempts on one name from everywhere, then one each 9 seconds for all who are strangers to the account."""
PER_DEVICE = Rule("sign-in-device", 10, _QUARTER_HOUR)
"""Ten attempts of a browser that the account knows."""
PER_ADDRESS = Rule("sign-in-address", 100, _QUARTER_HOUR)
"""A hundred failures over all names: a whole office behind one address stays below it."""


class SignInLimits:
    """Counts attempts to prove a password."""

    def __init__(
        self,
        counters: Counters | None = None,
        *,
        per_name_and_address: Rule = PER_NAME_AND_ADDRESS,
        per_name: Rule = PER_NAME,
        per_address: Rule = PER_ADDRESS,
    ) -> None:
        self._counters = counters or Counters()
        self._per_name_and_address = per_name_and_address
        self._per_name = per_name
        self._per_address = per_address

    async def attempt(self, name: str, address: str, *, device: str = "") -> None:
        """Count an attempt before it is judged, so that many at once are no way round.

        ``device`` is what a browser proved to be one that the account knows (``identity.devices``), empty for others.
        Errors: RateLimited when it is one too many.
        """
        if device:
            _require(await self._counters.take_exactly(PER_DEVICE, device))
            return
        network = network_of(address)
        _require(self._counters.look(self._per_address, network))
        _require(await self._counters.take_exactly(self._per_name_and_address, _pair(name, network)))
        _require(await self._counters.take_exactly(self._per_name, _name_key(name)))

    async def failed(self, address: str, *, device: str = "") -> None:
        """Count a wrong password against its address; a known browser only has its own attempts."""
        if not device:
            self._counters.add(self._per_address, network_of(address))

    async def succeeded(self, name: str, address: str, *, device: str = "") -> None:
        """Forget the attempts of a person who has the right password."""
        if device:
            self._counters.clear(PER_DEVICE, device)
            return
        self._counters.clear(self._per_name_and_address, _pair(name, network_of(address)))
        self._counters.add(self._per_name, _name_key(name), -1)


def _require(usage: Usage) -> None:
    if usage.wait_seconds:
        seconds = math.ceil(usage.wait_seconds)
        minutes = math.ceil(seconds / 60)
        raise RateLimited(
            f"Too many attempts to sign in; try again in {minutes} minute{'s' if minutes > 1 else ''}.",
            retry_after_seconds=seconds,
        )


def _pair(name: str, network: str) -> str:
    return f"{network} {_name_key(name)}"


def _name_key(name: str) -> str:
    return name.strip().lower()[:254]
