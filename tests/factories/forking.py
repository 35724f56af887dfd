"""Forks of a forge's repositories, and the worker that fills them."""

from tests.factories.forge import Forge, Person

from cairn.base.errors import NotFound
from cairn.git.engine import Engine
from cairn.jobs.context import JobContext
from cairn.jobs.lease import claim, finish
from cairn.jobs.registry import registry
from cairn.repositories import fork_jobs
from cairn.repositories.fork import NewFork, fork_repository
from cairn.repositories.queries import RepositoryView, find_repository_by_id

assert fork_jobs, "importing them registers them"


async def work(engine: Engine) -> list[str]:
    """Do every job that is due, as a worker does; return their kinds."""
    done: list[str] = []
    while True:
        async with engine.database.write() as session:
            claims = await claim(session, registry, holder="tester", limit=10)
        if not claims:
            return done
        for held in claims:
            context = JobContext(engine.database, held.job_id, held.fencing, held.attempt, {Engine: engine})
            await held.handler(context, held.payload)
            async with engine.database.write() as session:
                await finish(session, held)
            done.append(held.handler.kind)


async def view_of(forge: Forge, person: Person, repository: RepositoryView) -> RepositoryView:
    """Return the repository as a person sees it now."""
    async with forge.database.read() as session:
        return await find_repository_by_id(session, person.actor, repository.id)


async def may_see(forge: Forge, person: Person, repository: RepositoryView) -> bool:
    """Tell whether a person may see the repository now."""
    try:
        await view_of(forge, person, repository)
    except NotFound:
        return False
    return True


async def fork(
    forge: Forge, person: Person, parent: RepositoryView, *, default_branch_only: bool = False
) -> RepositoryView:
    """Return a finished fork of a person's own."""
    seen = await view_of(forge, person, parent)
    wanted = NewFork(default_branch_only=default_branch_only)
    made = await fork_repository(forge.database, forge.engine, person.actor, seen, wanted)
    await work(forge.engine)
    return await view_of(forge, person, made.repository)


async def heads(forge: Forge, repository: RepositoryView) -> dict[str, str]:
    """Return the refs of a repository by name."""
    snapshot = await forge.engine.snapshot(await forge.engine.state(repository.store_id))
    return {ref.name.decode(): ref.oid for ref in snapshot.refs}
