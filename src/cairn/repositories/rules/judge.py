"""What the rules in force now say to each change of a ref: decided under the store's lock, for every door.

What was found in the objects came along with the change (``examine``). A ruleset that was made or changed since then
has examined nothing, and refuses: whoever asks again is examined by it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cairn.git.ref_transaction import Finding, RefUpdate
from cairn.git.types import RefName
from cairn.repositories.rules import types
from cairn.repositories.rules.lost_objects import why_refused
from cairn.repositories.rules.queries import rulesets_for
from cairn.repositories.rules.texts import breaks, said
from cairn.repositories.rules.types import Enforcement, Rule, Ruleset, SuiteResult, type_of
from cairn.repositories.rules.who import Who

_AT_ONCE_MAX = 10
"""Names times rulesets that are compared on the spot; more would hold up everybody else of this program."""

RULES_CHANGED = "its rules changed while this was prepared; push again"

PULL_REQUEST_WANTED = "changes come by pull request, and this one does not; push to a branch of your own"


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """What one rule has against a change of a ref."""

    ruleset_id: int
    ruleset: str
    enforcement: Enforcement
    rule: str
    message: str
    is_bypassed: bool = False


@dataclass(frozen=True, slots=True)
class RefVerdict:
    """What came of one change: its result by the rules in force, and what it would be with those on trial too."""

    update: RefUpdate
    result: SuiteResult
    evaluation: SuiteResult
    findings: Sequence[RuleFinding]

    @property
    def refusal(self) -> str:
        """Why it is refused, in a sentence; empty if it is not."""
        against = [one for one in self.findings if one.enforcement is Enforcement.ACTIVE and not one.is_bypassed]
        if not against:
            return ""
        first = against[0]
        more = f" (and {len(against) - 1} more)" if len(against) > 1 else ""
        return f"ruleset {first.ruleset!r}, {first.rule}: {first.message}{more}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of the changes that any rule had something against, by name; others are absent.

    ``lost_objects`` are those that name large objects which are not here: refused, whatever the rules.
    """

    refs: dict[RefName, RefVerdict] = field(default_factory=dict)
    lost_objects: Mapping[RefName, Sequence[Finding]] = field(default_factory=dict)

    @property
    def refusals(self) -> dict[RefName, str]:
        """Why each refused change is."""
        lost = {name: why_refused(found) for name, found in self.lost_objects.items()}
        return lost | {name: found.refusal for name, found in self.refs.items() if found.result is SuiteResult.FAIL}


async def judge(
    rulesets: Sequence[Ruleset], updates: Sequence[RefUpdate], who: Who, *, default: RefName, is_sync: bool = False
) -> Verdict:
    """Return what the rules say to each change, one by one: nothing that stands beside it in a push counts.

    ``default`` is the full name of the default branch; ``is_sync`` where a fork gets what its parent has.
    """
    verdict = Verdict()
    names = [update.name for update in updates]
    if len(rulesets) * len(names) > _AT_ONCE_MAX:
        applying = await asyncio.to_thread(_applying, rulesets, names, default)
    else:
        applying = _applying(rulesets, names, default)
    for update, about in zip(updates, applying, strict=True):
        found: list[RuleFinding] = []
        for ruleset in about:
            found += await _ask(ruleset, update, who, is_sync=is_sync)
        if found:
            verdict.refs[update.name] = _conclude(update, found)
    return verdict


def _applying(rulesets: Sequence[Ruleset], names: Sequence[RefName], default: RefName) -> list[list[Ruleset]]:
    return [rulesets_for(rulesets, name, default=default) for name in names]


def _conclude(update: RefUpdate, found: Sequence[RuleFinding]) -> RefVerdict:
    active = [one for one in found if one.enforcement is Enforcement.ACTIVE]
    return RefVerdict(update, _result(active), _result(found), found)


def _result(found: Sequence[RuleFinding]) -> SuiteResult:
    if not found:
        return SuiteResult.PASS
    return SuiteResult.BYPASS if all(one.is_bypassed for one in found) else SuiteResult.FAIL


async def _ask(ruleset: Ruleset, update: RefUpdate, who: Who, *, is_sync: bool) -> list[RuleFinding]:
    against = [
        (rule, message)
        for rule in ruleset.content.rules
        if (message := await _against(rule, update, who, is_sync=is_sync))
    ]
    against += [(ruleset.content.rules[one.rule], one.message) for one in _examined(ruleset, update)]
    if not against:
        return []
    is_bypassed = await who.may_bypass(ruleset.content.bypass_actors)
    return [
        RuleFinding(
            ruleset.id, ruleset.name, ruleset.content.enforcement, type_of(rule), message, is_bypassed=is_bypassed
        )
        for rule, message in against
    ]


def _examined(ruleset: Ruleset, update: RefUpdate) -> Sequence[Finding]:
    rules = ruleset.examined_rules
    if update.is_deletion or not rules:
        return ()
    found = update.findings.get(ruleset.key)
    return [Finding(rules[0][0], RULES_CHANGED)] if found is None else found


async def _against(rule: Rule, update: RefUpdate, who: Who, *, is_sync: bool) -> str:
    """Return what a rule has against the change of the ref alone; empty for nothing."""
    is_move = not update.is_creation and not update.is_deletion
    match rule:
        case types.Creation() if update.is_creation:
            is_allowed = await who.is_among(rule.parameters.allowed_actors)
            return "" if is_allowed else "nobody but those it names creates refs here"
        case types.Update() if is_move:
            if is_sync and rule.parameters.update_allows_fetch_and_merge:
                return ""
            is_allowed = await who.is_among(rule.parameters.allowed_actors or ())
            return "" if is_allowed else "nobody but those it names pushes here"
        case types.Deletion() if update.is_deletion:
            return "it may not be deleted"
        case types.PullRequest() if is_move:
            return "" if await who.is_among(rule.parameters.allowed_actors) else PULL_REQUEST_WANTED
        case types.BranchName() | types.TagName() if update.is_creation:
            short = update.name.removeprefix(b"refs/heads/").removeprefix(b"refs/tags/")
            return f"the name {said(rule.parameters)}" if breaks(rule.parameters, short) else ""
        case _:
            return ""
