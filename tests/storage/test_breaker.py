"""The breaker opens after failures in a row, waits for a probe, and closes by the first answer."""

import pytest

from cairn.storage.breaker import FAILURES_TO_OPEN, OPEN_SECONDS, Breaker, BreakerState
from cairn.storage.errors import StorageUnavailable


class ManualClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def breaker(clock: ManualClock) -> Breaker:
    return Breaker(clock)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.admit("get")
        breaker.failed()


def test_four_failures_do_not_open(breaker: Breaker) -> None:
    fail(breaker, FAILURES_TO_OPEN - 1)
    breaker.admit("get")
    assert breaker.state is BreakerState.CLOSED


def test_an_answer_between_failures_starts_the_count_again(breaker: Breaker) -> None:
    fail(breaker, FAILURES_TO_OPEN - 1)
    breaker.succeeded()
    fail(breaker, FAILURES_TO_OPEN - 1)
    assert breaker.state is BreakerState.CLOSED


def test_the_fifth_failure_in_a_row_opens(breaker: Breaker) -> None:
    fail(breaker, FAILURES_TO_OPEN)
    assert breaker.state is BreakerState.OPEN
    with pytest.raises(StorageUnavailable):
        breaker.admit("get")


def test_a_half_open_breaker_lets_no_call_through_before_the_probe(breaker: Breaker, clock: ManualClock) -> None:
    fail(breaker, FAILURES_TO_OPEN)
    clock.now += OPEN_SECONDS
    assert breaker.state.value == "half_open"
    with pytest.raises(StorageUnavailable):
        breaker.admit("get")


def test_an_answered_probe_closes(breaker: Breaker, clock: ManualClock) -> None:
    fail(breaker, FAILURES_TO_OPEN)
    clock.now += OPEN_SECONDS
    breaker.succeeded()
    breaker.admit("get")
    breaker.admit("get")
    assert breaker.state is BreakerState.CLOSED


def test_a_failed_probe_opens_for_another_period(breaker: Breaker, clock: ManualClock) -> None:
    fail(breaker, FAILURES_TO_OPEN)
    clock.now += OPEN_SECONDS
    breaker.failed()
    assert breaker.state is BreakerState.OPEN
    clock.now += OPEN_SECONDS
    assert breaker.state.value == "half_open"
