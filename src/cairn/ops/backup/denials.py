"""The deny list in the target: what was purged stays purged, however old the backup that is restored.

Each purged object, pack and root is a small object of its own below ``purged/``, added by every backup and, between
two, by the worker; nothing ever removes one.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

import msgspec
from sqlalchemy import insert, select

from cairn.db.database import Database
from cairn.git.models import Pack, PurgedObject, PurgedPack, PurgedRoot, Store
from cairn.ops.backup.target import PURGED, BackupTarget

_DENIAL_BYTES_MAX = 4096


class Denial(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must not come back. ``what`` is ``object``, ``pack`` or ``root``; ``key`` is a pack's."""

    what: str
    store_id: int
    id: str
    at: datetime | None = None
    key: str = ""

    @property
    def place(self) -> str:
        """The denial's key in the target."""
        return f"{PURGED}/{self.what}/{self.store_id}/{self.id}"


async def write_denials(database: Database, target: BackupTarget) -> int:
    """The target knows everything that was purged so far; return how much of it was new."""
    rows = await _read_rows(database)
    if not rows:
        return 0
    known = {found.key async for found in target.storage.list(PURGED)}
    fresh = [denial for denial in rows if denial.place not in known]
    for denial in fresh:
        await target.storage.put(denial.place, msgspec.json.encode(denial))
    return len(fresh)


async def read_denials(target: BackupTarget) -> list[Denial]:
    """Return everything the target says was purged."""
    keys = [found.key async for found in target.storage.list(PURGED)]
    return [
        msgspec.json.decode(await target.storage.get(key, max_bytes=_DENIAL_BYTES_MAX), type=Denial) for key in keys
    ]


async def enter_denials(database: Database, denials: list[Denial]) -> Mapping[int, set[str]]:
    """Add what the tables do not know to them; return the purged objects of each store that exists.

    A pack the tables still have is left out: purging its store again replaces it first and denies it then.
    """
    models = {"object": PurgedObject, "pack": PurgedPack, "root": PurgedRoot}
    known = {denial.place for denial in await _read_rows(database)}
    purged: dict[int, set[str]] = defaultdict(set)
    async with database.write() as session:
        stores = set(await session.scalars(select(Store.id).where(Store.id.in_({item.store_id for item in denials}))))
        for denial in denials:
            is_pack = denial.what == "pack"
            if denial.store_id not in stores or (
                is_pack and await session.get(Pack, (denial.store_id, denial.id)) is not None
            ):
                continue
            if denial.what == "object":
                purged[denial.store_id].add(denial.id)
            if denial.place not in known:
                await session.execute(insert(models[denial.what]).values(_row(denial)))
    return purged


async def _read_rows(database: Database) -> list[Denial]:
    async with database.read() as session:
        objects = (await session.scalars(select(PurgedObject))).all()
        packs = (await session.scalars(select(PurgedPack))).all()
        roots = (await session.scalars(select(PurgedRoot))).all()
    return [
        *(Denial(what="object", store_id=row.store_id, id=row.oid, at=row.at) for row in objects),
        *(Denial(what="pack", store_id=row.store_id, id=row.pack_id, at=row.at, key=row.key) for row in packs),
        *(Denial(what="root", store_id=row.store_id, id=row.oid) for row in roots),
    ]


def _row(denial: Denial) -> dict[str, object]:
    match denial.what:
        case "object":
            return {"store_id": denial.store_id, "oid": denial.id, "at": denial.at}
        case "pack":
            values = {"store_id": denial.store_id, "pack_id": denial.id, "at": denial.at}
            return values | {"key": denial.key, "is_deleted": False}
        case _:
            return {"store_id": denial.store_id, "oid": denial.id}
