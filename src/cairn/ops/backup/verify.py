"""Reads a whole backup and compares every byte with what its manifest says, and mends copies where that can be done."""

import asyncio
import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from cairn.ops.backup.copying import Copied, Pace, Route, copy_absent, join
from cairn.ops.backup.create import Progress, Tell, say_nothing
from cairn.ops.backup.ledger import KeyLedger
from cairn.ops.backup.stored_keys import StoredKey
from cairn.ops.backup.target import COPIES, KEYS_FILE, BackupTarget, BackupUnreadable, Manifest, read_keys
from cairn.storage.errors import StorageNotFound
from cairn.storage.storage import Storage

_KEYS_AT_ONCE = 200


@dataclass(slots=True)
class Verified:
    """What was read, what is wrong, and which of that was mended: sentences for the operator."""

    objects: int = 0
    size: int = 0
    problems: list[str] = field(default_factory=list)
    damaged: list[StoredKey] = field(default_factory=list)
    mended: int = 0

    @property
    def is_well(self) -> bool:
        """True if the backup can be restored whole."""
        return not self.problems and self.mended == len(self.damaged)


async def verify_backup(
    target: BackupTarget,
    manifest: Manifest,
    *,
    at_once: int,
    pace: Pace,
    live: Storage | None = None,
    tell: Tell = say_nothing,
) -> Verified:
    """Return what is wrong with a backup. With ``live`` damaged copies are made again from the object store.

    Reads every byte of the backup once. Errors: the stores' Unavailable.
    """
    verified = Verified()
    with tempfile.TemporaryDirectory(prefix="cairn-verify-") as name:
        folder = Path(name)
        for file in [*(item.file for item in manifest.tables), manifest.keys]:
            try:
                await target.get_file(manifest.id, folder, file)
            except BackupUnreadable as error:
                verified.problems.append(error.message)
        if not (folder / KEYS_FILE).exists() or any(KEYS_FILE in problem for problem in verified.problems):
            return verified
        with KeyLedger(folder / "ledger.db") as ledger:
            await asyncio.to_thread(read_keys, folder / KEYS_FILE, ledger.want)
            await _read_all(target, manifest, ledger, verified, at_once=at_once, pace=pace, tell=tell)
        if live is not None and verified.damaged:
            await _mend(target, live, folder, verified, pace)
    return verified


async def _read_all(
    target: BackupTarget,
    manifest: Manifest,
    ledger: KeyLedger,
    verified: Verified,
    *,
    at_once: int,
    pace: Pace,
    tell: Tell,
) -> None:
    keys = ledger.wanted()
    while page := await asyncio.to_thread(lambda: list(islice(keys, _KEYS_AT_ONCE))):
        semaphore = asyncio.Semaphore(at_once)

        async def check(item: StoredKey, semaphore: asyncio.Semaphore = semaphore) -> None:
            async with semaphore:
                if not await _is_right(target.storage, item, pace):
                    verified.damaged.append(item)
            verified.objects += 1
            verified.size += item.size or 0
            tell(Progress("reading", verified.objects, manifest.objects, verified.size, manifest.object_bytes))

        await asyncio.gather(*(check(item) for item in page))
    verified.damaged.sort(key=lambda item: item.key)


async def _is_right(storage: Storage, item: StoredKey, pace: Pace) -> bool:
    digest, size = hashlib.sha256(), 0
    try:
        async for piece in storage.stream(join(COPIES, item.key)):
            digest.update(piece)
            size += len(piece)
            await pace.pass_on(len(piece))
    except StorageNotFound:
        return False
    return (size, digest.hexdigest()) == (item.size, item.sha256)


async def _mend(target: BackupTarget, live: Storage, folder: Path, verified: Verified, pace: Pace) -> None:
    with KeyLedger(folder / "mend.db") as ledger:
        await asyncio.to_thread(ledger.want, verified.damaged)
        copied: Copied = await copy_absent(
            ledger, Route(live, target.storage, target_prefix=COPIES), at_once=1, pace=pace, tell=lambda _: None
        )
    verified.mended = copied.objects


def sentences(verified: Verified, *, shown: int = 20) -> Iterator[str]:
    """Yield what to tell an operator, a line each."""
    yield from verified.problems
    for item in verified.damaged[:shown]:
        yield f"{join(COPIES, item.key)} is missing or damaged."
    if len(verified.damaged) > shown:
        yield f"And {len(verified.damaged) - shown:,} more copies."
    if verified.mended:
        yield f"{verified.mended:,} of {len(verified.damaged):,} copies were made again from the object store."
