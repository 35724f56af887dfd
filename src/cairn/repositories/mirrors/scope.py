"""Which refs a mirror is about: every branch and tag, the protected ones, or those of a pattern."""

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import FieldProblem, Invalid
from cairn.git.path_patterns import PathPattern, matches_any
from cairn.git.types import RefName
from cairn.repositories.mirrors.models import PATTERN_LENGTH_MAX, Mirror, MirrorRefs
from cairn.repositories.rules.patterns import PatternRefused, check_pattern
from cairn.repositories.rules.queries import rules_in_force, rulesets_for
from cairn.repositories.rules.types import Enforcement

Covers = Callable[[RefName], bool]
"""Tells whether a mirror is about the ref of this full name."""

PREFIXES = (b"refs/heads/", b"refs/tags/")
"""Nothing else is ever mirrored: neither ``refs/cairn`` nor another server's hidden refs."""


async def scope_of(session: AsyncSession, mirror: Mirror, *, head_target: RefName) -> Covers:
    """Return which refs a mirror is about now; ``head_target`` is the full name of the default branch."""
    if mirror.refs is MirrorRefs.PROTECTED:
        rulesets = [
            one
            for one in await rules_in_force(session, mirror.repository_id)
            if one.content.enforcement is Enforcement.ACTIVE
        ]
        return lambda name: name.startswith(PREFIXES) and bool(rulesets_for(rulesets, name, default=head_target))
    if mirror.refs is MirrorRefs.PATTERN:
        patterns = _patterns(mirror.pattern)
        return lambda name: name.startswith(PREFIXES) and matches_any(patterns, name)
    return lambda name: name.startswith(PREFIXES)


def check_scope(refs: MirrorRefs, pattern: str) -> str:
    """Return the pattern a mirror keeps: empty unless it goes by one. Errors: Invalid if it could never match."""
    if refs is not MirrorRefs.PATTERN:
        return ""
    pattern = pattern.strip()
    try:
        for one in (pattern, *_full(pattern)):
            check_pattern(one)
    except PatternRefused as refused:
        raise _refused(f"The pattern {refused}.") from None
    if len(pattern) > PATTERN_LENGTH_MAX:
        raise _refused(f"The pattern has more than {PATTERN_LENGTH_MAX} characters.")
    if pattern.startswith("refs/") and not pattern.startswith(("refs/heads/", "refs/tags/")):
        raise _refused("A mirror takes branches and tags only: refs/heads/ and refs/tags/.")
    return pattern


def _refused(message: str) -> Invalid:
    return Invalid(message, FieldProblem("pattern", "invalid", message, "Mirror"))


def _patterns(pattern: str) -> list[PathPattern]:
    return [PathPattern(one.encode("utf-8", "surrogatepass"), takes_folders=False) for one in _full(pattern)]


def _full(pattern: str) -> list[str]:
    """Return the pattern for full names; a short one is about branches and tags of that name."""
    return [pattern] if pattern.startswith("refs/") else [prefix.decode() + pattern for prefix in PREFIXES]
