"""Stores that share base packs, and the checks that follow."""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.git_repositories import StockRepository
from tests.factories.pushes import allow, fresh_clone, make_store
from tests.factories.raw_packs import object_id

from cairn.git.doctor import examine
from cairn.git.engine import Engine
from cairn.git.forks import open_refs, share_base
from cairn.git.landing import Staged
from cairn.git.manifest import read_manifest
from cairn.git.quarantine import Quarantine
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID, Oid, RefName, Signature
from cairn.git.writing import File, commit_files

SECRET_REF = b"refs/pull/1/head"


async def packs_of(engine: Engine, store: int) -> set[str]:
    """Return the packs that the store's manifest names."""
    return {pack.id for pack in (await read_manifest(engine.database, store))[1]}


async def objects_of(engine: Engine, store: int) -> set[bytes]:
    """Return every object of the store with its kind and size, reachable or not."""
    async with engine.view(await engine.state(store)) as view:
        listed = await asyncio.to_thread(
            StockRepository(view.path).git, "cat-file", "--batch-check", "--batch-all-objects"
        )
    return set(listed.splitlines())


async def fork_store(engine: Engine, parent: int) -> int:
    """Return a new store with the parent's branches and tags, whose base is complete for them."""
    fork = await make_store(engine)
    refs = open_refs(await engine.snapshot(await engine.state(parent)))
    updates = tuple(RefUpdate(ref.name, ZERO_OID, ref.oid, ref.peeled) for ref in refs)

    async def within(session: AsyncSession, moving: Sequence[RefUpdate]) -> dict[RefName, str]:
        await share_base(session, source_id=parent, target_id=fork, oids=[update.new for update in moving])
        return {}

    staged = Staged(store_id=fork, updates=updates, checked_at=await engine.database.now())
    outcomes = await engine.land(staged, push_id=secrets.token_hex(16), actor="test", within=within)
    assert all(outcome.moved for outcome in outcomes)
    return fork


async def secret_object(engine: Engine, store: int, text: str = "the secret\n", *, ref: RefName = SECRET_REF) -> Oid:
    """Land a commit with a secret file on a ref that no client can push to; return the file's id."""
    author = Signature("Ada", "ada@example.org", datetime(2024, 5, 6, tzinfo=UTC))

    async def write(quarantine: Quarantine) -> list[RefUpdate]:
        commit = await commit_files(
            quarantine,
            parents=[],
            changes={b"secret.txt": File(text.encode())},
            author=author,
            committer=author,
            message="secret",
        )
        return [RefUpdate(ref, ZERO_OID, commit)]

    staged = await engine.stage(store, write)
    outcomes = await engine.land(staged, push_id=secrets.token_hex(16), actor="test", within=allow)
    assert all(outcome.moved for outcome in outcomes)
    return object_id("blob", text.encode())


async def sound(engine: Engine, store: int, folder: Path) -> None:
    """Return if tables, bucket and closure agree, and a fresh clone passes ``git fsck --strict``."""
    assert [finding.sentence for finding in await examine(engine, store) if not finding.is_mendable] == []
    folder.mkdir(parents=True, exist_ok=True)
    await fresh_clone(engine, store, folder)
