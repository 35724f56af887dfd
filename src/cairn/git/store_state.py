"""What one query tells of a store: the versions that key everything a node may have cached."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CursorResult, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import NotFound
from cairn.db.clock import database_now
from cairn.db.database import Database, PointQuery
from cairn.git.models import Store
from cairn.git.types import RefName

DEFAULT_BRANCH = b"refs/heads/main"


class StoreGone(NotFound):
    """The store was deleted while a request worked on it."""


@dataclass(frozen=True, slots=True)
class StoreState:
    """The store row at one moment. ``manifest_version`` keys views, the others cached answers."""

    id: int
    head_target: RefName
    ref_version: int
    manifest_version: int
    tags_version: int
    cache_epoch: int


STATE_COLUMNS = ("head_target", "ref_version", "manifest_version", "tags_version", "cache_epoch")
"""The columns of ``git_store`` that ``from_row`` wants, for statements that read them along with something else."""

# Primary key of git_store.
_STATE = PointQuery(f"SELECT id, {', '.join(STATE_COLUMNS)} FROM git_store WHERE id = :id")  # noqa: S608 (constants)


def from_row(row: Mapping[str, Any], *, store_id: int) -> StoreState:
    """Return the state from a row that has STATE_COLUMNS."""
    return StoreState(store_id, bytes(row["head_target"]), *(row[name] for name in STATE_COLUMNS[1:]))


async def read_state(database: Database, store_id: int) -> StoreState:
    """Return the store's present state; StoreGone if there is none."""
    row = await database.fetch(_STATE, id=store_id)
    if row is None:
        raise StoreGone("Not Found")
    return from_row(row, store_id=store_id)


async def insert_store(session: AsyncSession, head_target: RefName = DEFAULT_BRANCH) -> int:
    """Make an empty store in the caller's transaction and return its id; the name of its HEAD is checked already."""
    made = await session.execute(
        insert(Store).values(
            object_format="sha1",
            head_target=head_target,
            ref_version=0,
            manifest_version=0,
            tags_version=0,
            cache_epoch=0,
            created_at=await database_now(session),
        )
    )
    assert isinstance(made, CursorResult)
    key = made.inserted_primary_key
    assert key is not None
    return int(key[0])


async def lock_stores(session: AsyncSession, store_ids: list[int]) -> dict[int, Store]:
    """Lock the store rows in id order until the transaction ends: whoever changes refs holds this lock."""
    found = await session.execute(
        select(Store).where(Store.id.in_(store_ids)).order_by(Store.id).with_for_update(),
        execution_options={"populate_existing": True},
    )
    stores = {store.id: store for store in found.scalars()}
    if len(stores) != len(set(store_ids)):
        raise StoreGone("Not Found")
    return stores
