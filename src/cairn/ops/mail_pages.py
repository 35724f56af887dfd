"""What administrators see of mails: the outbox, and the words of those that were not sent."""

from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.mail.outbox import Outbox, find_mail, list_mails
from cairn.ops.admin_frame import PATH as ADMIN_PATH
from cairn.ops.admin_frame import PER_PAGE, show
from cairn.web.api import PageRequest, read_page
from cairn.web.context import RequestContext
from cairn.web.render import redirect
from cairn.web.routing import page

SECTION = "/mail"
PATH = ADMIN_PATH + SECTION


def make_route_handlers(outbox: Outbox) -> list[HTTPRouteHandler]:
    """Return these pages; the program's own outbox opens what is sealed."""

    @page.post(PATH + "/{mail_id:str}/read", action=Action.SITE_ADMINISTER, resource="site", sudo=True)
    async def read(context: RequestContext, session: AsyncSession, actor: Actor, mail_id: str) -> Response[str]:
        """Show a mail's words. A POST, since it is noted who read somebody's link."""
        words = await outbox.read(session, actor, mail_id)
        mail = await find_mail(session, actor, mail_id)
        record(session, actor, "mail.read", mail.recipient, details={"subject": mail.subject})
        return show(context, "mail.html", SECTION, mail=mail, words=words)

    @page.post(PATH + "/{mail_id:str}/retry", action=Action.SITE_ADMINISTER, resource="site")
    async def retry(context: RequestContext, session: AsyncSession, actor: Actor, mail_id: str) -> Response[Any]:
        """Send a mail that was kept, or had failed."""
        await outbox.retry(session, actor, mail_id)
        mail = await find_mail(session, actor, mail_id)
        record(session, actor, "mail.retry", mail.recipient, details={"subject": mail.subject})
        context.flash("The mail is on its way again.")
        return redirect(f"{PATH}/{mail_id}")

    return [outbox_page, mail_page, read, retry]


@page.get(PATH, action=Action.SITE_ADMINISTER, resource="site")
async def outbox_page(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[str]:
    """Show the mails of late, the newest first."""
    asked = PageRequest(read_page(context).page, PER_PAGE)
    mails = await list_mails(session, actor, offset=asked.offset, limit=PER_PAGE + 1)
    has_more = len(mails) > PER_PAGE
    return show(context, "outbox.html", SECTION, mails=mails[:PER_PAGE], number=asked.page, has_more=has_more)


@page.get(PATH + "/{mail_id:str}", action=Action.SITE_ADMINISTER, resource="site")
async def mail_page(context: RequestContext, session: AsyncSession, actor: Actor, mail_id: str) -> Response[str]:
    """Show what is known of one mail, without its words."""
    mail = await find_mail(session, actor, mail_id)
    return show(context, "mail.html", SECTION, mail=mail, words=None)
