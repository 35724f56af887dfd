"""Forks of a forge's repositories."""

from tests.factories.forge import Forge, Person
from tests.factories.work import do_what_is_due

from cairn.base.errors import NotFound
from cairn.repositories import fork_jobs
from cairn.repositories.fork import NewFork, fork_repository
from cairn.repositories.queries import RepositoryView, find_repository_by_id

assert fork_jobs, "importing them registers them"


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
    await do_what_is_due(forge.engine)
    return await view_of(forge, person, made.repository)


async def heads(forge: Forge, repository: RepositoryView) -> dict[str, str]:
    """Return the refs of a repository by name."""
    snapshot = await forge.engine.snapshot(await forge.engine.state(repository.store_id))
    return {ref.name.decode(): ref.oid for ref in snapshot.refs}
