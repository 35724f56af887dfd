"""Where renamed branches are: written when one is renamed, asked when a name is not found, over when it is taken."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID, RefName
from cairn.repositories.models import BranchRename
from cairn.repositories.queries import BRANCH_PREFIX

RENAMES_MAX = 1000
"""So many old names a repository keeps; the oldest go first."""

HOPS_MAX = 10
"""So often may a branch have been renamed on the way from the name that was asked for to the present one."""

PARTS_MAX = 30
"""An old name of more parts is not found in an address that has a path behind it."""


@dataclass(frozen=True, slots=True)
class Renamed:
    """A branch under its present short name, and what stood behind the old one in an address."""

    branch: bytes
    rest: bytes


async def note_branch_rename(session: AsyncSession, repository_id: int, *, old: RefName, new: RefName) -> None:
    """Who asks for ``old`` is sent to ``new`` from now on. The store's lock is held, and ``new`` was made under it."""
    of_repository = BranchRename.repository_id == repository_id
    key = _digest(old.removeprefix(BRANCH_PREFIX))
    # Primary key of repository_branch_rename.
    await session.execute(delete(BranchRename).where(of_repository, BranchRename.old_key == key))
    count = await session.scalar(select(func.count()).where(of_repository)) or 0
    if count >= RENAMES_MAX:
        oldest = select(BranchRename.old_key).where(of_repository).order_by(BranchRename.at)
        gone = (await session.scalars(oldest.limit(count - RENAMES_MAX + 1))).all()
        await session.execute(delete(BranchRename).where(of_repository, BranchRename.old_key.in_(gone)))
    moment = await database_now(session)
    branch = new.removeprefix(BRANCH_PREFIX)
    session.add(BranchRename(repository_id=repository_id, old_key=key, branch=branch, at=moment))
    await session.flush()


async def end_redirects(session: AsyncSession, repository_id: int, updates: Sequence[RefUpdate]) -> None:
    """Nobody who asks for a branch that is made here is sent elsewhere, now or when it is gone again."""
    made = [
        _digest(update.name.removeprefix(BRANCH_PREFIX))
        for update in updates
        if update.old == ZERO_OID and update.name.startswith(BRANCH_PREFIX)
    ]
    if made:
        of_repository = BranchRename.repository_id == repository_id
        # Primary key of repository_branch_rename.
        await session.execute(delete(BranchRename).where(of_repository, BranchRename.old_key.in_(made)))


async def find_renamed_branch(
    database: Database, engine: Engine, *, repository_id: int, store_id: int, address: bytes
) -> Renamed | None:
    """Return where the branch went whose old name begins an address; None if none did, or it is gone.

    The longest old name wins, as with names that are there.
    """
    parts = address.strip(b"/").split(b"/")
    names = {_digest(b"/".join(parts[:count])): count for count in range(1, min(len(parts), PARTS_MAX) + 1)}
    async with database.read() as session:
        rows = await _rows(session, repository_id, list(names))
        longest = max(rows, key=lambda row: names[row.old_key], default=None)
        branch = None if longest is None else await _present(session, engine, longest, store_id)
    return None if longest is None or branch is None else Renamed(branch, b"/".join(parts[names[longest.old_key] :]))


async def _present(session: AsyncSession, engine: Engine, rename: BranchRename, store_id: int) -> bytes | None:
    """Return what a branch is called after all its renames; None if it is gone."""
    for _ in range(HOPS_MAX):
        branch = bytes(rename.branch)
        if await engine.refs.find(store_id, BRANCH_PREFIX + branch) is not None:
            return branch
        further = await _rows(session, rename.repository_id, [_digest(branch)])
        if not further:
            return None
        rename = further[0]
    return None


async def _rows(session: AsyncSession, repository_id: int, keys: Sequence[str]) -> list[BranchRename]:
    # Primary key of repository_branch_rename.
    found = await session.scalars(
        select(BranchRename).where(BranchRename.repository_id == repository_id, BranchRename.old_key.in_(keys))
    )
    return list(found)


def _digest(branch: bytes) -> str:
    return hashlib.blake2b(branch, digest_size=16).hexdigest()
