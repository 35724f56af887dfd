"""Imports in tests: a forge that may reach this machine, sources with a history, and a worker in the test's process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import shake_256
from pathlib import Path

from sqlalchemy import text
from tests.factories import git_repositories
from tests.factories.forge import Forge, Person, open_forge
from tests.factories.git_repositories import StockRepository
from tests.factories.work import do_what_is_due, services_of

import cairn.repositories.imports.jobs  # noqa: F401 (its job is known from here on)
from cairn.jobs.context import JobContext
from cairn.jobs.lease import claim
from cairn.jobs.registry import registry
from cairn.repositories.create import NewRepository
from cairn.repositories.imports.attempt import Import
from cairn.repositories.imports.credentials import Credentials
from cairn.repositories.imports.models import RepositoryImport
from cairn.repositories.imports.run import open_import
from cairn.repositories.imports.source import open_outside
from cairn.repositories.imports.start import Wanted, import_new
from cairn.repositories.imports.work import IMPORT_KIND, ImportOf, Progress
from cairn.repositories.queries import RepositoryView

HERE = {"egress_allow": ("127.0.0.0/8",)}


@asynccontextmanager
async def open_reaching_forge(folder: Path, template: Path, **settings: object) -> AsyncIterator[Forge]:
    """Yield a forge that may connect to servers of this machine."""
    async with open_forge(folder, template, settings={**HERE, **settings}) as forge:
        yield forge


def make_source(
    folder: Path, name: str = "r.git", *, commits: int = 3, branches: int = 2, filler: int = 0
) -> StockRepository:
    """Return a bare repository with a history on ``trunk``, branches, a tag and a ref of another kind.

    Each commit changes a file; ``filler`` is how many characters that hardly compress it gets besides.
    """
    made = git_repositories.init(folder / name, bare=True)
    lines: list[bytes] = []
    for number in range(1, commits + 1):
        text = b"line %d\n%b" % (number, shake_256(b"%d" % number).hexdigest(filler // 2).encode())
        lines += [
            b"commit refs/heads/trunk",
            b"mark :%d" % number,
            b"committer Ada <ada@example.test> %d +0000" % (1_700_000_000 + number),
            b"data 7\nchange\n",
            b"M 100644 inline file-%d.txt" % (number % 50),
            b"data %d\n%s" % (len(text), text),
        ]
    made.git("fast-import", "--quiet", stdin=b"\n".join(lines) + b"\n")
    made.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    for number in range(branches):
        made.git("update-ref", f"refs/heads/topic-{number}", made.oid("refs/heads/trunk~1"))
    made.git("update-ref", "refs/tags/v1", made.oid("refs/heads/trunk"))
    made.git("update-ref", "refs/pull/1/head", made.oid("refs/heads/trunk"))
    return made


async def ask_for_import(
    forge: Forge,
    person: Person,
    url: str,
    name: str = "engine",
    *,
    credentials: Credentials = Credentials(),  # noqa: B008 (it holds nothing)
    **options: bool,
) -> RepositoryView:
    """Return a new repository whose import waits for a worker."""
    return await import_new(
        forge.database,
        forge.engine,
        person.actor,
        NewRepository(name=name),
        Wanted(url=url, credentials=credentials, **options),
    )


async def import_of(forge: Forge, repository: RepositoryView) -> RepositoryImport:
    """Return the row as it is now."""
    async with forge.database.read() as session:
        return await session.get_one(RepositoryImport, repository.id)


async def import_now(
    forge: Forge, person: Person, url: str, name: str = "engine", *, password: str = "", user: str = "", **options: bool
) -> tuple[RepositoryView, RepositoryImport]:
    """Ask for an import, do it, and return repository and row."""
    made = await ask_for_import(forge, person, url, name, credentials=Credentials(user, password), **options)
    await do_what_is_due(forge.engine)
    return made, await import_of(forge, made)


async def refs_of(forge: Forge, repository: RepositoryView) -> dict[str, str]:
    """Return the refs the forge has."""
    snapshot = await forge.engine.snapshot(await forge.engine.state(repository.store_id))
    return {ref.name.decode(): ref.oid for ref in snapshot.refs}


def wanted_refs(source: StockRepository) -> dict[str, str]:
    """Return the branches and tags of a source."""
    lines = source.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags").decode()
    return dict(line.split() for line in lines.splitlines())


async def claim_import(forge: Forge) -> JobContext:
    """Return what an import's job runs with, claimed as another worker does."""
    async with forge.database.write() as session:
        [held] = await claim(session, registry, holder="another", limit=1)
    assert held.handler.kind == IMPORT_KIND
    return JobContext(forge.database, held.job_id, held.fencing, held.attempt, services_of(forge.engine))


async def expire_leases(forge: Forge) -> None:
    """Let every lease have run out."""
    async with forge.database.write() as session:
        await session.execute(text("UPDATE job SET due_at = '2001-01-01 00:00:00.000000' WHERE state = 'running'"))


async def begin_attempt(forge: Forge, repository: RepositoryView) -> Import:
    """Return an attempt at a repository's import, which nobody else holds any more."""
    await expire_leases(forge)
    context, row = await claim_import(forge), await import_of(forge, repository)
    progress = Progress(context, ImportOf(repository.id, row.id))
    return await open_import(context, forge.engine, open_outside(forge.engine.settings), row, progress)
