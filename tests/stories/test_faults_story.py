"""Faults of the database, the object store and the disk while pushes land and packs are fetched: D3, F8, F9, F10."""

import asyncio
import os
import random
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.faults.s3_proxy import Fault, Plan, S3Proxy
from tests.factories.faults.tcp_proxy import Cut, TcpProxy
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import (
    MAIN,
    check_bucket,
    make_store,
    push,
    push_commit,
    refs_of,
    verdict,
)
from tests.factories.seeds import chosen_seed
from tests.services.s3 import S3Server
from tests.stories.nodes import open_node

from cairn.base.errors import CairnError
from cairn.git.engine import Engine
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import RefName

only_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def seed() -> int:
    """What every choice of a test follows from; shown when the test fails."""
    return chosen_seed()


@pytest.fixture
def client(tmp_path: Path) -> StockRepository:
    made = init(tmp_path / "client")
    made.commit({"a": "a"})
    return made


@only_postgresql
@pytest.mark.parametrize("count", [12, pytest.param(200, marks=pytest.mark.nightly)])
async def test_a_lost_commit_is_never_told_as_something_else(
    database_url: str, tmp_path: Path, client: StockRepository, seed: int, count: int
) -> None:
    """D3: the connection ends before, after or while the COMMIT is answered; "ok" is said exactly for what is true."""
    dice = random.Random(seed)
    port = urlsplit(database_url).port
    assert port is not None
    async with TcpProxy(port, trigger=b"COMMIT") as proxy:
        through = database_url.replace(f":{port}/", f":{proxy.port}/")
        storage_url = f"file://{tmp_path / 'store'}"
        async with (
            open_node(tmp_path / "node", database_url=through, storage_url=storage_url) as node,
            open_node(tmp_path / "watcher", database_url=database_url, storage_url=storage_url) as watcher,
        ):
            store = await make_store(watcher)
            assert (await push_commit(node, store, client)).is_ok
            for number in range(count):
                cut = [Cut.BEFORE, Cut.AFTER, Cut.BLIND][number % 3] if number < 3 else dice.choice(list(Cut))
                before = (await refs_of(watcher, store))[MAIN]
                new = client.commit({"a": str(number)})

                async def cut_the_commit(
                    session: AsyncSession, updates: Sequence[RefUpdate], cut: Cut = cut
                ) -> dict[RefName, str]:
                    proxy.plans = [cut]
                    return {}

                pack = client.pack([new], without=[before])
                report = await push(node, store, [(MAIN, before, new)], pack, within=cut_the_commit)
                assert proxy.plans == []
                after = (await refs_of(watcher, store))[MAIN]
                assert after == (new if report.is_ok else before), (cut, report)
                if cut is not Cut.BLIND:
                    assert report.is_ok == (cut is Cut.AFTER), report
                if not report.is_ok:
                    assert "nothing was changed" in report.refs[MAIN]
                    assert (await push_commit(node, store, client)).is_ok
            assert proxy.cuts == count
            assert await verdict(watcher, store, tmp_path / "verdict") == {MAIN: client.oid("HEAD")}


@pytest.fixture
async def s3_proxy(s3_server: S3Server) -> AsyncIterator[S3Proxy]:
    async with S3Proxy(s3_server.port) as proxy:
        yield proxy


@pytest.fixture
def proxied_url(s3_server: S3Server, s3_proxy: S3Proxy) -> str:
    return s3_server.storage_url(s3_server.create_bucket(), endpoint=s3_proxy.endpoint)


FETCH_FAULTS = [Fault.CUT_BODY, Fault.WRONG_BYTES, Fault.WRONG_RANGE, Fault.NOT_FOUND, Fault.ERROR]


@only_postgresql
@pytest.mark.parametrize("ending", ["pack", "idx"])
@pytest.mark.parametrize("fault", FETCH_FAULTS)
async def test_partial_or_wrong_content_never_gets_in(
    database_url: str,
    tmp_path: Path,
    client: StockRepository,
    s3_proxy: S3Proxy,
    proxied_url: str,
    fault: Fault,
    ending: str,
) -> None:
    """F8: told once the node recovers by itself; told always it refuses, keeps nothing, and works again afterwards."""
    async with (
        open_node(tmp_path / "writer", database_url=database_url, storage_url=proxied_url) as writer,
        open_node(tmp_path / "reader", database_url=database_url, storage_url=proxied_url) as reader,
    ):
        store = await make_store(writer)
        client.commit({"large": os.urandom(300_000)})
        assert (await push_commit(writer, store, client)).is_ok
        s3_proxy.plans = [Plan("GET", f".{ending}", fault)] * 20
        with pytest.raises(CairnError):
            await _view(reader, store)
        assert s3_proxy.told
        assert list((reader.cache.root / "packs").iterdir()) == []
        s3_proxy.plans = [Plan("GET", f".{ending}", fault)]
        await _view(reader, store)
        assert s3_proxy.plans == []
        assert await verdict(reader, store, tmp_path / "verdict") == {MAIN: client.oid("HEAD")}


