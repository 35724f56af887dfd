"""Branch protection over REST, in GitHub's older words: one ruleset a branch, whichever door wrote it.

A branch's name may have slashes, so that all of its addresses are one route: what follows the name says which part of
its protection is meant.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, UnsetType
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.decide import require
from cairn.base.actor import Actor
from cairn.base.errors import NotFound, NotFoundHere
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.repositories.api_routes import REPOSITORY, follows_renames, rest_of_path
from cairn.repositories.editing.refs_api import rename_named
from cairn.repositories.queries import RepositoryView, branch_ref, find_repository
from cairn.repositories.rules import protection_bodies as bodies
from cairn.repositories.rules.edit import create_ruleset, delete_ruleset, update_ruleset
from cairn.repositories.rules.holder import holder_of
from cairn.repositories.rules.protection import (
    Protection,
    protecting,
    protection_in_force,
    protection_of,
    refuse_to_forget,
    with_protection,
)
from cairn.repositories.rules.protection_bodies import ActorsBody, ProtectionJson
from cairn.repositories.rules.queries import list_rulesets
from cairn.repositories.rules.rule_actors import find_people, find_teams, read_actor_names
from cairn.repositories.rules.types import (
    BypassKind,
    PullRequestParameters,
    RuleActor,
    RuleActors,
    StatusChecksParameters,
)
from cairn.web.api import DOCUMENTATION_URL, ApiAnswer, decode_body
from cairn.web.context import RequestContext
from cairn.web.routing import api
from cairn.web.urls import path_join

_BRANCH = f"{REPOSITORY}/branches/{{address:path}}"
_PROTECTION = "protection"
_ADMINISTER: Any = {"action": Action.REPOSITORY_ADMINISTER, "resource": "repository"}
_KINDS = {"users": BypassKind.USER, "teams": BypassKind.TEAM}
_GONE = ApiAnswer(None, 204)


def split_protection(address: str) -> tuple[str, str] | None:
    """Return branch and part of ``NAME/protection[/PART…]``; None for the address of a branch itself.

    The last ``protection`` is the word if a known part follows; those before belong to the name.
    """
    for part in _PARTS:
        ending = f"/{_PROTECTION}/{part}".rstrip("/")
        if address.endswith(ending) and address != ending:
            return address.removesuffix(ending), part
    return None


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request about the protection of one branch."""

    context: RequestContext
    session: AsyncSession
    actor: Actor
    repository: RepositoryView
    branch: str
    body: bytes = b""

    @property
    def url(self) -> str:
        """The address of the protection."""
        path = path_join("repos", self.repository.owner, self.repository.name, "branches", self.branch, _PROTECTION)
        return f"{self.context.settings.origin}/api/v3{path}"

    async def read(self) -> Protection:
        """Return what is in force. Errors: BranchNotProtected."""
        rulesets = await list_rulesets(self.session, self.repository.id, includes_parents=False)
        return protection_in_force(rulesets, self.branch)[1]

    async def write(self, wanted: Protection) -> None:
        """Make this the protection of the branch."""
        rulesets = await list_rulesets(self.session, self.repository.id, includes_parents=False)
        found = protecting(rulesets, self.branch)
        content = with_protection(None if found is None else found.content, self.branch, wanted)
        if found is None:
            await create_ruleset(self.session, self.actor, self.repository.id, content)
        else:
            await update_ruleset(
                self.session, self.actor, self.repository.id, found.id, content, expected_version=found.version
            )

    async def json(self, found: Protection) -> ProtectionJson:
        """Return who writes the answer."""
        names = await read_actor_names(self.session, self.actor, holder_of(self.repository), bodies.named_in(found))
        origin = self.context.settings.origin
        return ProtectionJson(self.url, origin=origin, repository=self.repository, names=names)

    def decode(self, kind: Any) -> Any:  # noqa: ANN401 (whatever the part takes)
        """Return the body. Errors: Malformed, Invalid."""
        return decode_body(self.body, kind)


