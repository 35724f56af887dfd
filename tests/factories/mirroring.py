"""Mirrors in tests: making them, and doing what the schedule and the worker would."""

from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import update
from tests.factories import git_repositories
from tests.factories.forge import Forge, Person
from tests.factories.git_repositories import StockRepository
from tests.factories.work import do_what_is_due, services_of

import cairn.repositories.imports.jobs
import cairn.repositories.mirrors.jobs  # noqa: F401 (their jobs are known from here on)
from cairn.base.clock import utc_now
from cairn.jobs.context import JobContext
from cairn.jobs.models import Job, JobState
from cairn.repositories.imports.credentials import Credentials
from cairn.repositories.mirrors.edit import WantedMirror, make_mirror
from cairn.repositories.mirrors.jobs import ask_for_due_mirrors
from cairn.repositories.mirrors.models import Mirror
from cairn.repositories.queries import RepositoryView

PAST = datetime.fromisoformat("2001-01-01T00:00:00+00:00")


async def mirror_now(
    forge: Forge,
    person: Person,
    repository: RepositoryView,
    url: str,
    *,
    is_pull: bool,
    user: str = "",
    password: str = "",
    **options: Any,
) -> Mirror:
    """Return a new mirror after its first sync."""
    wanted = WantedMirror(url=url, credentials=Credentials(user, password), **options)
    async with forge.database.write() as session:
        mirror = await make_mirror(session, forge.engine.settings, person.actor, repository.id, wanted, is_pull=is_pull)
    await sync_due(forge)
    return await mirror_of(forge, mirror.id)


async def sync_due(forge: Forge) -> None:
    """Do what the schedule finds, then every job that is due."""
    context = JobContext(forge.database, 0, 0, 1, services_of(forge.engine))
    await ask_for_due_mirrors(context)
    await do_what_is_due(forge.engine)


async def sync_again(forge: Forge, mirror: Mirror) -> Mirror:
    """Let a mirror's time have come, do it, and return it as it is then."""
    async with forge.database.write() as session:
        await session.execute(update(Mirror).where(Mirror.id == mirror.id).values(due_at=PAST))
    await sync_due(forge)
    return await mirror_of(forge, mirror.id)


async def settle(forge: Forge) -> None:
    """Let the pause after a push be over, and do what it was for."""
    async with forge.database.write() as session:
        await session.execute(update(Job).where(Job.state == JobState.WAITING).values(due_at=utc_now()))
    await do_what_is_due(forge.engine)


async def mirror_of(forge: Forge, mirror_id: int) -> Mirror:
    """Return the row as it is now."""
    async with forge.database.read() as session:
        return await session.get_one(Mirror, mirror_id)


def empty_target(folder: Path, name: str = "copy.git") -> StockRepository:
    """Return a bare repository that takes pushes over HTTP."""
    made = git_repositories.init(folder / name, bare=True)
    made.git("config", "http.receivepack", "true")
    return made
