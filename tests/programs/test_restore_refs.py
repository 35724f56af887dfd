"""``cairnd admin restore-refs`` as an operator runs it."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories.forge import Forge
from tests.factories.pushes import refs_of

from cairn.git.models import RefLog

pytest_plugins = ["tests.factories.forge"]
MAIN = b"refs/heads/main"


def _run(forge: Forge, *words: str) -> "subprocess.CompletedProcess[str]":
    settings = forge.engine.settings
    environ = {
        "CAIRN_DATA_DIR": str(settings.data_dir),
        "CAIRN_DATABASE_URL": forge.database.url.render_as_string(hide_password=False).replace("+aiosqlite", ""),
        "CAIRN_STORAGE_URL": settings.effective_storage_url,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }
    return subprocess.run(
        [sys.executable, "-m", "cairn.programs.cairnd", "admin", "restore-refs", *words],
        env=environ, capture_output=True, text=True, timeout=100, check=False, cwd=Path(settings.data_dir),
    )  # fmt: skip


async def test_a_branch_goes_back_after_a_look_at_what_would_be_done(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"a": b"1"})
    before = (await refs_of(forge.engine, repository.store_id))[MAIN]
    async with forge.database.write() as session:
        for line in await session.scalars(select(RefLog)):
            line.at -= timedelta(hours=1)
    after = await forge.commit(ada, repository, {"a": b"broken"}, "Oops")
    at = (datetime.now(UTC) - timedelta(minutes=30)).isoformat(timespec="seconds")
    looked = _run(forge, "ada/engine", "--at", at, "--ref", "main", "--dry-run")
    assert (looked.returncode, looked.stderr) == (0, "")
    assert looked.stdout == f"refs/heads/main: {after} -> {before}\n1 refs would be restored.\n"
    assert (await refs_of(forge.engine, repository.store_id))[MAIN] == after
    done = _run(forge, "ada/engine", "--at", at)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 refs restored.")
    assert (await refs_of(forge.engine, repository.store_id))[MAIN] == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("ada/engine", "--at", "yesterday"), "wants a time such as"),
        (("ada/engine", "--at", "1999-01-01"), "is out of reach"),
        (("ada/none", "--at", "2026-01-01"), "Not Found"),
    ],
)
async def test_what_is_wrong_is_one_sentence(forge: Forge, words: tuple[str, ...], told: str) -> None:
    await forge.repository(await forge.person("ada"), "engine")
    done = _run(forge, *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("cairnd admin: ")
    assert told in done.stderr
