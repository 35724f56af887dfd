import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cairn.git.fail_points import FailPointError, FailPointSpecInvalid, Step, configure, fail_point


@pytest.fixture(autouse=True)
def _inert_afterwards() -> Iterator[None]:
    yield
    configure(())


async def test_fail_points_are_inert_without_a_plan() -> None:
    for step in Step:
        await fail_point(step)


async def test_error_strikes_at_the_named_step_and_passing_only() -> None:
    configure(["after_pack=error@2"])
    await fail_point(Step.AFTER_PACK)
    await fail_point(Step.BEFORE_COMMIT)
    with pytest.raises(FailPointError, match="after_pack"):
        await fail_point(Step.AFTER_PACK)
    await fail_point(Step.AFTER_PACK)


async def test_two_plans_of_one_step_count_the_same_passings() -> None:
    configure(["after_pack=error@1", "after_pack=error@2"])
    for _ in range(2):
        with pytest.raises(FailPointError):
            await fail_point(Step.AFTER_PACK)
    await fail_point(Step.AFTER_PACK)


@pytest.mark.parametrize(
    "spec", ["", "after_pack", "after_pack=", "after_pack=explode", "no_step=kill", "after_pack=kill@0"]
)
def test_a_wrong_specification_is_named_and_changes_nothing(spec: str) -> None:
    with pytest.raises(FailPointSpecInvalid) as caught:
        configure(["before_commit=error", spec])
    assert repr(spec) in caught.value.message


CHILD = """
import asyncio
from cairn.git.fail_points import Step, configure, fail_point
configure(["BEFORE_COMMIT={effect}"])
asyncio.run(fail_point(Step.BEFORE_COMMIT))
print("went on")
"""


def test_kill_is_a_sigkill() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD.format(effect="kill")], check=False, capture_output=True)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")


def test_pause_stops_until_continued() -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD.format(effect="pause")], stdout=subprocess.PIPE) as child:
        try:
            _, status = os.waitpid(child.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            child.send_signal(signal.SIGCONT)
            assert child.communicate(timeout=20)[0] == b"went on\n"
        finally:
            child.kill()
