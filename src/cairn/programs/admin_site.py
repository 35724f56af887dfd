"""``cairnd admin``: the installation itself: administrators, sessions, jobs, announcements, registration, programs."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any

import msgspec
import typer

from cairn.base.actor import SYSTEM
from cairn.base.settings import Settings
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity.administration import set_site_admin, sign_out_everywhere
from cairn.identity.registration import choose_registration, read_registration
from cairn.ops.admin_frame import read_moment
from cairn.ops.admin_queries import discard_job, read_queue, read_totals, retry_job
from cairn.ops.announcements import announce, list_announcements, take_down
from cairn.ops.heartbeat import SILENT_AFTER, list_programs
from cairn.ops.models import AnnouncementLevel

Run = Callable[[Callable[[Database, Settings], Awaitable[Any]]], Any]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_commands(app: typer.Typer, run: Run) -> None:
    """Add these commands; ``run`` does work on the installation's database and explains its errors."""
    _add_people(app, run)
    _add_jobs(app, run)
    _add_announcements(app, run)
    _add_state(app, run)


def _add_people(app: typer.Typer, run: Run) -> None:
    @app.command()
    def promote(name: Name) -> None:
        """Make an account a site administrator."""
        run(_promotion(name, is_site_admin=True))
        print(f"{name} administers this installation now.")

    @app.command()
    def demote(name: Name) -> None:
        """Make a site administrator a plain user; the last one stays."""
        run(_promotion(name, is_site_admin=False))
        print(f"{name} is no administrator any more.")

    @app.command()
    def sign_out(name: Name) -> None:
        """End every session of an account; its tokens and keys go on working."""

        async def work(database: Database, _: Settings) -> int:
            async with database.write() as session:
                return await sign_out_everywhere(session, SYSTEM, name)

        print(f"{run(work)} sessions of {name} ended.")


def _promotion(name: str, *, is_site_admin: bool) -> Callable[[Database, Settings], Awaitable[None]]:
    async def work(database: Database, _: Settings) -> None:
        async with database.write() as session:
            await set_site_admin(session, SYSTEM, name, is_site_admin=is_site_admin)

    return work


def _add_jobs(app: typer.Typer, run: Run) -> None:
    @app.command()
    def list_jobs(as_json: AsJson = False) -> None:
        """Tell how the queue does, and list the newest dead jobs."""

        async def work(database: Database, _: Settings) -> dict[str, Any]:
            async with database.read() as session:
                counts, dead = await read_queue(session, SYSTEM, limit=100)
            rows = [{"id": job.id, "kind": job.kind, "attempts": job.attempts, "error": job.last_error} for job in dead]
            return asdict(counts) | {"dead_jobs": rows}

        found = run(work)
        if as_json:
            print_json(found)
            return
        print(f"{found['waiting']:,} waiting, {found['running']:,} running, {found['dead']:,} dead")
        for row in found["dead_jobs"]:
            print(f"{row['id']}\t{row['kind']}\t{(row['error'] or '').strip().splitlines()[-1:]}")

    @app.command(name="retry-job")
    def retry(job_id: Annotated[int, typer.Argument(metavar="ID", help="The dead job.")]) -> None:
        """Let a dead job run again."""
        run(_job_work(retry_job, job_id))
        print(f"Job {job_id} waits for a worker again.")

    @app.command(name="discard-job")
    def discard(job_id: Annotated[int, typer.Argument(metavar="ID", help="The dead job.")]) -> None:
        """Give a dead job up."""
        run(_job_work(discard_job, job_id))
        print(f"Job {job_id} is discarded.")


def _job_work(change: Callable[..., Awaitable[None]], job_id: int) -> Callable[[Database, Settings], Awaitable[None]]:
    async def work(database: Database, _: Settings) -> None:
        async with database.write() as session:
            await change(session, SYSTEM, job_id)

    return work


