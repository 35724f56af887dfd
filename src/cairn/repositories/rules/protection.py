"""Branch protection: GitHub's older words for rules, said as one ruleset that is about just one branch.

There is no second kind of rule. ``protecting`` finds the ruleset of a branch, ``protection_of`` reads it in the older
words, ``with_protection`` writes them into it. Rules that these words do not know (files, secrets, texts of commits)
stay in the ruleset as they are.
"""

import hashlib
import re
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from cairn.base.errors import Conflict, FieldProblem, Invalid, NotFoundHere
from cairn.repositories.rules import types
from cairn.repositories.rules.types import (
    BypassActor,
    BypassKind,
    BypassMode,
    Enforcement,
    PullRequestParameters,
    Rule,
    RuleActor,
    Ruleset,
    RulesetContent,
    RuleTarget,
    StatusChecksParameters,
    type_of,
)

ADMINISTRATORS = BypassActor(BypassKind.ROLE, 5, BypassMode.ALWAYS)
_NAME_LENGTH_MAX = 100
_NAME_PART_MAX = 60
_SAID = (
    types.Creation,
    types.Update,
    types.Deletion,
    types.NonFastForward,
    types.LinearHistory,
    types.Signatures,
    types.PullRequest,
    types.StatusChecks,
)
"""The rules that protection has words for."""


class BranchNotProtected(NotFoundHere):
    """No ruleset in force is about just this branch."""

    def __init__(self) -> None:
        super().__init__("Branch not protected")


class ProtectionRefused(Invalid):
    """What was asked for contradicts itself, or has no rule behind it."""


class ProtectionHasMore(Conflict):
    """The ruleset says things that would go with it, which the older words cannot tell."""


class Protection(Struct, frozen=True, kw_only=True):
    """What is said of a branch in the older words; None is where nothing is asked."""

    checks: StatusChecksParameters | None = None
    reviews: PullRequestParameters | None = None
    restrictions: tuple[RuleActor, ...] | None = None
    """Who alone may push, while all else holds for them too."""
    enforce_admins: bool = False
    required_signatures: bool = False
    required_linear_history: bool = False
    allow_force_pushes: bool = False
    allow_deletions: bool = False
    block_creations: bool = False
    required_conversation_resolution: bool = False
    lock_branch: bool = False
    allow_fork_syncing: bool = False


def protecting(rulesets: Sequence[Ruleset], branch: str) -> Ruleset | None:
    """Return the repository's own ruleset that is about just this branch, one in force before others."""
    wanted = types.Conditions(types.RefNames(include=(_pattern(branch),)))
    return next(
        (
            one
            for one in sorted(rulesets, key=lambda one: (one.content.enforcement is not Enforcement.ACTIVE, one.id))
            if one.repository_id is not None
            and one.content.target is RuleTarget.BRANCH
            and one.content.conditions == wanted
        ),
        None,
    )


def protection_in_force(rulesets: Sequence[Ruleset], branch: str) -> tuple[Ruleset, Protection]:
    """Return the ruleset of a branch and what it says. Errors: BranchNotProtected."""
    found = protecting(rulesets, branch)
    if found is None or found.content.enforcement is not Enforcement.ACTIVE:
        raise BranchNotProtected
    return found, protection_of(found.content)


def protection_of(content: RulesetContent) -> Protection:
    """Return what a ruleset says, as far as the older words go."""
    rules = {type(rule): rule for rule in content.rules}
    update, reviews = rules.get(types.Update), rules.get(types.PullRequest)
    checks = rules.get(types.StatusChecks)
    pushing = update.parameters if isinstance(update, types.Update) else None
    reviewing = reviews.parameters if isinstance(reviews, types.PullRequest) else None
    return Protection(
        checks=checks.parameters if isinstance(checks, types.StatusChecks) else None,
        reviews=reviewing,
        restrictions=pushing.allowed_actors if pushing is not None else None,
        enforce_admins=ADMINISTRATORS not in content.bypass_actors,
        required_signatures=types.Signatures in rules,
        required_linear_history=types.LinearHistory in rules,
        allow_force_pushes=types.NonFastForward not in rules,
        allow_deletions=types.Deletion not in rules,
        block_creations=types.Creation in rules,
        required_conversation_resolution=reviewing is not None and reviewing.required_review_thread_resolution,
        lock_branch=pushing is not None and pushing.allowed_actors is None,
        allow_fork_syncing=pushing is not None and pushing.update_allows_fetch_and_merge,
    )


