"""Large blobs piece by piece, from the first reader's run or from what it left."""

from pathlib import Path

import pytest
from tests.factories.engines import engine
from tests.factories.git_repositories import init
from tests.factories.pushes import make_store, push_commit

from cairn.git.blob_stream import blob_chunks
from cairn.git.engine import Engine
from cairn.git.runner import GitFailed
from cairn.git.types import Oid

__all__ = ["engine"]
CONTENT = "".join(f"{number}\n" for number in range(200_000))


async def test_a_blob_is_unpacked_once_and_then_read_from_the_cache(engine: Engine, tmp_path: Path) -> None:
    client = init(tmp_path / "client")
    client.commit({"large": CONTENT, "small": "few\n"})
    store = await make_store(engine)
    assert (await push_commit(engine, store, client)).unpacked == "ok"
    state = await engine.state(store)
    for name, content in (("large", CONTENT), ("small", "few\n")):
        oid = client.oid(f"HEAD:{name}")
        first = b"".join([chunk async for chunk in blob_chunks(engine, state, oid)])
        again = [chunk async for chunk in blob_chunks(engine, state, oid)]
        assert first == b"".join(again) == content.encode()
        assert all(len(chunk) <= 256 << 10 for chunk in again)


async def test_an_absent_blob_is_an_error_and_nothing_is_kept(engine: Engine, tmp_path: Path) -> None:
    client = init(tmp_path / "client")
    client.commit({"a": "a"})
    store = await make_store(engine)
    await push_commit(engine, store, client)
    state = await engine.state(store)
    for _ in range(2):
        with pytest.raises(GitFailed):
            [chunk async for chunk in blob_chunks(engine, state, Oid("1" * 40))]


@pytest.mark.parametrize(("start", "end"), [(0, 1), (5, 300_000), (700_000, None), (262_143, 262_145), (10, 10)])
async def test_a_range_is_the_same_from_a_run_a_file_and_memory(
    engine: Engine, tmp_path: Path, start: int, end: int | None
) -> None:
    client = init(tmp_path / "client")
    client.commit({"large": CONTENT, "small": "0123456789" * 3})
    store = await make_store(engine)
    await push_commit(engine, store, client)
    state = await engine.state(store)
    for name, content in (("large", CONTENT), ("small", "0123456789" * 3)):
        for _ in range(2):
            chunks = blob_chunks(engine, state, client.oid(f"HEAD:{name}"), start=start, end=end)
            assert b"".join([chunk async for chunk in chunks]) == content.encode()[start:end]