async def read_protection(
    context: RequestContext, session: AsyncSession, actor: Actor, repository: RepositoryView, branch: str, part: str
) -> object:
    """Answer a part of a branch's protection, for its administrators.

    What is not there is answered as such. Errors: Forbidden.
    """
    require(actor, Action.REPOSITORY_ADMINISTER, repository.scope)
    asked = _Asked(context, session, actor, repository, branch)
    try:
        found = await asked.read()
        return _answer(await asked.json(found), found, part)
    except NotFoundHere as error:
        return _absent(error)


def _absent(error: NotFoundHere) -> ApiAnswer:
    """Return what clients read: that nothing is protected is no missing repository, and told in GitHub's words."""
    return ApiAnswer({"message": error.message, "documentation_url": DOCUMENTATION_URL, "status": "404"}, 404)


def _answer(json: ProtectionJson, found: Protection, part: str) -> object:
    if part == "":
        return json.whole(found)
    if part in bodies.FLAGS:
        return json.flag(found, part)
    if part.startswith("required_status_checks") and found.checks is not None:
        return bodies.contexts_of(found.checks) if part.endswith("/contexts") else json.checks(found)
    if part == "required_pull_request_reviews" and found.reviews is not None:
        return json.reviews(found)
    if part.startswith("restrictions") and found.restrictions is not None:
        match part.removeprefix("restrictions").strip("/"):
            case "users":
                return json.people(found.restrictions)
            case "teams":
                return json.teams(found.restrictions)
            case "apps":
                return []
        return json.restrictions(found)
    raise NotFoundHere(_ABSENT[part.partition("/")[0]])


_ABSENT = {
    "required_status_checks": "Required status checks not enabled",
    "required_pull_request_reviews": "Pull request reviews not enabled",
    "restrictions": "Push restrictions not enabled",
}


async def _change(
    context: RequestContext,
    session: AsyncSession,
    engine: Engine,
    actor: Actor,
    place: tuple[str, str],
    method: str,
) -> object:
    repository = await find_repository(session, actor, *place, Action.REPOSITORY_ADMINISTER)
    address = rest_of_path(context, "branches").decode("utf-8", "replace")
    found = split_protection(address)
    if found is None or method not in _PARTS[found[1]]:
        raise NotFound("Not Found")
    branch, part = found
    asked = _Asked(context, session, actor, repository, branch, await context.request.body())
    try:
        await _require_branch(engine, repository, branch)
        answer = await _apply(asked, part, method)
    except NotFoundHere as error:
        return _absent(error)
    return answer if isinstance(answer, ApiAnswer) else ApiAnswer(answer)


async def _apply(asked: _Asked, part: str, method: str) -> object:
    if part in bodies.FLAGS:
        return await _turn(asked, part, is_on=method == "POST")
    if method in _LISTS and part == "required_status_checks/contexts":
        return await _edit_contexts(asked, part, method)
    if method in _LISTS and part.startswith("restrictions/"):
        return await _edit_actors(asked, part, method)
    match part, method:
        case "", "PUT":
            return await _put_all(asked)
        case "", _:
            return await _delete_all(asked)
        case "required_status_checks", "PATCH":
            return await _patch_checks(asked, part)
        case "required_pull_request_reviews", "PATCH":
            return await _patch_reviews(asked, part)
    return await _delete_part(asked, part)


async def _require_branch(engine: Engine, repository: RepositoryView, branch: str) -> None:
    """Return if the branch exists. Errors: NotFound."""
    snapshot = await engine.snapshot(await engine.state(repository.store_id))
    if snapshot.find(branch_ref(branch)) is None:
        raise NotFoundHere("Branch not found")


@api.put(_BRANCH, **_ADMINISTER)
@follows_renames
async def put(
    context: RequestContext, session: AsyncSession, engine: Engine, actor: Actor, owner: str, repo: str
) -> object:
    """Protect a branch as the body says, or put people, teams or checks in place of those there were."""
    return await _change(context, session, engine, actor, (owner, repo), "PUT")


@api.post(_BRANCH, **_ADMINISTER, status=200)
@follows_renames
async def post(
    context: RequestContext, database: Database, engine: Engine, actor: Actor, owner: str, repo: str
) -> object:
    """Turn a part of a branch's protection on, or add people, teams or checks to it; ``/rename`` renames the branch."""
    branch, _, last = rest_of_path(context, "branches").rpartition(b"/")
    if last == b"rename":
        return await rename_named(context, actor, engine, owner, repo, branch)
    async with database.write() as session:
        return await _change(context, session, engine, actor, (owner, repo), "POST")


