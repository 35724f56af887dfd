"""What a ruleset is about: patterns of full ref names and of repositories, matched in time linear in the name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cairn.git.path_patterns import PATTERN_BYTES_MAX, PathPattern, PatternSet, classes_in
from cairn.git.types import RefName
from cairn.repositories.rules.types import ALL, DEFAULT_BRANCH, Conditions, RepositoryNames, RuleTarget

_RANGE = re.compile(r"(?<=.)(.)-(.)(?=.)", re.DOTALL)


class PatternRefused(ValueError):
    """A pattern could never match; the message says why."""


def check_pattern(pattern: str) -> None:
    """Return if the pattern of a path or a ref can match something, and means what it says. Errors: PatternRefused."""
    raw = pattern.encode("utf-8", "surrogatepass")
    if "\0" in pattern or "\n" in pattern:
        raise PatternRefused(f"{pattern[:100]!r} has a NUL or a line break, which no name has")
    if pattern.rstrip("/") == "" or pattern.endswith("\\"):
        raise PatternRefused(f"{pattern[:100]!r} is no pattern")
    if len(raw) > PATTERN_BYTES_MAX:
        raise PatternRefused(f"{pattern[:100]!r}… has more than {PATTERN_BYTES_MAX:,} bytes")
    for inside in classes_in(raw):
        if not inside.isascii():
            # Names are bytes: half a letter would be a match.
            raise PatternRefused(f"{pattern[:100]!r} has a letter beyond ASCII in brackets; write a pattern for each")
        for first, last in _RANGE.findall(f"[{inside.decode()}]"):
            if first > last:
                raise PatternRefused(f"{pattern[:100]!r} has the range {first}-{last}, which ends before it begins")
    if not PathPattern(raw).can_match:
        raise PatternRefused(f"{pattern[:100]!r} is refused: its brackets or its length cannot be matched")


def full_pattern(pattern: str, target: RuleTarget) -> str:
    """Return a pattern of full names: ``main`` is ``refs/heads/main`` for branches; words with ``~`` stay."""
    if pattern.startswith(("refs/", "~")):
        return pattern
    return target.prefix.decode() + pattern


@dataclass(frozen=True, slots=True)
class _Names:
    """One side of a condition, compiled."""

    takes_all: bool
    takes_default: bool
    patterns: PatternSet

    def match(self, name: RefName, default: RefName) -> bool:
        return self.takes_all or (self.takes_default and name == default) or self.patterns.matches(name)


@dataclass(frozen=True, slots=True)
class _Matcher:
    include: _Names
    exclude: _Names


def covers(conditions: Conditions, target: RuleTarget, name: RefName, *, default: RefName) -> bool:
    """Tell whether a ruleset with these conditions is about a ref; ``default`` is the full name of the default branch.

    ``*`` and ``?`` stop at a slash, ``**`` between slashes or at the end does not, ``[a-z]`` is one of these bytes, a
    backslash takes the next as it is. Names are compared byte by byte, so case counts. Source: GitHub's rulesets, whose
    fnmatch(3) this is, but that a ``**`` at the end goes on below.
    """
    if not name.startswith(target.prefix):
        return False
    matcher = _compiled(conditions, target)
    return matcher.include.match(name, default) and not matcher.exclude.match(name, default)


def covers_repository(conditions: Conditions, name: str) -> bool:
    """Tell whether a ruleset with these conditions is about a repository of whoever the ruleset belongs to.

    Case does not count, as in addresses. A ruleset that names no repositories is about all of them.
    """
    if not isinstance(conditions.repository_name, RepositoryNames):
        return True
    matcher = _compiled_repositories(conditions.repository_name)
    key = name.lower().encode()
    return matcher.include.match(key, b"") and not matcher.exclude.match(key, b"")


@lru_cache(maxsize=1000)
def _compiled_repositories(names: RepositoryNames) -> _Matcher:
    return _Matcher(_compile_names(names.include), _compile_names(names.exclude))


def _compile_names(patterns: Sequence[str]) -> _Names:
    plain = [pattern.lower() for pattern in patterns if pattern != ALL]
    return _Names(ALL in patterns, takes_default=False, patterns=_path_patterns(plain))


@lru_cache(maxsize=1000)
def _compiled(conditions: Conditions, target: RuleTarget) -> _Matcher:
    names = conditions.ref_name
    return _Matcher(_compile(names.include, target), _compile(names.exclude, target))


def _compile(patterns: Sequence[str], target: RuleTarget) -> _Names:
    plain = [full_pattern(pattern, target) for pattern in patterns if pattern not in {ALL, DEFAULT_BRANCH}]
    return _Names(ALL in patterns, DEFAULT_BRANCH in patterns, _path_patterns(plain))


def _path_patterns(patterns: Sequence[str]) -> PatternSet:
    return PatternSet(PathPattern(one.encode("utf-8", "surrogatepass"), takes_folders=False) for one in patterns)
