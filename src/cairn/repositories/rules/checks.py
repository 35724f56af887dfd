"""Whether a ruleset that somebody wants can be kept: bounds, patterns that compile, people that exist."""

import re
from collections.abc import Iterator

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.models import Organization, Team
from cairn.base.errors import FieldProblem, Invalid
from cairn.base.linear_regex import LinearRegex, RegexRefused
from cairn.base.settings import KIB
from cairn.identity.models import Account, SshKey
from cairn.repositories.rules import types
from cairn.repositories.rules.patterns import PatternRefused, check_pattern, full_pattern
from cairn.repositories.rules.types import (
    ALL,
    DEFAULT_BRANCH,
    ROLE_OF_NUMBER,
    BypassActor,
    BypassKind,
    MatchOperator,
    Rule,
    RulesetContent,
    RuleTarget,
    type_of,
)

RULESET_BYTES_MAX = 64 * KIB
_MERGE_METHODS = frozenset({"merge", "squash", "rebase"})
_REPEATABLE = frozenset(
    {
        "commit_message_pattern",
        "commit_author_email_pattern",
        "committer_email_pattern",
        "branch_name_pattern",
        "tag_name_pattern",
    }
)


class RulesetInvalid(Invalid):
    """A ruleset cannot be kept as it is; the message says why."""


def check_content(content: RulesetContent, *, is_organizations: bool = False) -> RulesetContent:
    """Return a ruleset as it is kept: names trimmed, patterns complete. Errors: RulesetInvalid.

    An organization's names its repositories, all of them unless it says which; a repository's own names none.
    """
    try:
        # A caller may have put it together in Python: the bounds stand in the types.
        content = msgspec.convert(msgspec.to_builtins(content), RulesetContent)
    except msgspec.ValidationError as error:
        raise invalid("rules", f"This is no ruleset: {error}.") from None
    name = content.name.strip()
    if not name or not name.isprintable():
        raise invalid("name", "Give the ruleset a name of 1 to 100 characters, without line breaks.")
    if len(msgspec.json.encode(content)) > RULESET_BYTES_MAX:
        raise invalid("rules", f"A ruleset has at most {RULESET_BYTES_MAX:,} bytes as JSON; split it.")
    names = types.RefNames(
        include=_patterns(content.conditions.ref_name.include, content.target),
        exclude=_patterns(content.conditions.ref_name.exclude, content.target),
    )
    _check_rules(content)
    conditions = types.Conditions(names, _repositories(content.conditions, is_organizations=is_organizations))
    return msgspec.structs.replace(content, name=name, conditions=conditions)


def _repositories(conditions: types.Conditions, *, is_organizations: bool) -> types.RepositoryNames | msgspec.UnsetType:
    said = conditions.repository_name
    if not is_organizations:
        if isinstance(said, types.RepositoryNames):
            raise invalid("conditions", "repository_name is for rulesets of an organization; this is a repository's.")
        return msgspec.UNSET
    if not isinstance(said, types.RepositoryNames):
        return types.RepositoryNames(include=(ALL,))
    return msgspec.structs.replace(
        said, include=_repository_patterns(said.include), exclude=_repository_patterns(said.exclude)
    )


def _repository_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if pattern == ALL:
            continue
        if pattern.startswith("~") or "/" in pattern:
            raise invalid(
                "conditions", f"{pattern[:60]!r} is no repository's name; write it without its owner, or {ALL} for all."
            )
        try:
            check_pattern(pattern)
        except PatternRefused as error:
            raise invalid("conditions", f"{error}.") from None
    return tuple(dict.fromkeys(patterns))


def _patterns(patterns: tuple[str, ...], target: RuleTarget) -> tuple[str, ...]:
    found = []
    for pattern in patterns:
        if pattern.startswith("~"):
            if pattern not in {ALL, DEFAULT_BRANCH}:
                raise invalid(
                    "conditions", f"{pattern[:60]!r} is no pattern; the words are {ALL} and {DEFAULT_BRANCH}."
                )
            if pattern == DEFAULT_BRANCH and target is RuleTarget.TAG:
                raise invalid("conditions", f"{DEFAULT_BRANCH} is a branch; this ruleset is about tags.")
            found.append(pattern)
            continue
        whole = full_pattern(pattern, target)
        try:
            check_pattern(whole)
        except PatternRefused as error:
            raise invalid("conditions", f"{error}.") from None
        if whole.endswith("/"):
            raise invalid(
                "conditions", f"{pattern[:100]!r} ends in a slash, which no ref does; write {pattern[:100]}**."
            )
        if not whole.startswith(target.prefix.decode()):
            kind = "branches" if target is RuleTarget.BRANCH else "tags"
            raise invalid("conditions", f"{whole[:100]!r} is not below {target.prefix.decode()}; this is about {kind}.")
        found.append(whole)
    return tuple(dict.fromkeys(found))


