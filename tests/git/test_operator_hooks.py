"""The operator's hooks: what they are given, what they can refuse, and that nothing of theirs gets out of hand."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from tests.services.ports import eventually

from cairn.base.errors import Misconfigured
from cairn.base.settings import Settings
from cairn.git.operator_hooks import OUTPUT_BYTES_MAX, HookCall, OperatorHooks, open_hooks
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID, Oid

NEW = Oid("1" * 40)
MAIN = RefUpdate(b"refs/heads/main", ZERO_OID, NEW)
DEV = RefUpdate(b"refs/heads/dev", ZERO_OID, NEW)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "hooks"
    made.mkdir(mode=0o755)
    return made


def script(path: Path, body: str) -> None:
    path.parent.mkdir(exist_ok=True, mode=0o755)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def hooks_in(folder: Path, *, seconds: int = 20) -> OperatorHooks:
    return open_hooks(Settings(hooks_dir=folder, hook_seconds=seconds), home=folder)


class Terminal:
    """What the client would see, and the call that the hooks are given."""

    def __init__(
        self, tmp_path: Path, options: Sequence[bytes] = (), variables: Mapping[str, str] | None = None
    ) -> None:
        self.shown = b""
        git_dir = tmp_path / "git"
        git_dir.mkdir(exist_ok=True)
        self.call = HookCall(
            git_dir=git_dir,
            object_directory=tmp_path / "objects",
            alternates=(tmp_path / "view",),
            options=tuple(options),
            variables=variables or {},
            is_quarantined=True,
            say=self._say,
        )

    def _say(self, data: bytes) -> None:
        self.shown += data


async def test_a_hook_gets_gits_arguments_input_and_environment_and_nothing_of_this_process(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAIRN_SECRET_KEY", "a secret of this process")
    script(folder / "pre-receive", "cat; env; pwd")
    script(folder / "update", 'echo "update: $@"')
    terminal = Terminal(tmp_path, [b"ci.skip", b"a=\xff"], {"CAIRN_ACTOR": "ada"})
    assert await hooks_in(folder).refusals([MAIN, DEV], terminal.call) == {}
    lines = terminal.shown.split(b"\n")
    for wanted in (
        b"%s %s refs/heads/main" % (ZERO_OID.encode(), NEW.encode()),
        b"GIT_PUSH_OPTION_COUNT=2",
        b"GIT_PUSH_OPTION_0=ci.skip",
        b"GIT_PUSH_OPTION_1=a=\xff",
        b"CAIRN_ACTOR=ada",
        b"GIT_DIR=" + os.fsencode(tmp_path / "git"),
        b"GIT_OBJECT_DIRECTORY=" + os.fsencode(tmp_path / "objects"),
        b"GIT_QUARANTINE_PATH=" + os.fsencode(tmp_path / "objects"),
        b"GIT_ALTERNATE_OBJECT_DIRECTORIES=" + os.fsencode(tmp_path / "view"),
        os.fsencode(tmp_path / "git"),
        b"update: refs/heads/dev %s %s" % (ZERO_OID.encode(), NEW.encode()),
    ):
        assert wanted in lines
    assert b"a secret of this process" not in terminal.shown


async def test_pre_receive_refuses_all_and_update_one(folder: Path, tmp_path: Path) -> None:
    script(folder / "update", 'test "$1" != refs/heads/dev')
    assert await hooks_in(folder).refusals([MAIN, DEV], Terminal(tmp_path).call) == {DEV.name: "hook declined"}
    script(folder / "pre-receive", "echo no; exit 3")
    terminal = Terminal(tmp_path)
    declined = "pre-receive hook declined"
    assert await hooks_in(folder).refusals([MAIN, DEV], terminal.call) == {MAIN.name: declined, DEV.name: declined}
    assert terminal.shown == b"no\n"


async def test_several_hooks_run_in_the_order_of_their_names_until_one_refuses(folder: Path, tmp_path: Path) -> None:
    script(folder / "pre-receive", "echo file")
    script(folder / "pre-receive.d" / "20", "echo two; exit 1")
    script(folder / "pre-receive.d" / "10", "echo one")
    script(folder / "pre-receive.d" / "30", "echo three")
    (folder / "pre-receive.d" / "15-notes.txt").write_text("not executable, so no hook")
    terminal = Terminal(tmp_path)
    assert await hooks_in(folder).refusals([MAIN], terminal.call)
    assert terminal.shown == b"file\none\ntwo\n"


async def test_a_hook_beyond_its_time_is_killed_with_everything_it_started(folder: Path, tmp_path: Path) -> None:
    script(folder / "pre-receive", f"sleep 600 & echo $! > {tmp_path}/child; sleep 600")
    verdict = await hooks_in(folder, seconds=1).refusals([MAIN], Terminal(tmp_path).call)
    assert verdict == {MAIN.name: "pre-receive hook took longer than 1 s and was stopped"}
    child = int((tmp_path / "child").read_text())

    async def is_gone() -> bool:
        try:
            return "Z" in Path(f"/proc/{child}/stat").read_text().rpartition(")")[2]
        except FileNotFoundError:
            return True

    await eventually(is_gone, within_seconds=10, what="the hook's own child is gone")


async def test_a_push_waits_no_longer_for_a_daemon_that_keeps_the_hooks_output(folder: Path, tmp_path: Path) -> None:
    """A session of its own is out of a hook's reach; its place among the eight would be lost for as long as it runs."""
    pid = tmp_path / "daemon"
    script(folder / "pre-receive", f"setsid sleep 600 & echo $! > {pid}")
    try:
        async with asyncio.timeout(60):
            verdict = await hooks_in(folder, seconds=1).refusals([MAIN], Terminal(tmp_path).call)
        assert verdict == {MAIN.name: "pre-receive hook took longer than 1 s and was stopped"}
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


