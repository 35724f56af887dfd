"""Several pieces of work at once, with errors as if there were one."""

import asyncio

import pytest

from cairn.git.together import together


async def test_all_work_is_done_when_it_returns() -> None:
    done: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        done.append(number)

    await together(work(1), work(2))
    assert sorted(done) == [1, 2]
    await together()


async def test_an_error_comes_alone_with_its_cause_and_ends_the_rest() -> None:
    cause = KeyError("cause")
    ended: list[str] = []

    async def fail() -> None:
        raise ValueError("one") from cause

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("waiting")

    with pytest.raises(ValueError, match="one") as raised:
        await together(wait(), fail())
    assert raised.value.__cause__ is cause
    assert ended == ["waiting"]