@api.patch(_BRANCH, **_ADMINISTER)
@follows_renames
async def patch(
    context: RequestContext, session: AsyncSession, engine: Engine, actor: Actor, owner: str, repo: str
) -> object:
    """Change a part of a branch's protection."""
    return await _change(context, session, engine, actor, (owner, repo), "PATCH")


@api.delete(_BRANCH, **_ADMINISTER)
@follows_renames
async def delete(
    context: RequestContext, session: AsyncSession, engine: Engine, actor: Actor, owner: str, repo: str
) -> object:
    """End a branch's protection, or a part of it."""
    return await _change(context, session, engine, actor, (owner, repo), "DELETE")


async def _replace(asked: _Asked, before: Protection, part: str, **changes: Any) -> object:  # noqa: ANN401 (fields of Protection)
    found = msgspec.structs.replace(before, **changes)
    await asked.write(found)
    return _answer(await asked.json(found), found, part)


async def _put_all(asked: _Asked) -> object:
    body: bodies.ProtectionBody = asked.decode(bodies.ProtectionBody)
    rulesets = await list_rulesets(asked.session, asked.repository.id, includes_parents=False)
    known = protecting(rulesets, asked.branch)
    before = Protection() if known is None else protection_of(known.content)
    flags = {field: bool(getattr(body, word)) for word, field in bodies.FLAGS.items() if word != "required_signatures"}
    signed = before.required_signatures if body.required_signatures is UNSET else bool(body.required_signatures)
    checks = body.required_status_checks
    blank = msgspec.structs.replace(
        before.checks or StatusChecksParameters(),
        required_status_checks=(),
        strict_required_status_checks_policy=False,
    )
    return await _replace(
        asked,
        before,
        "",
        **flags,
        required_signatures=signed,
        checks=None if checks is None else bodies.checks_of(checks, blank),
        reviews=await _new_reviews(asked, body.required_pull_request_reviews, before.reviews),
        restrictions=None if body.restrictions is None else await _actors(asked, body.restrictions, "restrictions"),
    )


async def _new_reviews(
    asked: _Asked, body: bodies.ReviewsBody | None, before: PullRequestParameters | None
) -> PullRequestParameters | None:
    if body is None:
        return None
    blank = PullRequestParameters(required_approving_review_count=1)
    if before is not None:
        blank = msgspec.structs.replace(blank, allowed_merge_methods=before.allowed_merge_methods)
    return await _reviews(asked, body, blank)


async def _reviews(asked: _Asked, body: bodies.ReviewsBody, before: PullRequestParameters) -> PullRequestParameters:
    dismissal: RuleActors | UnsetType | None = UNSET
    allowed: RuleActors | UnsetType = UNSET
    if isinstance(body.dismissal_restrictions, ActorsBody):
        found = await _actors(asked, body.dismissal_restrictions, "dismissal_restrictions")
        # As on GitHub, an object that names nobody ends the restriction.
        dismissal = found or None
    if isinstance(body.bypass_pull_request_allowances, ActorsBody):
        allowed = await _actors(asked, body.bypass_pull_request_allowances, "bypass_pull_request_allowances")
    return bodies.reviews_of(body, before, dismissal=dismissal, allowed=allowed)


async def _actors(asked: _Asked, body: ActorsBody, field: str) -> RuleActors:
    bodies.refuse_apps(body.apps, field)
    people = await _found(asked, "users", body.users, field)
    return (*people, *await _found(asked, "teams", body.teams, field))


async def _found(asked: _Asked, word: str, names: tuple[str, ...], field: str) -> RuleActors:
    if not names:
        return ()
    if word == "users":
        numbers = await find_people(asked.session, names, where=field)
    else:
        numbers = await find_teams(asked.session, asked.actor, holder_of(asked.repository), names, where=field)
    return tuple(RuleActor(_KINDS[word], number) for number in numbers)


