"""The one place that starts git: typed commands, an environment from scratch, limits, and nothing left running.

Children are started with ``subprocess`` and awaited through a pidfd instead of with the event loop's own subprocess
support: uvloop forks the whole process (5 ms beside 200 MB of memory), ``subprocess`` uses vfork (1.4 ms, whatever the
size), and reading pipes on demand needs no task and no buffer: a slow reader slows git, not our memory.
"""

import asyncio
import fcntl
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from cairn.base.descriptors import readable, writable
from cairn.base.errors import CairnError, TooLarge, Unavailable
from cairn.base.settings import GIB, KIB, MIB
from cairn.git.child_environment import base_environment, configured, repository_environment
from cairn.git.commands import GitCommand
from cairn.git.places import BUSY_RETRY_SECONDS, GitBusy, Kind, Places

STDERR_BYTES_KEPT = 16 * KIB
READ_BYTES = 256 * KIB
PIPE_BYTES = MIB
LINE_BYTES_MAX = 16 * MIB
THREADS_MAX = 2
"""Each costs index-pack up to 96 MiB of its memory limit."""


class StdinPipe(Enum):
    """Says that the caller writes the child's standard input piece by piece."""

    PIPE = "pipe"


class GitFailed(CairnError):
    """A git child ended with an error; ``stderr`` (its last 16 KiB) is for logs, ``message`` is safe to show."""

    def __init__(self, command: str, exit_code: int, stderr: str) -> None:
        how = f"exit code {exit_code}" if exit_code >= 0 else f"signal {-exit_code}"
        super().__init__(f"git {command} failed ({how})")
        self.command = command
        self.exit_code = exit_code
        self.stderr = stderr
        self.add_note(stderr)


class GitTimedOut(Unavailable):
    """A git child ran into its wall clock limit and was killed."""


