"""Bundles: whole, read by stock git, the same all day, and never more than the refs reach."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import MAIN, make_store, pieces, push, push_commit

from cairn.git.bundles import NoBundle, list_bundles, stream_bundle
from cairn.git.engine import Engine
from cairn.git.models import RefLog
from cairn.git.pktline import FLUSH, PktReader
from cairn.git.types import ZERO_OID

pytest_plugins = ["tests.factories.engines"]


@pytest.fixture
def client(tmp_path: Path) -> StockRepository:
    made = init(tmp_path / "client")
    made.commit({"a.txt": "one\n"}, "one")
    return made


async def bundle(engine: Engine, store: int) -> bytes:
    return b"".join([piece async for piece in stream_bundle(engine, await engine.state(store))])


def heads(client: StockRepository, data: bytes) -> dict[str, str]:
    """Let stock git verify a bundle and return its refs."""
    path = client.path / "x.bundle"
    path.write_bytes(data)
    client.git("bundle", "verify", "-q", path)
    lines = client.git("bundle", "list-heads", path).decode().splitlines()
    return {name: oid for oid, _, name in (line.partition(" ") for line in lines)}


async def yesterday(engine: Engine, store: int) -> None:
    """Let everything so far have happened a day ago."""
    async with engine.database.write() as session:
        before = await engine.database.now() - timedelta(days=1)
        await session.execute(update(RefLog).where(RefLog.store_id == store).values(at=before))


async def test_stock_git_clones_from_a_bundle_alone(engine: Engine, client: StockRepository, tmp_path: Path) -> None:
    store = await make_store(engine)
    client.git("tag", "-a", "-m", "tag", "v1")
    tag = b"refs/tags/v1"
    commands = [(MAIN, ZERO_OID, client.oid("HEAD")), (tag, ZERO_OID, client.oid("v1"))]
    assert (await push(engine, store, commands, client.pack(["HEAD", "v1"]))).is_ok
    data = await bundle(engine, store)
    assert heads(client, data) == {"refs/heads/main": client.oid("HEAD"), "refs/tags/v1": client.oid("v1")}
    (tmp_path / "b.bundle").write_bytes(data)
    client.git("clone", "-q", "-b", "main", tmp_path / "b.bundle", tmp_path / "copy")
    assert StockRepository(tmp_path / "copy").oid("HEAD") == client.oid("HEAD")


async def test_a_bundle_stays_the_same_all_day_and_moves_on_the_next(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    assert (await push_commit(engine, store, client)).is_ok
    assert (await push_commit(engine, store, client, b"refs/heads/gone")).is_ok
    await yesterday(engine, store)
    first = await bundle(engine, store)
    begun = heads(client, first)
    head = client.oid("HEAD")
    for number in range(3):
        client.commit({"a.txt": f"{number}\n"})
        assert (await push_commit(engine, store, client)).is_ok
    assert (await push(engine, store, [(b"refs/heads/gone", head, ZERO_OID)])).is_ok
    assert (await push_commit(engine, store, client, b"refs/heads/new")).is_ok
    runs = engine.answers.counts["run"]
    assert await bundle(engine, store) == first
    assert engine.answers.counts["run"] == runs
    assert begun == {"refs/heads/main": head, "refs/heads/gone": head}
    await yesterday(engine, store)
    now = client.oid("HEAD")
    assert heads(client, await bundle(engine, store)) == {"refs/heads/main": now, "refs/heads/new": now}


async def test_a_repository_made_today_is_bundled_as_it_is(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    assert (await push_commit(engine, store, client)).is_ok
    assert heads(client, await bundle(engine, store)) == {"refs/heads/main": client.oid("HEAD")}


async def test_other_refs_are_not_bundled(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    assert (await push_commit(engine, store, client)).is_ok
    assert (await push_commit(engine, store, client, b"refs/notes/commits")).is_ok
    assert set(heads(client, await bundle(engine, store))) == {"refs/heads/main"}


async def test_an_empty_repository_has_none(engine: Engine) -> None:
    store = await make_store(engine)
    with pytest.raises(NoBundle):
        await bundle(engine, store)
    assert await list_bundles(engine, await engine.state(store), "http://x/y") == FLUSH


async def test_only_a_repository_that_is_worth_it_lists_its_bundle(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    assert (await push_commit(engine, store, client)).is_ok
    assert await list_bundles(engine, await engine.state(store), "http://x/y") == FLUSH
    client.commit({"large.bin": bytes(_noise(2 << 20))})
    assert (await push_commit(engine, store, client)).is_ok
    answer = await list_bundles(engine, await engine.state(store), "http://x/y")
    lines = await PktReader(pieces(answer), max_bytes=1000).read_until_flush()
    assert lines == [b"bundle.version=1\n", b"bundle.mode=all\n", b"bundle.clone.uri=http://x/y\n"]


def _noise(size: int) -> Iterable[int]:
    value = 1
    for _ in range(size):
        value = value * 1103515245 + 12345 & 0x7FFFFFFF
        yield value >> 16 & 0xFF
