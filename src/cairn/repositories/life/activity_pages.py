"""The page of a repository's activity: weeks, lines, people and hours, each drawn and as a table."""

from datetime import UTC, datetime
from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.clock import utc_now
from cairn.git.activity import Activity
from cairn.git.engine import Engine
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.history_lists import authors_of_emails
from cairn.repositories.life.activity import DAYS, activity_of, authors_of, draw_bars, draw_punch_card, last_weeks
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.render import render
from cairn.web.routing import page

_PEOPLE_SHOWN = 12


@page.get("/{owner:str}/{repo:str}/activity", action=Action.REPOSITORY_READ, resource="repository", cost=Cost.HISTORY)
async def activity_page(context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str) -> Response[Any]:
    """Show when and by whom the default branch was written; while that is counted, a page that asks again."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    found: Activity | None = None
    async with open_code(engine, repository.store_id) as code:
        revision = await code.default_revision()
        if revision is not None:
            found = await activity_of(code, revision.commit_oid)
    shown = {} if found is None else await _shown(context, found)
    return render(
        context,
        "repositories/activity.html",
        **header_of(context, actor, repository, "activity"),
        is_empty=revision is None,
        found=found,
        **shown,
    )


async def _shown(context: RequestContext, found: Activity) -> dict[str, Any]:
    weeks = last_weeks(int(utc_now().timestamp()))
    by_week = found.by_week()
    labels = [datetime.fromtimestamp(start, UTC).strftime("%d %b %Y") for start in weeks]
    rows = [(label, *by_week.get(start, (0, 0, 0))) for label, start in zip(labels, weeks, strict=True)]
    authors = authors_of(found)[:_PEOPLE_SHOWN]
    return {
        "rows": rows,
        "total": sum(commits for _, commits, _, _ in rows),
        "commits": draw_bars([row[1] for row in rows], labels, "Commits in each of the last 52 weeks"),
        "added": draw_bars([row[2] for row in rows], labels, "Lines added in each of the last 52 weeks"),
        "deleted": draw_bars([row[3] for row in rows], labels, "Lines deleted in each of the last 52 weeks"),
        "people": [
            (one, draw_bars([one.weeks.get(start, (0, 0, 0))[0] for start in weeks], labels, f"Commits of {one.name}"))
            for one in authors
        ],
        "authors": await authors_of_emails(context, [one.email for one in authors]),
        "punch_card": draw_punch_card(found.hours),
        "hours": [(day, found.hours[place * 24 : place * 24 + 24]) for place, day in enumerate(DAYS)],
    }


route_handlers: list[HTTPRouteHandler] = [activity_page]
