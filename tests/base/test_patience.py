"""One allowance of waiting for a whole request: shared by its calls and tasks, spent by waiting alone."""

import asyncio

import pytest

from cairn.base.patience import OutOfPatience, patience, seconds_left, waiting


async def _hang() -> None:
    await asyncio.Event().wait()


async def test_what_one_call_waited_the_next_one_has_no_more() -> None:
    with patience(0.2):
        with pytest.raises(OutOfPatience):
            async with waiting(60):
                await _hang()
        assert seconds_left(60) == 0
        with pytest.raises(OutOfPatience):
            async with waiting():
                await _hang()


async def test_work_that_is_no_waiting_costs_nothing() -> None:
    with patience(100):
        await asyncio.sleep(0.02)
        assert seconds_left(1000) == 100


async def test_calls_side_by_side_and_inside_one_another_run_one_clock() -> None:
    loop = asyncio.get_running_loop()

    async def call() -> None:
        async with waiting(), waiting(60):
            await asyncio.sleep(0.1)

    with patience(100):
        started = loop.time()
        await asyncio.gather(*(call() for _ in range(50)))
        took = loop.time() - started
        assert 100 - took - 0.01 <= seconds_left(1000) <= 99.91


async def test_a_call_keeps_its_own_limit_with_and_without_a_request() -> None:
    with patience(60), pytest.raises(OutOfPatience):
        async with waiting(0.05):
            await _hang()
    with pytest.raises(OutOfPatience):
        async with waiting(0.05):
            await _hang()


async def test_what_outlives_its_request_is_bound_by_its_own_limits_only() -> None:
    may_go_on = asyncio.Event()

    async def task() -> float:
        await may_go_on.wait()
        async with waiting():
            await asyncio.sleep(0.05)
        return seconds_left(60)

    with patience(0.01):
        late = asyncio.create_task(task())
        await asyncio.sleep(0)
    may_go_on.set()
    assert await late == 60


async def test_a_time_limit_of_somebody_else_is_not_taken_for_ours() -> None:
    with patience(60), pytest.raises(TimeoutError) as caught:
        async with waiting(30):
            raise TimeoutError("of the caller")
    assert not isinstance(caught.value, OutOfPatience)
