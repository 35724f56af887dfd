"""Pushes as a client's bytes, through the whole of receive-pack, and the checks that follow them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.git_repositories import StockRepository, init

from cairn.git.engine import Engine
from cairn.git.landing import Within
from cairn.git.models import ManifestEntry, Pack, PackState, Upload, UploadState
from cairn.git.pktline import FLUSH, PktReader, encode
from cairn.git.receive_pack import PushBy, Remarks, read_push_request
from cairn.git.ref_transaction import RefOutcome, RefUpdate
from cairn.git.types import ZERO_OID, Oid, RefName

MAIN = b"refs/heads/main"
EMPTY_PACK = b"PACK\0\0\0\2\0\0\0\0" + hashlib.sha1(b"PACK\0\0\0\2\0\0\0\0", usedforsecurity=False).digest()
Command = tuple[RefName, Oid, Oid]
"""Name, old value, new value."""


@dataclass(frozen=True)
class PushReport:
    """What the client read: the word on unpacking, each ref's refusal (empty: it moved), the lines for people."""

    unpacked: str
    refs: dict[RefName, str]
    remarks: str

    @property
    def is_ok(self) -> bool:
        """True if every ref moved."""
        return self.unpacked == "ok" and not any(self.refs.values())


async def allow(session: AsyncSession, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
    """Refuse nothing."""
    return {}


async def say_nothing(moved: Sequence[RefOutcome]) -> Sequence[str]:
    """Have no remarks."""
    return ()


async def make_store(engine: Engine) -> int:
    """Return the id of a new empty store."""
    async with engine.database.write() as session:
        return await engine.create_store(session)


def push_request(commands: Sequence[Command], *capabilities: str) -> bytes:
    """Return the bytes a client sends before its pack."""
    words = " ".join(["report-status", "side-band-64k", *capabilities]).encode()
    lines = [f"{old} {new} ".encode() + name for name, old, new in commands]
    return b"".join(map(encode, [lines[0] + b"\0" + words, *lines[1:]])) + FLUSH


async def pieces(data: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    """Yield the bytes in pieces, giving way between them as a network does."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
        await asyncio.sleep(0)


async def push(
    engine: Engine,
    store_id: int,
    commands: Sequence[Command],
    pack: bytes = b"",
    *,
    capabilities: Sequence[str] = (),
    within: Within = allow,
    remarks: Remarks = say_nothing,
) -> PushReport:
    """Push by hand and return the report."""
    state = await engine.state(store_id)
    reader = PktReader(pieces(push_request(commands, *capabilities) + pack), max_bytes=1 << 25)
    request = await read_push_request(reader, engine.settings)
    assert request is not None
    by = PushBy(actor="tester", within=within, remarks=remarks)
    answer = b""
    async with aclosing(engine.receive.receive(state, request, reader.rest(), by)) as chunks:
        async for chunk in chunks:
            answer += chunk
    return await read_report(answer)


async def read_report(answer: bytes) -> PushReport:
    """Take a side-banded answer apart."""
    report, progress = b"", b""
    reader = PktReader(pieces(answer), max_bytes=len(answer) + 1)
    for line in await reader.read_until_flush():
        if line[0] == 1:
            report += line[1:]
        else:
            progress += line[1:]
    inner = PktReader(pieces(report), max_bytes=len(report) + 1)
    first, *lines = await inner.read_until_flush()
    refs: dict[RefName, str] = {}
    for line in lines:
        word, name, *reason = line.rstrip(b"\n").split(b" ", 2)
        refs[name] = "" if word == b"ok" else reason[0].decode()
    return PushReport(first.decode().strip().removeprefix("unpack "), refs, progress.decode())


async def push_commit(
    engine: Engine, store_id: int, client: StockRepository, name: RefName = MAIN, *, thin: bool = False
) -> PushReport:
    """Push the client's HEAD to a ref as stock git would: what the ref had is left out of the pack."""
    state = await engine.state(store_id)
    refs = {ref.name: ref.oid for ref in (await engine.snapshot(state)).refs}
    new = client.oid("HEAD")
    known = [oid for oid in refs.values() if _has(client, oid)]
    pack = client.pack([new], without=known, thin=thin)
    return await push(engine, store_id, [(name, refs.get(name, ZERO_OID), new)], pack)


def _has(client: StockRepository, oid: Oid) -> bool:
    return client.git("cat-file", "--batch-check", stdin=oid.encode() + b"\n").split()[1] != b"missing"


async def refs_of(engine: Engine, store_id: int) -> dict[RefName, Oid]:
    """Return the store's refs as they are now."""
    return {ref.name: ref.oid for ref in (await engine.snapshot(await engine.state(store_id))).refs}


async def fresh_clone(engine: Engine, store_id: int, folder: Path) -> StockRepository:
    """Mirror the store with stock git from this node's view of it and let ``git fsck --strict`` judge the mirror."""
    state = await engine.state(store_id)
    snapshot = await engine.snapshot(state)
    source = init(folder / "source", bare=True)
    lines = [f"{ref.oid} ".encode() + ref.name + b"\n" for ref in snapshot.refs]
    (source.path / "packed-refs").write_bytes(b"# pack-refs with: sorted \n" + b"".join(lines))
    (source.path / "HEAD").write_bytes(b"ref: " + state.head_target + b"\n")
    mirror = StockRepository(folder / "mirror")
    async with engine.view(snapshot.fresher(state)) as view:
        (source.objects / "info" / "alternates").write_text(f"{view.objects}\n")
        await asyncio.to_thread(
            StockRepository(folder).git, "clone", "-q", "--mirror", f"file://{source.path}", mirror.path
        )
    await asyncio.to_thread(mirror.git, "fsck", "--strict", "--no-progress")
    return mirror


async def verdict(engine: Engine, store_id: int, folder: Path) -> dict[RefName, Oid]:
    """Return the store's refs when tables, bucket and closure agree; AssertionError says where they do not."""
    await check_bucket(engine, store_id)
    folder.mkdir(parents=True, exist_ok=True)
    mirror = await fresh_clone(engine, store_id, folder)
    refs = await refs_of(engine, store_id)
    listed = mirror.git("for-each-ref", "--format=%(objectname) %(refname)").splitlines()
    assert {name: Oid(oid.decode()) for oid, _, name in (line.partition(b" ") for line in listed)} == refs
    return refs


async def check_bucket(engine: Engine, store_id: int) -> None:
    """Hold the tables and the bucket against each other: every pack is there and right, nothing else is unannounced."""
    async with engine.database.read() as session:
        packs = {pack.id: pack for pack in (await session.scalars(select(Pack).where(Pack.store_id == store_id)))}
        named = set(await session.scalars(select(ManifestEntry.pack_id).where(ManifestEntry.store_id == store_id)))
        uploads = {
            upload.id: upload for upload in (await session.scalars(select(Upload).where(Upload.store_id == store_id)))
        }
    assert named <= {pack_id for pack_id, pack in packs.items() if pack.state == PackState.LIVE}
    announced: set[str] = set()
    for pack in packs.values():
        # A closed row goes after a week.
        assert pack.id not in uploads or uploads[pack.id].state == UploadState.CLOSED
        for ending, size, sha256 in (
            ("pack", pack.pack_bytes, pack.pack_sha256),
            ("idx", pack.index_bytes, pack.index_sha256),
        ):
            data = await engine.storage.get(f"{pack.key}.{ending}", max_bytes=1 << 30)
            assert (len(data), hashlib.sha256(data).hexdigest()) == (size, sha256)
            announced.add(f"{pack.key}.{ending}")
    for upload in uploads.values():
        announced |= set(upload.keys)
    async for found in engine.storage.list(f"packs/{store_id}/"):
        assert found.key in announced, f"{found.key} was never announced"
