"""The operator's own hooks: executables in one folder outside every repository, run at each push.

``pre-receive``, ``update`` and ``post-receive`` get git's arguments, standard input and environment (githooks(5)), with
the pushed objects readable in their quarantine. The folder may hold a file of that name, or a folder ``NAME.d`` of
files that run in the order of their names. Nothing that a request brings ever becomes a path or a program here; users
have no hooks. Refs are rows, so a hook judges and tells; what it writes into the git directory is thrown away.
"""

import asyncio
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from cairn.base.errors import Misconfigured
from cairn.base.log import get_logger
from cairn.base.processes import end_process, start_process
from cairn.base.settings import KIB, Settings
from cairn.git.child_environment import repository_environment
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import RefName

PRE_RECEIVE = "pre-receive"
UPDATE = "update"
POST_RECEIVE = "post-receive"
HOOKS = (PRE_RECEIVE, UPDATE, POST_RECEIVE)
OUTPUT_BYTES_MAX = 64 * KIB
"""Output of all hooks of one push that the client is shown; the rest is read and dropped."""

AT_ONCE = 8
"""Hooks of one program that run at the same time; the others wait."""

_READ_BYTES = 16 * KIB
_PATH = "/usr/local/bin:/usr/bin:/bin"
_log = get_logger(__name__)

Say = Callable[[bytes], None]
"""Takes what a hook writes, piece by piece, for the client's terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCall:
    """What the hooks of one push are told: where its objects and refs are, and ``variables`` of whoever pushes."""

    git_dir: Path
    object_directory: Path
    alternates: tuple[Path, ...]
    options: tuple[bytes, ...]
    variables: Mapping[str, str]
    is_quarantined: bool
    say: Say


@dataclass(slots=True)
class OperatorHooks:
    """Runs the hooks of one folder; ``folder`` None runs nothing. ``seconds`` is the time limit of each."""

    folder: Path | None
    home: Path
    seconds: int
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    @property
    def judge(self) -> bool:
        """True if there is a hook that may refuse a push."""
        return bool(self._programs(PRE_RECEIVE) or self._programs(UPDATE))

    @property
    def listen(self) -> bool:
        """True if there is a hook that wants to hear of pushes."""
        return bool(self._programs(POST_RECEIVE))

    async def refusals(self, updates: Sequence[RefUpdate], call: HookCall) -> dict[RefName, str]:
        """Return what the hooks refuse, a reason for each ref: ``pre-receive`` all or none, ``update`` one by one."""
        if any(b"\0" in option for option in call.options):
            return {update.name: "a push option with a NUL byte cannot be given to hooks" for update in updates}
        environment = _environment(self.home, call)
        budget = _Budget(call.say)
        lines = _lines(updates)
        for program in self._programs(PRE_RECEIVE):
            reason = await self._run(program, [], lines, environment, budget)
            if reason:
                return {update.name: f"{PRE_RECEIVE} hook {reason}" for update in updates}
        refused: dict[RefName, str] = {}
        for update in updates:
            arguments = [update.name, update.old.encode("ascii"), update.new.encode("ascii")]
            for program in self._programs(UPDATE):
                reason = await self._run(program, arguments, b"", environment, budget)
                if reason:
                    refused[update.name] = f"hook {reason}"
                    break
        return refused

    async def tell(self, moved: Sequence[RefUpdate], call: HookCall) -> None:
        """Run ``post-receive`` for refs that moved; its exit code changes nothing any more."""
        budget = _Budget(call.say)
        for program in self._programs(POST_RECEIVE):
            await self._run(program, [], _lines(moved), _environment(self.home, call), budget)

    def _programs(self, hook: str) -> list[Path]:
        """Return the executables of a hook, as they are on disk now."""
        if self.folder is None:
            return []
        found = [self.folder / hook]
        several = self.folder / f"{hook}.d"
        if several.is_dir():
            found += sorted(several.iterdir())
        return [path for path in found if path.is_file() and os.access(path, os.X_OK)]

    async def _run(
        self,
        program: Path,
        arguments: Sequence[bytes],
        stdin: bytes,
        environment: Mapping[bytes, bytes],
        out: "_Budget",
    ) -> str:
        """Run one program to its end; return why it refuses, empty if it does not."""
        async with self._places:
            with _as_file(stdin) as given:
                return await self._run_with(given, program, arguments, environment, out)

    async def _run_with(
        self,
        stdin: BinaryIO,
        program: Path,
        arguments: Sequence[bytes],
        environment: Mapping[bytes, bytes],
        out: "_Budget",
    ) -> str:
        try:
            process = await start_process(
                program,
                *arguments,
                stdin=stdin,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                cwd=environment[b"GIT_DIR"],
                env=environment,
            )
        except OSError as error:
            _log.error("hook_not_started", hook=program.name, error=error.strerror)
            return "could not be started; the operator has been told"
        try:
            async with asyncio.timeout(self.seconds):
                await _relay(process, out)
                code = await process.wait()
        except TimeoutError:
            _log.warning("hook_too_slow", hook=program.name, seconds=self.seconds)
            return f"took longer than {self.seconds} s and was stopped"
        finally:
            await end_process(process)
        if code:
            _log.info("hook_declined", hook=program.name, exit_code=code)
            return "declined"
        return ""


class _Budget:
    """Passes output on until the client has had enough."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._left = OUTPUT_BYTES_MAX

    def write(self, data: bytes) -> None:
        kept = data[: self._left]
        self._left -= len(kept)
        if kept:
            self._say(kept)