class GitOutputTooLarge(TooLarge):
    """A git child wrote more than its caller allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitLimits:
    """What one child may use. ``memory_bytes`` bounds private writable memory: mapped packs do not count.

    ``first_cpu_seconds``, if given, is all it may compute before ``GitChild.allow_cpu`` lets it go on.
    """

    memory_bytes: int = 2 * GIB
    file_bytes: int = 64 * GIB
    cpu_seconds: int = 1800
    first_cpu_seconds: int | None = None
    open_files: int = 4096


@dataclass(frozen=True, slots=True)
class Finished:
    """What a child left: its exit code and everything it wrote."""

    exit_code: int
    stdout: bytes
    stderr: str


class GitChild:
    """A running git process; made by ``GitRunner.spawn`` only."""

    def __init__(self, name: str, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._name = name
        self._process = process
        self._pidfd = os.pidfd_open(process.pid)
        self._stderr_tail = bytearray()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
        self._stdout_fd = process.stdout.fileno()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                # Sixteen times the usual: a pack of 1 GB wakes both sides a sixteenth as often.
                if pipe is not None:
                    fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._stderr_fd = process.stderr.fileno()
        self._stderr_open = True
        asyncio.get_running_loop().add_reader(self._stderr_fd, self._drain_stderr)

    @property
    def pid(self) -> int:
        """The process id, also the id of its process group."""
        return self._process.pid

    @property
    def stderr(self) -> str:
        """The last 16 KiB of standard error so far, for logs."""
        return bytes(self._stderr_tail[-STDERR_BYTES_KEPT:]).decode("utf-8", "backslashreplace")

    @property
    def memory_bytes(self) -> int:
        """The private memory that it holds now; 0 once it has ended."""
        try:
            pages = Path(f"/proc/{self._process.pid}/statm").read_bytes().split()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return (int(pages[1]) - int(pages[2])) * resource.getpagesize()

    def allow_cpu(self, seconds: int) -> None:
        """Let the child compute for so many seconds altogether, if its limits allow as much."""
        with suppress(ProcessLookupError):
            _, hard = resource.prlimit(self._process.pid, resource.RLIMIT_CPU)
            resource.prlimit(self._process.pid, resource.RLIMIT_CPU, (min(seconds, hard), hard))

    async def read(self, max_bytes: int = READ_BYTES) -> bytes:
        """Return the next bytes of standard output, at most ``max_bytes``; empty at its end."""
        while True:
            try:
                return os.read(self._stdout_fd, max_bytes)
            except BlockingIOError:
                await readable(self._stdout_fd)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield standard output to its end."""
        while chunk := await self.read():
            yield chunk

    async def line_batches(self, separator: bytes = b"\n") -> AsyncIterator[list[bytes]]:
        """Yield standard output as lists of lines without their separator; GitOutputTooLarge for a line of 16 MiB."""
        rest = b""
        while chunk := await self.read():
            *lines, rest = (rest + chunk).split(separator)
            if len(rest) > LINE_BYTES_MAX:
                raise GitOutputTooLarge(f"git {self._name} wrote a line of more than {LINE_BYTES_MAX:,} bytes")
            if lines:
                yield lines
        if rest:
            yield [rest]

    async def write(self, data: bytes) -> None:
        """Write all of ``data`` to standard input; BrokenPipeError if the child no longer reads."""
        assert self._process.stdin is not None, "spawn with stdin=StdinPipe.PIPE to write"
        descriptor = self._process.stdin.fileno()
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(descriptor, view) :]
            except BlockingIOError:
                await writable(descriptor)

    def close_stdin(self) -> None:
        """End standard input."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()

    async def wait(self) -> int:
        """Close standard input, wait for the end and return the exit code (negative: the signal that ended it).

        Read standard output to its end first: a child whose pipe is full does not end.
        """
        self.close_stdin()
        await self.ended()
        self._drain_stderr()
        return self._process.wait()

    async def ended(self) -> None:
        """Return when the process has ended, with its standard input left as it is."""
        if self._process.poll() is None:
            await readable(self._pidfd)

    async def finish(self) -> None:
        """Return when the child ended well; GitFailed otherwise."""
        exit_code = await self.wait()
        if exit_code != 0:
            raise GitFailed(self._name, exit_code, self.stderr)

    async def end(self) -> None:
        """Leave nothing behind: the process group is killed unless it ended well, the child reaped, pipes closed."""
        if self._process.poll() != 0:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        try:
            await self._reap()
        finally:
            self._close()

    async def _reap(self) -> None:
        cancelled: asyncio.CancelledError | None = None
        while self._process.poll() is None:
            try:
                await readable(self._pidfd)
            except asyncio.CancelledError as error:  # it was killed and is about to end: no zombie for a second cancel
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def _drain_stderr(self) -> None:
        with suppress(BlockingIOError):
            while self._stderr_open:
                data = os.read(self._stderr_fd, READ_BYTES)
                if not data:
                    self._stop_stderr()
                self._stderr_tail += data
                if len(self._stderr_tail) > 2 * STDERR_BYTES_KEPT:
                    del self._stderr_tail[:-STDERR_BYTES_KEPT]

    def _stop_stderr(self) -> None:
        if self._stderr_open:
            asyncio.get_running_loop().remove_reader(self._stderr_fd)
            self._stderr_open = False

    def _close(self) -> None:
        self._stop_stderr()
        os.close(self._pidfd)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


class GitRunner:
    """Runs git children, at most ``max_children`` at a time; the rest waits up to ``queue_seconds``.

    Who gets a place is for ``places`` to say: children whose length a client decides (it feeds or empties them at its
    own pace) get half of them and those that pack answers ``max_packing``, so however many stalled clients and large
    clones there are, pages still find one, and no caller (``on_behalf_of``) gets all.

    ``home`` is an empty folder of Cairn's own. Hold no child while you start another one in the same request, unless
    both are short: the places are shared.
    """

    def __init__(
        self,
        *,
        home: Path,
        git_binary: str = "git",
        max_children: int = 16,
        max_packing: int = 4,
        deadline_seconds: float = 3600,
        queue_seconds: float = 30,
        max_waiting: int = 1000,
        limits: GitLimits | None = None,
    ) -> None:
        found = shutil.which(git_binary)
        if found is None:
            raise Unavailable(f"there is no program {git_binary!r}; install git 2.39 or later")
        home.mkdir(parents=True, exist_ok=True)
        self._binary = found
        self._home = home.absolute()
        self._places = Places(max_children, packing=max_packing, queue_seconds=queue_seconds, max_waiting=max_waiting)
        self._running = 0
        self._deadline_seconds = deadline_seconds
        self._limits = limits or GitLimits()
        self._environment = base_environment(self._binary, self._home)
        self._cores = len(os.sched_getaffinity(0))

    @property
    def running(self) -> int:
        """Children that run now."""
        return self._running

    @property
    def threads(self) -> int:
        """Threads that a child started now may work with: what the others leave of the cores (decision 0012)."""
        return max(1, min(THREADS_MAX, self._cores // (self._running + 1)))

    @property
    def waiting(self) -> int:
        """Requests that wait for a place."""
        return self._places.waiting

    def require_room(self) -> None:
        """Return unless whoever comes now would wait for a place in vain. Errors: GitBusy."""
        if self._places.is_overloaded:
            raise GitBusy(
                "this node is busy with other git operations; try again in a moment",
                retry_after_seconds=BUSY_RETRY_SECONDS,
            )

    async def run(
        self,
        command: GitCommand,
        *,
        git_dir: Path | None = None,
        alternates: Sequence[Path] = (),
        stdin: bytes = b"",
        max_output_bytes: int = 16 * MIB,
        deadline_seconds: float | None = None,
        limits: GitLimits | None = None,
    ) -> bytes:
        """Run ``command`` to its end and return its output; GitFailed unless it exits with 0."""
        finished = await self.complete(
            command,
            git_dir=git_dir,
            alternates=alternates,
            stdin=stdin,
            max_output_bytes=max_output_bytes,
            deadline_seconds=deadline_seconds,
            limits=limits,
        )
        return finished.stdout

    async def complete(
        self,
        command: GitCommand,
        *,
        git_dir: Path | None = None,
        alternates: Sequence[Path] = (),
        stdin: bytes = b"",
        max_output_bytes: int = 16 * MIB,
        deadline_seconds: float | None = None,
        limits: GitLimits | None = None,
        accept: Collection[int] = (0,),
    ) -> Finished:
        """Run ``command`` to its end; GitFailed if the exit code is not in ``accept``.

        Errors: GitTimedOut, GitBusy, GitOutputTooLarge.
        """
        async with self.spawn(
            command,
            git_dir=git_dir,
            alternates=alternates,
            stdin=stdin,
            deadline_seconds=deadline_seconds,
            limits=limits,
        ) as child:
            output = bytearray()
            async for chunk in child.chunks():
                output += chunk
                if len(output) > max_output_bytes:
                    raise GitOutputTooLarge(f"git {command.name} wrote more than {max_output_bytes:,} bytes")
            exit_code = await child.wait()
            if exit_code not in accept:
                raise GitFailed(command.name, exit_code, child.stderr)
            return Finished(exit_code, bytes(output), child.stderr)

    @asynccontextmanager
    async def spawn(
        self,
        command: GitCommand,
        *,
        git_dir: Path | None = None,
        alternates: Sequence[Path] = (),
        object_directory: Path | None = None,
        protocol_version: int | None = None,
        stdin: bytes | StdinPipe = b"",
        deadline_seconds: float | None = None,
        limits: GitLimits | None = None,
        kind: Kind = Kind.SHORT,
        config: Sequence[tuple[str, str]] = (),
    ) -> AsyncIterator[GitChild]:
        """Start ``command``; when the block is left, however, the whole process group is gone and reaped.

        ``stdin`` as bytes is handed over at once (no pump needed, whatever its size). The deadline covers the block.
        ``kind`` says what the child costs: see the class. ``config`` are settings of git's for this child alone.
        Errors: GitTimedOut, GitBusy. The exit code is the caller's to check (``finish``).
        """
        environment = self._environment | repository_environment(
            git_dir, alternates, object_directory, protocol_version
        )
        if config:
            environment = configured(environment, config)
        seconds = self._deadline_seconds if deadline_seconds is None else deadline_seconds
        async with self._places.hold(kind):
            self._running += 1
            try:
                child = self._start(command, environment, stdin, limits or self._limits)
                try:
                    async with asyncio.timeout(seconds) as deadline:
                        yield child
                except TimeoutError:
                    if deadline.expired():
                        raise GitTimedOut(f"git {command.name} took longer than {seconds:g} s") from None
                    raise
                finally:
                    await child.end()
            finally:
                self._running -= 1

    def _start(
        self, command: GitCommand, environment: Mapping[bytes, bytes], stdin: bytes | StdinPipe, limits: GitLimits
    ) -> GitChild:
        source = _stdin_source(stdin)
        try:
            process = subprocess.Popen(
                [os.fsencode(self._binary), *command.arguments()],
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._home,
                env=environment,
                bufsize=0,
                start_new_session=True,
            )
        finally:
            if source >= 0:
                os.close(source)
        try:
            # Right after the start, not before: a function between fork and exec would forbid vfork. The first
            # microseconds of git, before it has read a byte of input, run without the limits.
            _limit(process.pid, limits)
            return GitChild(command.name, process)
        except BaseException:
            process.kill()
            process.communicate()
            raise


def _stdin_source(stdin: bytes | StdinPipe) -> int:
    """Return what Popen takes as stdin; a number of at least 0 is a descriptor the caller closes."""
    if stdin is StdinPipe.PIPE:
        return subprocess.PIPE
    assert isinstance(stdin, bytes)
    if not stdin:
        return subprocess.DEVNULL
    descriptor = os.memfd_create("git-stdin")
    view = memoryview(stdin)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _limit(pid: int, limits: GitLimits) -> None:
    wanted = {
        resource.RLIMIT_CPU: limits.cpu_seconds,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        # Not RLIMIT_AS: git maps whole packs, and those mappings cost nothing.
        resource.RLIMIT_DATA: limits.memory_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CORE: 0,
    }
    with suppress(ProcessLookupError):
        for kind, value in wanted.items():
            _, hard = resource.getrlimit(kind)
            ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.prlimit(pid, kind, (ceiling, ceiling))
            if kind == resource.RLIMIT_CPU and limits.first_cpu_seconds is not None:
                resource.prlimit(pid, kind, (min(limits.first_cpu_seconds, ceiling), ceiling))
