"""What the pages of the audit log share: the filter as its form has it, and one page of entries as they are shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.audit.models import AuditEntry
from cairn.audit.queries import AuditFilter, SealState, list_entries, seal_state
from cairn.audit.sealing import INSTALLATION_LOG
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, NotFound
from cairn.ops.admin_frame import PER_PAGE, read_moment
from cairn.ops.queries import repository_names
from cairn.repositories.queries import RepositoryMoved, find_repository
from cairn.web.context import RequestContext
from cairn.web.forms import Form, blank_form


class FilterForm(msgspec.Struct):
    """The filter, as a form sends it in the address."""

    actor: str = ""
    action: str = ""
    repository: str = ""
    address: str = ""
    text: str = ""
    since: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """One entry as a page tells it."""

    row: AuditEntry
    facts: Mapping[str, str]
    is_sealed: bool
    repository: str
    """Where it happened, as OWNER/NAME is now; empty where the target says so, or the repository is gone."""


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a log; ``newer`` and ``older`` are the ids its neighbours go on from, None at an end."""

    form: Form[FilterForm]
    entries: tuple[ShownEntry, ...]
    seal: SealState
    newer: int | None
    older: int | None


async def read_filter(
    session: AsyncSession, context: RequestContext, actor: Actor, *, organization_id: int | None = None
) -> tuple[Form[FilterForm], AuditFilter]:
    """Return the filter that stands in the address; a form with problems selects by what could be read."""
    query = context.request.query_params
    typed = {field: str(query.get(field, "")).strip()[:255] for field in FilterForm.__struct_fields__}
    form = blank_form(FilterForm, **typed)
    repository_id: int | None = None
    moments: dict[str, datetime | None] = {"since": None, "until": None}
    try:
        repository_id = await _repository(session, actor, typed["repository"])
    except Invalid as error:
        form.reject(error)
    for field in moments:
        try:
            moments[field] = read_moment(typed[field], field)
        except Invalid as error:
            form.reject(error)
    return form, AuditFilter(
        organization_id=organization_id,
        actor=typed["actor"].removeprefix("@"),
        action=typed["action"],
        repository_id=repository_id,
        address=typed["address"],
        text=typed["text"],
        since=moments["since"],
        until=moments["until"],
    )


async def read_listing(
    session: AsyncSession,
    context: RequestContext,
    actor: Actor,
    *,
    organization_id: int | None = None,
    before: int | None = None,
    after: int | None = None,
) -> Listing:
    """Return the page of a log that the address asks for. For callers that have authorized."""
    form, wanted = await read_filter(session, context, actor, organization_id=organization_id)
    if form.has_problems:
        rows: list[AuditEntry] = []
    else:
        rows = list(await list_entries(session, wanted, limit=PER_PAGE + 1, before_id=before, after_id=after))
    has_more = len(rows) > PER_PAGE
    rows = rows[-PER_PAGE:] if after is not None else rows[:PER_PAGE]
    ids = {row.repository_id for row in rows if row.repository_id is not None}
    names = await repository_names(session, ids, owner_id=organization_id)
    seal = await seal_state(session, organization_id or INSTALLATION_LOG)
    is_first = before is None and after is None
    return Listing(
        form,
        tuple(ShownEntry(row, _facts(row), row.id <= seal.through, _repository_of(row, names)) for row in rows),
        seal,
        newer=rows[0].id if rows and not is_first and (before is not None or has_more) else None,
        older=rows[-1].id if rows and (has_more or after is not None) else None,
    )


def _repository_of(row: AuditEntry, names: Mapping[int, str]) -> str:
    name = "" if row.repository_id is None else names.get(row.repository_id, "")
    return "" if name == row.target else name


def _facts(row: AuditEntry) -> dict[str, str]:
    changed = {name: f"{old or '(empty)'} → {new or '(empty)'}" for name, (old, new) in (row.changes or {}).items()}
    return dict(row.details) | changed


async def _repository(session: AsyncSession, actor: Actor, name: str) -> int | None:
    if not name:
        return None
    owner, _, rest = name.partition("/")
    try:
        return (await find_repository(session, actor, owner, rest)).id
    except RepositoryMoved as moved:
        return moved.repository_id
    except NotFound:
        message = f"There is no repository {name[:100]!r}; write OWNER/NAME. What is deleted is found by its text."
        raise Invalid(message, FieldProblem("repository", "invalid", message)) from None