def open_hooks(settings: Settings, *, home: Path) -> OperatorHooks:
    """Return the hooks of ``CAIRN_HOOKS_DIR``; none without it.

    Errors: Misconfigured where the folder is missing, or where somebody else could put a program into it.
    """
    folder = settings.hooks_dir if settings.hooks_dir != Path() else None
    if folder is not None:
        _require_safe(folder)
    return OperatorHooks(folder, home, settings.hook_seconds)


def _require_safe(folder: Path) -> None:
    if not folder.is_absolute() or not folder.is_dir():
        raise Misconfigured(f"CAIRN_HOOKS_DIR={str(folder)!r}: wants an absolute path of a folder")
    several = [folder / f"{hook}.d" for hook in HOOKS]
    for path in [folder, *folder.iterdir(), *(found for one in several if one.is_dir() for found in one.iterdir())]:
        found = path.stat()
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or found.st_uid not in {0, os.geteuid()}:
            raise Misconfigured(
                f"CAIRN_HOOKS_DIR: {str(path)!r} can be changed by others; "
                "it must belong to root or to Cairn's own account, and be writable for the owner only"
            )


def _lines(updates: Sequence[RefUpdate]) -> bytes:
    return b"".join(
        b"%b %b %b\n" % (update.old.encode("ascii"), update.new.encode("ascii"), update.name) for update in updates
    )


def _environment(home: Path, call: HookCall) -> dict[bytes, bytes]:
    """Return a hook's whole environment: nothing of this process, git's variables, and those of whoever pushes."""
    named = {"PATH": _PATH, "HOME": str(home), "LC_ALL": "C.UTF-8", **call.variables}
    named["GIT_PUSH_OPTION_COUNT"] = str(len(call.options))
    environment = {os.fsencode(key): os.fsencode(value) for key, value in named.items()}
    for index, option in enumerate(call.options):
        environment[b"GIT_PUSH_OPTION_%d" % index] = option
    if call.is_quarantined:
        environment[b"GIT_QUARANTINE_PATH"] = os.fsencode(call.object_directory.absolute())
    return environment | repository_environment(call.git_dir, call.alternates, call.object_directory, None)


@contextmanager
def _as_file(data: bytes) -> Iterator[BinaryIO]:
    """Give a file in memory that holds ``data``: a hook need not read it, and nobody has to feed it."""
    with open(os.memfd_create("stdin"), "wb+") as file:  # noqa: PTH123 (a descriptor)
        file.write(data)
        file.seek(0)
        yield file


async def _relay(process: asyncio.subprocess.Process, out: _Budget) -> None:
    assert process.stdout is not None
    while data := await process.stdout.read(_READ_BYTES):
        out.write(data)
