"""Several pieces of work at once, with errors as if there were one: no groups for callers to take apart."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def together(*works: Coroutine[Any, Any, object]) -> None:
    """Every piece of work has ended well; the first error ends the others and is raised itself."""
    error: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as failed:
        # Raised below, outside of this block: an error keeps the cause and the context it came with.
        error = failed.exceptions[0]
    if error is not None:
        raise error
