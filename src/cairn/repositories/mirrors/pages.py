"""Settings of a repository: what it follows, what follows it, how each goes. Every one is a plain form."""

from enum import StrEnum
from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, Invalid
from cairn.base.settings import Settings
from cairn.identity.outgoing_keys import find_outgoing_key
from cairn.identity.settings_frame import own_account
from cairn.repositories.imports.credentials import NO_CREDENTIALS, Credentials, check_credentials
from cairn.repositories.imports.login import read_ssh_facts
from cairn.repositories.imports.pages import rejected
from cairn.repositories.mirrors.edit import (
    MirrorIdle,
    MirrorsOff,
    WantedMirror,
    change_mirror,
    intervals,
    list_mirrors,
    make_mirror,
    pause_mirror,
    read_mirror,
    remove_mirror,
    resume_mirror,
    sync_now,
    usual_interval,
)
from cairn.repositories.mirrors.models import PUSH_MIRRORS_MAX, Mirror, MirrorRefs
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.repositories.queries import RepositoryView, find_repository
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

_PATH = "/{owner:str}/{repo:str}/settings/mirroring"
_MIRROR = f"{_PATH}/{{mirror_id:int}}"
_ADMINISTER: Any = {"action": Action.REPOSITORY_ADMINISTER, "resource": "repository"}
_MINUTES_OF_A_DAY, _MINUTES_OF_AN_HOUR = 1440, 60


class Direction(StrEnum):
    """Who follows whom."""

    PULL = "pull"
    PUSH = "push"


class Step(StrEnum):
    """What a button of a mirror does."""

    SYNC = "sync"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


class MirrorForm(msgspec.Struct):
    """A mirror as its form has it."""

    url: Annotated[str, Meta(min_length=1)]
    direction: Direction = Direction.PULL
    user: str = ""
    password: str = ""
    forget: bool = False
    """The user and password that are kept go."""
    refs: MirrorRefs = MirrorRefs.ALL
    pattern: str = ""
    overwrites: bool = False
    prunes: bool = False
    lfs: bool = False
    interval_minutes: int = 60


class StepForm(msgspec.Struct):
    """The button that was pressed."""

    step: Step


@page.get(_PATH, **_ADMINISTER)
async def mirroring(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str
) -> Response[Any]:
    """Show what the repository follows and what follows it, each with how it goes."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    found = await list_mirrors(session, repository.id)
    followers = [mirror for mirror in found if not mirror.is_pull]
    return render(
        context,
        "repositories/mirroring.html",
        headers={"Cache-Control": "no-store"},
        **header_of(context, actor, repository, "settings"),
        followed=next((mirror for mirror in found if mirror.is_pull), None),
        followers=followers,
        ssh_facts={mirror.id: await read_ssh_facts(session, mirror.account_id, mirror.url) for mirror in found},
        has_room=len(followers) < PUSH_MIRRORS_MAX,
        followers_max=PUSH_MIRRORS_MAX,
        every=every,
        is_off=context.settings.mirrors == "off",
    )


@page.get(f"{_PATH}/new", **_ADMINISTER)
async def new_mirror(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, direction: str = "pull"
) -> Response[Any]:
    """Show the form of a new mirror, of either ``direction``."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    is_pull = direction != Direction.PUSH
    # What is here already may be somebody's only copy.
    takes_all = not is_pull or repository.pushed_at is None
    form = blank_form(
        MirrorForm,
        direction=(Direction.PULL if is_pull else Direction.PUSH).value,
        refs=MirrorRefs.ALL.value,
        overwrites=takes_all,
        prunes=takes_all,
        lfs=True,
        interval_minutes=str(usual_interval(context.settings)),
    )
    return await _show_form(context, session, actor, repository, form, None)


@page.post(f"{_PATH}/new", **_ADMINISTER)
async def make(
    context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest, owner: str, repo: str
) -> Response[Any]:
    """Make the mirror; its first sync begins within a minute."""
    form = await read_form(request, MirrorForm)
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    try:
        given = form.require()
        is_pull = given.direction is Direction.PULL
        wanted = _wanted(given, check_credentials(given.user, given.password))
        mirror = await make_mirror(session, context.settings, actor, repository.id, wanted, is_pull=is_pull)
    except (Invalid, Conflict, MirrorsOff) as error:
        return await _show_form(context, session, actor, repository, rejected(form, error), None)
    context.flash(f"The first sync with {mirror.url} begins within a minute.")
    return redirect(_address(repository))


