"""The installation's audit log: a page with filters, and all of it as JSON lines."""

from collections.abc import Mapping
from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import SITE
from cairn.audit.export import MEDIA_TYPE, export_lines
from cairn.audit.queries import AuditFilter
from cairn.base.actor import Actor
from cairn.base.errors import Invalid
from cairn.db.database import Database
from cairn.ops.admin_frame import PATH, show
from cairn.ops.audit_listing import read_filter, read_listing
from cairn.web.context import RequestContext
from cairn.web.routing import page


@page.get(PATH + "/audit", action=Action.SITE_ADMINISTER, resource="site")
async def audit_page(
    context: RequestContext, session: AsyncSession, actor: Actor, before: int | None = None, after: int | None = None
) -> Response[str]:
    """Show decisions, the newest first."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    listing = await read_listing(session, context, actor, before=before, after=after)
    status = 422 if listing.form.has_problems else 200
    return show(context, "admin_audit.html", "/audit", status=status, listing=listing)


@page.get(PATH + "/audit.jsonl", action=Action.SITE_ADMINISTER, resource="site")
async def export_page(
    context: RequestContext, session: AsyncSession, database: Database, actor: Actor
) -> Response[Any]:
    """Answer every entry the filter selects as a line of JSON, however many there are."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    form, wanted = await read_filter(session, context, actor)
    if form.has_problems:
        raise Invalid(" ".join([form.summary, *form.problems.values()]).strip())
    return answer_lines(context, database, wanted, name="audit")


def answer_lines(
    context: RequestContext,
    database: Database,
    wanted: AuditFilter,
    *,
    name: str,
    organizations: Mapping[int, str] | None = None,
) -> Response[Any]:
    """Return a log as a file that a browser saves; entries are read while they are sent."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.jsonl"', "Cache-Control": "no-store"}
    if context.request.method == "HEAD":
        return Response(content=b"", media_type=MEDIA_TYPE, headers=headers)
    return Stream(export_lines(database, wanted, organizations=organizations), media_type=MEDIA_TYPE, headers=headers)


route_handlers: list[HTTPRouteHandler] = [audit_page, export_page]
