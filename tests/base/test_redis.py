"""A task that speaks to Redis can be cancelled at any moment."""

import asyncio

import pytest

from cairn.base.redis import open_redis

MOMENTS = 40


async def test_a_cancellation_is_never_lost_whatever_a_command_is_doing(redis_url: str) -> None:
    async with open_redis(redis_url, connect_seconds=5.0) as client:

        async def speak_forever() -> None:
            while True:
                await client.publish("channel", "word")

        await client.ping()
        for moment in range(MOMENTS):
            speaker = asyncio.create_task(speak_forever())
            for _ in range(moment):
                await asyncio.sleep(0)
            speaker.cancel()
            done, _ = await asyncio.wait([speaker], timeout=5)
            speaker.cancel()
            assert done, f"the cancellation {moment} steps into a command was lost"
            with pytest.raises(asyncio.CancelledError):
                await speaker
