"""What the doctor says of a store: git's part, and of a repository's own store the large objects beside it too."""

from sqlalchemy import select

from cairn.db.database import Database
from cairn.git import doctor as git_doctor
from cairn.git.cached_files import PackDamaged
from cairn.git.doctor import Finding
from cairn.git.engine import Engine
from cairn.lfs.doctor import examine_objects, mend_objects
from cairn.repositories.models import Repository


async def examine_store(engine: Engine, store_id: int, *, is_deep: bool = False) -> list[Finding]:
    """Return everything that is wrong with a store; empty if tables, bucket and history agree.

    ``is_deep`` reads every large object and hashes it. Errors: StoreGone, the storage's Unavailable.
    """
    findings = await git_doctor.examine(engine, store_id)
    whose = await _whose(engine.database, store_id)
    if whose is None:
        return findings
    try:
        return findings + await examine_objects(engine, whose[0], store_id, is_deep=is_deep, may_lack_objects=whose[1])
    except PackDamaged as error:
        return [*findings, Finding(f"{error.key} cannot be read whole, so large objects could not be looked for.")]


async def mend_store(engine: Engine, store_id: int) -> None:
    """Put right what is safe to put right."""
    await git_doctor.mend(engine, store_id)
    if whose := await _whose(engine.database, store_id):
        await mend_objects(engine.database, whose[0])


async def _whose(database: Database, store_id: int) -> tuple[int, bool] | None:
    """Return whose own store it is, and whether that takes pointers to what is lost; None for a wiki's."""
    async with database.read() as session:
        # uq_repository_store_id
        row = await session.execute(
            select(Repository.id, Repository.allows_lost_lfs).where(Repository.store_id == store_id)
        )
        found = row.one_or_none()
    return None if found is None else (int(found[0]), bool(found[1]))
