"""Backups as administrators see them: what was done, what the target holds, what is pinned, what is due next."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import SITE
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import CairnError, Conflict
from cairn.base.log import get_logger
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git.models import Pin
from cairn.jobs.queue import enqueue
from cairn.ops.admin_frame import PATH, show
from cairn.ops.backup.jobs import CREATE_KIND, Nothing, next_due
from cairn.ops.backup.lateness import backup_problem
from cairn.ops.backup.models import BackupRun, RunKind, RunState
from cairn.ops.backup.runs import drills_of, last_run
from cairn.ops.backup.target import Manifest, open_target
from cairn.web.api import ApiAnswer
from cairn.web.context import RequestContext
from cairn.web.render import redirect
from cairn.web.routing import api, page

SECTION = "/backups"
RUNS_SHOWN = 50
PINS_SHOWN = 50
TARGET_SECONDS = 5.0
"""A target that takes longer to list is said to be away: the page is for when things are wrong, too."""
_ADMINISTER: Any = {"action": Action.SITE_ADMINISTER, "resource": "site"}
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Backups:
    """What is known of backups. ``away`` is a sentence if the target could not be asked; then ``manifests`` is empty.

    ``dead`` are the runs whose program went away without a word. The times are when the next backup and the next drill
    are due by the schedule; None where there is none.
    """

    problem: str
    away: str
    manifests: Sequence[Manifest]
    drills: dict[str, BackupRun]
    runs: Sequence[BackupRun]
    dead: frozenset[str]
    pins: Sequence[Pin]
    backup_due_at: datetime | None
    drill_due_at: datetime | None


async def read_backups(settings: Settings, database: Database, actor: Actor) -> Backups:
    """Return what is known of backups; no transaction is open while the target is asked."""
    async with database.read() as session:
        await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
        # ix_backup_run_kind_started_at serves one kind; a year's runs of all of them are a few hundred rows.
        runs = (await session.scalars(select(BackupRun).order_by(BackupRun.started_at.desc()).limit(RUNS_SHOWN))).all()
        pins = (await session.scalars(select(Pin).order_by(Pin.expires_at).limit(PINS_SHOWN))).all()
    now = await database.now()
    manifests, away = await _ask_target(settings)
    backup, drill = await last_run(database, RunKind.CREATE), await last_run(database, RunKind.DRILL)
    is_set = bool(settings.backup_url)
    return Backups(
        problem=await backup_problem(settings, database),
        away=away,
        manifests=manifests,
        drills=await drills_of(database),
        runs=runs,
        dead=frozenset(run.id for run in runs if run.state is RunState.RUNNING and run.alive_until < now),
        pins=[pin for pin in pins if pin.expires_at > now],
        backup_due_at=next_due(backup, settings.backup_every_seconds, now) if is_set else None,
        drill_due_at=next_due(drill, settings.backup_drill_every_seconds, now) if is_set else None,
    )


async def _ask_target(settings: Settings) -> tuple[Sequence[Manifest], str]:
    if not settings.backup_url:
        return [], ""
    try:
        async with asyncio.timeout(TARGET_SECONDS):
            return await open_target(settings, settings.backup_url).read_manifests(), ""
    except TimeoutError:
        return [], "The target of the backups does not answer."
    except CairnError as error:
        _log.warning("backup_target_away", error=error.message)
        return [], "The target of the backups cannot be read; the log says why."


async def start_backup(session: AsyncSession, settings: Settings, actor: Actor) -> None:
    """Have the worker make a backup soon; Conflict where no target is set. One that waits already is enough."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    if not settings.backup_url:
        raise Conflict("There is no target for backups; set CAIRN_BACKUP_URL.")
    await enqueue(session, CREATE_KIND, Nothing(), unique_key=CREATE_KIND)
    record(session, actor, "backup.start", "backup")


@page.get(PATH + SECTION, **_ADMINISTER)
async def backups_page(context: RequestContext, database: Database, settings: Settings, actor: Actor) -> Response[str]:
    """Show the backups."""
    backups = await read_backups(settings, database, actor)
    return show(context, "admin_backups.html", SECTION, backups=backups)


@page.post(PATH + SECTION + "/start", **_ADMINISTER, sudo=True)
async def start_page(context: RequestContext, session: AsyncSession, settings: Settings, actor: Actor) -> Response[Any]:
    """Have a backup made."""
    await start_backup(session, settings, actor)
    context.flash("A worker makes a backup as soon as one is free.")
    return redirect(PATH + SECTION)


@api.get("/api/cairn/v1/backups", **_ADMINISTER)
async def backups_api(database: Database, settings: Settings, actor: Actor) -> ApiAnswer:
    """Answer the same for programs that watch: times in UTC, sizes in bytes; never an address of the target."""
    found = await read_backups(settings, database, actor)
    return ApiAnswer(
        {
            "problem": found.problem or None,
            "target_problem": found.away or None,
            "next_backup_at": _time(found.backup_due_at),
            "next_drill_at": _time(found.drill_due_at),
            "backups": [_backup(manifest, found.drills.get(manifest.id)) for manifest in found.manifests],
            "runs": [_run(run, is_dead=run.id in found.dead) for run in found.runs],
            "pins": [{"purpose": pin.purpose, "expires_at": _time(pin.expires_at)} for pin in found.pins],
        }
    )


def _backup(manifest: Manifest, drill: BackupRun | None) -> dict[str, Any]:
    return {
        "id": manifest.id,
        "taken_at": _time(manifest.taken_at),
        "objects": manifest.objects,
        "bytes": manifest.object_bytes + manifest.own_bytes,
        "new_bytes": manifest.copied_bytes + manifest.own_bytes,
        "missing_objects": len(manifest.missing),
        "drill": None if drill is None else _run(drill, is_dead=False),
    }


def _run(run: BackupRun, *, is_dead: bool) -> dict[str, Any]:
    return {
        "kind": run.kind.value,
        "backup": run.backup or None,
        "state": RunState.FAILED.value if is_dead else run.state.value,
        "started_at": _time(run.started_at),
        "finished_at": _time(run.finished_at),
        "told": run.told,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else (at - timedelta(microseconds=at.microsecond)).isoformat().replace("+00:00", "Z")


route_handlers: list[HTTPRouteHandler] = [backups_page, start_page, backups_api]
