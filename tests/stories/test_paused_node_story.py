"""A node is stopped in the midst of a push's transaction, another takes over, the first wakes up (F13)."""

import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.services.ports import wait_until
from tests.services.postgresql import PostgresqlServer
from tests.stories.installation import commit_file, git, installation, start_git, working_copy
from tests.stories.pushers import found, heads_of

TAKEN_OVER_SECONDS = 120
"""The database ends an idle transaction after 30 s; the rest is for a loaded machine."""


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_node_that_wakes_up_inside_its_transaction_changes_nothing(
    tmp_path: Path, postgresql_server: PostgresqlServer
) -> None:
    """Its row locks go by the database's own time limit, the other node's push lands, its own is refused."""
    settings = {
        "CAIRN_DATABASE_URL": postgresql_server.url(postgresql_server.create_database()),
        "CAIRN_STORAGE_URL": f"file://{tmp_path / 'bucket'}",
        "CAIRN_SECRET_KEY": "s" * 32,
    }
    with ExitStack() as stack:
        sleepy, awake = (
            stack.enter_context(installation(tmp_path / name, settings | extra, program="web"))
            for name, extra in (("a", {"CAIRN_FAIL_POINTS": "before_commit=pause"}), ("b", {}))
        )
        token = found(awake, 1)
        urls = [node.url("ada/r0", user="ada", secret=token) for node in (sleepy, awake)]
        work = working_copy(tmp_path / "work")
        git("push", "-q", urls[1], "main", cwd=work)
        other = tmp_path / "other"
        git("clone", "-q", urls[1], other)
        commit_file(work, "a.txt", "of the node that sleeps")
        commit_file(other, "b.txt", "of the node that is awake")
        winner = git("rev-parse", "HEAD", cwd=other).strip()

        pushing = start_git("push", urls[0], "main", cwd=work)
        pid = sleepy.process.pid
        try:
            wait_until(lambda: _is_stopped(pid), within_seconds=60, what="the node stops before its COMMIT")

            def lands() -> bool:
                running = start_git("push", "-q", urls[1], "main", cwd=other)
                running.communicate(timeout=120)
                return running.returncode == 0

            wait_until(lands, within_seconds=TAKEN_OVER_SECONDS, what="the other node's push lands")
        finally:
            os.kill(pid, signal.SIGCONT)
        printed = pushing.communicate(timeout=120)[0].decode()
        assert pushing.returncode != 0, printed
        for number, url in enumerate(urls):
            assert heads_of(url, tmp_path / f"mirror-{number}")["main"] == winner
        git("fetch", "-q", urls[0], "main", cwd=work)
        git("rebase", "-q", "FETCH_HEAD", cwd=work)
        git("push", "-q", urls[0], "main", cwd=work)