@page.get(_MIRROR, **_ADMINISTER)
async def edit_mirror(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, mirror_id: int
) -> Response[Any]:
    """Show the form that changes a mirror."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    mirror = await read_mirror(session, repository.id, mirror_id)
    form = blank_form(
        MirrorForm,
        url=mirror.url,
        direction=(Direction.PULL if mirror.is_pull else Direction.PUSH).value,
        refs=mirror.refs.value,
        pattern=mirror.pattern,
        overwrites=mirror.overwrites,
        prunes=mirror.prunes,
        lfs=mirror.with_lfs,
        interval_minutes=str(mirror.interval_minutes),
    )
    return await _show_form(context, session, actor, repository, form, mirror)


@page.post(_MIRROR, **_ADMINISTER)
async def change(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    request: WebRequest,
    owner: str,
    repo: str,
    mirror_id: int,
) -> Response[Any]:
    """Change a mirror; a sync begins within a minute."""
    form = await read_form(request, MirrorForm)
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    mirror = await read_mirror(session, repository.id, mirror_id)
    form.values["direction"] = (Direction.PULL if mirror.is_pull else Direction.PUSH).value
    try:
        given = form.require()
        credentials: Credentials | None = check_credentials(given.user, given.password)
        if not given.forget and credentials == NO_CREDENTIALS:
            credentials = None  # those it has
        wanted = _wanted(given, credentials)
        mirror = await change_mirror(session, context.settings, actor, repository.id, mirror_id, wanted)
    except (Invalid, Conflict, MirrorsOff) as error:
        return await _show_form(context, session, actor, repository, rejected(form, error), mirror)
    context.flash("The mirror was changed.")
    return redirect(_address(repository))


@page.post(f"{_MIRROR}/step", **_ADMINISTER)
async def take_step(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    request: WebRequest,
    owner: str,
    repo: str,
    mirror_id: int,
) -> Response[Any]:
    """Sync a mirror now, pause it, let it go on, or end it."""
    step = (await read_form(request, StepForm)).require().step
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    settings = context.settings
    try:
        match step:
            case Step.SYNC:
                await sync_now(session, settings, actor, repository.id, mirror_id)
                context.flash("A sync begins as soon as a worker has time.")
            case Step.PAUSE:
                await pause_mirror(session, actor, repository.id, mirror_id)
                context.flash("The mirror is paused.")
            case Step.RESUME:
                await resume_mirror(session, settings, actor, repository.id, mirror_id)
                context.flash("The mirror goes on; a sync begins as soon as a worker has time.")
            case Step.STOP:
                await remove_mirror(session, actor, repository.id, mirror_id)
                context.flash("It is no mirror any more. What has come stays.")
    except (MirrorIdle, MirrorsOff) as error:
        context.flash(error.message, "warning")
    return redirect(_address(repository))


async def _show_form(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    repository: RepositoryView,
    form: Form[MirrorForm],
    mirror: Mirror | None,
) -> Response[Any]:
    form.values["password"] = ""
    return render(
        context,
        "repositories/mirror_form.html",
        status=422 if form.has_problems else 200,
        headers={"Cache-Control": "no-store"},
        **header_of(context, actor, repository, "settings"),
        form=form,
        mirror=mirror,
        is_pull=form.values.get("direction") != Direction.PUSH.value,
        outgoing_key=await find_outgoing_key(session, own_account(actor)),
        choices=_choices(context.settings, mirror),
        is_off=context.settings.mirrors == "off",
    )


def _choices(settings: Settings, mirror: Mirror | None) -> list[tuple[str, str]]:
    """Return the pauses that may be chosen, with the words for them."""
    found = sorted({*intervals(settings), *([mirror.interval_minutes] if mirror else [])})
    return [(str(minutes), f"Every {every(minutes)}") for minutes in found]


def every(minutes: int) -> str:
    """Return a pause in words that follow "every": ``hour``, ``3 hours``, ``day``."""
    for unit, size in (("day", _MINUTES_OF_A_DAY), ("hour", _MINUTES_OF_AN_HOUR), ("minute", 1)):
        if minutes % size == 0:
            count = minutes // size
            return unit if count == 1 else f"{count} {unit}s"
    raise AssertionError("each number is divided by one")


def _wanted(given: MirrorForm, credentials: Credentials | None) -> WantedMirror:
    return WantedMirror(
        url=given.url,
        credentials=credentials,
        refs=given.refs,
        pattern=given.pattern,
        overwrites=given.overwrites,
        prunes=given.prunes,
        with_lfs=given.lfs,
        interval_minutes=given.interval_minutes,
    )


def _address(repository: RepositoryView) -> str:
    return path_join(repository.owner, repository.name, "settings", "mirroring")


route_handlers: list[HTTPRouteHandler] = [mirroring, new_mirror, make, edit_mirror, change, take_step]
