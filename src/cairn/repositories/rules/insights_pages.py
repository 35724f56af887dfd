"""The page that tells what rulesets found: refused, let through by bypass, or only noted by a dry run."""

import re
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.git.types import show
from cairn.repositories.rules.holder import suites_for
from cairn.repositories.rules.rules_pages import open_screen
from cairn.repositories.rules.rules_screens import Screen
from cairn.repositories.rules.suites import Suite, SuiteFilter
from cairn.repositories.rules.types import SuiteResult
from cairn.web.context import RequestContext
from cairn.web.forms import blank_form
from cairn.web.routing import page

PER_PAGE = 50
_TEXT_CHARACTERS_MAX = 255
RESULTS: dict[str, tuple[str, SuiteFilter]] = {
    "refused": ("Refused", SuiteFilter(result=SuiteResult.FAIL)),
    "bypassed": ("Let through by bypass", SuiteFilter(result=SuiteResult.BYPASS)),
    "trial": ("Would have been refused", SuiteFilter(result=SuiteResult.PASS, evaluation=SuiteResult.FAIL)),
}
"""What may be asked for, by its word in the address."""


class InsightsForm(msgspec.Struct):
    """The filter, as a form sends it in the address."""

    ref: str = ""
    person: str = ""
    repository: str = ""
    result: str = ""


@dataclass(frozen=True, slots=True)
class ShownSuite:
    """One change of a ref as the page tells it."""

    suite: Suite
    ref: str
    is_tag: bool
    word: str
    kind: str
    """The kind of badge."""


@page.get(
    "/{owner:str}/{repo:str}/settings/rules/insights",
    action=Action.REPOSITORY_ADMINISTER,
    resource="repository",
)
async def insights(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str
) -> Response[Any]:
    """Show a page of what rulesets found, the newest first."""
    opened = await open_screen(context, session, actor, owner, repo)
    return opened if isinstance(opened, Response) else await show_insights(opened)


async def show_insights(screen: Screen) -> Response[Any]:
    """Return a page of what rulesets found, as the address filters it."""
    query = screen.context.request.query_params
    typed = {name: str(query.get(name, "")).strip()[:_TEXT_CHARACTERS_MAX] for name in InsightsForm.__struct_fields__}
    before = str(query.get("before", ""))
    wanted = replace(_wanted(typed), before_id=_number(before))
    found = await suites_for(screen.session, screen.holder, wanted, per_page=PER_PAGE + 1)
    shown = found[:PER_PAGE]
    return screen.render(
        "insights.html",
        form=blank_form(InsightsForm, **typed),
        results=[("", "Everything"), *((word, said) for word, (said, _) in RESULTS.items())],
        suites=[_shown(one) for one in shown],
        older=shown[-1].id if len(found) > PER_PAGE else None,
        is_first=_number(before) is None,
        is_filtered=any(typed.values()),
    )


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,18}", text, re.ASCII) else None


def _wanted(typed: dict[str, str]) -> SuiteFilter:
    wanted = RESULTS[typed["result"]][1] if typed["result"] in RESULTS else SuiteFilter()
    name = typed["ref"]
    if name and not name.startswith("refs/"):
        name = f"refs/heads/{name}"
    ref = name.encode("utf-8", "surrogateescape") if name else None
    return replace(wanted, ref=ref, actor=typed["person"].removeprefix("@"), repository=typed["repository"])


def _shown(suite: Suite) -> ShownSuite:
    word, kind = {
        SuiteResult.FAIL: ("Refused", "danger"),
        SuiteResult.BYPASS: ("Bypassed", "warning"),
        SuiteResult.PASS: ("On trial", "default"),
    }[suite.result]
    is_tag = suite.ref.startswith(b"refs/tags/")
    name = suite.ref.removeprefix(b"refs/tags/").removeprefix(b"refs/heads/")
    return ShownSuite(suite, show(name), is_tag, word, kind)


route_handlers: list[HTTPRouteHandler] = [insights]