def with_protection(before: RulesetContent | None, branch: str, wanted: Protection) -> RulesetContent:
    """Return the ruleset of a branch as it says what is wanted, in force. Errors: ProtectionRefused."""
    _refuse_contradictions(wanted)
    kept = () if before is None else tuple(rule for rule in before.rules if not isinstance(rule, _SAID))
    bypass = () if before is None else tuple(one for one in before.bypass_actors if one != ADMINISTRATORS)
    return RulesetContent(
        name=_name(branch) if before is None else before.name,
        target=RuleTarget.BRANCH,
        enforcement=Enforcement.ACTIVE,
        conditions=types.Conditions(types.RefNames(include=(_pattern(branch),))),
        bypass_actors=bypass if wanted.enforce_admins else (*bypass, ADMINISTRATORS),
        rules=(*_rules(wanted), *kept),
    )


def refuse_to_forget(ruleset: Ruleset) -> None:
    """Return if nothing is lost with a ruleset but protection. Errors: ProtectionHasMore naming what would be."""
    more = [type_of(rule) for rule in ruleset.content.rules if not isinstance(rule, _SAID)]
    if more:
        raise ProtectionHasMore(
            f"The ruleset {ruleset.name!r} of this branch has rules that branch protection does not know "
            f"({', '.join(dict.fromkeys(more))}); change or delete ruleset {ruleset.id} itself."
        )


def _refuse_contradictions(wanted: Protection) -> None:
    if wanted.lock_branch and wanted.restrictions is not None:
        raise _refused("lock_branch", "a locked branch takes no pushes, so there is nobody to restrict them to.")
    if wanted.allow_fork_syncing and not wanted.lock_branch:
        raise _refused("allow_fork_syncing", "it makes an exception for a locked branch: set lock_branch too.")
    if wanted.required_conversation_resolution and wanted.reviews is None:
        raise _refused(
            "required_conversation_resolution", "it is about pull requests: set required_pull_request_reviews too."
        )


def _rules(wanted: Protection) -> list[Rule]:
    allowed = wanted.restrictions or ()
    found: list[Rule] = []
    if wanted.block_creations:
        found.append(types.Creation(types.CreationParameters(allowed)))
    if wanted.lock_branch or wanted.restrictions is not None:
        found.append(
            types.Update(
                types.UpdateParameters(
                    update_allows_fetch_and_merge=wanted.allow_fork_syncing, allowed_actors=wanted.restrictions
                )
            )
        )
    plain: list[tuple[bool, Rule]] = [
        (not wanted.allow_deletions, types.Deletion()),
        (not wanted.allow_force_pushes, types.NonFastForward()),
        (wanted.required_linear_history, types.LinearHistory()),
        (wanted.required_signatures, types.Signatures()),
    ]
    found += [rule for is_wanted, rule in plain if is_wanted]
    if wanted.reviews is not None:
        resolves = wanted.required_conversation_resolution
        found.append(
            types.PullRequest(msgspec.structs.replace(wanted.reviews, required_review_thread_resolution=resolves))
        )
    if wanted.checks is not None:
        found.append(types.StatusChecks(wanted.checks))
    return found


def _pattern(branch: str) -> str:
    """Return the pattern that matches one branch and no other."""
    return "refs/heads/" + re.sub(r"([*?\[\]\\])", r"\\\1", branch)


def _name(branch: str) -> str:
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in branch)
    name = f"Protection of {shown}"
    if len(name) <= _NAME_LENGTH_MAX and shown == branch:
        return name
    return f"Protection of {shown[:_NAME_PART_MAX]} {hashlib.sha256(branch.encode()).hexdigest()[:12]}"


def _refused(field: str, why: str) -> ProtectionRefused:
    message = f"{field}: {why}"
    return ProtectionRefused(
        f"Validation Failed: {message}", FieldProblem(field, "invalid", message, "ProtectedBranch")
    )
