"""D1 over the real doors: web or SSH is killed at a step of a push; the other programs show what is true."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.factories.git_repositories import StockRepository
from tests.git_compat.programs import CAIRND, LOGIN, Installation, running_installation
from tests.services.ports import accepts_connections, free_port
from tests.services.postgresql import PostgresqlServer
from tests.services.processes import ServerProcess

from cairn.git.fail_points import Step

PUSH_STEPS = [step for step in Step if step.value in {
    "before_quarantine", "after_quarantine", "after_checks", "after_upload_row", "between_pack_and_index", "after_pack",
    "before_commit", "after_commit", "after_report",
}]  # fmt: skip
COMMITTED_FROM = {Step.AFTER_COMMIT, Step.AFTER_REPORT}
KINDS = ("create", "ff", "force", "delete", "atomic")
WITHOUT_PACK = {Step.BEFORE_COMMIT, *COMMITTED_FROM}
ALL = [
    (door, step, kind)
    for door in ("web", "ssh")
    for step in PUSH_STEPS
    for kind in KINDS
    if kind != "delete" or step in WITHOUT_PACK
]
FEW = [
    ("web", Step.AFTER_PACK, "create"),
    ("ssh", Step.BEFORE_COMMIT, "atomic"),
    ("web", Step.AFTER_COMMIT, "force"),
    ("ssh", Step.AFTER_COMMIT, "delete"),
]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgresqlServer) -> Iterator[Installation]:
    """Programs that nobody kills, on PostgreSQL and a folder."""
    folder = tmp_path_factory.mktemp("healthy")
    environ = {
        "CAIRN_DATABASE_URL": postgresql_server.url(postgresql_server.create_database()),
        "CAIRN_STORAGE_URL": f"file://{folder / 'store'}",
    }
    with running_installation(folder, environ) as running:
        yield running


@contextmanager
def doomed(healthy: Installation, door: str, step: Step, folder: Path) -> Iterator[str]:
    """Run one more program that dies at ``step``; yield the start of its addresses."""
    folder.mkdir()
    port = free_port()
    variable = "CAIRN_HTTP_ADDRESS" if door == "web" else "CAIRN_SSH_ADDRESS"
    environ = {
        **healthy.environ,
        "CAIRN_CACHE_DIR": str(folder / "cache"),
        "CAIRN_FAIL_POINTS": f"{step.value}=kill",
        variable: f"127.0.0.1:{port}",
    }
    process = ServerProcess(
        [*CAIRND, door], log=folder / "log", environ=environ, is_ready=lambda: accepts_connections(port)
    )
    process.start()
    try:
        yield f"http://{LOGIN}:{healthy.token}@127.0.0.1:{port}" if door == "web" else f"ssh://git@127.0.0.1:{port}"
    finally:
        process.kill()


def prepare(client: StockRepository, kind: str) -> tuple[list[str], dict[str, str]]:
    """Return the words of a push and what it changes: ref to value, empty for gone."""
    match kind:
        case "create":
            return ["HEAD:refs/heads/new"], {"refs/heads/new": client.commit({"new": "new"})}
        case "ff":
            return ["HEAD:refs/heads/main"], {"refs/heads/main": client.commit({"ff": "ff"})}
        case "force":
            return ["--force", "HEAD:refs/heads/main"], {"refs/heads/main": client.commit({"f": "f"}, "f", "--amend")}
        case "delete":
            return [":refs/heads/side"], {"refs/heads/side": ""}
    new = client.commit({"atomic": "atomic"})
    names = [*(f"refs/heads/a{number}" for number in range(9)), "refs/heads/main"]
    return ["--atomic", *(f"HEAD:{name}" for name in names)], dict.fromkeys(names, new)


def shown(client: StockRepository, url: str) -> dict[str, str]:
    """Return the branches a remote shows."""
    lines = client.git("ls-remote", "--heads", url).decode().splitlines()
    return {name: oid for oid, _, name in (line.partition("\t") for line in lines)}


def kill_at(healthy: Installation, folder: Path, door: str, step: Step, kind: str) -> None:
    """Push through a program that dies at the step and look at the result through the others."""
    label = f"{door}-{step.value}-{kind}"
    place = folder / label
    place.mkdir()
    repository = healthy.create(f"r-{secrets.token_hex(5)}")
    url = healthy.http_url(repository.name)
    client = StockRepository(place / "client", healthy.git_environment(place / "home"))
    client.path.mkdir()
    client.git("init", "-q", "-b", "main")
    client.commit({"a": "a"})
    client.git("push", "-q", url, "HEAD:main", "HEAD:side")
    before = shown(client, url)
    words, changes = prepare(client, kind)
    options = [word for word in words if word.startswith("--")]
    refs = words[len(options) :]
    after = {name: oid for name, oid in (before | changes).items() if oid}

    with doomed(healthy, door, step, place / "doomed") as start:
        died = subprocess.run(
            ["git", "push", "--porcelain", *options, f"{start}/{LOGIN}/{repository.name}.git", *refs],
            cwd=client.path, env={**client.environment}, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
    signs = {line[0] for line in died.stdout.decode().splitlines() if "\t" in line}
    heard_ok = bool(signs) and "!" not in signs
    found = shown(client, url)
    assert found == (after if step in COMMITTED_FROM else before), (label, died.stderr)
    assert not heard_ok or found == after, (label, died.stdout)
    assert shown(client, healthy.ssh_url(repository.name)) == found, label

    if found == before:
        client.git("push", "-q", *options, url, *refs)
    StockRepository(place, client.environment).git("clone", "-q", "--mirror", url, place / "mirror")
    StockRepository(place / "mirror").git("fsck", "--strict", "--no-progress")
    assert shown(client, url) == after, label


def test_a_kill_of_a_door_leaves_old_or_new(healthy: Installation, tmp_path: Path) -> None:
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for done in [pool.submit(kill_at, healthy, tmp_path, *case) for case in FEW]:
            done.result()


@pytest.mark.nightly
def test_a_kill_of_a_door_at_any_step_of_any_push_leaves_old_or_new(healthy: Installation, tmp_path: Path) -> None:
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for done in [pool.submit(kill_at, healthy, tmp_path, *case) for case in ALL]:
            done.result()
