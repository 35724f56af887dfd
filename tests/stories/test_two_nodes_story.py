"""Two nodes with caches of their own on one PostgreSQL and one S3 server: C1, C3, C5, reading while others write."""

import asyncio
import random
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.factories.git_repositories import StockRepository, fast_import, init
from tests.factories.pushes import MAIN, make_store, pieces, push, push_commit, refs_of, verdict
from tests.stories.nodes import open_node

from cairn.git.engine import Engine
from cairn.git.fetch_cache import Flight
from cairn.git.models import RefLog
from cairn.git.pktline import DELIM, FLUSH, PktReader, encode
from cairn.git.reachability import NotReachable
from cairn.git.types import ZERO_OID, Oid
from cairn.git.upload_pack import V2Request, read_v2_request

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
ROUNDS, CLIENTS = 4, 8


@pytest.fixture
async def nodes(database_url: str, s3_url: str, tmp_path: Path) -> AsyncIterator[list[Engine]]:
    async with (
        open_node(tmp_path / "a", database_url=database_url, storage_url=s3_url) as one,
        open_node(tmp_path / "b", database_url=database_url, storage_url=s3_url) as other,
    ):
        yield [one, other]


async def v2(engine: Engine, store: int, command: bytes, *arguments: bytes) -> bytes:
    """Send one command of protocol v2 and return the whole answer."""
    body = encode(b"command=" + command + b"\n") + DELIM + b"".join(map(encode, arguments)) + FLUSH
    request = await read_v2_request(PktReader(pieces(body), max_bytes=1 << 20))
    assert request is not None
    return await answer(engine, store, request)


async def answer(engine: Engine, store: int, request: V2Request) -> bytes:
    async with engine.upload.serve_v2(await engine.state(store), request) as found:
        if isinstance(found, bytes):
            return found
        if isinstance(found, Flight):
            return b"".join([chunk async for chunk in found.chunks()])
        return found.read_bytes()


def histories(client: StockRepository, count: int) -> list[tuple[Oid, bytes]]:
    """Return commits that all follow the client's HEAD, each with the pack that brings it."""
    base, tree = client.oid("HEAD"), client.oid("HEAD^{tree}")
    made = []
    for number in range(count):
        new = client.git("commit-tree", tree, "-p", base, "-m", f"{number}-{random.random()}").decode().strip()
        made.append((Oid(new), client.pack([new], without=[base])))
    return made


@pytest.mark.parametrize("rounds", [ROUNDS, pytest.param(200, marks=pytest.mark.nightly)])
async def test_of_many_pushes_to_one_ref_through_two_nodes_one_wins(
    nodes: list[Engine], tmp_path: Path, rounds: int
) -> None:
    """C1: acknowledged pushes and the ref log are the same length, and every node shows the last winner."""
    store = await make_store(nodes[0])
    client = init(tmp_path / "client")
    client.commit({"a": "a"})
    await push_commit(nodes[0], store, client)
    acknowledged = 1
    for _ in range(rounds):
        old = client.oid("HEAD")
        tries = histories(client, CLIENTS)
        reports = await asyncio.gather(
            *(push(nodes[n % 2], store, [(MAIN, old, new)], pack) for n, (new, pack) in enumerate(tries))
        )
        winners = [new for (new, _), report in zip(tries, reports, strict=True) if report.is_ok]
        assert len(winners) == 1, [report.refs for report in reports]
        acknowledged += 1
        client.git("reset", "-q", "--hard", winners[0])
        assert [await refs_of(node, store) for node in nodes] == [{MAIN: winners[0]}] * 2
    async with nodes[0].database.read() as session:
        assert await session.scalar(select(func.count()).where(RefLog.store_id == store)) == acknowledged
    assert await verdict(nodes[1], store, tmp_path / "verdict") == {MAIN: client.oid("HEAD")}


@pytest.mark.parametrize("count", [15, pytest.param(1000, marks=pytest.mark.nightly)])
async def test_a_push_to_one_node_is_read_from_the_other_at_once(
    nodes: list[Engine], tmp_path: Path, count: int
) -> None:
    """C3: the first ls-refs and the first fetch after "ok"."""
    store = await make_store(nodes[0])
    client = init(tmp_path / "client")
    for number in range(count):
        client.commit({"a": str(number)})
        writer, reader = nodes[number % 2], nodes[1 - number % 2]
        assert (await push_commit(writer, store, client, thin=True)).is_ok
        head = client.oid("HEAD").encode()
        assert head + b" refs/heads/main" in await v2(reader, store, b"ls-refs", b"ref-prefix refs/heads/m\n")
        assert b"PACK" in await v2(reader, store, b"fetch", b"want " + head, b"done")
    assert await verdict(nodes[0], store, tmp_path / "verdict") == {MAIN: client.oid("HEAD")}


