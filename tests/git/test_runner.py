import asyncio
import os
import signal
import stat
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import uvloop
from tests.factories import git_repositories
from tests.factories.children import children

from cairn.git.commands import GitCommand
from cairn.git.places import GitBusy, Kind
from cairn.git.runner import (
    Finished,
    GitFailed,
    GitLimits,
    GitOutputTooLarge,
    GitRunner,
    GitTimedOut,
    StdinPipe,
)

VERSION = GitCommand(name="version")
BATCH = GitCommand(name="cat-file", options=("--batch",))


@pytest.fixture
def runner(tmp_path: Path) -> GitRunner:
    return GitRunner(home=tmp_path / "home", max_children=4)


def script(tmp_path: Path, body: str) -> str:
    """A stand-in for git, to see environment, limits and process groups from the inside."""
    path = tmp_path / "fake-git"
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z" and os.getppid() != pid


async def until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while not is_gone(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        await asyncio.sleep(0.01)


async def test_output_of_a_child_is_returned(runner: GitRunner) -> None:
    assert (await runner.run(VERSION)).startswith(b"git version 2.")


async def test_input_of_any_size_is_answered_in_full(runner: GitRunner, tmp_path: Path) -> None:
    repository = git_repositories.init(tmp_path / "r")
    asked = b"0" * 40 + b"\n"
    output = await runner.run(BATCH, git_dir=repository.git_dir, stdin=asked * 50_000)
    assert output == (b"0" * 40 + b" missing\n") * 50_000


async def test_a_failure_carries_stderr_for_logs_and_a_safe_message(runner: GitRunner, tmp_path: Path) -> None:
    repository = git_repositories.init(tmp_path / "r")
    with pytest.raises(GitFailed) as caught:
        await runner.run(GitCommand(name="rev-list", revisions=("1" * 40,)), git_dir=repository.git_dir)
    assert caught.value.exit_code == 128
    assert "1" * 40 in caught.value.stderr
    assert caught.value.message == "git rev-list failed (exit code 128)"


async def test_accepted_exit_codes_are_handed_back(tmp_path: Path) -> None:
    runner = GitRunner(home=tmp_path / "home", git_binary=script(tmp_path, "echo out; echo err >&2; exit 1"))
    assert await runner.complete(VERSION, accept=(0, 1)) == Finished(1, b"out\n", "err\n")
    with pytest.raises(GitFailed):
        await runner.complete(VERSION)


async def test_output_beyond_the_limit_ends_the_child(tmp_path: Path) -> None:
    runner = GitRunner(home=tmp_path / "home", git_binary=script(tmp_path, "echo $$ > pid; exec yes"))
    with pytest.raises(GitOutputTooLarge):
        await runner.run(VERSION, max_output_bytes=1000)
    assert is_gone(int((tmp_path / "home/pid").read_text()))


async def test_only_the_last_of_a_long_stderr_is_kept(tmp_path: Path) -> None:
    body = "for i in $(seq 20000); do echo line $i >&2; done; exit 3"
    runner = GitRunner(home=tmp_path / "home", git_binary=script(tmp_path, body))
    with pytest.raises(GitFailed) as caught:
        await runner.run(VERSION)
    assert caught.value.stderr.endswith("line 20000\n")
    assert len(caught.value.stderr) <= 16 * 1024


async def test_limits_are_set_on_the_child(tmp_path: Path) -> None:
    body = "for i in $(seq 200); do [ $(ulimit -n) = 77 ] && break; done; ulimit -n; ulimit -t; ulimit -c; ulimit -d"
    runner = GitRunner(home=tmp_path / "home", git_binary=script(tmp_path, body))
    limits = GitLimits(open_files=77, cpu_seconds=33, memory_bytes=512 << 20)
    assert (await runner.run(VERSION, limits=limits)).split() == [b"77", b"33", b"0", str(512 << 10).encode()]


async def test_too_much_memory_ends_the_child_not_the_node(tmp_path: Path) -> None:
    body = 'exec /usr/bin/python3 -c "x = bytearray(600 << 20)"'
    runner = GitRunner(home=tmp_path / "home", git_binary=script(tmp_path, body))
    with pytest.raises(GitFailed) as caught:
        await runner.run(VERSION, limits=GitLimits(memory_bytes=256 << 20))
    assert "MemoryError" in caught.value.stderr


FAMILY = "sleep 300 & echo $!; echo $$; wait"


async def test_the_deadline_kills_the_whole_process_group(tmp_path: Path) -> None:
    runner = GitRunner(home=tmp_path / "home", git_binary=script(tmp_path, FAMILY))
    with pytest.raises(GitTimedOut, match="took longer"):  # noqa: PT012 - the block is what is timed
        async with runner.spawn(VERSION, deadline_seconds=0.3) as child:
            pids = [int(line) for line in (await child.read()).split()]
            await child.finish()
    for pid in pids:
        await until_gone(pid)


async def test_cancelling_kills_the_whole_process_group(tmp_path: Path) -> None:
    runner = GitRunner(home=tmp_path / "home", git_binary=script(tmp_path, FAMILY))
    pids: list[int] = []
    started = asyncio.Event()

    async def work() -> None:
        async with runner.spawn(VERSION) as child:
            while len(pids) < 2:
                pids.extend(int(line) for line in (await child.read()).split())
            started.set()
            await child.finish()

    task = asyncio.create_task(work())
    await asyncio.wait_for(started.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not Path(f"/proc/{pids[1]}").exists(), "the child was reaped"
    for pid in pids:
        await until_gone(pid)


async def test_leaving_the_block_by_an_error_kills_and_keeps_the_error(tmp_path: Path) -> None:
    runner = GitRunner(home=tmp_path / "home", git_binary=script(tmp_path, "exec sleep 300"))
    with pytest.raises(KeyError):  # noqa: PT012 - the block is what fails
        async with runner.spawn(VERSION) as child:
            pid = child.pid
            raise KeyError
    assert not Path(f"/proc/{pid}").exists()


async def test_a_writer_waits_for_a_slow_child_and_reads_its_answer(runner: GitRunner, tmp_path: Path) -> None:
    repository = git_repositories.init(tmp_path / "r")
    async with runner.spawn(BATCH, git_dir=repository.git_dir, stdin=StdinPipe.PIPE) as child:

        async def feed() -> None:
            for _ in range(100):
                await child.write((b"1" * 40 + b"\n") * 100)
            child.close_stdin()

        async def count() -> int:
            return sum([len(lines) async for lines in child.line_batches()])

        _, answers = await asyncio.gather(feed(), count())
        await child.finish()
    assert answers == 10_000


async def test_a_child_too_many_waits_for_a_place_and_gives_up_in_time(tmp_path: Path) -> None:
    binary = script(tmp_path, "read line; echo done")
    runner = GitRunner(home=tmp_path / "home", git_binary=binary, max_children=1, queue_seconds=0.2)
    async with runner.spawn(VERSION, stdin=StdinPipe.PIPE) as child:
        with pytest.raises(GitBusy, match="busy"):
            await runner.run(VERSION)
        await child.write(b"go\n")
        assert await child.read() == b"done\n"
    assert await runner.run(VERSION, stdin=b"x\n") == b"done\n"


async def test_a_child_that_is_alone_has_more_threads_than_one_in_company(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2})
    runner = GitRunner(home=tmp_path / "home", git_binary=script(tmp_path, "read line; true"), max_children=8)
    assert runner.threads == 2
    async with AsyncExitStack() as running:
        for _ in range(5):
            await running.enter_async_context(runner.spawn(VERSION, stdin=StdinPipe.PIPE))
            assert runner.threads == 1
    assert runner.threads == 2


async def test_clients_that_stall_leave_half_of_the_places_free(tmp_path: Path) -> None:
    """Attack: sixteen idle clones in protocol v0 over SSH, or slow pushes, and nobody could open a page for an hour."""
    binary = script(tmp_path, "read line; echo done")
    runner = GitRunner(home=tmp_path / "home", git_binary=binary, max_children=4, queue_seconds=0.2)
    async with AsyncExitStack() as stalled:
        for _ in range(2):
            await stalled.enter_async_context(runner.spawn(VERSION, stdin=StdinPipe.PIPE, kind=Kind.PACED))
        with pytest.raises(GitBusy, match="busy"):
            await stalled.enter_async_context(runner.spawn(VERSION, stdin=StdinPipe.PIPE, kind=Kind.PACED))
        assert await runner.run(VERSION, stdin=b"x\n") == b"done\n"
    async with runner.spawn(VERSION, stdin=StdinPipe.PIPE, kind=Kind.PACED):
        assert runner.running == 1


async def test_no_descriptor_or_child_remains_after_many_runs(runner: GitRunner) -> None:
    before_children = children()
    await runner.run(VERSION)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        await runner.run(VERSION, stdin=b"x")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert children() == before_children


def test_pipes_deadlines_and_reaping_work_on_uvloop_too(tmp_path: Path) -> None:
    """The servers run on uvloop, whose readers and writers are not asyncio's."""
    before_children = children()

    async def work() -> None:
        echo = GitRunner(home=tmp_path / "home", git_binary=script(tmp_path, "cat; echo end >&2; exit 4"))
        async with echo.spawn(VERSION, stdin=StdinPipe.PIPE) as child:
            data = os.urandom(3_000_000)

            async def feed() -> None:
                await child.write(data)
                child.close_stdin()

            async def collect() -> bytes:
                return b"".join([chunk async for chunk in child.chunks()])

            _, output = await asyncio.gather(feed(), collect())
            assert output == data
            assert await child.wait() == 4
            assert child.stderr == "end\n"
        stuck = GitRunner(home=tmp_path / "home", git_binary=script(tmp_path, FAMILY))
        with pytest.raises(GitTimedOut):
            await stuck.run(VERSION, deadline_seconds=0.2)
        assert children() == before_children

    uvloop.run(work())


async def test_a_child_computes_no_longer_than_it_was_allowed_so_far(tmp_path: Path) -> None:
    runner = GitRunner(
        git_binary=script(tmp_path, "read; ulimit -S -t; read; ulimit -S -t; while :; do :; done"), home=tmp_path
    )
    async with runner.spawn(
        VERSION, stdin=StdinPipe.PIPE, limits=GitLimits(cpu_seconds=60, first_cpu_seconds=5)
    ) as child:
        await child.write(b"\n")  # only now: its limits come right after its start
        assert await child.read() == b"5\n"
        child.allow_cpu(1000)
        await child.write(b"\n")
        assert await child.read() == b"60\n"  # its limits allow no more
        child.allow_cpu(1)
        assert await child.wait() == -signal.SIGXCPU


async def test_the_memory_of_a_child_is_known_while_it_runs(tmp_path: Path) -> None:
    body = "x=$(head -c 50000000 /dev/zero | tr '\\0' x); echo; read"
    runner = GitRunner(git_binary=script(tmp_path, body), home=tmp_path)
    async with runner.spawn(VERSION, stdin=StdinPipe.PIPE) as child:
        assert await child.read() == b"\n"
        assert 50_000_000 < child.memory_bytes < 500_000_000
        await child.wait()
        assert child.memory_bytes == 0
