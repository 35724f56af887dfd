"""An organization's own audit log, for its owners: a page, all of it as JSON lines, and GitHub's API operation."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.audit.export import entry_json
from cairn.audit.models import AuditEntry
from cairn.audit.queries import AuditFilter, list_entries
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid
from cairn.db.database import Database
from cairn.identity.organization_settings_pages import settings_frame
from cairn.identity.organizations import find_organization
from cairn.ops.admin_audit import answer_lines
from cairn.ops.admin_frame import read_moment
from cairn.ops.audit_listing import read_filter, read_listing
from cairn.ops.queries import find_repository_id, repository_names
from cairn.web.api import ApiAnswer, read_page
from cairn.web.context import RequestContext
from cairn.web.render import render
from cairn.web.routing import api, page

PATH = "/organizations/{org:str}/settings/audit-log"
_QUALIFIERS = frozenset({"actor", "action", "repo", "ip", "created"})


@page.get(PATH, action=Action.ORGANIZATION_EDIT, resource="account")
async def audit_page(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    org: str,
    before: int | None = None,
    after: int | None = None,
) -> Response[str]:
    """Show the organization's decisions, the newest first."""
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT)
    listing = await read_listing(session, context, actor, organization_id=organization.id, before=before, after=after)
    status = 422 if listing.form.has_problems else 200
    headers = {"Cache-Control": "no-store"}
    return render(
        context,
        "ops/organization_audit.html",
        status=status,
        headers=headers,
        **await settings_frame(session, actor, organization, "audit"),
        listing=listing,
    )


@page.get(PATH + ".jsonl", action=Action.ORGANIZATION_EDIT, resource="account")
async def export_page(
    context: RequestContext, session: AsyncSession, database: Database, actor: Actor, org: str
) -> Response[Any]:
    """Answer every entry of the organization that the filter selects as a line of JSON."""
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT)
    form, wanted = await read_filter(session, context, actor, organization_id=organization.id)
    if form.has_problems:
        raise Invalid(" ".join([form.summary, *form.problems.values()]).strip())
    return answer_lines(
        context,
        database,
        wanted,
        name=f"{organization.login}-audit",
        organizations={organization.id: organization.login},
    )


@api.get("/api/v3/orgs/{org:str}/audit-log", action=Action.ORGANIZATION_EDIT, resource="account")
async def audit_api(context: RequestContext, session: AsyncSession, actor: Actor, org: str) -> ApiAnswer:
    """Answer one page of the organization's log; ``after`` and ``before`` go on from an entry, as the Link says."""
    organization = await find_organization(session, actor, org, Action.ORGANIZATION_EDIT)
    query = context.request.query_params
    per_page = read_page(context).per_page
    is_rising = query.get("order") == "asc"
    wanted = await _read_phrase(session, str(query.get("phrase", "")), organization.id)
    older, newer = _cursor(query.get("after"), "after"), _cursor(query.get("before"), "before")
    if is_rising:
        older, newer = newer, older
        newer = newer if newer is not None or older is not None else 0
    rows = await list_entries(session, wanted, limit=per_page + 1, before_id=older, after_id=newer)
    has_more = len(rows) > per_page
    rows = rows[-per_page:] if newer is not None else rows[:per_page]
    ordered = rows[::-1] if is_rising else rows
    ids = {row.repository_id for row in rows if row.repository_id is not None}
    names = await repository_names(session, ids, owner_id=organization.id)
    body = [
        entry_json(row, organization=organization.login, repository=names.get(row.repository_id or 0, ""))
        for row in ordered
    ]
    return ApiAnswer(body, headers=_link(context, ordered, has_more=has_more))


def _link(context: RequestContext, rows: Sequence[AuditEntry], *, has_more: bool) -> dict[str, str]:
    """Return the Link header of a page that goes on by cursors: to the next page, and to the one before."""
    query = {name: value for name, value in context.request.query_params.items() if name not in {"after", "before"}}
    had = context.request.query_params
    is_backwards = "before" in had
    found = []
    if rows and (has_more or is_backwards):
        found.append(("next", {"after": rows[-1].id}))
    if rows and ("after" in had or (is_backwards and has_more)):
        found.append(("prev", {"before": rows[0].id}))
    address = f"{context.settings.origin}{context.path}"
    links = [f'<{address}?{urlencode(query | cursor)}>; rel="{rel}"' for rel, cursor in found]
    return {"Link": ", ".join(links)} if links else {}


def _cursor(text: str | None, name: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Invalid(f"{name} is no cursor of this list.", FieldProblem(name, "invalid", "No cursor of this list."))
    return int(text)


async def _read_phrase(session: AsyncSession, phrase: str, organization_id: int) -> AuditFilter:
    """Return the filter that GitHub's search phrase means: ``actor:``, ``action:``, ``repo:``, ``ip:``, ``created:``.

    ``created`` takes ``>=2026-01-31``, ``<2026-02-28`` or a day. Words without a qualifier are text.
    """
    found: dict[str, str] = {}
    words: list[str] = []
    for word in phrase.split():
        name, colon, value = word.partition(":")
        if colon and name in _QUALIFIERS:
            found[name] = value
        else:
            words.append(word)
    since, until = _read_created(found.get("created", ""))
    repository_id = None
    if "repo" in found:
        # One that is not theirs finds nothing: no row has the number 0.
        repository_id = await find_repository_id(session, found["repo"], organization_id) or 0
    return AuditFilter(
        organization_id=organization_id,
        actor=found.get("actor", ""),
        action=found.get("action", ""),
        repository_id=repository_id,
        address=found.get("ip", ""),
        text=" ".join(words),
        since=since,
        until=until,
    )


def _read_created(text: str) -> tuple[datetime | None, datetime | None]:
    if ".." in text:
        first, _, last = text.partition("..")
        return read_moment(first, "phrase"), _after(read_moment(last, "phrase"))
    moment = read_moment(text.lstrip("<>="), "phrase")
    match text[: len(text) - len(text.lstrip("<>="))]:
        case ">=":
            return moment, None
        case ">":
            return _after(moment), None
        case "<":
            return None, moment
        case "<=":
            return None, _after(moment)
        case _:
            return moment, _after(moment)


def _after(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment + timedelta(days=1)


route_handlers: list[HTTPRouteHandler] = [audit_page, export_page, audit_api]
