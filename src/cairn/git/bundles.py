"""Bundles: a whole clone as one file that stays the same for a day. Source: gitprotocol-v2(5), gitformat-bundle(5).

Newer clients ask for ``bundle-uri`` and fetch the file first, then only what came since. It holds the branches and
tags as they were when the day (UTC) began, so every clone of that day shares one kept answer of the fetch cache,
however often people push. Each value was proved reachable like any other want.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime, time

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import NotFound, Unavailable
from cairn.base.settings import MIB
from cairn.git.engine import Engine
from cairn.git.fetch_cache import Answer, Flight
from cairn.git.models import RefLog
from cairn.git.pktline import FLUSH, Band, encode_lines
from cairn.git.ref_queries import RefSnapshot
from cairn.git.store_state import StoreState
from cairn.git.types import ZERO_OID, Oid, RefName
from cairn.git.upload_pack import V2Request

BUNDLED_FROM_BYTES = MIB
"""Smaller repositories are cloned as quickly without a second request."""

CHANGES_MAX = 50_000
"""Ref changes of one day that are looked through; a busier repository has no bundle."""

BUNDLE_COMMAND = b"bundle-uri"
BUNDLE_PART = "clone.bundle"
"""Where a repository's bundle lies below its address."""

_PREFIXES = (b"refs/heads/", b"refs/tags/")


class NoBundle(NotFound):
    """This repository has no bundle: it is empty, or changes too much."""

    def __init__(self) -> None:
        super().__init__("This repository has no bundle; clone it as usual.")


async def list_bundles(engine: Engine, state: StoreState, uri: str) -> bytes:
    """Return the answer to ``bundle-uri``: ``uri`` if a bundle pays, else an empty list."""
    if state.ref_version == 0 or await engine.views.bytes_of(state) < BUNDLED_FROM_BYTES:
        return FLUSH
    return encode_lines(
        [b"bundle.version=1\n", b"bundle.mode=all\n", b"bundle.clone.uri=" + uri.encode("ascii") + b"\n"]
    )


async def stream_bundle(engine: Engine, state: StoreState) -> AsyncGenerator[bytes, None]:
    """Yield the store's bundle of today. Errors: NoBundle, NotReachable, the engine's Unavailable."""
    snapshot = await engine.snapshot(state)
    state = snapshot.fresher(state)
    async with engine.database.read() as session:
        refs = await _refs_of_today(session, snapshot, state, now=await engine.database.now())
    if not refs:
        raise NoBundle
    wants = sorted(set(refs.values()))
    request = V2Request(b"fetch", (b"ofs-delta", *(b"want " + oid.encode("ascii") for oid in wants), b"done"))
    answer: Answer
    async with engine.upload.serve_v2(state, request) as answer:
        pack = _unframed(_chunks(answer))
        first = await anext(pack)  # what goes wrong shows here, before a byte was sent
        yield _header(refs)
        yield first
        async for piece in pack:
            yield piece


async def _refs_of_today(
    session: AsyncSession, snapshot: RefSnapshot, state: StoreState, *, now: datetime
) -> dict[RefName, Oid]:
    """Return branches and tags as they were when the day began; empty if that cannot be told."""
    midnight = datetime.combine(now.date(), time(), now.tzinfo)
    # ix_git_ref_log_store_id_at
    changes = await session.execute(
        select(RefLog.name, RefLog.old_oid)
        .where(RefLog.store_id == state.id, RefLog.at >= midnight)
        .order_by(RefLog.ref_version.desc(), RefLog.position.desc())
        .limit(CHANGES_MAX + 1)
    )
    rows = changes.all()
    if len(rows) > CHANGES_MAX:
        return {}
    found = {ref.name: ref.oid for ref in snapshot.refs}
    for name, old in rows:  # backwards: the last one written is the value at midnight
        if old == ZERO_OID:
            found.pop(bytes(name), None)
        else:
            found[bytes(name)] = Oid(old)
    begun = found or {ref.name: ref.oid for ref in snapshot.refs}  # made today: as it is now
    return {name: oid for name, oid in sorted(begun.items()) if name.startswith(_PREFIXES)}


def _header(refs: dict[RefName, Oid]) -> bytes:
    lines = [b"%b %b\n" % (oid.encode("ascii"), name) for name, oid in refs.items()]
    return b"# v2 git bundle\n" + b"".join(lines) + b"\n"


async def _chunks(answer: Answer) -> AsyncIterator[bytes]:
    if isinstance(answer, bytes):
        yield answer
    elif isinstance(answer, Flight):
        async for chunk in answer.chunks():
            yield chunk
    else:
        with await asyncio.to_thread(answer.open, "rb") as file:
            while chunk := await asyncio.to_thread(file.read, MIB):
                yield chunk


async def _unframed(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the pack of a framed answer. Errors: Unavailable where git gave up in the middle."""
    held = b""
    in_pack = False
    async for chunk in chunks:
        held += chunk
        pieces: list[bytes] = []
        at = 0
        while len(held) - at >= 4:
            size = max(int(held[at : at + 4], 16), 4)
            if len(held) - at < size:
                break
            line = held[at + 4 : at + size]
            at += size
            if not in_pack:
                in_pack = line == b"packfile\n"
            elif line[:1] == bytes([Band.DATA.value]):
                pieces.append(line[1:])
            elif line[:1] == bytes([Band.ERROR.value]):
                raise Unavailable("The bundle could not be made; clone without it.")
        held = held[at:]
        if pieces:
            yield b"".join(pieces)


def bundle_uri(origin: str, owner_and_name: str) -> str:
    """Return where a repository's bundle lies."""
    return f"{origin}/{owner_and_name}.git/{BUNDLE_PART}"
