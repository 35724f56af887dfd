"""Pushes under the operator's hooks: objects and refs are readable, refusals are per ref, refs stay rows."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import MAIN, make_store, push, push_commit, refs_of

from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git.engine import Engine, open_engine
from cairn.git.types import ZERO_OID
from cairn.storage.storage import Storage

pytest_plugins = ["tests.factories.engines"]
DEV = b"refs/heads/dev"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "hooks"
    made.mkdir(mode=0o755)
    return made


@pytest.fixture
async def hooked(engine: Engine, folder: Path, tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine on the same database and store, with hooks."""
    settings: Settings = msgspec.structs.replace(engine.settings, hooks_dir=folder, cache_dir=tmp_path / "second-cache")
    database: Database = engine.database
    storage: Storage = engine.storage
    async with open_engine(settings, database, storage) as second:
        yield second


@pytest.fixture
def client(tmp_path: Path) -> StockRepository:
    made = init(tmp_path / "client")
    made.commit({"a.txt": "one\n"}, "one")
    return made


def script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


async def test_pre_receive_reads_the_pushed_objects_and_the_refs_as_they_were(
    hooked: Engine, folder: Path, client: StockRepository
) -> None:
    store = await make_store(hooked)
    assert (await push_commit(hooked, store, client)).is_ok
    client.commit({"a.txt": "two\n"}, "the second")
    script(
        folder / "pre-receive",
        "while read old new ref; do git log --format=%s $old..$new; git show $new:a.txt; git for-each-ref; done",
    )
    report = await push_commit(hooked, store, client)
    assert report.is_ok
    assert "the second\ntwo\n" in report.remarks
    assert f"{client.oid('HEAD~1')} commit\trefs/heads/main" in report.remarks


async def test_what_pre_receive_declines_leaves_nothing(hooked: Engine, folder: Path, client: StockRepository) -> None:
    store = await make_store(hooked)
    script(folder / "pre-receive", "echo 'Not on a Friday.' >&2; exit 1")
    report = await push_commit(hooked, store, client)
    assert report.refs == {MAIN: "pre-receive hook declined"}
    assert "Not on a Friday." in report.remarks
    assert await refs_of(hooked, store) == {}
    assert (await hooked.state(store)).manifest_version == 0


@pytest.mark.parametrize("is_atomic", [False, True])
async def test_update_refuses_one_ref_and_an_atomic_push_as_a_whole(
    hooked: Engine, folder: Path, client: StockRepository, *, is_atomic: bool
) -> None:
    store = await make_store(hooked)
    script(folder / "update", 'test "$1" != refs/heads/dev')
    head = client.oid("HEAD")
    capabilities = ["atomic"] if is_atomic else []
    commands = [(MAIN, ZERO_OID, head), (DEV, ZERO_OID, head)]
    report = await push(hooked, store, commands, client.pack([head]), capabilities=capabilities)
    assert report.refs[DEV] == "hook declined"
    assert (await refs_of(hooked, store)) == ({} if is_atomic else {MAIN: head})
    if is_atomic:
        assert "atomic" in report.refs[MAIN]


async def test_a_deletion_passes_the_hooks_too(hooked: Engine, folder: Path, client: StockRepository) -> None:
    store = await make_store(hooked)
    head = client.oid("HEAD")
    assert (await push(hooked, store, [(MAIN, ZERO_OID, head), (DEV, ZERO_OID, head)], client.pack([head]))).is_ok
    script(folder / "update", f'test "$3" != {ZERO_OID}')
    report = await push(hooked, store, [(DEV, head, ZERO_OID)], b"")
    assert report.refs == {DEV: "hook declined"}
    assert DEV in await refs_of(hooked, store)


async def test_post_receive_sees_the_refs_as_they_are_now(
    hooked: Engine, folder: Path, client: StockRepository
) -> None:
    store = await make_store(hooked)
    script(folder / "post-receive", "cat; git for-each-ref; git cat-file -p main:a.txt; exit 1")
    report = await push_commit(hooked, store, client)
    assert report.is_ok
    head = client.oid("HEAD")
    assert f"{ZERO_OID} {head} refs/heads/main" in report.remarks
    assert f"{head} commit\trefs/heads/main\none\n" in report.remarks


async def test_what_a_hook_writes_changes_no_ref(hooked: Engine, folder: Path, client: StockRepository) -> None:
    store = await make_store(hooked)
    script(folder / "post-receive", "git update-ref refs/heads/made main; git update-ref -d refs/heads/main")
    assert (await push_commit(hooked, store, client)).is_ok
    assert await refs_of(hooked, store) == {MAIN: client.oid("HEAD")}
