"""Serving fetches: what is parsed, listed, proved and answered, in protocol v2 and in the older ones."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import MAIN, make_store, pieces, push, push_commit

from cairn.git.engine import Engine
from cairn.git.fetch_cache import Flight
from cairn.git.pktline import DELIM, FLUSH, PktReader, ProtocolError, encode, encode_lines
from cairn.git.reachability import NotReachable
from cairn.git.types import ZERO_OID, Oid
from cairn.git.upload_pack import (
    FetchRefused,
    V2Request,
    error_in_side_band,
    error_packet,
    parse_fetch,
    read_v2_request,
    v2_advertisement,
)

pytest_plugins = ["tests.factories.engines"]

A, B = Oid("a" * 40), Oid("b" * 40)


@pytest.fixture
def client(tmp_path: Path) -> StockRepository:
    made = init(tmp_path / "client")
    made.commit({"a.txt": "one\n"}, "one")
    return made


async def v2(engine: Engine, store: int, command: bytes, *arguments: bytes) -> bytes:
    async with engine.upload.serve_v2(await engine.state(store), V2Request(command, arguments)) as found:
        if isinstance(found, Flight):
            return b"".join([chunk async for chunk in found.chunks()])
        return found if isinstance(found, bytes) else found.read_bytes()


async def parse(data: bytes) -> V2Request | None:
    return await read_v2_request(PktReader(pieces(data), max_bytes=1 << 20))


async def test_commands_are_read_one_after_the_other() -> None:
    command = encode(b"command=ls-refs\n") + encode(b"agent=git/2\n")
    data = command + DELIM + encode(b"peel\n") + FLUSH + command + FLUSH + FLUSH
    reader = PktReader(pieces(data), max_bytes=1 << 20)
    assert await read_v2_request(reader) == V2Request(b"ls-refs", (b"peel",))
    assert await read_v2_request(reader) == V2Request(b"ls-refs", ())
    assert await read_v2_request(reader) is None
    assert await parse(b"") is None
    with pytest.raises(FetchRefused, match="SHA-1"):
        await parse(encode(b"command=fetch") + encode(b"object-format=sha256") + FLUSH)
    with pytest.raises(ProtocolError):
        await parse(encode(b"command=fetch"))


def test_equal_fetches_have_equal_lines() -> None:
    one = parse_fetch([b"thin-pack", b"want " + A.encode(), b"want " + B.encode(), b"done"])
    other = parse_fetch([b"want " + B.encode(), b"want " + A.encode(), b"want " + A.encode(), b"thin-pack", b"done"])
    assert one == other
    assert (one.wants, one.is_done, one.has_haves, one.wants_tags) == ((A, B), True, False, False)


@pytest.mark.parametrize(
    "line",
    [
        b"want x", b"have " + b"A" * 40,
        b"shallow -x", b"deepen x", b"deepen -1", b"deepen " + b"9" * 30, b"deepen-not",
        b"filter sparse:oid=" + b"a" * 40, b"filter combine:blob:none+sparse:oid=x", b"filter blob:limit=x", b"filter",
        b"packfile-uris https", b"--upload-pack=x", b"want-ref refs/heads/main", b"done ", b"",
    ],
)  # fmt: skip
def test_arguments_outside_the_protocol_are_refused(line: bytes) -> None:
    with pytest.raises(FetchRefused):
        parse_fetch([b"want " + A.encode(), line])


@pytest.mark.parametrize(
    "line",
    [
        b"filter blob:none", b"filter tree:0", b"filter blob:limit=1k", b"deepen 1", b"deepen-since 1700000000",
        b"deepen-not refs/heads/x", b"deepen-relative", b"wait-for-done", b"include-tag",
    ],
)  # fmt: skip
def test_arguments_of_the_protocol_are_taken(line: bytes) -> None:
    assert line in parse_fetch([b"want " + A.encode(), line]).lines


def test_a_fetch_wants_something() -> None:
    with pytest.raises(FetchRefused):
        parse_fetch([b"done"])


async def test_refs_are_listed_with_head_tags_and_unborn(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    assert await v2(engine, store, b"ls-refs", b"symrefs", b"unborn") == encode_lines(
        [b"unborn HEAD symref-target:refs/heads/main\n"]
    )
    assert await v2(engine, store, b"ls-refs") == FLUSH
    client.git("tag", "-a", "-m", "one", "v1")
    head, tag = client.oid("HEAD"), client.oid("v1")
    commands = [(MAIN, ZERO_OID, head), (b"refs/tags/v1", ZERO_OID, tag)]
    assert (await push(engine, store, commands, client.pack([tag]))).is_ok
    expected = [
        f"{head} HEAD symref-target:refs/heads/main\n".encode(),
        f"{head} refs/heads/main\n".encode(),
        f"{tag} refs/tags/v1 peeled:{head}\n".encode(),
    ]
    for _ in range(2):
        assert await v2(engine, store, b"ls-refs", b"peel", b"symrefs") == encode_lines(expected)
    assert await v2(engine, store, b"ls-refs", b"peel", b"ref-prefix refs/tags/v") == encode_lines(expected[2:])
    with pytest.raises(FetchRefused):
        await v2(engine, store, b"ls-refs", b"--all")
    with pytest.raises(FetchRefused):
        await v2(engine, store, b"no-such-command")


async def test_the_memory_of_listings_counts_each_once(
    engine: Engine, client: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.git.upload_pack._LS_REFS_MEMORY_BYTES", 1000)
    store = await make_store(engine)
    await push_commit(engine, store, client)
    for number in range(30):
        prefix = b"ref-prefix refs/heads/m%d" % number
        await asyncio.gather(*(v2(engine, store, b"ls-refs", b"ref-prefix refs/heads/", prefix) for _ in range(4)))
        held = engine.upload
        assert held._listing_bytes == sum(map(len, held._listings.values())) <= 1000


async def test_a_fetch_is_proved_answered_and_kept(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)
    base = client.oid("HEAD")
    head = client.commit({"b": "b"})
    await push_commit(engine, store, client)
    want = b"want " + head.encode()
    whole = await v2(engine, store, b"fetch", want, b"done")
    assert await v2(engine, store, b"fetch", want, b"done") == whole
    assert engine.answers.counts["run"] == 1
    assert b"PACK" in await v2(engine, store, b"fetch", b"want " + base.encode(), b"done")  # an ancestor by its id
    acknowledged = await v2(engine, store, b"fetch", want, b"have " + base.encode())
    assert b"acknowledgments" in acknowledged
    for absent in (Oid("1" * 40), client.oid("HEAD^{tree}")[:39] + "0"):
        with pytest.raises(NotReachable, match="not our ref"):
            await v2(engine, store, b"fetch", b"want " + absent.encode(), b"done")


async def test_a_tag_that_comes_later_is_in_later_answers(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)
    head = client.oid("HEAD")
    fetch = (b"want " + head.encode(), b"include-tag", b"done")
    before = await v2(engine, store, b"fetch", *fetch)
    client.git("tag", "-a", "-m", "one", "v1")
    tag = client.oid("v1")
    pack = client.pack([tag], without=[head])
    assert (await push(engine, store, [(b"refs/tags/v1", ZERO_OID, tag)], pack)).is_ok
    after = await v2(engine, store, b"fetch", *fetch)
    assert len(after) > len(before)


async def test_depth_filters_and_excluded_refs_are_answered(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    for number in range(3):
        client.commit({"a": str(number)})
        await push_commit(engine, store, client)
    assert (await push(engine, store, [(b"refs/heads/old", ZERO_OID, client.oid("HEAD~2"))], client.pack([]))).is_ok
    want = b"want " + client.oid("HEAD").encode()
    shallow = await v2(engine, store, b"fetch", want, b"deepen 1", b"done")
    assert b"shallow-info" in shallow
    excluded = await v2(engine, store, b"fetch", want, b"deepen-not refs/heads/old", b"done")
    assert client.oid("HEAD~1").encode() in excluded
    small = await v2(engine, store, b"fetch", want, b"filter tree:0", b"done")
    assert b"PACK" in small
    assert len(small) < len(await v2(engine, store, b"fetch", want, b"done"))


@pytest.mark.parametrize("version", [0, 1])
async def test_older_protocols_are_advertised_and_served(engine: Engine, client: StockRepository, version: int) -> None:
    store = await make_store(engine)
    empty = await engine.upload.advertisement_v0(await engine.state(store), version=version)
    assert b"0" * 40 + b" capabilities^{}" in empty
    await push_commit(engine, store, client)
    base = client.oid("HEAD")
    head = client.commit({"b": "b"})
    await push_commit(engine, store, client)
    state = await engine.state(store)
    advertised = await engine.upload.advertisement_v0(state, version=version)
    assert b"version 1" in advertised if version else b"version 1" not in advertised
    assert f"{head} HEAD\0".encode() in advertised
    assert b"symref=HEAD:refs/heads/main" in advertised
    for oid in (head, base):
        lines = encode(b"want " + oid.encode() + b" side-band-64k no-progress\n")
        body = lines + encode(b"want " + oid.encode() + b"\n") + FLUSH + encode(b"done\n")
        async with engine.upload.serve_stateless_v0(state, body, version=version) as flight:
            assert b"PACK" in b"".join([chunk async for chunk in flight.chunks()])
    body = encode(b"want " + A.encode() + b"\n") + FLUSH + encode(b"done\n")
    with pytest.raises(NotReachable):
        async with engine.upload.serve_stateless_v0(state, body, version=version):
            pass
    async with engine.upload.converse_v0(state, version=version) as child:
        said = b""
        while not said.endswith(FLUSH):
            said += await child.read()
        assert head.encode() in said
        await child.write(FLUSH)
        await child.wait()


async def test_a_reader_of_an_older_protocol_that_stalls_holds_no_child(
    engine: Engine, client: StockRepository
) -> None:
    """Attack: sixteen anonymous clones in protocol v0 that never read took every git child of the node for an hour."""
    store = await make_store(engine)
    head = client.commit({"big": "".join(chr(33 + n * n % 89) for n in range(3_000_000))})
    await push_commit(engine, store, client)
    state = await engine.state(store)
    body = encode(b"want " + head.encode() + b" side-band-64k\n") + FLUSH + encode(b"done\n")
    async with engine.upload.serve_stateless_v0(state, body, version=0) as flight, asyncio.timeout(20):
        reading = flight.chunks()
        assert await anext(reading)
        assert flight.task is not None
        await asyncio.wait({flight.task})
        assert engine.runner.running == 0
        assert b"PACK" in b"".join([chunk async for chunk in reading])


async def test_a_copy_damaged_under_a_running_program_is_replaced_and_the_fetch_answered(
    engine: Engine, client: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D6: git itself finds the flipped byte; the pack is verified, fetched anew and the request done once more."""
    monkeypatch.setattr("cairn.git.cached_files.SUSPECTED_SECONDS", -1)
    client.commit({"random": os.urandom(20_000)}, "what does not compress")
    store = await make_store(engine)
    await push_commit(engine, store, client)
    async with engine.view(await engine.state(store)) as view:
        [pack] = (view.objects / "pack").glob("*.pack")
        whole = pack.read_bytes()
        with pack.open("r+b") as file:
            file.write(b"PACK" + bytes(len(whole) - 4))
    tip = client.oid("HEAD").encode()
    answer = await v2(engine, store, b"fetch", b"want " + tip, b"done", b"no-progress", b"ofs-delta")
    assert b"PACK" in answer
    assert pack.read_bytes() == whole
    receiver = init(client.path.parent / "receiver")
    receiver.git("index-pack", "--stdin", "--strict", stdin=pack_of(answer))
    assert receiver.git("cat-file", "-t", tip.decode()) == b"commit\n"


def pack_of(answer: bytes) -> bytes:
    """Return the pack inside a fetch's answer."""
    place, pack = len(encode(b"packfile\n")), b""
    while size := int(answer[place : place + 4], 16):
        assert answer[place + 4] == 1, answer[place : place + size]
        pack += answer[place + 5 : place + size]
        place += size
    return pack


def test_errors_fit_into_a_packet() -> None:
    assert error_packet("no") == encode(b"ERR no")
    assert error_in_side_band("no") == encode(b"\x03no\n") + FLUSH
    assert len(error_packet("x" * 100_000)) < 65520
    assert v2_advertisement().startswith(encode(b"version 2\n"))
