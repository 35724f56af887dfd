"""What clients send about the protection of a branch, and what they are answered, in GitHub's shape."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from cairn.base.errors import FieldProblem
from cairn.identity.organization_schemas import team_mention
from cairn.identity.schemas import simple_user
from cairn.repositories.queries import RepositoryView
from cairn.repositories.rules.protection import Protection, ProtectionRefused
from cairn.repositories.rules.rule_actors import ActorNames
from cairn.repositories.rules.types import (
    BypassKind,
    PullRequestParameters,
    RuleActor,
    RuleActors,
    StatusCheck,
    StatusChecksParameters,
)
from cairn.repositories.serializers import Json

Names = Annotated[tuple[str, ...], Meta(max_length=100)]
Flag = bool | None

FLAGS: dict[str, str] = {
    "enforce_admins": "enforce_admins",
    "required_signatures": "required_signatures",
    "required_linear_history": "required_linear_history",
    "allow_force_pushes": "allow_force_pushes",
    "allow_deletions": "allow_deletions",
    "block_creations": "block_creations",
    "required_conversation_resolution": "required_conversation_resolution",
    "lock_branch": "lock_branch",
    "allow_fork_syncing": "allow_fork_syncing",
}
"""What is on or off, by its word in addresses and bodies: the field of ``Protection``."""
_WITH_ADDRESS = frozenset({"enforce_admins", "required_signatures"})
_ANY_APP = -1


class CheckBody(Struct, forbid_unknown_fields=True):
    """A check by its name; ``app_id`` -1 or null lets any program report it."""

    context: Annotated[str, Meta(min_length=1, max_length=255)]
    app_id: int | None = None


class ChecksBody(Struct, forbid_unknown_fields=True):
    """Which checks must pass; ``contexts`` are the same as ``checks`` in older words."""

    strict: bool | UnsetType | None = UNSET
    contexts: Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(max_length=100)] | None = None
    checks: Annotated[tuple[CheckBody, ...], Meta(max_length=100)] | None = None


class ActorsBody(Struct, forbid_unknown_fields=True):
    """People by login and teams by address. There are no apps, so none may be named."""

    users: Names = ()
    teams: Names = ()
    apps: Names = ()


class ReviewsBody(Struct, forbid_unknown_fields=True):
    """How a pull request must have been reviewed."""

    dismissal_restrictions: ActorsBody | UnsetType | None = UNSET
    dismiss_stale_reviews: bool | UnsetType | None = UNSET
    require_code_owner_reviews: bool | UnsetType | None = UNSET
    required_approving_review_count: Annotated[int, Meta(ge=0, le=6)] | UnsetType | None = UNSET
    require_last_push_approval: bool | UnsetType | None = UNSET
    bypass_pull_request_allowances: ActorsBody | UnsetType | None = UNSET


class ProtectionBody(Struct, forbid_unknown_fields=True):
    """The whole protection of a branch: the first four must be said, null where nothing is asked."""

    required_status_checks: ChecksBody | None
    enforce_admins: Flag
    required_pull_request_reviews: ReviewsBody | None
    restrictions: ActorsBody | None
    required_linear_history: Flag = None
    allow_force_pushes: Flag = None
    allow_deletions: Flag = None
    block_creations: Flag = None
    required_conversation_resolution: Flag = None
    lock_branch: Flag = None
    allow_fork_syncing: Flag = None
    required_signatures: bool | UnsetType | None = UNSET
    """Has an address of its own; what is not said here stays."""


def checks_of(body: ChecksBody, before: StatusChecksParameters) -> StatusChecksParameters:
    """Return the checks that a body asks for; what it leaves out is as before."""
    found = before
    if isinstance(body.strict, bool):
        found = msgspec.structs.replace(found, strict_required_status_checks_policy=body.strict)
    if body.checks is not None:
        wanted = [StatusCheck(one.context, None if one.app_id == _ANY_APP else one.app_id) for one in body.checks]
        found = msgspec.structs.replace(found, required_status_checks=_once(wanted))
    elif body.contexts is not None:
        found = with_contexts(found, list(body.contexts))
    return found


def with_contexts(before: StatusChecksParameters, contexts: list[str]) -> StatusChecksParameters:
    """Return checks by these names; one that was there keeps the program that must report it."""
    known = {check.context: check for check in before.required_status_checks}
    wanted = [known.get(context, StatusCheck(context)) for context in contexts]
    return msgspec.structs.replace(before, required_status_checks=_once(wanted))


def _once(checks: list[StatusCheck]) -> tuple[StatusCheck, ...]:
    return tuple({check.context: check for check in checks}.values())


def reviews_of(
    body: ReviewsBody,
    before: PullRequestParameters,
    *,
    dismissal: RuleActors | UnsetType | None,
    allowed: RuleActors | UnsetType,
) -> PullRequestParameters:
    """Return the reviews that a body asks for; what it leaves out is as before.

    ``dismissal`` and ``allowed`` are the people and teams it names, found already.
    """
    said: dict[str, Any] = {
        "dismiss_stale_reviews_on_push": body.dismiss_stale_reviews,
        "require_code_owner_review": body.require_code_owner_reviews,
        "required_approving_review_count": body.required_approving_review_count,
        "require_last_push_approval": body.require_last_push_approval,
    }
    changes = {name: value for name, value in said.items() if value is not UNSET and value is not None}
    if dismissal is not UNSET:
        changes["dismissal_actors"] = dismissal
    if allowed is not UNSET:
        changes["allowed_actors"] = allowed
    return msgspec.structs.replace(before, **changes)


def refuse_apps(names: tuple[str, ...], field: str) -> None:
    """Return if no apps are named, for there are none. Errors: ProtectionRefused."""
    if names:
        message = f"{field}: there is no app {names[0][:60]!r} here; name people and teams."
        raise ProtectionRefused(
            f"Validation Failed: {message}", FieldProblem(field, "invalid", message, "ProtectedBranch")
        )


class ProtectionJson:
    """Writes the protection of one branch; ``url`` is its address."""

    def __init__(self, url: str, *, origin: str, repository: RepositoryView, names: ActorNames) -> None:
        self._url = url
        self._origin = origin
        self._repository = repository
        self._names = names

    def whole(self, found: Protection) -> Json:
        """Return all of it; what is not asked for is absent where GitHub leaves it out."""
        body: Json = {"url": self._url}
        if found.checks is not None:
            body["required_status_checks"] = self.checks(found)
        if found.restrictions is not None:
            body["restrictions"] = self.restrictions(found)
        if found.reviews is not None:
            body["required_pull_request_reviews"] = self.reviews(found)
        return body | {word: self.flag(found, word) for word in FLAGS}

    def flag(self, found: Protection, word: str) -> Json:
        """Return something that is on or off."""
        said: Json = {"enabled": getattr(found, FLAGS[word])}
        return {"url": f"{self._url}/{word}"} | said if word in _WITH_ADDRESS else said

    def checks(self, found: Protection) -> Json:
        """Return the checks that must pass."""
        checks = found.checks or StatusChecksParameters()
        url = f"{self._url}/required_status_checks"
        return {
            "url": url,
            "strict": checks.strict_required_status_checks_policy,
            "contexts": contexts_of(checks),
            "contexts_url": f"{url}/contexts",
            "checks": [
                {"context": check.context, "app_id": check.integration_id} for check in checks.required_status_checks
            ],
            "enforcement_level": enforcement_level(found),
        }

    def reviews(self, found: Protection) -> Json:
        """Return how pull requests must be reviewed."""
        reviews = found.reviews or PullRequestParameters()
        url = f"{self._url}/required_pull_request_reviews"
        body: Json = {
            "url": url,
            "dismiss_stale_reviews": reviews.dismiss_stale_reviews_on_push,
            "require_code_owner_reviews": reviews.require_code_owner_review,
            "required_approving_review_count": reviews.required_approving_review_count,
            "require_last_push_approval": reviews.require_last_push_approval,
        }
        if reviews.allowed_actors:
            body["bypass_pull_request_allowances"] = self.actors(reviews.allowed_actors)
        if reviews.dismissal_actors is not None:
            place = f"{self._url}/dismissal_restrictions"
            body["dismissal_restrictions"] = {
                "url": place,
                "users_url": f"{place}/users",
                "teams_url": f"{place}/teams",
                **self.actors(reviews.dismissal_actors),
            }
        return body

    def restrictions(self, found: Protection) -> Json:
        """Return who alone may push."""
        url = f"{self._url}/restrictions"
        return {
            "url": url,
            "users_url": f"{url}/users",
            "teams_url": f"{url}/teams",
            "apps_url": f"{url}/apps",
            **self.actors(found.restrictions or ()),
        }

    def actors(self, actors: RuleActors) -> Json:
        """Return people, teams and apps."""
        return {"users": self.people(actors), "teams": self.teams(actors), "apps": []}

    def people(self, actors: RuleActors) -> list[Json]:
        """Return the people among those a rule names."""
        found = [self._names.people.get(one.actor_id or 0) for one in actors if one.actor_type is BypassKind.USER]
        return [
            msgspec.structs.asdict(
                simple_user(
                    self._origin,
                    account_id=person.id,
                    login=person.login,
                    kind=person.kind,
                    is_site_admin=person.is_site_admin,
                )
            )
            for person in found
            if person is not None
        ]

    def teams(self, actors: RuleActors) -> list[Json]:
        """Return the teams among them, those the reader may see."""
        found = [self._names.teams.get(one.actor_id or 0) for one in actors if one.actor_type is BypassKind.TEAM]
        return [team_mention(self._origin, self._repository.owner, team) for team in found if team is not None]


def contexts_of(checks: StatusChecksParameters) -> list[str]:
    """Return the names of checks."""
    return [check.context for check in checks.required_status_checks]


def enforcement_level(found: Protection) -> str:
    """Return whom required checks are for, in GitHub's words."""
    if found.checks is None:
        return "off"
    return "everyone" if found.enforce_admins else "non_admins"


def named_in(found: Protection) -> list[tuple[BypassKind, int | None]]:
    """Return everybody whom protection names."""
    actors: list[RuleActor] = list(found.restrictions or ())
    if found.reviews is not None:
        actors += [*found.reviews.allowed_actors, *(found.reviews.dismissal_actors or ())]
    return [(one.actor_type, one.actor_id) for one in actors]