def _check_rules(content: RulesetContent) -> None:
    seen: set[str] = set()
    for rule in content.rules:
        kind = type_of(rule)
        if kind in seen and kind not in _REPEATABLE:
            raise invalid("rules", f"The rule {kind} stands here twice.")
        seen.add(kind)
        wrong = next(_problems(rule), None)
        if wrong is not None:
            raise invalid("rules", f"{kind}: {wrong}.")
    if content.target is RuleTarget.BRANCH and "tag_name_pattern" in seen:
        raise invalid("rules", "tag_name_pattern is for rulesets about tags.")
    if content.target is RuleTarget.TAG:
        for kind in ("branch_name_pattern", "pull_request"):
            if kind in seen:
                raise invalid("rules", f"{kind} is for rulesets about branches.")


def _problems(rule: Rule) -> Iterator[str]:
    match rule:
        case (
            types.CommitMessage() | types.AuthorEmail() | types.CommitterEmail() | types.BranchName() | types.TagName()
        ) if rule.parameters.operator is MatchOperator.REGEX:
            yield from _regex_problems(rule.parameters.pattern)
        case types.FilePaths():
            yield from _path_problems(rule.parameters.restricted_file_paths)
        case types.FileExtensions():
            for ending in rule.parameters.restricted_file_extensions:
                if not extension(ending) or "/" in ending or "\0" in ending:
                    yield f"{ending[:60]!r} is no file extension"
        case types.PullRequest():
            unknown = set(rule.parameters.allowed_merge_methods) - _MERGE_METHODS
            if unknown or not rule.parameters.allowed_merge_methods:
                yield f"allowed_merge_methods are some of {', '.join(sorted(_MERGE_METHODS))}"
        case types.Secrets():
            yield from _path_problems(rule.parameters.allowed_paths)
            for custom in rule.parameters.custom:
                yield from _regex_problems(custom.pattern)
            if not rule.parameters.builtin and not rule.parameters.custom:
                yield "it looks for nothing: turn the built-in patterns on or give one of your own"


def _path_problems(patterns: tuple[str, ...]) -> Iterator[str]:
    for pattern in patterns:
        try:
            check_pattern(pattern)
        except PatternRefused as error:
            yield str(error)


def _regex_problems(pattern: str) -> Iterator[str]:
    try:
        compiled = LinearRegex(pattern.encode("utf-8", "surrogatepass"))
    except RegexRefused as error:
        yield f"{pattern[:100]!r} is no expression that RE2 takes: {error}"
        return
    if compiled.matches(b""):
        yield f"{pattern[:100]!r} matches where nothing is"


def extension(pattern: str) -> str:
    """Return a file ending in lower case with its dot: ``*.exe``, ``.exe`` and ``exe`` are the same; "" for none."""
    found = re.fullmatch(r"\*?\.?([^*?\[\]/]+)", pattern.strip())
    return "" if found is None else "." + found[1].lower()


async def check_bypass_actors(
    session: AsyncSession, actors: tuple[BypassActor, ...], *, repository_id: int | None, owner_id: int
) -> None:
    """Return if everybody in a bypass list exists and has to do with the repository. Errors: RulesetInvalid."""
    is_organization = await session.get(Organization, owner_id) is not None
    for one in actors:
        if not await _exists(
            session, one, repository_id=repository_id, owner_id=owner_id, is_organization=is_organization
        ):
            raise invalid("bypass_actors", f"There is no {one.actor_type.value} {one.actor_id} that could bypass here.")
    if len({(one.actor_type, one.actor_id) for one in actors}) < len(actors):
        raise invalid("bypass_actors", "Somebody stands twice in the bypass list.")


async def _exists(
    session: AsyncSession, one: BypassActor, *, repository_id: int | None, owner_id: int, is_organization: bool
) -> bool:
    match one.actor_type:
        case BypassKind.ROLE:
            return one.actor_id in ROLE_OF_NUMBER
        case BypassKind.SITE_ADMIN:
            return True
        case BypassKind.ORGANIZATION_ADMIN:
            return is_organization
        case BypassKind.TEAM:
            # Primary key of team.
            found = select(Team.id).where(Team.id == one.actor_id, Team.organization_id == owner_id)
            return await session.scalar(found) is not None
        case BypassKind.USER:
            return one.actor_id is not None and await session.get(Account, one.actor_id) is not None
        case BypassKind.DEPLOY_KEY:
            if one.actor_id is None:
                return True
            key = await session.get(SshKey, one.actor_id)
            return key is not None and key.repository_id is not None and key.repository_id == repository_id


def invalid(field: str, message: str) -> RulesetInvalid:
    """Return the error that names what is wrong with which part of a ruleset."""
    return RulesetInvalid(message, FieldProblem(field, "invalid", message, "Ruleset"))
