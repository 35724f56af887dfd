"""Every jobs and subscribers module of a feature is registered: a forgotten one would be silence."""

import subprocess
import sys
from pathlib import Path

import pytest

import cairn
from cairn.jobs.registry import registry
from cairn.programs.features import JOBS, SUBSCRIBERS, load_jobs


def test_every_module_that_registers_something_is_listed() -> None:
    root = Path(cairn.__file__).parent
    registering = {
        ".".join(["cairn", *path.relative_to(root).with_suffix("").parts])
        for path in root.rglob("*.py")
        if any(line.startswith(("@handler(", "@scheduled(", "@subscribe(")) for line in path.read_text().splitlines())
    }
    assert registering == {*JOBS, *SUBSCRIBERS}


def test_the_worker_knows_every_retention_job() -> None:
    load_jobs()
    assert {"schedule:jobs.retention", "schedule:events.retention"} <= set(registry.kinds)


@pytest.mark.parametrize("program", ["ssh", "worker"])
def test_a_program_without_pages_carries_no_web_framework(program: str) -> None:
    """Each program holds its libraries alone: what it does not use is memory for nothing."""
    code = (
        "import sys\n"
        f"import cairn.programs.{program}\n"
        "from cairn.programs.features import load_jobs\n"
        "load_jobs()\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules} & {'litestar', 'granian'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
