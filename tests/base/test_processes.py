"""Nothing is left of a process, whenever its starter is cancelled and whatever holds its pipes."""

import asyncio
import os
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest
from tests.services.ports import wait_until

from cairn.base.processes import end_process, start_process

GONE = "what it started is gone too"
HOLDS_PIPES = "sleep 1000 & echo $! > {file}.new; mv {file}.new {file}; wait"
LEAVES_THE_SESSION = "setsid sleep 1000 & echo $! > {file}.new; mv {file}.new {file}; wait"


def is_running(file: Path) -> bool:
    """Tell whether the process whose number a file has still runs; one that is dead and not collected does not."""
    try:
        return Path(f"/proc/{file.read_text().strip()}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def test_whoever_is_cancelled_while_a_process_starts_leaves_none_behind(tmp_path: Path) -> None:
    """asyncio alone would wait for a thousand seconds."""
    file = tmp_path / "pid"
    starting = asyncio.create_task(start_process("sh", "-c", HOLDS_PIPES.format(file=file), stdin=PIPE, stdout=PIPE))
    for _ in range(2):  # its own step, then that of the task which starts the process
        await asyncio.sleep(0)
    # The loop stands still, so the pipes are not connected, while the process starts another.
    wait_until(file.exists, within_seconds=60, what="the process has started another")
    starting.cancel()
    assert (await asyncio.wait({starting}, timeout=60))[0] == {starting}
    assert starting.cancelled()
    await asyncio.to_thread(wait_until, lambda: not is_running(file), within_seconds=60, what=GONE)


async def test_what_cannot_be_started_says_so() -> None:
    with pytest.raises(FileNotFoundError):
        await start_process("/nonexistent/program")


@pytest.mark.parametrize("command", [HOLDS_PIPES, LEAVES_THE_SESSION, "yes & echo $! > {file}; wait"])
async def test_a_process_ends_whoever_holds_its_pipes_and_however_full_they_are(tmp_path: Path, command: str) -> None:
    file = tmp_path / "pid"
    process = await start_process("sh", "-c", command.format(file=file), stdout=PIPE)
    await asyncio.to_thread(wait_until, file.exists, within_seconds=60, what="the process has started another")
    await asyncio.sleep(0.1)  # some of what it says has come, if it says anything
    try:
        async with asyncio.timeout(60):
            await end_process(process)
        assert process.returncode == -9
        if command != LEAVES_THE_SESSION:
            await asyncio.to_thread(wait_until, lambda: not is_running(file), within_seconds=60, what=GONE)
    finally:
        if is_running(file):
            os.kill(int(file.read_text()), 9)


async def test_what_has_ended_is_ended_again(tmp_path: Path) -> None:
    process: Process = await start_process("true")
    assert await process.wait() == 0
    await end_process(process)
    assert process.returncode == 0