async def _view(engine: Engine, store: int) -> None:
    async with engine.view(await engine.state(store)):
        pass


@only_postgresql
@pytest.mark.parametrize("ending", ["pack", "idx"])
@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.LOST_PUT, Fault.ERROR])
async def test_an_unknown_put_leaves_nothing_wrong(
    database_url: str,
    tmp_path: Path,
    client: StockRepository,
    s3_proxy: S3Proxy,
    proxied_url: str,
    fault: Fault,
    ending: str,
) -> None:
    """F9: the answer to a PUT is lost, or a lie; whatever the push says is true, and the next one works."""
    async with open_node(tmp_path / "node", database_url=database_url, storage_url=proxied_url) as node:
        store = await make_store(node)
        for always in (False, True):
            client.commit({"a": f"{always}"})
            before = await refs_of(node, store)
            s3_proxy.plans = [Plan("PUT", f".{ending}", fault)] * (20 if always else 1)
            report = await push_commit(node, store, client)
            assert s3_proxy.told
            s3_proxy.plans, s3_proxy.told = [], []
            after = await refs_of(node, store)
            assert after == ({MAIN: client.oid("HEAD")} if report.is_ok else before)
            await check_bucket(node, store)
            if not report.is_ok:
                assert "object store" in report.unpacked
                assert (await push_commit(node, store, client)).is_ok
        assert await verdict(node, store, tmp_path / "verdict") == {MAIN: client.oid("HEAD")}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system wants root")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@only_postgresql
async def test_a_full_cache_disk_refuses_by_name_and_recovers_by_itself(
    database_url: str, tmp_path: Path, small_disk: Path, client: StockRepository
) -> None:
    """F10: a push of 100 MB onto a disk of 64 MB, then small ones, without a restart."""
    storage_url = f"file://{tmp_path / 'store'}"
    async with open_node(
        tmp_path / "node", database_url=database_url, storage_url=storage_url, cache_dir=small_disk / "cache"
    ) as node:
        store = await make_store(node)
        assert (await push_commit(node, store, client)).is_ok
        base = client.oid("HEAD")
        client.git("config", "core.compression", "0")
        client.commit({f"large{number}": os.urandom(50 << 20) for number in range(2)})
        report = await push_commit(node, store, client)
        assert "disk" in report.unpacked
        assert "damaged" not in report.unpacked
        assert list(node.cache.quarantines.iterdir()) == []
        client.git("reset", "-q", "--hard", base)
        for number in range(3):
            client.commit({"small": str(number)})
            assert (await push_commit(node, store, client)).is_ok
        assert await verdict(node, store, tmp_path / "verdict") == {MAIN: client.oid("HEAD")}


@pytest.mark.parametrize("count", [25, pytest.param(100, marks=pytest.mark.nightly)])
async def test_every_pack_stands_alone(database_url: str, tmp_path: Path, client: StockRepository, count: int) -> None:
    """D5: pushes are thin, packs are not: each is verified in an empty directory."""
    storage_url = f"file://{tmp_path / 'store'}"
    async with open_node(tmp_path / "node", database_url=database_url, storage_url=storage_url) as node:
        store = await make_store(node)
        text = [f"line {number}" for number in range(500)]
        for number in range(count):
            text[number] = f"changed {number}"
            client.commit({"large.txt": "\n".join(text)})
            assert (await push_commit(node, store, client, thin=True)).is_ok
        alone = tmp_path / "alone"
        alone.mkdir()
        packs = 0
        async for found in node.storage.list(f"packs/{store}/"):
            if found.key.endswith(".pack"):
                packs += 1
                for ending in ("pack", "idx"):
                    data = await node.storage.get(found.key.removesuffix("pack") + ending, max_bytes=1 << 24)
                    (alone / f"pack.{ending}").write_bytes(data)
                await asyncio.to_thread(client.git, "verify-pack", alone / "pack.idx")
        assert packs == count
        assert await verdict(node, store, tmp_path / "verdict") == {MAIN: client.oid("HEAD")}
