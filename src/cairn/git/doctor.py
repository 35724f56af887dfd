"""Compares what the tables say of a store with what the object store has, and with what its refs reach.

Made to run beside pushes, compaction and sweepers: the bucket is listed before the rows are read, because every key is
announced by a row before a byte of it exists, and what looks wrong is looked at once more before it is reported.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.clock import database_now
from cairn.git.cached_files import PackDamaged
from cairn.git.commands import GitCommand
from cairn.git.engine import Engine
from cairn.git.indexes import condemn_unusable, read_indexes
from cairn.git.manifest import read_manifest
from cairn.git.models import ManifestEntry, Pack, PackState, Upload, UploadState
from cairn.git.node_cache import View
from cairn.git.ref_queries import RefValue
from cairn.git.runner import GitFailed
from cairn.git.types import show
from cairn.git.undo_packs import list_undo_packs
from cairn.git.upload_sweeper import delete_expired_keys, sweep_uploads
from cairn.storage.errors import StorageNotFound
from cairn.storage.storage import Storage

SWEPT_WITHIN = timedelta(hours=1)
"""An upload that is open so long after its time was not swept: no worker runs, or it fails."""

EXAMPLES_MAX = 20
"""Findings of one kind that are told one by one; the rest is counted."""

_BATCH_OIDS = 10_000
_OID = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, in a sentence. ``is_mendable``: ``mend`` puts it right without any risk."""

    sentence: str
    is_mendable: bool = False


@dataclass(frozen=True, slots=True)
class _File:
    key: str
    size: int


async def examine(engine: Engine, store_id: int) -> list[Finding]:
    """Return everything that is wrong with a store; empty if tables, bucket and closure agree.

    Reads each key's size and every object's header, no object's content. Errors: StoreGone, the storage's Unavailable.
    """
    bucket = {found.key: found.size async for found in engine.storage.list(f"packs/{store_id}/")}
    findings = await _examine_uploads(engine, store_id, bucket)
    findings += await _examine_packs(engine, store_id, bucket)
    findings += await _examine_unknown_keys(engine, store_id, bucket)
    findings += await _examine_indexes(engine, store_id)
    findings += await _examine_undo_packs(engine, store_id)
    findings += await _examine_refs(engine, store_id)
    return findings


async def mend(engine: Engine, store_id: int) -> None:
    """Delete what uploads wrote that can never land any more, and give up indexes that are of no use: both are safe."""
    await sweep_uploads(engine.database, engine.storage, store_id=store_id)
    await delete_expired_keys(engine.database, engine.storage, store_id)
    await condemn_unusable(engine.database, engine.storage, store_id)


async def _examine_uploads(engine: Engine, store_id: int, bucket: dict[str, int]) -> list[Finding]:
    async with engine.database.read() as session:
        late = await database_now(session, plus=-SWEPT_WITHIN)
        uploads = list(
            await session.scalars(
                select(Upload)
                .where(Upload.store_id == store_id, Upload.state != UploadState.CLOSED)
                .order_by(Upload.id)
            )
        )
    findings = []
    for upload in uploads:
        if upload.state == UploadState.OPEN and upload.expires_at < late:
            findings.append(
                Finding(
                    f"Upload {upload.id} ended at {upload.expires_at:%Y-%m-%d %H:%M} UTC and was not swept; "
                    "does a worker run?",
                    is_mendable=True,
                )
            )
        elif upload.state == UploadState.EXPIRED and await _any_left(engine.storage, upload.keys, bucket):
            what = f"Upload {upload.id} expired and left bytes in the object store."
            findings.append(Finding(what, is_mendable=True))
    return shortened(findings, "uploads like these")


async def _any_left(storage: Storage, keys: Sequence[str], bucket: dict[str, int]) -> bool:
    return any([await storage.exists(key) for key in keys if key in bucket])


