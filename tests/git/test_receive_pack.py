"""Pushes through receive-pack: what is refused, how, and what a client that goes away leaves behind."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import (
    EMPTY_PACK,
    MAIN,
    allow,
    make_store,
    pieces,
    push,
    push_commit,
    push_request,
    refs_of,
    say_nothing,
    verdict,
)
from tests.factories.raw_packs import BLOB, object_id, raw_pack, whole
from tests.services.ports import eventually

from cairn.base.errors import Forbidden
from cairn.base.settings import Settings
from cairn.git.engine import Engine
from cairn.git.operator_hooks import open_hooks
from cairn.git.pktline import FLUSH, ConversationEnded, PktReader, ProtocolError, encode
from cairn.git.receive_pack import PushBy, PushRefused, ReceivePack, read_push_request, refuse_push
from cairn.git.ref_transaction import RefOutcome, RefUpdate
from cairn.git.types import ZERO_OID, Oid, RefName

pytest_plugins = ["tests.factories.engines"]

OTHER = Oid("1" * 40)


@pytest.fixture
def client(tmp_path: Path) -> StockRepository:
    made = init(tmp_path / "client")
    made.commit({"a.txt": "one\n"}, "one")
    return made


async def _read(engine: Engine, data: bytes) -> object:
    return await read_push_request(PktReader(pieces(data), max_bytes=1 << 20), engine.settings)


async def test_a_push_makes_a_branch_and_moves_it(engine: Engine, client: StockRepository, tmp_path: Path) -> None:
    store = await make_store(engine)
    assert (await push_commit(engine, store, client)).is_ok
    client.commit({"b.txt": "two\n"}, "two")
    assert (await push_commit(engine, store, client)).is_ok
    assert await verdict(engine, store, tmp_path / "verdict") == {MAIN: client.oid("HEAD")}


async def test_a_refused_object_is_told_in_the_sentence_of_its_check(engine: Engine, client: StockRepository) -> None:
    """The checks run together; the error of one must reach the pusher as it is, not as a group of errors."""
    store = await make_store(engine)
    pack = client.pack(["HEAD^{tree}"])  # the commit itself is left out
    report = await push(engine, store, [(MAIN, ZERO_OID, client.oid("HEAD"))], pack)
    assert "missing, fetch and push again" in report.unpacked
    assert report.refs == {MAIN: "unpacker error"}
    assert "missing, fetch and push again" in report.remarks


async def test_a_file_beyond_the_limit_is_told_with_the_setting(tmp_path: Path, engine: Engine) -> None:
    store = await make_store(engine)
    client = init(tmp_path / "client")
    client.commit({"big": b"x" * 5000})
    settings = msgspec.structs.replace(engine.settings, max_file_bytes=4000)
    small = replace(
        engine,
        settings=settings,
        receive=ReceivePack(
            database=engine.database,
            settings=settings,
            refs=engine.refs,
            stager=engine.stager,
            hooks=open_hooks(settings, home=engine.cache.root / "home"),
        ),
    )
    report = await push_commit(small, store, client)
    assert "CAIRN_MAX_FILE_BYTES" in report.unpacked


async def test_a_branch_points_to_commits_only(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    tree = client.oid("HEAD^{tree}")
    report = await push(engine, store, [(MAIN, ZERO_OID, tree)], client.pack([tree]))
    assert "branches point to commits" in report.unpacked
    assert await refs_of(engine, store) == {}


async def test_a_tag_may_point_to_anything_and_is_peeled(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    client.git("tag", "-a", "-m", "tag", "v1", "HEAD")
    client.git("tag", "-a", "-m", "tag of a tag", "v2", "v1")
    client.git("tag", "blob", "HEAD:a.txt")
    names = [b"refs/tags/v1", b"refs/tags/v2", b"refs/tags/blob"]
    commands = [(name, ZERO_OID, client.oid(name.decode())) for name in names]
    assert (await push(engine, store, commands, client.pack([oid for _, _, oid in commands]))).is_ok
    snapshot = await engine.snapshot(await engine.state(store))
    peeled = {ref.name: ref.peeled for ref in snapshot.refs}
    head = client.oid("HEAD")
    assert peeled == {b"refs/tags/v1": head, b"refs/tags/v2": head, b"refs/tags/blob": None}


async def test_reserved_and_invalid_names_are_refused_one_by_one(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    head = client.oid("HEAD")
    commands = [(name, ZERO_OID, head) for name in (MAIN, b"refs/pull/1/head", b"refs/heads/-x", b"HEAD")]
    report = await push(engine, store, commands, client.pack([head]))
    assert report.refs[MAIN] == ""
    assert "reserved" in report.refs[b"refs/pull/1/head"]
    assert "starts with '-'" in report.refs[b"refs/heads/-x"]
    assert "refs/" in report.refs[b"HEAD"]
    assert await refs_of(engine, store) == {MAIN: head}


async def test_an_atomic_push_with_a_reserved_name_moves_nothing(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    head = client.oid("HEAD")
    commands = [(MAIN, ZERO_OID, head), (b"refs/pull/1/head", ZERO_OID, head)]
    report = await push(engine, store, commands, client.pack([head]), capabilities=["atomic"])
    assert all(report.refs.values())
    assert await refs_of(engine, store) == {}


async def test_a_stale_ref_is_refused_and_the_others_move(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)
    new = client.commit({"b": "b"})
    commands = [(MAIN, ZERO_OID, new), (b"refs/heads/other", ZERO_OID, new)]
    report = await push(engine, store, commands, client.pack([new]))
    assert "stale info" in report.refs[MAIN]
    assert report.refs[b"refs/heads/other"] == ""


async def test_what_the_rules_raise_is_told_for_each_ref(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)

    async def forbid(session: AsyncSession, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
        raise Forbidden("you may not push here")

    head = client.oid("HEAD")
    report = await push(engine, store, [(MAIN, ZERO_OID, head)], client.pack([head]), within=forbid)
    assert report.unpacked == "ok"
    assert report.refs == {MAIN: "you may not push here"}
    assert await refs_of(engine, store) == {}


async def test_failing_remarks_do_not_deny_a_push_that_landed(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)

    async def fail(moved: Sequence[RefOutcome]) -> Sequence[str]:
        raise RuntimeError("no words")

    head = client.oid("HEAD")
    report = await push(engine, store, [(MAIN, ZERO_OID, head)], client.pack([head]), remarks=fail)
    assert report.is_ok


async def test_remarks_are_read_by_people(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)

    async def link(moved: Sequence[RefOutcome]) -> Sequence[str]:
        return [f"{len(moved)} moved"]

    head = client.oid("HEAD")
    report = await push(engine, store, [(MAIN, ZERO_OID, head)], client.pack([head]), remarks=link)
    assert report.remarks == "1 moved\n"


async def test_commands_without_their_flush_change_nothing(engine: Engine) -> None:
    """A connection that broke between two commands must not become a push of the first half, not even of deletions."""
    whole_request = push_request([(MAIN, OTHER, ZERO_OID), (b"refs/heads/x", OTHER, ZERO_OID)], "atomic")
    first = whole_request[: int(whole_request[:4], 16)]
    with pytest.raises(ConversationEnded):
        await _read(engine, first)
    assert await _read(engine, FLUSH) is None
    assert await _read(engine, b"") is None


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"0001", "no delimiters"),
        (encode(b"nonsense") + FLUSH, "not a push command"),
        (encode(b"0" * 40 + b" " + b"0" * 40 + b" refs/heads/x") + FLUSH, "neither creates nor deletes"),
        (encode(b"0" * 64 + b" " + b"1" * 64 + b" refs/heads/x") + FLUSH, "SHA-256"),
        (encode(b"push-cert\0x") + FLUSH, "signed pushes"),
        (push_request([(MAIN, ZERO_OID, OTHER), (MAIN, ZERO_OID, OTHER)]), "twice"),
        (push_request([(MAIN, ZERO_OID, OTHER)], "object-format=sha256"), "SHA-1 repositories"),
    ],
)
async def test_requests_out_of_protocol_are_refused(engine: Engine, data: bytes, error: str) -> None:
    with pytest.raises(ProtocolError, match=error):
        await _read(engine, data)


async def test_more_refs_than_allowed_are_refused_while_they_are_read(engine: Engine) -> None:
    settings = msgspec.structs.replace(engine.settings, max_push_refs=3)
    data = push_request([(b"refs/heads/%d" % number, ZERO_OID, OTHER) for number in range(4)])
    with pytest.raises(PushRefused, match="CAIRN_MAX_PUSH_REFS"):
        await read_push_request(PktReader(pieces(data), max_bytes=1 << 20), settings)


async def test_push_options_stay_separate_bytes(engine: Engine) -> None:
    """An option may hold what a joined header would take for a border (CVE-2026-3854): they are never joined."""
    options = [b"a;b=c", b"x\r\nHeader: y", b"\xff\x00\xfe", b""]
    data = push_request([(MAIN, ZERO_OID, OTHER)], "push-options") + b"".join(map(encode, options)) + FLUSH
    request = await read_push_request(PktReader(pieces(data), max_bytes=1 << 20), engine.settings)
    assert request is not None
    assert request.options == tuple(options)


async def test_a_name_of_64_kb_is_refused_in_a_report(engine: Engine) -> None:
    store = await make_store(engine)
    name = b"refs/heads/" + b"x" * 65_300
    report = await push(engine, store, [(name, ZERO_OID, OTHER)], EMPTY_PACK)
    assert list(report.refs) == [name]
    assert report.refs[name]


async def test_a_whole_push_is_refused_with_one_sentence(engine: Engine) -> None:
    request = await read_push_request(
        PktReader(pieces(push_request([(MAIN, ZERO_OID, OTHER)])), max_bytes=1 << 20), engine.settings
    )
    assert request is not None
    assert b"ng refs/heads/main archived" in refuse_push(request, "archived")


async def test_a_client_that_goes_away_leaves_no_quarantine_and_no_child(
    engine: Engine, client: StockRepository
) -> None:
    store = await make_store(engine)
    head = client.oid("HEAD")
    pack = client.pack([head])
    waiting = asyncio.Event()

    async def half() -> AsyncIterator[bytes]:
        yield pack[: len(pack) // 2]
        waiting.set()
        await asyncio.Event().wait()

    data = push_request([(MAIN, ZERO_OID, head)])
    request = await read_push_request(PktReader(pieces(data), max_bytes=1 << 20), engine.settings)
    assert request is not None
    by = PushBy(actor="tester", within=allow, remarks=say_nothing)
    state = await engine.state(store)

    async def consume() -> None:
        async with aclosing(engine.receive.receive(state, request, half(), by)) as chunks:
            async for _ in chunks:
                pass

    task = asyncio.create_task(consume())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(engine.cache.quarantines.iterdir()) == []
    assert await refs_of(engine, store) == {}

    async def no_places_taken() -> bool:
        return engine.runner.running == 0

    await eventually(no_places_taken, within_seconds=5, what="the child's place is free")


async def test_the_rest_of_a_refused_push_is_read_so_that_the_client_listens(engine: Engine) -> None:
    store = await make_store(engine)
    pack = raw_pack([whole(BLOB, b"x" * 10)])
    blob = object_id("blob", b"x" * 10)
    report = await push(engine, store, [(b"refs/pull/1/head", ZERO_OID, blob)], pack + b"z" * 200_000)
    assert "reserved" in report.refs[b"refs/pull/1/head"]


async def test_a_push_of_nothing_but_garbage_is_a_report(engine: Engine) -> None:
    store = await make_store(engine)
    report = await push(engine, store, [(MAIN, ZERO_OID, OTHER)], b"no pack at all")
    assert "PACK" in report.unpacked
    report = await push(engine, store, [(MAIN, ZERO_OID, OTHER)], EMPTY_PACK)
    assert "missing" in report.unpacked


async def test_deletion_and_recreation(engine: Engine, client: StockRepository, tmp_path: Path) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)
    head = client.oid("HEAD")
    assert (await push(engine, store, [(MAIN, head, ZERO_OID)])).is_ok
    assert await refs_of(engine, store) == {}
    assert (await push(engine, store, [(MAIN, ZERO_OID, head)], EMPTY_PACK)).is_ok
    assert await verdict(engine, store, tmp_path / "verdict") == {MAIN: head}


_SPIKED = st.binary(min_size=1, max_size=40).map(lambda raw: b"a;" + raw + b"\r\0;\n$(x)")


@given(options=st.lists(_SPIKED, max_size=5), name=st.binary(min_size=1, max_size=40), cut=st.integers(1, 64))
async def test_whatever_bytes_a_push_carries_come_out_as_they_went_in(
    options: list[bytes], name: bytes, cut: int
) -> None:
    """I4. Attack: a push option with a delimiter became a header of its own inside a forge, and then a command."""
    ref = b"refs/heads/" + name.replace(b"\0", b";").rstrip(b"\n") + b"x"
    lines = [encode(b"0" * 40 + b" " + b"1" * 40 + b" " + ref + b"\0report-status push-options atomic"), FLUSH]
    lines += [*(encode(option + b"\n") for option in options), FLUSH]
    data = b"".join(lines) + b"PACK"
    reader = PktReader(pieces(data, cut), max_bytes=1 << 20)
    request = await read_push_request(reader, Settings())
    assert request is not None
    assert [update.name for update in request.updates] == [ref]
    assert request.options == tuple(options)
    assert request.capabilities == {b"report-status", b"push-options", b"atomic"}
    assert b"".join([chunk async for chunk in reader.rest()]) == b"PACK"