def _add_announcements(app: typer.Typer, run: Run) -> None:
    @app.command(name="announce")
    def announce_here(
        text: Annotated[str, typer.Argument(metavar="TEXT", help="What everybody should read.")],
        level: Annotated[AnnouncementLevel, typer.Option(help="How loudly.")] = AnnouncementLevel.NOTICE,
        until: Annotated[str, typer.Option(metavar="DATE", help="UTC. Left out: until it is taken down.")] = "",
        is_dismissible: Annotated[bool, typer.Option("--dismissible", help="People may put it away.")] = False,
    ) -> None:
        """Show a text on every page."""

        async def work(database: Database, _: Settings) -> int:
            async with database.write() as session:
                made = await announce(
                    session,
                    SYSTEM,
                    text=text,
                    level=level,
                    is_dismissible=is_dismissible,
                    ends_at=read_moment(until, "until"),
                )
                return made.id

        print(f"Announcement {run(work)} stands.")

    @app.command()
    def list_announced(as_json: AsJson = False) -> None:
        """List the announcements that stand or are to come."""

        async def work(database: Database, _: Settings) -> list[dict[str, Any]]:
            async with database.read() as session:
                rows = await list_announcements(session)
            return [
                {"id": r.id, "level": r.level, "text": r.text, "from": r.starts_at, "until": r.ends_at} for r in rows
            ]

        found = run(work)
        if as_json:
            print_json(found)
            return
        for row in found:
            print(f"{row['id']}\t{row['level']}\t{row['text']}")

    @app.command(name="take-down")
    def take_down_here(
        announcement_id: Annotated[int, typer.Argument(metavar="ID", help="The announcement.")],
    ) -> None:
        """Take an announcement down."""

        async def work(database: Database, _: Settings) -> None:
            async with database.write() as session:
                await take_down(session, SYSTEM, announcement_id)

        run(work)
        print(f"Announcement {announcement_id} is down.")


def _add_state(app: typer.Typer, run: Run) -> None:
    @app.command()
    def registration(
        mode: Annotated[str, typer.Argument(metavar="[open|invite|closed]", help="Left out: tell what holds.")] = "",
        domains: Annotated[str, typer.Option(metavar="A,B", help="Mail domains that may sign up.")] = "",
    ) -> None:
        """Tell or change who may sign up."""

        async def work(database: Database, settings: Settings) -> str:
            if mode:
                async with database.write() as session:
                    await choose_registration(session, SYSTEM, settings, mode=mode, domains=domains.split(","))
            async with database.read() as session:
                policy = await read_registration(session, settings)
            return "\t".join([policy.mode, *policy.domains])

        print(run(work))

    @app.command()
    def list_running(as_json: AsJson = False) -> None:
        """List the programs that run, by node."""

        async def work(database: Database, _: Settings) -> list[dict[str, Any]]:
            async with database.read() as session:
                moment = await database_now(session)
                return [
                    {"node": one.node, "kind": one.kind, "pid": one.pid, "version": one.version,
                     "started_at": one.started_at, "last_seen_at": one.last_seen_at,
                     "is_silent": one.last_seen_at < moment - SILENT_AFTER}
                    for one in await list_programs(session)
                ]  # fmt: skip

        found = run(work)
        if as_json:
            print_json(found)
            return
        for row in found:
            silent = "\tsilent" if row["is_silent"] else ""
            print(f"{row['node']}\t{row['kind']}\t{row['pid']}\t{row['version']}{silent}")

    @app.command()
    def totals(as_json: AsJson = False) -> None:
        """Tell the installation in numbers."""

        async def work(database: Database, _: Settings) -> dict[str, Any]:
            async with database.read() as session:
                return asdict(await read_totals(session, SYSTEM))

        found = run(work)
        if as_json:
            print_json(found)
            return
        for name, value in found.items():
            if name != "packs":
                print(f"{name}\t{value:,}")


def print_json(value: object) -> None:
    """Print a value as JSON for people and programs."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
