"""What an import's job knows of it, and how it tells how far it is."""

import time
from typing import Any

import msgspec
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import Conflict
from cairn.db.changes import count_changed
from cairn.db.clock import now
from cairn.events.emit import emit
from cairn.jobs.context import JobContext
from cairn.repositories.imports.events import ImportFailed, ImportFinished
from cairn.repositories.imports.models import (
    TEXT_LENGTH_MAX,
    FailureKind,
    ImportState,
    ImportStep,
    RepositoryImport,
)

IMPORT_KIND = "repositories.import"
WRITE_SECONDS = 1.0
"""How often at most a progress is written: each is a transaction."""


class ImportOf(msgspec.Struct, frozen=True):
    """The payload of the job: no address and no secret."""

    repository_id: int
    import_id: str


class ImportGivenUp(Conflict):
    """Somebody cancelled the import, began it anew or deleted the repository: this job has nothing to do any more."""

    def __init__(self) -> None:
        super().__init__("this import was given up")


class Progress:
    """Writes how far one attempt at one import is, and learns at each time whether it is still wanted."""

    def __init__(self, context: JobContext, of: ImportOf) -> None:
        self._context = context
        self._of = of
        self._written_at = 0.0

    async def note(self, **values: Any) -> None:  # noqa: ANN401 (columns of the row)
        """Write these columns now. Errors: ImportGivenUp, LeaseLost."""
        self._written_at = time.monotonic()
        async with self._context.database.write() as session:
            await self.note_within(session, **values)

    async def note_now_and_then(self, **values: Any) -> None:  # noqa: ANN401 (columns of the row)
        """Write these columns unless some were written within the last second. Errors as ``note``."""
        if time.monotonic() - self._written_at >= WRITE_SECONDS:
            await self.note(**values)

    async def note_within(self, session: AsyncSession, **values: Any) -> None:  # noqa: ANN401 (columns of the row)
        """Write these columns in the caller's transaction, if this attempt still holds the job."""
        await self._context.still_mine(session)
        change = (
            update(RepositoryImport)
            .where(
                RepositoryImport.repository_id == self._of.repository_id,
                RepositoryImport.id == self._of.import_id,
                RepositoryImport.state.in_([ImportState.WAITING, ImportState.RUNNING]),
            )
            .values(**{"state": ImportState.RUNNING, "seen_at": now(), **values})
        )
        if await count_changed(session, change) != 1:
            raise ImportGivenUp

    async def finish(self, row: RepositoryImport, note: str) -> None:
        """The import is over and well; nothing is left of its credentials."""
        async with self._context.database.write() as session:
            await self.note_within(
                session,
                state=ImportState.DONE,
                step=ImportStep.DONE,
                percent=100,
                sealed=None,
                note=note[:TEXT_LENGTH_MAX],
                finished_at=now(),
            )
            emit(session, ImportFinished(repository_id=row.repository_id, url=row.url, actor_id=row.account_id))

    async def fail(self, row: RepositoryImport, kind: FailureKind, reason: str) -> None:
        """The import is over and says why; nothing is left of its credentials."""
        async with self._context.database.write() as session:
            await self.note_within(
                session,
                state=ImportState.FAILED,
                sealed=None,
                failure_kind=kind,
                failure=reason[:TEXT_LENGTH_MAX],
                finished_at=now(),
            )
            emit(
                session,
                ImportFailed(
                    repository_id=row.repository_id,
                    url=row.url,
                    reason=reason[:TEXT_LENGTH_MAX],
                    actor_id=row.account_id,
                ),
            )
