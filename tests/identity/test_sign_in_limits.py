"""Guessing is slowed down, and nobody can lock somebody else out."""

import asyncio

import pytest

from cairn.base.errors import RateLimited
from cairn.identity.sign_in_limits import PER_DEVICE, PER_NAME, SignInLimits
from cairn.web.counters import Counters, Rule

HERE, THERE = "192.0.2.1", "198.51.100.9"


async def test_the_eleventh_attempt_on_one_name_has_to_wait_for_a_moment_not_for_an_hour() -> None:
    now = [0.0]
    limits = SignInLimits(Counters(clock=lambda: now[0]))
    for _ in range(10):
        await limits.attempt("victim", HERE)
    with pytest.raises(RateLimited) as refused:
        await limits.attempt("Victim ", HERE)
    assert refused.value.retry_after_seconds == 90
    now[0] += 91
    await limits.attempt("victim", HERE)


async def test_a_stranger_elsewhere_cannot_lock_somebody_out() -> None:
    """Attack: failing on purpose with somebody's name keeps them from signing in."""
    limits = SignInLimits()
    for _ in range(10):
        await limits.attempt("victim", THERE)
    with pytest.raises(RateLimited):
        await limits.attempt("victim", THERE)
    await limits.attempt("victim", HERE)


async def test_a_thousand_addresses_do_not_have_a_thousand_times_the_guesses() -> None:
    """Attack: spread the guesses on one account over a botnet."""
    now = [0.0]
    limits = SignInLimits(Counters(clock=lambda: now[0]))

    async def let_in() -> int:
        count = 0
        for number in range(300):
            try:
                await limits.attempt("victim", f"10.0.{number // 200}.{number % 200}")
            except RateLimited:
                continue
            count += 1
        return count

    assert await let_in() == PER_NAME.limit
    now[0] += PER_NAME.seconds / PER_NAME.limit + 0.1
    assert await let_in() == 1, "the lane is slow, and never closed"


async def test_a_browser_that_the_account_knows_goes_past_whatever_strangers_do() -> None:
    """Attack: keep an account's lane full from everywhere, also from its owner's own office."""
    limits = SignInLimits()
    for number in range(PER_NAME.limit):
        address = HERE if number < 10 else f"10.0.0.{number}"
        await limits.attempt("victim", address)
        await limits.failed(address)
    with pytest.raises(RateLimited):
        await limits.attempt("victim", HERE)
    await limits.attempt("victim", HERE, device="1-abc")


async def test_a_known_browser_that_was_stolen_guesses_slowly_too() -> None:
    limits = SignInLimits()
    for _ in range(PER_DEVICE.limit):
        await limits.attempt("victim", HERE, device="1-abc")
        await limits.failed(HERE, device="1-abc")
    with pytest.raises(RateLimited):
        await limits.attempt("victim", THERE, device="1-abc")
    await limits.succeeded("victim", HERE, device="1-abc")
    await limits.attempt("victim", HERE, device="1-abc")


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


async def test_two_programs_over_one_redis_count_together(redis_url: str) -> None:
    """Attack: send every second guess to another node."""
    here, there = Counters(), Counters()
    async with here.sharing(redis_url), there.sharing(redis_url):
        nodes = [SignInLimits(here), SignInLimits(there)]
        refused = 0
        for number in range(20):
            try:
                await nodes[number % 2].attempt("victim", HERE)
            except RateLimited:
                refused += 1
        assert refused == 10


async def test_one_address_cannot_try_one_password_on_all_names() -> None:
    limits = SignInLimits(per_address=Rule("sign-in-address", 5, 900))
    for number in range(5):
        await limits.attempt(f"person{number}", HERE)
        await limits.failed(HERE)
    with pytest.raises(RateLimited):
        await limits.attempt("another", HERE)
    await limits.attempt("another", THERE)


async def test_the_right_password_clears_the_count() -> None:
    limits = SignInLimits()
    for _ in range(20):
        for _ in range(9):
            await limits.attempt("me", HERE)
            await limits.succeeded("me", HERE)
