"""Processes of asyncio that leave nothing behind, whenever whoever started them is cancelled."""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from contextlib import suppress
from typing import Any


async def start_process(*command: str | bytes | os.PathLike[str], **options: Any) -> Process:  # noqa: ANN401 (asyncio's)
    """Start a process in a session of its own, which ``end_process`` ends. Errors: OSError.

    asyncio, cancelled before it has connected the pipes, waits until they close; what the process itself has started
    may hold them open for ever. So the start is waited for, and undone.
    """
    starting = asyncio.create_task(asyncio.create_subprocess_exec(*command, start_new_session=True, **options))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait({starting})
        if starting.exception() is None:
            await end_process(starting.result())
        raise


async def end_process(process: Process) -> None:
    """Kill a process and everything it started, and close its pipes, read to their end or not."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    # Nothing public closes a pipe that is full, or that somebody who left the session holds open. Closed with its
    # transport, the process would also be asked whether it has ended, and whoever waits for that would not hear of it.
    transport = process._transport  # type: ignore[attr-defined]  # noqa: SLF001
    for pipe in filter(None, map(transport.get_pipe_transport, range(3))):
        pipe.close()
    await process.wait()
