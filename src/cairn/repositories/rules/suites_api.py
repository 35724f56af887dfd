"""What rulesets found, over REST: GitHub's rule suites."""

from datetime import timedelta
from typing import Any

from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.repositories.api_routes import REPOSITORY, choose, follows_renames, query_text
from cairn.repositories.code.git_serializers import text
from cairn.repositories.queries import BRANCH_PREFIX, find_repository
from cairn.repositories.rules.holder import Holder, holder_of, suites_for
from cairn.repositories.rules.suites import Suite, SuiteFilter, read_suite
from cairn.repositories.rules.types import Enforcement, SuiteResult
from cairn.repositories.serializers import Json
from cairn.web.api import Page, PageRequest, api_time, read_page
from cairn.web.context import RequestContext
from cairn.web.routing import api

_SUITES = f"{REPOSITORY}/rulesets/rule-suites"
_ADMINISTER: Any = {"action": Action.REPOSITORY_ADMINISTER, "resource": "repository"}
_PERIODS = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=30),
}
_RESULTS: dict[str, SuiteResult | None] = {"all": None, **{one.value: one for one in SuiteResult}}


@api.get(_SUITES, **_ADMINISTER)
@follows_renames
async def list_(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> Page[Json]:
    """Answer changes that a ruleset had something against, the newest first; of the last day unless told otherwise.

    ``ref`` (a full name, or a branch), ``time_period``, ``actor_name`` and ``rule_suite_result`` narrow them.
    """
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    return await page_of_suites(context, session, holder_of(repository))


async def page_of_suites(context: RequestContext, session: AsyncSession, holder: Holder) -> Page[Json]:
    """Return the page of a list that the query asks for; the caller has authorized. Errors: Invalid."""
    period: timedelta = choose(context, "time_period", _PERIODS, "day")
    result: SuiteResult | None = choose(context, "rule_suite_result", _RESULTS, "all")
    asked = read_page(context)
    wanted = SuiteFilter(
        ref=_ref(context),
        actor=query_text(context, "actor_name"),
        repository=query_text(context, "repository_name") if holder.repository_id is None else "",
        result=result,
        since=context.site.clock() - period,
    )
    found = await suites_for(session, holder, wanted, page=asked.page, per_page=asked.per_page)
    following = PageRequest(asked.page * asked.per_page + 1, 1)
    more = await suites_for(session, holder, wanted, page=following.page, per_page=following.per_page)
    return Page([suite_json(one) for one in found], asked, has_next=bool(more))


def _ref(context: RequestContext) -> bytes | None:
    name = query_text(context, "ref").encode("utf-8", "surrogateescape")
    if not name:
        return None
    return name if name.startswith(b"refs/") else BRANCH_PREFIX + name


@api.get(f"{_SUITES}/{{suite_id:int}}", **_ADMINISTER)
@follows_renames
async def read(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, suite_id: int
) -> Json:
    """Answer one of them, with what each rule had against it."""
    del context  # for renames
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    return full_suite_json(await read_suite(session, repository.id, suite_id))


def full_suite_json(suite: Suite) -> Json:
    """Return a suite with what each rule had against the change."""
    evaluations = [
        {
            "rule_source": {"type": "ruleset", "id": one.ruleset_id, "name": one.ruleset},
            "enforcement": Enforcement(one.enforcement).value,
            "result": "fail",
            "rule_type": one.rule,
            "details": one.message,
        }
        for one in suite.findings
    ]
    return suite_json(suite) | {"rule_evaluations": evaluations}


def suite_json(suite: Suite) -> Json:
    """Return a suite as lists have it."""
    return {
        "id": suite.id,
        "actor_id": suite.actor_id,
        "actor_name": suite.actor,
        "before_sha": suite.old_oid,
        "after_sha": suite.new_oid,
        "ref": text(suite.ref),
        "repository_id": suite.repository_id,
        "repository_name": suite.repository,
        "pushed_at": api_time(suite.at),
        "result": suite.result.value,
        "evaluation_result": suite.evaluation.value,
    }


route_handlers: list[HTTPRouteHandler] = [list_, read]
