"""Archives are bounded before they are made, made once, and found again: on this node and from the object store."""

import io
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import make_store, push_commit
from tests.services.ports import eventually

from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git.archive import ArchiveFormat
from cairn.git.archives import ArchivePlan, ArchiveTooLarge, KeptArchive, find_archive, make_archive
from cairn.git.engine import Engine, open_engine
from cairn.git.shared_answers import FILE_BYTES_MIN
from cairn.git.store_state import lock_stores
from cairn.repositories.rules.examine import make_examine
from cairn.storage.storage import open_storage

LARGE = "stone " * (FILE_BYTES_MIN // 6 + 1)


@asynccontextmanager
async def node(database: Database, folder: Path, storage_url: str, **settings: int) -> AsyncIterator[Engine]:
    """Yield a node with a folder of its own before a store that others share."""
    chosen = Settings(data_dir=folder, storage_url=storage_url, **settings)  # type: ignore[arg-type]  # all are numbers
    async with open_engine(chosen, database, open_storage(chosen), make_examine=make_examine) as opened:
        yield opened


async def pushed(engine: Engine, folder: Path, files: dict[str, str]) -> tuple[int, StockRepository]:
    store, client = await make_store(engine), init(folder)
    client.commit(files)
    assert (await push_commit(engine, store, client)).is_ok
    return store, client


def plan_of(client: StockRepository) -> ArchivePlan:
    return ArchivePlan(commit=client.oid("HEAD"), form=ArchiveFormat.TAR, prefix="p/")


async def made(engine: Engine, store: int, plan: ArchivePlan) -> bytes:
    return b"".join([chunk async for chunk in make_archive(engine, await engine.state(store), plan)])


async def test_the_second_archive_comes_from_the_store_without_a_git_child(
    database: Database, moto_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node(database, tmp_path / "one", moto_url) as one:
        store, client = await pushed(one, tmp_path / "client", {"a.txt": LARGE})
        plan = plan_of(client)
        data = await made(one, store, plan)
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            assert tar.getnames() == ["p", "p/a.txt"]
        state = await one.state(store)

        async def is_shared() -> bool:
            return await plan.shared(state).size(one.storage) is not None

        await eventually(is_shared, within_seconds=10, what="the store has the archive")
    async with node(database, tmp_path / "two", moto_url) as two:

        def refuse(*arguments: object, **options: object) -> None:
            raise AssertionError("git ran")

        monkeypatch.setattr(two.runner, "spawn", refuse)
        kept = await find_archive(two, await two.state(store), plan)
        assert kept is not None
        assert kept.size == len(data)
        assert await two.storage.get(kept.stored_key, max_bytes=len(data)) == data


async def test_a_small_archive_is_kept_by_its_node_until_the_store_is_purged(
    database: Database, tmp_path: Path
) -> None:
    async with node(database, tmp_path / "one", f"file://{tmp_path / 'objects'}") as engine:
        store, client = await pushed(engine, tmp_path / "client", {"a.txt": "one\n"})
        plan = plan_of(client)
        assert await find_archive(engine, await engine.state(store), plan) is None
        data = await made(engine, store, plan)
        assert await find_archive(engine, await engine.state(store), plan) == KeptArchive(len(data), data=data)
        async with database.write() as session:
            (await lock_stores(session, [store]))[store].cache_epoch += 1
        assert await find_archive(engine, await engine.state(store), plan) is None


@pytest.mark.parametrize(
    ("settings", "files", "setting"),
    [
        ({"max_archive_entries": 3}, {"a": "1", "b": "2", "sub/c": "3"}, "CAIRN_MAX_ARCHIVE_ENTRIES"),
        ({"max_archive_bytes": 20_000}, {"a": "x" * 20_000}, "CAIRN_MAX_ARCHIVE_BYTES"),
        ({"max_archive_bytes": 3_000}, {"a": "1", "b": "2", "c": "3"}, "CAIRN_MAX_ARCHIVE_BYTES"),
    ],
    ids=["entries", "bytes", "headers"],
)
async def test_what_is_too_much_is_refused_before_anything_is_made(
    database: Database, tmp_path: Path, settings: dict[str, int], files: dict[str, str], setting: str
) -> None:
    async with node(database, tmp_path / "one", f"file://{tmp_path / 'objects'}", **settings) as engine:
        store, client = await pushed(engine, tmp_path / "client", files)
        plan = plan_of(client)
        with pytest.raises(ArchiveTooLarge, match=setting):
            await made(engine, store, plan)
        # The one run is the measuring of the tree.
        assert engine.answers.counts["run"] == 1
        assert await find_archive(engine, await engine.state(store), plan) is None


async def test_a_tree_of_ten_billion_files_is_refused_before_anything_is_made(
    database: Database, tmp_path: Path
) -> None:
    """Attack: eleven trees that name each other ten times over, as small as a page, whose archive would never end."""
    client = init(tmp_path / "client")
    client.commit({"a.txt": "one\n"})
    below = f"100644 blob {client.oid('HEAD:a.txt')}"
    for _ in range(10):
        entries = "".join(f"{below}\t{number}\n" for number in range(10))
        tree = client.git("mktree", stdin=entries.encode()).decode().strip()
        below = f"040000 tree {tree}"
    commit = client.git("commit-tree", tree, "-m", "Bomb").decode().strip()
    client.git("update-ref", "refs/heads/main", commit)
    settings = {"max_archive_entries": 20_000}
    async with node(database, tmp_path / "one", f"file://{tmp_path / 'objects'}", **settings) as engine:
        store = await make_store(engine)
        assert (await push_commit(engine, store, client)).is_ok
        with pytest.raises(ArchiveTooLarge, match="20,000"):
            await made(engine, store, plan_of(client))
        # The one run is the measuring of the tree, which ended there.
        assert engine.answers.counts["run"] == 1


async def test_an_archive_that_grows_beyond_the_bound_ends_and_is_not_kept(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As when attributes make git write more than the tree has in it.
    monkeypatch.setattr("cairn.git.archives.MEASURED_BYTES_PER_ENTRY", 0)
    settings = {"max_archive_bytes": 5_000}
    async with node(database, tmp_path / "one", f"file://{tmp_path / 'objects'}", **settings) as engine:
        store, client = await pushed(engine, tmp_path / "client", dict.fromkeys("abcdef", "1"))
        plan = plan_of(client)
        with pytest.raises(ArchiveTooLarge, match="grew beyond"):
            await made(engine, store, plan)
        assert await find_archive(engine, await engine.state(store), plan) is None
