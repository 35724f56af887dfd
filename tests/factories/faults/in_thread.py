"""Something asynchronous beside a test that has no loop of its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

SECONDS_MAX = 30


@contextmanager
def in_thread(runs: AbstractAsyncContextManager[Any]) -> Iterator[Callable[[Coroutine[Any, Any, None]], None]]:
    """Enter ``runs`` on a loop in a thread until the block ends; give a function that runs a coroutine there."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)

    def run(work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(SECONDS_MAX)

    thread.start()
    try:
        run(runs.__aenter__())
        try:
            yield run
        finally:
            run(runs.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SECONDS_MAX)
        loop.close()
