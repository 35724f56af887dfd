"""The page on which everybody who may read a repository sees which rules its branches and tags have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.decide import decide
from cairn.base.actor import Actor
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.repositories.queries import RepositoryView
from cairn.repositories.rules.queries import list_rulesets, rulesets_for
from cairn.repositories.rules.rule_words import deletion_warning, rule_words
from cairn.repositories.rules.types import Enforcement, Ruleset, type_of
from cairn.web.context import RequestContext
from cairn.web.render import render
from cairn.web.routing import page

_NAME_CHARACTERS_MAX = 1000


@dataclass(frozen=True, slots=True)
class AskedRef:
    """A branch or a tag that somebody names, whether it exists or not; empty if they named none."""

    name: str = ""
    kind: str = "branch"

    @property
    def full_name(self) -> bytes:
        """The whole name of the ref."""
        prefix = b"refs/tags/" if self.kind == "tag" else b"refs/heads/"
        return prefix + self.name.encode("utf-8", "surrogateescape")


def read_ref_name(context: RequestContext) -> AskedRef:
    """Return the ref that the address asks about: ``ref`` is a full name, or a short one of the ``kind`` beside it."""
    query = context.request.query_params
    name = str(query.get("ref", "")).strip()[:_NAME_CHARACTERS_MAX]
    kind = "tag" if query.get("kind") == "tag" else "branch"
    for prefix, known in (("refs/heads/", "branch"), ("refs/tags/", "tag")):
        if name.startswith(prefix):
            return AskedRef(name.removeprefix(prefix), known)
    return AskedRef(name, kind)


def rules_for(rulesets: Sequence[Ruleset], asked: AskedRef, repository: RepositoryView) -> list[Ruleset]:
    """Return the rulesets about a ref that are in force or on trial."""
    counting = [one for one in rulesets if one.content.enforcement is not Enforcement.DISABLED]
    return rulesets_for(counting, asked.full_name, default=repository.head_target)


@page.get("/{owner:str}/{repo:str}/rules", action=Action.REPOSITORY_READ, resource="repository")
async def ref_rules(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str
) -> Response[Any]:
    """Show the rules in force for a branch or a tag, or all of them where none is named."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    asked = read_ref_name(context)
    found = [
        one for one in await list_rulesets(session, repository.id) if one.content.enforcement is Enforcement.ACTIVE
    ]
    shown = rules_for(found, asked, repository) if asked.name else found
    # Of one ref it is known what the others forbid.
    together = {type_of(rule) for one in shown for rule in one.content.rules} if asked.name else set()
    return render(
        context,
        "repositories/rules/ref_rules.html",
        **header_of(context, actor, repository, "code"),
        asked=asked,
        total=len(found),
        shown=[(one, rule_words(one), _warning(one, together)) for one in shown],
        may_edit=decide(actor, Action.REPOSITORY_ADMINISTER, repository.scope).allowed,
    )


def _warning(ruleset: Ruleset, together: set[str]) -> str:
    return deletion_warning({type_of(rule) for rule in ruleset.content.rules} | (together & {"deletion"}))


route_handlers: list[HTTPRouteHandler] = [ref_rules]
