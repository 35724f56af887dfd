"""What one attempt at one import works with."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.actor import Actor
from cairn.git.engine import Engine
from cairn.git.landing import Within
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import RefName
from cairn.jobs.context import JobContext
from cairn.repositories.imports.models import RepositoryImport
from cairn.repositories.imports.source import Login, Outside
from cairn.repositories.imports.work import Progress
from cairn.repositories.models import Repository


@dataclass(frozen=True, slots=True)
class Import:
    """What one attempt works with."""

    context: JobContext
    engine: Engine
    outside: Outside
    row: RepositoryImport
    actor: Actor
    repository: Repository
    progress: Progress
    login: Login


def still_wanted(work: Import, within: Within) -> Within:
    """Return ``within`` behind the question whether this attempt may still publish anything."""

    async def fenced(session: AsyncSession, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
        await work.progress.note_within(session)
        return await within(session, updates)

    return fenced
