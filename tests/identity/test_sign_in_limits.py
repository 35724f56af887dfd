"""Guessing is slowed down, and nobody can lock somebody else out."""

import asyncio

import pytest
from limits import RateLimitItemPerMinute

from cairn.base.errors import RateLimited
from cairn.identity.sign_in_limits import SignInLimits, network_of

HERE, THERE = "192.0.2.1", "198.51.100.9"


async def test_the_eleventh_attempt_on_one_name_has_to_wait() -> None:
    limits = SignInLimits()
    for _ in range(10):
        await limits.attempt("victim", HERE)
    with pytest.raises(RateLimited) as refused:
        await limits.attempt("Victim ", HERE)
    assert 0 < refused.value.retry_after_seconds <= 15 * 60


async def test_a_stranger_elsewhere_cannot_lock_somebody_out() -> None:
    """Attack: failing on purpose with somebody's name keeps them from signing in."""
    limits = SignInLimits()
    for _ in range(10):
        await limits.attempt("victim", THERE)
    with pytest.raises(RateLimited):
        await limits.attempt("victim", THERE)
    await limits.attempt("victim", HERE)


async def test_many_attempts_at_once_are_counted_before_they_are_judged() -> None:
    """Attack: a thousand guesses in flight before the first one failed."""
    limits = SignInLimits()

    async def guess() -> bool:
        try:
            await limits.attempt("victim", HERE)
        except RateLimited:
            return False
        return True

    assert sum(await asyncio.gather(*(guess() for _ in range(200)))) == 10


async def test_one_address_cannot_try_one_password_on_all_names() -> None:
    limits = SignInLimits(per_address=RateLimitItemPerMinute(5, 15))
    for number in range(5):
        await limits.attempt(f"person{number}", HERE)
        await limits.failed(HERE)
    with pytest.raises(RateLimited):
        await limits.attempt("another", HERE)
    await limits.attempt("another", THERE)


async def test_the_right_password_clears_the_count() -> None:
    limits = SignInLimits()
    for _ in range(3):
        for _ in range(9):
            await limits.attempt("me", HERE)
        await limits.succeeded("me", HERE)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_one_customer_is_one_address(address: str, network: str) -> None:
    """Attack: an IPv6 customer has 2^64 addresses to try from."""
    assert network_of(address) == network
