"""Metrics: what was observed is shown, for all programs of the node together."""

import os
import subprocess
import sys
from pathlib import Path

from cairn.git.engine import Engine
from cairn.ops.metrics import Metrics
from cairn.ops.metrics_folder import FOLDER, drop_dead
from cairn.ops.queries import JobCounts

pytest_plugins = ["tests.factories.engines"]

WRITER = """
import sys
from pathlib import Path
from cairn.ops.metrics_folder import share_metrics
share_metrics(Path(sys.argv[1]))
from cairn.ops.metrics import Metrics
metrics = Metrics(program=sys.argv[2])
for _ in range(int(sys.argv[3])):
    metrics.git_finished(door="ssh", verb="git-upload-pack", step="transfer", result="ok", seconds=0.1, bytes_in=3,
                         bytes_out=1000)
if sys.argv[4:]:
    print(metrics.render().decode())
"""


def test_requests_and_operations_are_counted() -> None:
    metrics = Metrics(program="web")
    for status in (200, 200, 404):
        metrics.request_finished(method="GET", route="/{owner}", status=status, seconds=0.01)
    metrics.request_finished(method="INVENTED", route="/{owner}", status=405, seconds=0.01)
    metrics.git_finished(
        door="http", verb="git-receive-pack", step="transfer", result="refused", seconds=3, bytes_in=10, bytes_out=0
    )
    for outcome in ("over_quota", "received", "received"):
        metrics.large_object_seen(outcome)
    metrics.set_jobs(JobCounts({"waiting": 4, "running": 1, "dead": 2}, 12.5))
    page = metrics.render().decode()
    assert 'cairn_http_requests_total{method="GET",route="/{owner}",status="200"} 2.0' in page
    assert 'cairn_http_requests_total{method="other",route="/{owner}",status="405"} 1.0' in page
    operation = 'door="http",result="refused",step="transfer",verb="git-receive-pack"'
    assert f"cairn_git_operations_total{{{operation}}} 1.0" in page
    assert 'cairn_git_bytes_total{direction="in",door="http",verb="git-receive-pack"} 10.0' in page
    assert 'cairn_lfs_objects_total{outcome="over_quota"} 1.0' in page
    assert 'cairn_lfs_objects_total{outcome="received"} 2.0' in page
    assert 'cairn_jobs{state="dead"} 2.0' in page
    assert "cairn_job_oldest_due_seconds 12.5" in page


def test_a_flood_of_invented_methods_makes_no_new_series() -> None:
    """Attack: fill the node's memory by methods that nobody knows."""
    metrics = Metrics(program="web")
    for number in range(1000):
        metrics.request_finished(method=f"M{number}", route="(none)", status=405, seconds=0)
    assert metrics.render().decode().count("cairn_http_requests_total{") == 1


async def test_a_sample_takes_over_what_others_count(engine: Engine) -> None:
    metrics = Metrics(program="web")
    engine.answers.counts["memory"] += 5
    metrics.sample(engine)
    engine.answers.counts["memory"] += 2
    metrics.sample(engine)
    page = metrics.render().decode()
    assert 'cairn_fetch_answers_total{source="memory"} 7.0' in page
    assert 'cairn_git_children{state="running"} 0.0' in page
    assert 'cairn_storage_breaker_open{program="web"} 0.0' in page
    assert 'cairn_process_resident_bytes{program="web"}' in page


def test_the_programs_of_a_node_are_shown_together(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER + "sys.stdin.read()", str(tmp_path), "ssh", "2"],
                              stdin=subprocess.PIPE)  # fmt: skip
    try:
        reader = [sys.executable, "-c", "import time\n" + WRITER, str(tmp_path), "web", "3", "show"]
        wanted = 'cairn_git_operations_total{door="ssh",result="ok",step="transfer",verb="git-upload-pack"} '
        for _ in range(50):
            page = subprocess.run(reader, capture_output=True, text=True, check=True, timeout=60).stdout
            found = next(line for line in page.splitlines() if line.startswith(wanted))
            # The reader's own three, and the writer's two once it has started; earlier readers are dead and dropped.
            if found == wanted + "5.0":
                break
        assert found == wanted + "5.0"
    finally:
        assert writer.stdin is not None
        writer.stdin.close()
        writer.wait(10)


def test_the_numbers_of_dead_programs_are_dropped(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    dead = subprocess.Popen(["true"])
    dead.wait()
    for name in (f"counter_{dead.pid}.db", f"gauge_livesum_{dead.pid}.db", f"counter_{os.getpid()}.db"):
        (folder / name).touch()
    drop_dead(folder, live_gauges_only=True)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [f"counter_{dead.pid}.db", f"counter_{os.getpid()}.db"]
    )
    drop_dead(folder)
    assert [path.name for path in folder.iterdir()] == [f"counter_{os.getpid()}.db"]
