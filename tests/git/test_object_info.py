"""Sizes of objects are told to readers of what reaches them, as stock git tells them, and of nothing else."""

from pathlib import Path

import pytest
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import make_store, push_commit

from cairn.git.engine import Engine
from cairn.git.object_info import OIDS_MAX, InfoRefused, parse_object_info
from cairn.git.pktline import DELIM, FLUSH, encode, encode_lines
from cairn.git.types import Oid
from cairn.git.upload_pack import V2Request, v2_advertisement

pytest_plugins = ["tests.factories.engines"]

A, B = Oid("a" * 40), Oid("b" * 40)


@pytest.fixture
def client(tmp_path: Path) -> StockRepository:
    made = init(tmp_path / "client")
    made.commit({"folder/a.txt": "one\n"}, "one")
    return made


async def ask(engine: Engine, store: int, *arguments: bytes) -> bytes:
    request = V2Request(b"object-info", arguments)
    async with engine.upload.serve_v2(await engine.state(store), request) as answer:
        assert isinstance(answer, bytes)
        return answer


def stock(client: StockRepository, *arguments: bytes) -> bytes:
    """Return what stock upload-pack answers in the client's own repository."""
    request = encode(b"command=object-info\n") + encode(b"object-format=sha1\n") + DELIM
    request += b"".join(encode(line + b"\n") for line in arguments) + FLUSH
    client.git("config", "transfer.advertiseObjectInfo", "true")
    return client.git(
        "upload-pack", "--stateless-rpc", ".", stdin=request, env={"GIT_PROTOCOL": "version=2", "LC_ALL": "C"}
    )


async def test_sizes_are_those_that_stock_git_tells(engine: Engine, client: StockRepository) -> None:
    store = await make_store(engine)
    await push_commit(engine, store, client)
    oids = [client.oid(name).encode() for name in ("HEAD", "HEAD^{tree}", "HEAD:folder", "HEAD:folder/a.txt")]
    arguments = [b"size", *(b"oid " + oid for oid in oids)]
    answer = await ask(engine, store, *arguments)
    assert answer == stock(client, *arguments)
    assert encode(oids[3] + b" 4") in answer
    assert b"object-info" in v2_advertisement()


async def test_what_no_root_reaches_looks_like_what_is_absent(engine: Engine, client: StockRepository) -> None:
    """Attack: sizes of objects that lie in a pack but are nobody's any more, or of another store."""
    store, other = await make_store(engine), await make_store(engine)
    await push_commit(engine, store, client)
    inside = client.oid("HEAD:folder/a.txt")
    for where in (store, other):
        answer = await ask(engine, where, b"size", b"oid " + A.encode(), b"oid " + inside.encode())
        size = b"4" if where == store else b""
        assert answer == encode_lines([b"size", A.encode() + b" ", inside.encode() + b" " + size])


def test_questions_outside_the_protocol_are_refused() -> None:
    assert parse_object_info([b"size", b"oid " + A.encode(), b"oid " + B.encode()]) == [A, B]
    assert parse_object_info([b"size"]) == []
    many = [b"oid " + A.encode()] * (OIDS_MAX + 1)
    for arguments in ([], [b"oid " + A.encode()], [b"size", b"type"], [b"size", b"oid HEAD"], [b"size", *many]):
        with pytest.raises(InfoRefused):
            parse_object_info(arguments)
