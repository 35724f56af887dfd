"""L9 and L5: what git asks of the object store follows the change, and what refs cost follows the answer."""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.factories.faults.s3_proxy import S3Proxy
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import EMPTY_PACK, MAIN, make_store, push, push_commit
from tests.services.s3 import S3Server
from tests.stories.nodes import open_node

from cairn.git.engine import Engine
from cairn.git.fetch_cache import Flight
from cairn.git.manifest import read_manifest
from cairn.git.types import ZERO_OID, Oid
from cairn.git.upload_pack import V2Request

only_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
MEGABYTE = 1_000_000


@pytest.fixture
async def s3_proxy(s3_server: S3Server) -> AsyncIterator[S3Proxy]:
    async with S3Proxy(s3_server.port) as proxy:
        yield proxy


@pytest.fixture
def proxied_url(s3_server: S3Server, s3_proxy: S3Proxy) -> str:
    return s3_server.storage_url(s3_server.create_bucket(), endpoint=s3_proxy.endpoint)


@dataclass
class Asked:
    """What was asked of the store in a block."""

    requests: int = 0
    moved_bytes: int = 0


@contextmanager
def counting(proxy: S3Proxy) -> Iterator[Asked]:
    asked = Asked()
    before, moved = sum(proxy.requests.values()), proxy.moved_bytes
    yield asked
    asked.requests, asked.moved_bytes = sum(proxy.requests.values()) - before, proxy.moved_bytes - moved


async def v2(engine: Engine, store: int, command: bytes, *arguments: bytes) -> bytes:
    async with engine.upload.serve_v2(await engine.state(store), V2Request(command, arguments)) as found:
        if isinstance(found, Flight):
            return b"".join([chunk async for chunk in found.chunks()])
        return found if isinstance(found, bytes) else found.read_bytes()


async def fetch(engine: Engine, store: int, want: Oid, have: Oid | None = None) -> bytes:
    haves = [b"have " + have.encode()] if have else []
    return await v2(engine, store, b"fetch", b"want " + want.encode(), *haves, b"ofs-delta", b"done")


def commit_megabytes(client: StockRepository, count: int) -> None:
    """Commit so many megabytes that do not compress, in folders: a change rewrites the names beside it."""
    generator = random.Random(7)
    client.commit({f"{number // 32}/file{number}": generator.randbytes(MEGABYTE) for number in range(count)})


@only_postgresql
@pytest.mark.parametrize("megabytes", [20, pytest.param(1000, marks=pytest.mark.nightly)])
async def test_a_fetch_after_one_commit_moves_only_the_change(
    database_url: str, tmp_path: Path, s3_proxy: S3Proxy, proxied_url: str, megabytes: int
) -> None:
    client = init(tmp_path / "client")
    commit_megabytes(client, megabytes)
    async with (
        open_node(tmp_path / "one", database_url=database_url, storage_url=proxied_url) as node,
        open_node(tmp_path / "two", database_url=database_url, storage_url=proxied_url) as other,
    ):
        store = await make_store(node)
        first = client.oid("HEAD")
        assert (await push_commit(node, store, client)).is_ok
        # Shallow, so that the answer is too small to be shared: packs are fetched and nothing else.
        with counting(s3_proxy) as cold:
            await v2(other, store, b"fetch", b"filter blob:none", b"want " + first.encode(), b"done")
        _, packs = await read_manifest(other.database, store)
        assert cold.requests <= 3 * len(packs) + 5
        assert cold.moved_bytes >= megabytes * MEGABYTE

        second = client.commit({"small": "one line\n"})
        pack = client.pack([second], without=[first])
        with counting(s3_proxy) as pushed:
            assert (await push(node, store, [(MAIN, first, second)], pack)).is_ok
        assert pushed.requests <= 6
        assert pushed.moved_bytes <= 50_000
        for engine, most in ((node, 0), (other, 3 + 5)):
            with counting(s3_proxy) as asked:
                assert len(await fetch(engine, store, second, first)) < 10_000
            assert asked.requests <= most
            assert asked.moved_bytes <= 50_000
            with counting(s3_proxy) as warm:
                await fetch(engine, store, second, first)
            assert warm.requests == 0


@only_postgresql
async def test_ten_thousand_refs_cost_what_is_asked_of_them(
    database_url: str, tmp_path: Path, s3_proxy: S3Proxy, proxied_url: str
) -> None:
    client = init(tmp_path / "client")
    tip = client.commit({"a": "a"})
    async with open_node(tmp_path / "one", database_url=database_url, storage_url=proxied_url) as node:
        store = await make_store(node)
        assert (await push_commit(node, store, client)).is_ok
        names = [b"refs/heads/topic/%03d/%02d" % divmod(number, 100) for number in range(10_000)]
        with counting(s3_proxy) as pushed:
            assert (await push(node, store, [(name, ZERO_OID, tip) for name in names], EMPTY_PACK)).is_ok
        assert pushed.requests == 0
        with counting(s3_proxy) as asked:
            answer = await v2(node, store, b"ls-refs", b"ref-prefix refs/heads/topic/042/")
            everything = await v2(node, store, b"ls-refs")
        assert asked.requests == 0
        assert len(answer) <= 20_000
        assert answer.count(b"refs/heads/topic/042/") == 100
        assert all(name + b"\n" in everything for name in names)