async def test_a_want_from_an_older_advertisement_is_served_by_the_other_node(
    nodes: list[Engine], tmp_path: Path
) -> None:
    """C5: the advertisement came from A, then a force-push, the want goes to B."""
    store = await make_store(nodes[0])
    client = init(tmp_path / "client")
    client.commit({"a": "a"})
    base = client.oid("HEAD")
    await push_commit(nodes[0], store, client)
    advertised = client.commit({"b": "advertised"})
    await push_commit(nodes[0], store, client)
    assert advertised.encode() in await v2(nodes[0], store, b"ls-refs")
    client.git("reset", "-q", "--hard", base)
    forced = client.commit({"c": "forced"})
    report = await push(nodes[0], store, [(MAIN, advertised, forced)], client.pack([forced], without=[base]))
    assert report.is_ok
    assert b"PACK" in await v2(nodes[1], store, b"fetch", b"want " + advertised.encode(), b"done")
    blob = client.git("hash-object", "-w", "--stdin", stdin=b"never pushed").decode().strip().encode()
    with pytest.raises(NotReachable):
        await v2(nodes[1], store, b"fetch", b"want " + blob, b"done")


async def test_an_object_that_lies_in_a_pack_but_that_no_root_reaches_is_not_handed_out(
    nodes: list[Engine], tmp_path: Path
) -> None:
    """P-5: stock git in protocol v2 hands out whatever lies in its directory."""
    store = await make_store(nodes[0])
    client = init(tmp_path / "client")
    head = client.commit({"a": "a"})
    smuggled = client.git("hash-object", "-w", "--stdin", stdin=b"unreachable").decode().strip()
    everything = client.git("rev-list", "--objects", "--no-object-names", "HEAD").decode() + smuggled + "\n"
    pack = client.git("pack-objects", "--stdout", "-q", stdin=everything.encode())
    assert (await push(nodes[0], store, [(MAIN, ZERO_OID, head)], pack)).is_ok
    for node in nodes:
        with pytest.raises(NotReachable):
            await v2(node, store, b"fetch", b"want " + smuggled.encode(), b"done")
    # Neither may a push rely on it: an empty pack plus a name for it would make it an ordinary tag.
    tag = (b"refs/tags/mine", ZERO_OID, Oid(smuggled))
    empty = client.git("pack-objects", "--stdout", "-q", stdin=b"")
    assert "missing" in (await push(nodes[1], store, [tag], empty)).unpacked


async def test_a_node_with_an_empty_disk_answers_correctly(nodes: list[Engine], tmp_path: Path) -> None:
    store = await make_store(nodes[0])
    client = init(tmp_path / "client")
    client.commit({"a": "a"})
    for number in range(3):
        client.commit({"a": str(number)})
        await push_commit(nodes[0], store, client, thin=True)
        shutil.rmtree(nodes[number % 2].cache.root)
        want = b"want " + client.oid("HEAD").encode()
        for node in nodes:
            assert b"PACK" in await v2(node, store, b"fetch", want, b"done")
    assert await verdict(nodes[0], store, tmp_path / "verdict") == {MAIN: client.oid("HEAD")}


async def test_pushes_that_build_on_branches_moving_elsewhere_are_taken(nodes: list[Engine], tmp_path: Path) -> None:
    """Roots read while others push may name objects this node's view has not got yet: they must not be in the way."""
    store = await make_store(nodes[0])
    client = init(tmp_path / "client")
    client.commit({"a": "a"})
    await push_commit(nodes[0], store, client)
    side = client.commit({"side": "side"})
    await push_commit(nodes[0], store, client, b"refs/heads/side")
    moving = histories(client, 20)

    async def move() -> None:
        old = side
        for new, pack in moving:
            assert (await push(nodes[0], store, [(b"refs/heads/side", old, new)], pack)).is_ok
            old = new

    async def branch() -> None:
        empty = client.git("pack-objects", "--stdout", "-q", stdin=b"")
        for number in range(20):
            report = await push(nodes[1], store, [(b"refs/heads/b%d" % number, ZERO_OID, side)], empty)
            assert report.is_ok, report

    await asyncio.gather(move(), branch())


async def test_five_thousand_refs_are_listed_by_prefix_and_whole(nodes: list[Engine], tmp_path: Path) -> None:
    store = await make_store(nodes[0])
    client = init(tmp_path / "client")
    head = fast_import(client, [("one", {"a": b"a"})])
    names = [b"refs/heads/b%04d" % number for number in range(5000)]
    assert (await push(nodes[0], store, [(name, ZERO_OID, head) for name in names], client.pack([head]))).is_ok
    few = await v2(nodes[1], store, b"ls-refs", b"ref-prefix refs/heads/b123")
    assert few.count(b"refs/heads/") == 10
    assert len(few) < 1000
    assert (await v2(nodes[1], store, b"ls-refs")).count(b"refs/heads/") == 5000
