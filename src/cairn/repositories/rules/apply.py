"""Rules in a landing's transaction: read them, judge, keep what was found, and say it."""

from collections.abc import Iterator, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.scopes import RepositoryScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.git.landing import keep_if_refused
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import RefName, show
from cairn.repositories.models import Repository
from cairn.repositories.rules.judge import RefVerdict, Verdict, judge
from cairn.repositories.rules.queries import rules_in_force
from cairn.repositories.rules.suites import note_suites
from cairn.repositories.rules.types import Enforcement, SuiteResult
from cairn.repositories.rules.who import Who

_AUDITED_MAX = 20
"""Refs of one push whose bypass has an entry of its own; the last of these counts the others."""

_LINES_MAX = 100


async def apply_rules(
    session: AsyncSession,
    actor: Actor,
    scope: RepositoryScope,
    repository: Repository,
    updates: Sequence[RefUpdate],
    *,
    head_target: RefName,
    is_sync: bool = False,
) -> Verdict:
    """Return what the rules of a repository say to changes of its refs, kept and audited in this transaction.

    The caller holds the store's lock and has authorized the actor of this moment.
    """
    rulesets = await rules_in_force(session, repository.id)
    who = Who(session, actor, scope)
    verdict = await judge(rulesets, updates, who, default=head_target, is_sync=is_sync)
    found = list(verdict.refs.values())
    note_suites(session, actor, repository.id, found)
    _keep_refused(session, actor, repository.id, [one for one in found if one.result is SuiteResult.FAIL])
    _record_bypasses(session, actor, repository, [one for one in found if one.result is SuiteResult.BYPASS])
    return verdict


def _keep_refused(session: AsyncSession, actor: Actor, repository_id: int, refused: Sequence[RefVerdict]) -> None:
    """Keep what was refused also where one refusal undoes the whole transaction, as in an atomic push."""
    if refused:
        keep_if_refused(session, lambda later: note_suites(later, actor, repository_id, refused))


def _record_bypasses(
    session: AsyncSession, actor: Actor, repository: Repository, bypassed: Sequence[RefVerdict]
) -> None:
    for place, one in enumerate(bypassed[:_AUDITED_MAX]):
        against = [each for each in one.findings if each.enforcement is Enforcement.ACTIVE]
        details = {
            "ref": show(one.update.name),
            "moved": f"{one.update.old} {one.update.new}",
            "rules": ", ".join(dict.fromkeys(f"{each.rule} of {each.ruleset!r}" for each in against)),
        }
        if place == _AUDITED_MAX - 1 and len(bypassed) > _AUDITED_MAX:
            details["more"] = str(len(bypassed) - _AUDITED_MAX)
        record(session, actor, "ruleset.bypass", repository.name, repository_id=repository.id, details=details)


def rule_lines(verdict: Verdict, *, page: str) -> list[str]:
    """Return what the pusher's terminal says of rules; ``page`` is the address of the repository's rules."""
    lines = [line for one in verdict.refs.values() for line in _lines(one, page)]
    if len(lines) > _LINES_MAX:
        return [*lines[:_LINES_MAX], "and more of the same"]
    return lines


def _lines(verdict: RefVerdict, page: str) -> Iterator[str]:
    name = show(verdict.update.name)
    by_ruleset: dict[int, list[str]] = {}
    for one in verdict.findings:
        if one.enforcement is not Enforcement.ACTIVE:
            continue
        if one.is_bypassed:
            yield f"bypassed rule {one.rule} of ruleset {one.ruleset!r} for {name}: {one.message}"
            continue
        if one.ruleset_id not in by_ruleset:
            by_ruleset[one.ruleset_id] = ["", f"{name} is refused by ruleset {one.ruleset!r}:"]
        by_ruleset[one.ruleset_id].append(f"  {one.rule}: {one.message}")
    for ruleset_id, lines in by_ruleset.items():
        yield from lines
        yield f"  {page}#ruleset-{ruleset_id}"
