"""Administration of the installation: overview, repositories, jobs, storage, programs, settings in force."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import SITE
from cairn.base.actor import Actor
from cairn.base.settings import Settings, annotations_of, source_of, value_text, variable
from cairn.db.clock import database_now
from cairn.git.engine import Engine
from cairn.ops.admin_frame import PATH, PER_PAGE, show
from cairn.ops.admin_queries import discard_job, list_by_size, read_queue, read_totals, retry_job
from cairn.ops.heartbeat import SILENT_AFTER, list_programs
from cairn.storage.breaker import BreakerState
from cairn.web.context import RequestContext
from cairn.web.render import redirect
from cairn.web.routing import page

_ADMINISTER: Any = {"action": Action.SITE_ADMINISTER, "resource": "site"}
_HIDDEN = "••••"


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """A setting in force: ``source`` is ``default``, ``environment`` or ``file``."""

    name: str
    value: str
    source: str
    meaning: str


@page.get(PATH, **_ADMINISTER)
async def overview_page(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[str]:
    """Show the installation in numbers, and what wants attention."""
    totals = await read_totals(session, actor)
    queue, _ = await read_queue(session, actor, limit=1)
    programs = await list_programs(session)
    moment = await database_now(session)
    silent = sum(program.last_seen_at < moment - SILENT_AFTER for program in programs)
    is_storage_away = context.site.engine.storage.breaker_state is not BreakerState.CLOSED
    return show(
        context,
        "admin_overview.html",
        "",
        totals=totals,
        queue=queue,
        programs=len(programs),
        silent=silent,
        is_storage_away=is_storage_away,
    )


@page.get(PATH + "/repositories", **_ADMINISTER)
async def repositories_page(
    context: RequestContext, session: AsyncSession, actor: Actor, text: str = "", after: str = ""
) -> Response[str]:
    """Show repositories, the largest first."""
    found = list(await list_by_size(session, actor, text=text.strip()[:150], after=_place(after), limit=PER_PAGE + 1))
    last = found[PER_PAGE - 1] if len(found) > PER_PAGE else None
    older = f"{last.size_bytes}.{last.store_id}" if last is not None else ""
    return show(
        context,
        "admin_repositories.html",
        "/repositories",
        repositories=found[:PER_PAGE],
        text=text,
        after=after,
        older=older,
    )


def _place(text: str) -> tuple[int, int] | None:
    size, _, store_id = text.partition(".")
    if not (size.isdecimal() and store_id.isdecimal() and len(text) < 36):
        return None
    return int(size), int(store_id)


@page.get(PATH + "/jobs", **_ADMINISTER)
async def jobs_page(
    context: RequestContext, session: AsyncSession, actor: Actor, before: int | None = None
) -> Response[str]:
    """Show how the queue does, and the dead jobs."""
    queue, dead = await read_queue(session, actor, before_id=before, limit=PER_PAGE + 1)
    older = dead[PER_PAGE - 1].id if len(dead) > PER_PAGE else None
    return show(context, "admin_jobs.html", "/jobs", queue=queue, dead=dead[:PER_PAGE], before=before, older=older)


@page.post(PATH + "/jobs/{job_id:int}/retry", **_ADMINISTER)
async def retry_page(context: RequestContext, session: AsyncSession, actor: Actor, job_id: int) -> Response[Any]:
    """Let a dead job run again."""
    await retry_job(session, actor, job_id)
    context.flash(f"Job {job_id} waits for a worker again.")
    return redirect(PATH + "/jobs")


@page.post(PATH + "/jobs/{job_id:int}/discard", **_ADMINISTER)
async def discard_page(context: RequestContext, session: AsyncSession, actor: Actor, job_id: int) -> Response[Any]:
    """Give a dead job up."""
    await discard_job(session, actor, job_id)
    context.flash(f"Job {job_id} is discarded.")
    return redirect(PATH + "/jobs")


@page.get(PATH + "/storage", **_ADMINISTER)
async def storage_page(context: RequestContext, session: AsyncSession, actor: Actor, engine: Engine) -> Response[str]:
    """Show what is kept, and how this program's caches and its object store do."""
    totals = await read_totals(session, actor)
    counters = engine.storage.counters
    return show(
        context,
        "admin_storage.html",
        "/storage",
        totals=totals,
        breaker=engine.storage.breaker_state.name.lower(),
        calls=sorted(counters.calls.items()),
        failures=counters.failures,
        retries=counters.retries,
        bytes_read=counters.bytes_read.total(),
        bytes_written=counters.bytes_written.total(),
        answers=sorted(engine.answers.counts.items()),
        views=(engine.cache.hits, engine.cache.misses),
    )


@page.get(PATH + "/programs", **_ADMINISTER)
async def programs_page(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[str]:
    """Show which programs run on which nodes."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    moment = await database_now(session)
    programs = [(program, program.last_seen_at < moment - SILENT_AFTER) for program in await list_programs(session)]
    return show(context, "admin_programs.html", "/programs", programs=programs)


@page.get(PATH + "/settings", **_ADMINISTER)
async def settings_page(
    context: RequestContext, session: AsyncSession, actor: Actor, settings: Settings
) -> Response[str]:
    """Show the settings in force on this node, secrets as dots."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    return show(context, "admin_settings.html", "/settings", rows=shown_settings(settings, os.environ))


def shown_settings(settings: Settings, environ: Mapping[str, str]) -> list[ShownSetting]:
    """Return every setting with its value, where that came from and what it means; never a secret's value."""
    found = []
    for field in msgspec.structs.fields(Settings):
        said, value = annotations_of(field.name), getattr(settings, field.name)
        text = (_HIDDEN if value else "") if "secret" in said else value_text(field.name, value)
        found.append(
            ShownSetting(variable(field.name), text, source_of(field.name, environ), str(said.get("description", "")))
        )
    return found


route_handlers: list[HTTPRouteHandler] = [
    overview_page,
    repositories_page,
    jobs_page,
    retry_page,
    discard_page,
    storage_page,
    programs_page,
    settings_page,
]
