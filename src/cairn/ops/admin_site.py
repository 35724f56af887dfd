"""Administration of what everybody meets: who may sign up, and what is announced on every page."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import SITE
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, Invalid
from cairn.base.settings import Settings
from cairn.identity.registration import MODES, choose_registration, read_registration
from cairn.ops.admin_frame import PATH, read_moment, show
from cairn.ops.announcements import announce, list_announcements, take_down
from cairn.ops.models import AnnouncementLevel
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect
from cairn.web.routing import page

_ADMINISTER: Any = {"action": Action.SITE_ADMINISTER, "resource": "site"}


class RegistrationForm(msgspec.Struct):
    """Who may sign up; ``domains`` are separated by blanks, commas or line ends."""

    mode: str
    domains: str = ""


class AnnouncementForm(msgspec.Struct):
    """An announcement to be made."""

    text: Annotated[str, Meta(min_length=1)]
    level: AnnouncementLevel = AnnouncementLevel.NOTICE
    is_dismissible: bool = False
    starts_at: str = ""
    ends_at: str = ""


@page.get(PATH + "/registration", **_ADMINISTER)
async def registration_page(
    context: RequestContext, session: AsyncSession, actor: Actor, settings: Settings
) -> Response[str]:
    """Show who may sign up."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    policy = await read_registration(session, settings)
    form = blank_form(RegistrationForm, mode=policy.mode, domains="\n".join(policy.domains))
    return _registration(context, form)


def _registration(context: RequestContext, form: Form[RegistrationForm], *, status: int = 200) -> Response[str]:
    open_to = MODES[MODES.index(context.settings.registration) :]
    return show(context, "admin_registration.html", "/registration", status=status, form=form, open_to=open_to)


@page.post(PATH + "/registration", **_ADMINISTER, sudo=True)
async def save_registration(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, settings: Settings
) -> Response[Any]:
    """Change who may sign up."""
    form = await read_form(request, RegistrationForm)
    try:
        wanted = form.require()
        domains = wanted.domains.replace(",", " ").split()
        await choose_registration(session, actor, settings, mode=wanted.mode, domains=domains)
    except Invalid as error:
        return _registration(context, form.reject(error), status=422)
    context.flash("This holds from now on; pages show it within a few seconds.")
    return redirect(PATH + "/registration")


@page.get(PATH + "/announcements", **_ADMINISTER)
async def announcements_page(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[str]:
    """Show what is announced, and the form for more."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    return await _announcements(context, session, blank_form(AnnouncementForm, level="notice"))


async def _announcements(
    context: RequestContext, session: AsyncSession, form: Form[AnnouncementForm], *, status: int = 200
) -> Response[str]:
    rows = await list_announcements(session)
    return show(context, "admin_announcements.html", "/announcements", status=status, form=form, rows=rows)


@page.post(PATH + "/announcements", **_ADMINISTER)
async def announce_here(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
) -> Response[Any]:
    """Announce something."""
    form = await read_form(request, AnnouncementForm)
    try:
        wanted = form.require()
        await announce(
            session,
            actor,
            text=wanted.text,
            level=wanted.level,
            is_dismissible=wanted.is_dismissible,
            starts_at=read_moment(wanted.starts_at, "starts_at"),
            ends_at=read_moment(wanted.ends_at, "ends_at"),
        )
    except Invalid as error:
        return await _announcements(context, session, form.reject(error), status=422)
    except Conflict as error:
        form.summary = error.message
        return await _announcements(context, session, form, status=409)
    context.flash("It stands on every page within a few seconds.")
    return redirect(PATH + "/announcements")


@page.post(PATH + "/announcements/{announcement_id:int}/delete", **_ADMINISTER)
async def take_down_here(
    context: RequestContext, session: AsyncSession, actor: Actor, announcement_id: int
) -> Response[Any]:
    """Take an announcement down."""
    await take_down(session, actor, announcement_id)
    context.flash("It goes from every page within a few seconds.")
    return redirect(PATH + "/announcements")


route_handlers: list[HTTPRouteHandler] = [
    registration_page,
    save_registration,
    announcements_page,
    announce_here,
    take_down_here,
]
