"""D1, D4: kill -9 at each step of a push loses nothing that was acknowledged and leaves nothing half done."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.factories.git_repositories import ENVIRONMENT, StockRepository, init
from tests.factories.pushes import check_bucket, make_store, push_commit, refs_of, verdict
from tests.stories.pipe_door import door, environment

from cairn.base.settings import Settings
from cairn.db.database import open_database
from cairn.git.engine import Engine, open_engine
from cairn.git.fail_points import Step
from cairn.git.types import ZERO_OID, Oid, RefName
from cairn.storage.storage import open_storage

STEPS = list(Step)[: list(Step).index(Step.BEFORE_DISPATCH)]  # what follows are steps of maintenance
KINDS = ["create", "ff", "force", "delete", "atomic"]
DELETE_STEPS = {Step.BEFORE_COMMIT, Step.AFTER_COMMIT, Step.AFTER_REPORT}
"""A deletion brings no pack: these are the steps it passes."""
ALL = [(step, kind) for step in STEPS for kind in KINDS if kind != "delete" or step in DELETE_STEPS]
FEW_KINDS = ["create", "ff", "force", "atomic", "create", "ff", "atomic", "delete", "force"]
FEW = list(zip(STEPS, FEW_KINDS, strict=True))
ACKNOWLEDGED_FROM = {Step.AFTER_REPORT}
COMMITTED_FROM = {Step.AFTER_COMMIT, Step.AFTER_REPORT}
MAIN, SIDE = b"refs/heads/main", b"refs/heads/side"


class Place:
    """A database and a folder store with one node that watches and doors that die."""

    def __init__(self, engine: Engine, settings: dict[str, str], folder: Path) -> None:
        self.engine = engine
        self.settings = settings
        self.folder = folder

    async def push(
        self, store: int, client: StockRepository, *words: str, fail: str = ""
    ) -> subprocess.CompletedProcess[bytes]:
        """Push by stock git through a door of its own process; ``fail`` is its fail point."""
        return await asyncio.to_thread(
            subprocess.run,
            ["git", "push", "--porcelain", f"--receive-pack={door('receive')}", f"file:///{store}", *words],
            cwd=client.path,
            env={**ENVIRONMENT, **environment({**self.settings, "CAIRN_FAIL_POINTS": fail})},
            capture_output=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
async def place(database_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    variables = {
        "CAIRN_DATA_DIR": str(tmp_path / "door"),
        "CAIRN_DATABASE_URL": database_url,
        "CAIRN_STORAGE_URL": f"file://{tmp_path / 'store'}",
        "CAIRN_LOG_LEVEL": "error",
    }
    settings = Settings(
        data_dir=tmp_path / "watcher", database_url=database_url, storage_url=variables["CAIRN_STORAGE_URL"]
    )
    async with AsyncExitStack() as stack:
        database = open_database(database_url, pool_size=3)
        stack.push_async_callback(database.close)
        engine = await stack.enter_async_context(open_engine(settings, database, open_storage(settings)))
        yield Place(engine, variables, tmp_path)


def _prepare(client: StockRepository, kind: str) -> tuple[list[str], dict[RefName, Oid]]:
    """Return the words of the push and what the refs are afterwards, beside what stays."""
    match kind:
        case "create":
            return ["HEAD:refs/heads/new"], {b"refs/heads/new": client.commit({"new": "new"})}
        case "ff":
            return ["HEAD:refs/heads/main"], {MAIN: client.commit({"ff": "ff"})}
        case "force":
            new = client.commit({"forced": "f"}, "forced", "--amend")
            return ["--force", "HEAD:refs/heads/main"], {MAIN: new}
        case "delete":
            return [":refs/heads/side"], {SIDE: ZERO_OID}
    new = client.commit({"atomic": "atomic"})
    names = [f"refs/heads/a{number}" for number in range(9)]
    after: dict[RefName, Oid] = {name.encode(): new for name in names}
    return ["--atomic", *(f"HEAD:{name}" for name in names), "HEAD:refs/heads/main"], {**after, MAIN: new}


def _told(push: subprocess.CompletedProcess[bytes]) -> set[str]:
    """Return git's signs for what the server said of each ref: ``!`` is a refusal or silence, others are "ok"."""
    return {line[0] for line in push.stdout.decode().splitlines() if "\t" in line}


async def kill_at(place: Place, step: Step, kind: str, *, with_repeat: bool) -> None:
    """Kill the door at a step, look at what is left, then (with_repeat) push again without a fault."""
    label = f"{step.value}-{kind}"
    store = await make_store(place.engine)
    client = init(place.folder / label)
    client.commit({"a": "a"}, "base")
    assert (await push_commit(place.engine, store, client)).is_ok
    assert (await push_commit(place.engine, store, client, SIDE)).is_ok
    before = await refs_of(place.engine, store)
    words, changes = _prepare(client, kind)
    after = {name: oid for name, oid in (before | changes).items() if oid != ZERO_OID}

    died = await place.push(store, client, *words, fail=f"{step.value}=kill")
    heard_ok = bool(_told(died)) and "!" not in _told(died)
    found = await verdict(place.engine, store, place.folder / f"{label}-1")
    assert found == (after if step in COMMITTED_FROM else before), (label, died.stderr)
    assert not heard_ok or found == after, label
    assert heard_ok == (step in ACKNOWLEDGED_FROM), (label, died.stderr)

    if not with_repeat:
        return
    again = await place.push(store, client, *words)
    if kind != "delete" or found == before:
        assert again.returncode == 0, (label, again.stderr)
    assert await refs_of(place.engine, store) == after
    await check_bucket(place.engine, store)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_kill_at_any_step_leaves_old_or_new(place: Place) -> None:
    async with asyncio.TaskGroup() as group:
        for step, kind in FEW:
            group.create_task(kill_at(place, step, kind, with_repeat=step is Step.AFTER_PACK))


@pytest.mark.nightly
async def test_a_kill_at_any_step_of_any_push_leaves_old_or_new(place: Place) -> None:
    for step, kind in ALL:
        await kill_at(place, step, kind, with_repeat=True)


async def test_what_a_killed_push_left_on_the_node_is_swept(place: Place) -> None:
    store = await make_store(place.engine)
    client = init(place.folder / "client")
    client.commit({"a": "a"})
    await place.push(store, client, "HEAD:refs/heads/main", fail="after_quarantine=kill")
    quarantine = Path(place.settings["CAIRN_DATA_DIR"]) / "cache" / "quarantine"
    assert len(list(quarantine.iterdir())) == 2  # the folder and its lock
    await place.push(store, client, "HEAD:refs/heads/main")
    assert list(quarantine.iterdir()) == []
    assert await verdict(place.engine, store, place.folder / "verdict") == {MAIN: client.oid("HEAD")}


async def test_an_error_at_a_step_is_a_refusal_or_a_truth(place: Place) -> None:
    """The same steps with a defect instead of a kill: the client hears of it and never "ok" for nothing."""
    store = await make_store(place.engine)
    client = init(place.folder / "client")
    for step in (Step.AFTER_CHECKS, Step.AFTER_PACK, Step.BEFORE_COMMIT):
        client.commit({"a": step.value})
        before = await refs_of(place.engine, store)
        failed = await place.push(store, client, "HEAD:refs/heads/main", fail=f"{step.value}=error")
        assert failed.returncode != 0
        assert b"The server failed to take this push" in failed.stderr
        assert await refs_of(place.engine, store) == before
        assert (await place.push(store, client, "HEAD:refs/heads/main")).returncode == 0
    assert await verdict(place.engine, store, place.folder / "verdict") == {MAIN: client.oid("HEAD")}
