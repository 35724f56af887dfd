"""``cairnd migrate`` as an operator runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cairn.db.migrate import head


def _environ(url: str, folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
    return kept | {
        "CAIRN_DATABASE_URL": url,
        "CAIRN_DATA_DIR": str(folder / "data"),
        "CAIRN_DRAIN_SECONDS": "5",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src"),
    }


def _run(name: str, url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cairn.programs.cairnd", name],
        env=_environ(url, folder), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_migrate_brings_an_empty_database_up_and_prints_the_first_administrator_s_link(
    empty_database_url: str, tmp_path: Path
) -> None:
    first = _run("migrate", empty_database_url, tmp_path)
    assert (first.returncode, f"schema version {head():04}, was 0000" in first.stdout) == (0, True), first.stderr
    assert "/-/setup/" in first.stdout
    again = _run("migrate", empty_database_url, tmp_path)
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, f"schema version {head():04}")


def test_migrate_refuses_a_server_that_may_lose_the_database(tmp_path: Path) -> None:
    from tests.services.postgresql import postgresql_server
    from tests.services.processes import ServiceMissing

    try:
        with postgresql_server(fsync=False) as server:
            done = _run("migrate", server.url(server.create_database()), tmp_path)
    except ServiceMissing as missing:
        pytest.skip(str(missing))
    assert done.returncode == 2
    assert "Write `fsync = on` in postgresql.conf" in done.stderr


def test_a_data_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    refused = _run("migrate", f"sqlite:///{tmp_path}/file/below/cairn.db", tmp_path)
    assert refused.returncode == 2
    assert "file/below' cannot be made" in refused.stderr
    assert "Traceback" not in refused.stderr
