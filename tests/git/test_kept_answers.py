"""An answer is worked out once, shared by those who ask meanwhile, and another one where anything about it differs."""

import asyncio
from pathlib import Path

import pytest
from tests.factories.engines import engine
from tests.factories.pushes import make_store

from cairn.base.errors import TooLarge
from cairn.git.engine import Engine
from cairn.git.fetch_cache import IN_MEMORY_BYTES
from cairn.git.kept_answers import keep_answer

__all__ = ["engine"]


@pytest.mark.parametrize("size", [10, IN_MEMORY_BYTES + 1])
async def test_an_answer_is_made_once(engine: Engine, tmp_path: Path, size: int) -> None:
    state = await engine.state(await make_store(engine))
    made: list[int] = []
    may_go_on = asyncio.Event()

    async def make() -> bytes:
        made.append(1)
        await may_go_on.wait()
        return b"x" * size

    async def let_go() -> None:
        may_go_on.set()

    *answers, _ = await asyncio.gather(*(keep_answer(engine, state, make, "kind", 1) for _ in range(3)), let_go())
    assert answers == [b"x" * size] * 3
    assert await keep_answer(engine, state, make, "kind", 1) == b"x" * size
    assert len(made) == 1
    for about in (("kind", 2), ("other", 1), ("kind", 1, b"")):
        await keep_answer(engine, state, make, *about)
    assert len(made) == 4


async def test_a_purge_forgets_it(engine: Engine, tmp_path: Path) -> None:
    state = await engine.state(await make_store(engine))

    async def first() -> bytes:
        return b"first"

    async def second() -> bytes:
        return b"second"

    assert await keep_answer(engine, state, first, "kind") == b"first"
    await asyncio.to_thread(engine.answers.forget_all)
    assert await keep_answer(engine, state, second, "kind") == b"second"


async def test_what_fails_is_not_kept(engine: Engine, tmp_path: Path) -> None:
    state = await engine.state(await make_store(engine))

    async def fail() -> bytes:
        raise TooLarge("too much")

    async def work() -> bytes:
        return b"done"

    with pytest.raises(TooLarge, match="too much"):
        await keep_answer(engine, state, fail, "kind")
    assert await keep_answer(engine, state, work, "kind") == b"done"