async def test_endless_output_is_cut_and_input_need_not_be_read(folder: Path, tmp_path: Path) -> None:
    script(folder / "pre-receive", "head -c 3000000 /dev/zero; exit 0")
    many = [RefUpdate(b"refs/heads/%d" % n, ZERO_OID, NEW) for n in range(5000)]
    terminal = Terminal(tmp_path)
    assert await hooks_in(folder).refusals(many, terminal.call) == {}
    assert len(terminal.shown) == OUTPUT_BYTES_MAX


async def test_a_broken_hook_refuses_and_says_so(folder: Path, tmp_path: Path) -> None:
    (folder / "pre-receive").write_text("#!/no/such/interpreter\n")
    (folder / "pre-receive").chmod(0o755)
    verdict = await hooks_in(folder).refusals([MAIN], Terminal(tmp_path).call)
    assert verdict == {MAIN.name: "pre-receive hook could not be started; the operator has been told"}


async def test_an_option_that_no_variable_can_hold_is_refused(folder: Path, tmp_path: Path) -> None:
    script(folder / "pre-receive", "exit 0")
    verdict = await hooks_in(folder).refusals([MAIN], Terminal(tmp_path, [b"a\0b"]).call)
    assert "NUL" in verdict[MAIN.name]


async def test_post_receive_hears_of_what_moved_and_changes_nothing(folder: Path, tmp_path: Path) -> None:
    script(folder / "post-receive", "cat; exit 9")
    terminal = Terminal(tmp_path)
    await hooks_in(folder).tell([MAIN], terminal.call)
    assert terminal.shown.endswith(b" refs/heads/main\n")


async def test_a_cancelled_push_ends_its_hook(folder: Path, tmp_path: Path) -> None:
    script(folder / "pre-receive", f"echo $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; sleep 600")
    running = asyncio.create_task(hooks_in(folder, seconds=600).refusals([MAIN], Terminal(tmp_path).call))

    async def has_started() -> bool:
        return (tmp_path / "pid").exists()

    await eventually(has_started, within_seconds=20, what="the hook runs")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_without_a_folder_there_are_no_hooks(tmp_path: Path) -> None:
    off = open_hooks(Settings(), home=tmp_path)
    assert not off.judge
    assert not off.listen


def test_a_folder_that_others_could_write_to_stops_the_start(folder: Path, tmp_path: Path) -> None:
    script(folder / "update", "exit 0")
    assert hooks_in(folder).judge
    for path in (folder / "update", folder):
        path.chmod(0o775)
        with pytest.raises(Misconfigured, match="can be changed by others"):
            hooks_in(folder)
        path.chmod(0o755)
    with pytest.raises(Misconfigured, match="absolute"):
        hooks_in(tmp_path / "absent")
