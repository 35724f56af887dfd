"""Rulesets over REST, in GitHub's shape."""

from collections.abc import Sequence
from typing import Any

from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.decide import decide
from cairn.base.actor import Actor
from cairn.base.settings import Settings
from cairn.repositories.api_routes import REPOSITORY, choose, follows_renames, refused, rest_of_path
from cairn.repositories.queries import BRANCH_PREFIX, RepositoryView, find_repository
from cairn.repositories.rules.edit import create_ruleset, delete_ruleset, update_ruleset
from cairn.repositories.rules.holder import Holder, holder_of
from cairn.repositories.rules.queries import list_rulesets, read_ruleset, rulesets_for
from cairn.repositories.rules.ruleset_json import full_ruleset_json, read_ruleset_json, rule_json, ruleset_json
from cairn.repositories.rules.types import Enforcement, RuleActor, Ruleset, RuleTarget
from cairn.repositories.rules.who import Who
from cairn.repositories.serializers import Json
from cairn.web.api import Page, decode_body, read_page
from cairn.web.context import RequestContext, WebRequest
from cairn.web.routing import api

_RULESETS = f"{REPOSITORY}/rulesets"
_RULESET = f"{_RULESETS}/{{ruleset_id:int}}"
_ADMINISTER: Any = {"action": Action.REPOSITORY_ADMINISTER, "resource": "repository"}
_SEE: Any = {"action": Action.REPOSITORY_SEE, "resource": "repository"}


@api.get(_RULESETS, **_SEE)
@follows_renames
async def list_(
    context: RequestContext, session: AsyncSession, settings: Settings, actor: Actor, owner: str, repo: str
) -> Page[Json]:
    """Answer the rulesets about a repository, its owner's too unless ``includes_parents=false``, by number.

    ``targets`` keeps those about branches, about tags, or both: a list with commas.
    """
    with_parents = choose(context, "includes_parents", {"true": True, "false": False}, "true")
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_SEE)
    found = await list_rulesets(session, repository.id, includes_parents=with_parents)
    return page_of_rulesets(context, settings, holder_of(repository), found)


def page_of_rulesets(
    context: RequestContext, settings: Settings, holder: Holder, rulesets: Sequence[Ruleset]
) -> Page[Json]:
    """Return the page of a list that the query asks for, of rulesets about its ``targets``. Errors: Invalid."""
    targets, asked = _targets(context), read_page(context)
    found = [one for one in rulesets if one.content.target in targets]
    shown = found[asked.offset : asked.offset + asked.per_page]
    return Page([ruleset_json(settings.origin, holder, one) for one in shown], asked, total=len(found))


def _targets(context: RequestContext) -> set[RuleTarget]:
    said = str(context.request.query_params.get("targets", "")).strip()
    words = [word.strip() for word in said.split(",") if word.strip()]
    if not words:
        return set(RuleTarget)
    # GitHub has rulesets about pushes to a whole network, too: there are none of them here, so none are found.
    if set(words) - {*RuleTarget, "push"}:
        raise refused("targets", "targets is a list of: branch, tag, push.")
    return {target for target in RuleTarget if target in words}


@api.post(_RULESETS, **_ADMINISTER, status=201)
@follows_renames
async def create(
    context: RequestContext,
    session: AsyncSession,
    settings: Settings,
    actor: Actor,
    request: WebRequest,
    owner: str,
    repo: str,
) -> Json:
    """Give the repository another ruleset."""
    del context  # for renames
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    content = read_ruleset_json(decode_body(await request.body(), dict[str, Any]))
    made = await create_ruleset(session, actor, repository.id, content)
    return await _answer(session, settings, actor, repository, made)


@api.get(_RULESET, **_SEE)
@follows_renames
async def read(
    context: RequestContext,
    session: AsyncSession,
    settings: Settings,
    actor: Actor,
    owner: str,
    repo: str,
    ruleset_id: int,
) -> Json:
    """Answer one ruleset with its rules."""
    with_parents = choose(context, "includes_parents", {"true": True, "false": False}, "true")
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_SEE)
    ruleset = await read_ruleset(session, repository.id, ruleset_id, includes_parents=with_parents)
    return await _answer(session, settings, actor, repository, ruleset)


@api.put(_RULESET, **_ADMINISTER)
@follows_renames
async def update(
    context: RequestContext,
    session: AsyncSession,
    settings: Settings,
    actor: Actor,
    request: WebRequest,
    owner: str,
    repo: str,
    ruleset_id: int,
) -> Json:
    """Change a ruleset of the repository; what the body leaves out stays."""
    del context  # for renames
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    before = await read_ruleset(session, repository.id, ruleset_id, includes_parents=False)
    content = read_ruleset_json(decode_body(await request.body(), dict[str, Any]), before=before.content)
    changed = await update_ruleset(session, actor, repository.id, ruleset_id, content, expected_version=before.version)
    return await _answer(session, settings, actor, repository, changed)


@api.delete(_RULESET, **_ADMINISTER)
@follows_renames
async def delete(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, ruleset_id: int
) -> None:
    """Forget a ruleset of the repository."""
    del context  # for renames
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_ADMINISTER)
    await delete_ruleset(session, actor, repository.id, ruleset_id)


@api.get(f"{REPOSITORY}/rules/branches/{{address:path}}", **_SEE)
@follows_renames
async def branch_rules(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str
) -> Page[Json]:
    """Answer every rule in force for a branch of that name, whether it exists or not."""
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_SEE)
    name = BRANCH_PREFIX + rest_of_path(context, "rules/branches")
    active = [
        one for one in await list_rulesets(session, repository.id) if one.content.enforcement is Enforcement.ACTIVE
    ]
    found = [
        rule_json(holder_of(repository), ruleset, rule)
        for ruleset in rulesets_for(active, name, default=repository.head_target)
        for rule in ruleset.content.rules
    ]
    asked = read_page(context)
    return Page(found[asked.offset : asked.offset + asked.per_page], asked, total=len(found))


async def _answer(
    session: AsyncSession, settings: Settings, actor: Actor, repository: RepositoryView, ruleset: Ruleset
) -> Json:
    may_edit = decide(actor, Action.REPOSITORY_ADMINISTER, repository.scope).allowed
    bypass = await _bypass_word(Who(session, actor, repository.scope), ruleset)
    return full_ruleset_json(settings.origin, holder_of(repository), ruleset, may_edit=may_edit, bypass=bypass)


async def _bypass_word(who: Who, ruleset: Ruleset) -> str:
    named = ruleset.content.bypass_actors
    if await who.may_bypass(named):
        return "always"
    by_pulls = [RuleActor(one.actor_type, one.actor_id) for one in named]
    return "pull_requests_only" if await who.is_among(by_pulls) else "never"


route_handlers: list[HTTPRouteHandler] = [list_, create, read, update, delete, branch_rules]
