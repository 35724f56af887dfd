"""Every jobs and subscribers module of a feature is registered: a forgotten one would be silence."""

from pathlib import Path

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