async def _examine_packs(engine: Engine, store_id: int, bucket: dict[str, int]) -> list[Finding]:
    findings = []
    async with engine.database.read() as session:
        rows = await _rows(session, store_id)
    for pack, is_named, is_named_here in rows:
        if is_named_here and pack.state != PackState.LIVE:
            findings.append(Finding(f"The manifest names pack {pack.id}, which is {pack.state}."))
        if not is_named and pack.state == PackState.LIVE:
            findings.append(Finding(f"Pack {pack.id} is live, but no manifest names it: nobody reads or deletes it."))
        if pack.state == PackState.DELETING:
            continue
        files = (_File(f"{pack.key}.pack", pack.pack_bytes), _File(f"{pack.key}.idx", pack.index_bytes))
        looked = [await _look_again(engine, pack, file) for file in files if bucket.get(file.key) != file.size]
        findings += [problem for problem in looked if problem is not None]
    return shortened(findings, "packs like these")


async def _rows(session: AsyncSession, store_id: int) -> list[tuple[Pack, bool, bool]]:
    """Return the packs that were made for the store or that its manifest names; whether any manifest does; this one."""
    # Primary keys, and ix_git_manifest_pack_store_id_pack_id.
    here = (ManifestEntry.pack_store_id == Pack.store_id) & (ManifestEntry.pack_id == Pack.id)
    named_here = exists().where(here, ManifestEntry.store_id == store_id)
    found = await session.execute(
        select(Pack, exists().where(here), named_here)
        .where(or_(Pack.store_id == store_id, named_here))
        .order_by(Pack.store_id, Pack.id)
    )
    return [(pack, bool(is_named), bool(is_named_here)) for pack, is_named, is_named_here in found]


async def _look_again(engine: Engine, pack: Pack, file: _File) -> Finding | None:
    """Return what is wrong with a pack's file after all: it may have been deleted as it should between two looks."""
    size = await _size(engine.storage, file.key)
    if size == file.size:
        return None
    async with engine.database.read() as session:
        state = await session.scalar(select(Pack.state).where(Pack.store_id == pack.store_id, Pack.id == pack.id))
    if state is None or state == PackState.DELETING:
        return None
    if size is None:
        return Finding(f"{file.key} is missing from the object store; {_how_bad(pack)}")
    return Finding(f"{file.key} has {size:,} bytes instead of {file.size:,}; {_how_bad(pack)}")


def _how_bad(pack: Pack) -> str:
    if pack.state == PackState.LIVE:
        return "restore this key from the bucket's versions or from a backup."
    return "the pack was replaced already, so nothing is lost."


async def _size(storage: Storage, key: str) -> int | None:
    try:
        return (await storage.stat(key)).size
    except StorageNotFound:
        return None


async def _examine_unknown_keys(engine: Engine, store_id: int, bucket: dict[str, int]) -> list[Finding]:
    async with engine.database.read() as session:
        # In this order: an upload that lands in between is found in both places, not in none.
        uploads = await session.scalars(
            select(Upload.keys).where(Upload.store_id == store_id, Upload.state != UploadState.CLOSED)
        )
        known = {key for keys in uploads for key in keys}
        keys = await session.scalars(select(Pack.key).where(Pack.store_id == store_id))
        known |= {f"{key}.{ending}" for key in keys for ending in ("pack", "idx")}
    unknown = sorted(bucket.keys() - known)
    findings = [
        Finding(
            f"No row knows {key} ({bucket[key]:,} bytes): nothing reads it; keep it until you know where it is from."
        )
        for key in unknown
        if await engine.storage.exists(key)
    ]
    return shortened(findings, "unknown keys")


async def _examine_indexes(engine: Engine, store_id: int) -> list[Finding]:
    """A commit-graph or bitmap that cannot be used costs speed only; the worker makes another."""
    _, packs = await read_manifest(engine.database, store_id)
    findings = []
    for index in await read_indexes(engine.database, store_id, [pack.id for pack in packs]):
        lost = [file for file in index.files if await _size(engine.storage, file.key) != file.size]
        findings += [
            Finding(f"{file.key}, part of a {index.kind}, is missing or cut; only speed is lost.", is_mendable=True)
            for file in lost
        ]
    return shortened(findings, "indexes like these")


