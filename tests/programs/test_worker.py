"""``cairnd migrate`` and ``cairnd worker`` as an operator runs them: real processes, stopped by signals."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.services.ports import eventually

from cairn.db.database import open_database
from cairn.jobs.models import Job, JobState


def _environ(url: str, folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
    return kept | {
        "CAIRN_DATABASE_URL": url,
        "CAIRN_DATA_DIR": str(folder / "data"),
        "CAIRN_DRAIN_SECONDS": "5",
        "CAIRN_SECRET_KEY": "k" * 40,
        "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src"),
    }


def _run(name: str, url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cairn.programs.cairnd", name],
        env=_environ(url, folder), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@contextmanager
def _running(name: str, url: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "cairn.programs.cairnd", name],
        env=_environ(url, folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    lines: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=lines.extend, args=(process.stderr,))
    reader.start()
    try:
        yield process, lines
    finally:
        process.kill()
        process.wait()
        reader.join()


@pytest.mark.parametrize("name", ["migrate", "worker"])
def test_help_says_what_it_does_and_starts_nothing(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cairn.programs.cairnd", name, "--help"],
        env=_environ("", tmp_path), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(f"Usage: cairnd {name}")
    assert not (tmp_path / "data").exists()


def test_the_worker_refuses_an_old_schema_and_names_the_remedy(empty_database_url: str, tmp_path: Path) -> None:
    done = _run("worker", empty_database_url, tmp_path)
    assert done.returncode == 2
    assert "run `cairnd migrate` first" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_worker_says_that_the_database_is_away(tmp_path: Path) -> None:
    done = _run("worker", "postgresql://u:secret-word@127.0.0.1:1/n", tmp_path)
    assert done.returncode == 1
    assert "The database does not answer" in done.stderr
    assert "secret-word" not in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_worker_does_jobs_and_stops_when_told(database_url: str, tmp_path: Path) -> None:
    database = open_database(database_url, pool_size=1)

    async def schedules_ran() -> bool:
        async with database.read() as session:
            done = set(await session.scalars(select(Job.kind).where(Job.state == JobState.DONE)))
        return done >= {"schedule:jobs.retention", "schedule:events.retention"}

    try:
        with _running("worker", database_url, tmp_path) as (process, lines):
            await eventually(schedules_ran, within_seconds=30, what="both retention jobs ran")
            rss_kib = int(Path(f"/proc/{process.pid}/status").read_text().split("VmRSS:")[1].split()[0])
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
    finally:
        await database.close()
    assert any("worker_stopped" in line for line in lines), lines
    assert not any("Traceback" in line for line in lines), lines
    assert rss_kib < 10 * 60 * 1024
    print(f"idle worker: {rss_kib // 1024} MiB")