async def _delete_all(asked: _Asked) -> object:
    rulesets = await list_rulesets(asked.session, asked.repository.id, includes_parents=False)
    ruleset, _ = protection_in_force(rulesets, asked.branch)
    refuse_to_forget(ruleset)
    await delete_ruleset(asked.session, asked.actor, asked.repository.id, ruleset.id)
    return _GONE


async def _turn(asked: _Asked, part: str, *, is_on: bool) -> object:
    answer = await _replace(asked, await asked.read(), part, **{bodies.FLAGS[part]: is_on})
    return answer if is_on else _GONE


async def _patch_checks(asked: _Asked, part: str) -> object:
    body = asked.decode(bodies.ChecksBody)
    before = await asked.read()
    return await _replace(asked, before, part, checks=bodies.checks_of(body, before.checks or StatusChecksParameters()))


async def _patch_reviews(asked: _Asked, part: str) -> object:
    body = asked.decode(bodies.ReviewsBody)
    before = await asked.read()
    known = before.reviews or PullRequestParameters(required_approving_review_count=1)
    return await _replace(asked, before, part, reviews=await _reviews(asked, body, known))


_FIELDS = {
    "required_status_checks": "checks",
    "required_pull_request_reviews": "reviews",
    "restrictions": "restrictions",
}


async def _delete_part(asked: _Asked, part: str) -> object:
    before = await asked.read()
    if getattr(before, _FIELDS[part]) is None:
        raise NotFoundHere(_ABSENT[part])
    await asked.write(msgspec.structs.replace(before, **{_FIELDS[part]: None}))
    return _GONE


def _names(asked: _Asked, word: str) -> tuple[str, ...]:
    """Return the names in a body: a list, or an object that has one under ``word``."""
    if asked.body.lstrip().startswith(b"{"):
        kind = msgspec.defstruct("NamesBody", [(word, bodies.Names)], forbid_unknown_fields=True)
        found: tuple[str, ...] = getattr(asked.decode(kind), word)
        return found
    listed: tuple[str, ...] = asked.decode(bodies.Names)
    return listed


def _merged(method: str, before: list[Any], named: list[Any]) -> list[Any]:
    """Return what a list is after a request: POST adds, PUT replaces, DELETE removes."""
    match method:
        case "POST":
            return [*before, *(one for one in named if one not in before)]
        case "PUT":
            return named
    return [one for one in before if one not in named]


async def _edit_contexts(asked: _Asked, part: str, method: str) -> object:
    before = await asked.read()
    if before.checks is None:
        raise NotFoundHere(_ABSENT["required_status_checks"])
    after = _merged(method, bodies.contexts_of(before.checks), list(_names(asked, "contexts")))
    return await _replace(asked, before, part, checks=bodies.with_contexts(before.checks, after))


async def _edit_actors(asked: _Asked, part: str, method: str) -> object:
    word = part.rpartition("/")[2]
    before, names = await asked.read(), _names(asked, word)
    if before.restrictions is None:
        raise NotFoundHere(_ABSENT["restrictions"])
    if word == "apps":
        bodies.refuse_apps(names, "apps")
    others = [one for one in before.restrictions if one.actor_type is not _KINDS.get(word)]
    mine = [one for one in before.restrictions if one.actor_type is _KINDS.get(word)]
    named = list(await _found(asked, word, names, word)) if word in _KINDS else []
    return await _replace(asked, before, part, restrictions=(*others, *_merged(method, mine, named)))


_LISTS = frozenset({"POST", "PUT", "DELETE"})
_PARTS: dict[str, frozenset[str]] = {
    "": frozenset({"PUT", "DELETE"}),
    "required_status_checks": frozenset({"PATCH", "DELETE"}),
    "required_status_checks/contexts": _LISTS,
    "required_pull_request_reviews": frozenset({"PATCH", "DELETE"}),
    "restrictions": frozenset({"DELETE"}),
    **dict.fromkeys(("restrictions/users", "restrictions/teams", "restrictions/apps"), _LISTS),
    **dict.fromkeys(bodies.FLAGS, frozenset({"POST", "DELETE"})),
}
"""What follows ``/protection`` in an address, and how it may be changed; all of it is read by GET."""

route_handlers: list[HTTPRouteHandler] = [put, post, patch, delete]