async def _examine_undo_packs(engine: Engine, store_id: int) -> list[Finding]:
    findings = []
    for pack in await list_undo_packs(engine.database, store_id):
        for ending, size in ((".pack", pack.pack_bytes), (".idx", pack.index_bytes)):
            if await _size(engine.storage, f"{pack.key}{ending}") != size:
                findings.append(
                    Finding(f"{pack.key}{ending} is missing or cut: what a collection dropped cannot be restored.")
                )
    return shortened(findings, "undo packs like these")


async def _examine_refs(engine: Engine, store_id: int) -> list[Finding]:
    """Return which refs, and which objects below them, the packs of the manifest do not have."""
    state = await engine.state(store_id)
    snapshot = await engine.snapshot(state)
    if not snapshot.refs:
        return []
    try:
        async with engine.view(snapshot.fresher(state)) as view:
            absent = await _absent(engine, view, {ref.oid for ref in snapshot.refs})
            present = [ref for ref in snapshot.refs if ref.oid not in absent]
            findings = [
                Finding(f"{show(ref.name)} points to {ref.oid}, which is in no pack of this store.")
                for ref in snapshot.refs
                if ref.oid in absent
            ]
            return shortened(findings, "refs like these") + await _absent_objects(engine, view, present)
    except PackDamaged as error:
        return [Finding(f"{error.key} cannot be read whole, so the refs could not be followed.")]
    except GitFailed as error:
        return [Finding(f"The refs could not be followed: {error.message}: {error.stderr.strip()[-300:]}")]


async def _absent(engine: Engine, view: View, oids: set[str]) -> set[str]:
    """Return those objects that the view lacks."""
    wanted, absent = sorted(oids), set[str]()
    command = GitCommand(name="cat-file", options=("--batch-check",))
    for start in range(0, len(wanted), _BATCH_OIDS):
        stdin = "".join(f"{oid}\n" for oid in wanted[start : start + _BATCH_OIDS]).encode("ascii")
        output = await engine.runner.run(command, git_dir=view.path, stdin=stdin)
        absent |= {line.split()[0].decode("ascii") for line in output.splitlines() if line.endswith(b" missing")}
    return absent


async def _absent_objects(engine: Engine, view: View, refs: Sequence[RefValue]) -> list[Finding]:
    """Return the objects that these refs reach and the view lacks, by one walk through everything."""
    if not refs:
        return []
    tips = "".join(f"{oid}\n" for oid in sorted({ref.oid for ref in refs})).encode("ascii")
    options = ("--objects", "--no-object-names", "--quiet", "--missing=print", "--stdin")
    missing: list[str] = []
    try:
        async with engine.runner.spawn(
            GitCommand(name="rev-list", options=options), git_dir=view.path, stdin=tips
        ) as child:
            async for lines in child.line_batches():
                missing += [line[1:].decode("ascii") for line in lines if line.startswith(b"?")]
            await child.finish()
    except GitFailed as failure:
        # A missing commit ends the walk of git before 2.44; it names that commit, and the one that led to it.
        named = await _absent(engine, view, set(_OID.findall(failure.stderr)))
        if not named:
            raise
        missing += sorted(named)
    findings = [
        Finding(f"Object {oid}, which the refs reach, is in no pack of this store.") for oid in sorted(set(missing))
    ]
    return shortened(findings, "missing objects")


def shortened(findings: list[Finding], what: str) -> list[Finding]:
    """Return the first findings and one that counts the rest."""
    rest = findings[EXAMPLES_MAX:]
    if not rest:
        return findings
    count = Finding(f"And {len(rest):,} more {what}.", is_mendable=all(finding.is_mendable for finding in rest))
    return [*findings[:EXAMPLES_MAX], count]
