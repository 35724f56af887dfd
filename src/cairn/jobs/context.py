"""What a job knows of itself while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import Conflict
from cairn.db.database import Database
from cairn.jobs.models import Job, JobState

T = TypeVar("T")
Services = Mapping[type, Any]
"""What handlers may use besides the database, by its class; the program that runs the worker fills it."""


class LeaseLost(Conflict):
    """Another worker has the job: whatever this one was about to publish must not happen."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """One attempt at one job."""

    database: Database
    job_id: int
    fencing: int
    attempt: int
    """1 at the first attempt."""
    services: Services = field(default_factory=dict, repr=False)

    @property
    def push_id(self) -> str:
        """The push id under which this job may land something, the same at every attempt: it lands once."""
        return f"{self.job_id:032x}"

    def service(self, kind: type[T]) -> T:
        """Return the service of a class; a worker started without it is a programming error."""
        assert kind in self.services, f"this worker was started without {kind.__name__}"
        found: T = self.services[kind]
        return found

    async def still_mine(self, session: AsyncSession) -> None:
        """Return if this attempt holds the lease, and keep it so until the session's transaction ends; else LeaseLost.

        Call it inside every transaction that publishes what the job did: a worker that was paused past its lease
        wakes up believing it still has the job.
        """
        await lock_held(session, self.job_id, self.fencing)


async def lock_held(session: AsyncSession, job_id: int, fencing: int) -> Job:
    """Return the running job's row, locked, if ``fencing`` is the newest claim; LeaseLost otherwise."""
    job = await session.scalar(
        select(Job)
        .where(Job.id == job_id, Job.fencing == fencing, Job.state == JobState.RUNNING)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if job is None:
        raise LeaseLost(f"Job {job_id} is no longer held under fencing number {fencing}; its newer holder goes on.")
    return job
