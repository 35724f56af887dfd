"""``cairnd admin`` for what people lost and what must be lost: purges, restored objects, bucket and tables.

Everything here runs beside the other programs, as the system, and is audited.
"""

import asyncio
import itertools
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from cairn.audit.record import record
from cairn.base.actor import SYSTEM
from cairn.base.errors import CairnError, Invalid
from cairn.base.log import configure_logging
from cairn.base.settings import Settings, load_settings
from cairn.db.startup import open_ready_database
from cairn.git.bucket_comparison import compare_bucket, release
from cairn.git.engine import Engine, open_engine
from cairn.git.types import parse_oid, show
from cairn.git.undo_packs import list_undo_packs
from cairn.programs.progress import Progress
from cairn.repositories.life.deleted import LISTED_MAX, Deleted, list_all_deleted, restore_repository
from cairn.repositories.purge import find_store, purge_objects, restore_objects
from cairn.repositories.rules.examine import make_examine
from cairn.storage.storage import open_storage

T = TypeVar("T")
Work = Callable[[Engine], Awaitable[T]]

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)

Repository = Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The repository.")]


@app.command(name="purge")
def purge_command(
    repository: Repository,
    objects: Annotated[list[str], typer.Argument(metavar="OID...", help="Whole object ids: files, folders, commits.")],
) -> None:
    """Remove objects at once and for good, from the repository, its forks, caches and undo packs (a leaked secret).

    Refused while a branch, tag or other ref reaches one: rewrite it first. If it is interrupted, run it again.
    """

    async def work(engine: Engine) -> str:
        owner, name = _names(repository)
        with Progress(f"purging {repository}", total=None):
            done = await purge_objects(engine, SYSTEM, owner, name, [parse_oid(oid) for oid in objects])
        return (
            f"Purged {len(objects):,} from {len(done.stores):,} stores: {done.packs:,} packs written anew, "
            f"{done.undo_packs:,} undo packs deleted. Every clone still has it: change the secret."
        )

    print(_run(work))


@app.command()
def undo_packs(repository: Repository) -> None:
    """List what collections dropped from a repository and can still be restored, separated by tabs."""

    async def work(engine: Engine) -> list[str]:
        packs = await list_undo_packs(engine.database, await find_store(engine.database, *_names(repository)))
        return [
            f"{pack.id}\t{pack.objects} objects\t{pack.pack_bytes} bytes\tdropped {pack.created_at:%Y-%m-%d %H:%M}"
            f"\tkept until {pack.expires_at:%Y-%m-%d %H:%M}"
            for pack in packs
        ]

    for line in _run(work):
        print(line)


@app.command(name="restore-repository")
def restore_repository_command(
    number: Annotated[int, typer.Argument(metavar="ID", help="The number of the deleted repository.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="Another name; for when the old one is in use.")] = "",
    owner: Annotated[str, typer.Option(metavar="LOGIN", help="Another owner; for when the old one is gone.")] = "",
) -> None:
    """Bring back a deleted repository, with everything it had. ``deleted-repositories`` lists them."""

    async def work(engine: Engine) -> str:
        async with engine.database.write() as session:
            return (await restore_repository(session, SYSTEM, number, name=name, owner=owner)).full_name

    print(f"Restored {_run(work)}.")


@app.command(name="deleted-repositories")
def deleted_repositories() -> None:
    """List what was deleted and can be restored, separated by tabs."""

    async def work(engine: Engine) -> list[str]:
        found: list[Deleted] = []
        async with engine.database.read() as session:
            for number in itertools.count(1):
                found += await list_all_deleted(session, SYSTEM, page=number)
                if len(found) < number * LISTED_MAX:
                    break
        return [
            f"{one.id}\t{one.full_name}\t{one.bytes} bytes\tdeleted {one.deleted_at:%Y-%m-%d %H:%M} by "
            f"{one.deleted_by or 'nobody'}\tkept until {one.erase_at:%Y-%m-%d %H:%M}"
            for one in found
        ]

    for line in _run(work):
        print(line)


@app.command(name="restore-objects")
def restore_command(
    repository: Repository,
    oid: Annotated[str, typer.Argument(metavar="OID", help="The commit, whole.")],
    branch: Annotated[str, typer.Option(metavar="NAME", help="The branch to make for it.")],
) -> None:
    """Bring back a commit that a collection dropped, with everything it reaches, as a new branch."""

    async def work(engine: Engine) -> str:
        owner, name = _names(repository)
        with Progress(f"restoring to {repository}", total=None):
            ref = await restore_objects(engine, SYSTEM, owner, name, parse_oid(oid), branch=branch)
        return f"{show(ref)} is at {oid}."

    print(_run(work))


@app.command(name="compare-bucket")
def compare_command() -> None:
    """Hold the object store against the tables now, as the worker does every week; exit 1 if files are missing."""

    async def work(engine: Engine) -> bool:
        with Progress("comparing the object store with the tables", total=None):
            found = await compare_bucket(engine.database, engine.storage)
        for key in found.missing_keys:
            print(f"missing: {key}")
        for key in found.unknown_keys:
            print(f"unknown: {key}")
        print(f"{found.missing:,} missing; {found.unknown:,} unknown for two days, {found.deleted:,} of them deleted.")
        return not found.missing

    raise SystemExit(0 if _run(work) else 1)


@app.command()
def release_bucket() -> None:
    """Let the weekly comparison delete again what no row knows; a restore held it."""

    async def work(engine: Engine) -> bool:
        async with engine.database.write() as session:
            was_held = await release(session)
            if was_held:
                record(session, SYSTEM, "storage.release_comparison", "the object store")
        return was_held

    print("Released." if _run(work) else "It was not held.")


def _names(repository: str) -> tuple[str, str]:
    owner, slash, name = repository.partition("/")
    if not (owner and slash and name):
        raise Invalid(f"{repository[:150]!r} is no repository; name it as OWNER/NAME")
    return owner, name


def _run(work: Work[T]) -> T:
    """Do the work with this installation's engine; exit 1 with a sentence where Cairn has one."""
    try:
        settings = load_settings(os.environ)
        configure_logging(program="admin", level="error", plain=settings.log_format == "plain")
        return asyncio.run(_with_engine(settings, work))
    except CairnError as error:
        print(f"cairnd admin: {error.message}", file=sys.stderr)
        raise SystemExit(1) from None


async def _with_engine(settings: Settings, work: Work[T]) -> T:
    database, _ = await open_ready_database(settings)
    try:
        async with open_engine(settings, database, open_storage(settings), make_examine=make_examine) as engine:
            return await work(engine)
    finally:
        await database.close()
