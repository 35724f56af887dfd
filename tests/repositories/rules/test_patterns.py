"""Which refs a pattern is about, against a slow reference."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.base.linear_regex import LinearRegex
from cairn.git.path_patterns import PathPattern
from cairn.repositories.rules.patterns import PatternRefused, check_pattern, covers, covers_repository, full_pattern
from cairn.repositories.rules.types import Conditions, RefNames, RepositoryNames, RuleTarget

MAIN = b"refs/heads/main"


def about(
    name: bytes | str, *include: str, exclude: tuple[str, ...] = (), target: RuleTarget = RuleTarget.BRANCH
) -> bool:
    raw = name if isinstance(name, bytes) else name.encode()
    conditions = Conditions(ref_name=RefNames(include=include, exclude=exclude))
    return covers(conditions, target, target.prefix + raw, default=MAIN)


def test_words_stand_for_the_default_branch_and_for_all() -> None:
    assert about("main", "~DEFAULT_BRANCH")
    assert not about("mainly", "~DEFAULT_BRANCH")
    assert about("anything/at/all", "~ALL")
    assert not about("main", "~ALL", exclude=("~DEFAULT_BRANCH",))
    assert not about("main")


def test_a_branch_ruleset_is_about_no_tag_and_no_other_ref() -> None:
    everything = Conditions(ref_name=RefNames(include=("~ALL",)))
    assert not covers(everything, RuleTarget.BRANCH, b"refs/tags/v1", default=MAIN)
    assert not covers(everything, RuleTarget.TAG, MAIN, default=MAIN)
    assert not covers(everything, RuleTarget.BRANCH, b"refs/notes/commits", default=MAIN)
    assert covers(everything, RuleTarget.TAG, b"refs/tags/v1", default=MAIN)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("release/*", "release/1", True),
        ("release/*", "release/1/2", False),
        ("release/**", "release/1/2", True),
        ("release/**/*", "release/1", True),
        ("release/**/*", "release/1/2/3", True),
        ("refs/heads/main", "main", True),
        ("main", "Main", False),
        ("ma?n", "main", True),
        ("ma?n", "ma/n", False),
        ("v[0-9]*", "v1.2", True),
        ("v[!0-9]*", "v1.2", False),
        ("bücher", "bücher", True),
        ("*", "a/b", False),
        (r"\*", "*", True),
        (r"\*", "a", False),
        ("main", "x/main", False),
        ("a.c", "abc", False),
    ],
)
def test_patterns_match_as_fnmatch_with_pathnames(pattern: str, name: str, expected: bool) -> None:
    assert about(name, pattern) is expected


def test_names_that_are_no_text_are_matched_byte_by_byte() -> None:
    assert about(b"\xff\xfe", "*")
    assert about(b"\xff", "?")
    assert not about(b"\xff/x", "*")


@given(
    pattern=st.text(alphabet="ab*?/", min_size=1, max_size=9).filter(lambda text: text.strip("/") == text),
    name=st.text(alphabet="ab/", min_size=1, max_size=9),
)
def test_stars_and_marks_agree_with_a_slow_reference(pattern: str, name: str) -> None:
    assert about(name, "x/" + pattern) is False
    whole = f"refs/heads/{pattern}"
    assert about(name, pattern) is _slowly(whole, f"refs/heads/{name}")


def _slowly(pattern: str, name: str) -> bool:
    """Match by trying everything: what the documentation says, one rule after the other."""
    if not pattern:
        return not name
    if pattern.startswith("/**/"):
        rests = [name[index:] for index, letter in enumerate(name) if letter == "/"] if name.startswith("/") else []
        return any(_slowly(pattern[3:], rest) for rest in rests)
    if pattern == "/**":
        return name.startswith("/") and len(name) > 1
    if pattern.startswith("*"):
        rest = pattern.lstrip("*")
        stop = name.find("/")
        most = len(name) if stop < 0 else stop
        return any(_slowly(rest, name[taken:]) for taken in range(most + 1))
    if pattern.startswith("?"):
        return bool(name) and name[0] != "/" and _slowly(pattern[1:], name[1:])
    return name[:1] == pattern[0] and _slowly(pattern[1:], name[1:])


@given(st.text(max_size=30), st.binary(max_size=60))
def test_whatever_is_accepted_is_matched_without_an_error(pattern: str, name: bytes) -> None:
    try:
        check_pattern(full_pattern(pattern, RuleTarget.BRANCH))
    except PatternRefused:
        return
    assert PathPattern(full_pattern(pattern, RuleTarget.BRANCH).encode()).can_match
    conditions = Conditions(ref_name=RefNames(include=(pattern,)))
    assert covers(conditions, RuleTarget.BRANCH, b"refs/heads/" + name, default=MAIN) in {True, False}


@pytest.mark.parametrize("pattern", ["", "/", "a\0b", "a\nb", "v[z-a]", "[!9-0]x", "x\\"])
def test_a_pattern_that_could_never_match_is_refused(pattern: str) -> None:
    with pytest.raises(PatternRefused):
        check_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["[é]", "[!à-ü]x", "x[z--]", "[a-c-e-b]", "\U0001f600" * 254],
    ids=["letter", "range", "dash", "ranges", "length"],
)
def test_a_pattern_that_would_silently_match_nothing_is_refused_by_its_name(pattern: str) -> None:
    with pytest.raises(PatternRefused, match=re.escape(repr(full_pattern(pattern, RuleTarget.BRANCH))[:12])):
        check_pattern(full_pattern(pattern, RuleTarget.BRANCH))


@pytest.mark.parametrize(("pattern", "name"), [(r"\[é]", "[é]"), ("é[a-z]*", "éa"), ("[]é", "[]é"), ("[z-]", "-")])
def test_a_bracket_that_begins_no_class_takes_any_letter(pattern: str, name: str) -> None:
    check_pattern(full_pattern(pattern, RuleTarget.BRANCH))
    assert about(name, pattern)


def test_what_a_name_costs_hardly_depends_on_how_many_patterns_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: a hundred patterns in each of a hundred rulesets, and a push of ten thousand refs."""
    asked: list[bytes] = []
    matches = LinearRegex.matches

    def counting(regex: LinearRegex, text: bytes) -> bool:
        asked.append(text)
        return matches(regex, text)

    monkeypatch.setattr(LinearRegex, "matches", counting)
    conditions = Conditions(RefNames(include=tuple(f"one-{number}-*" for number in range(100)), exclude=("x", "y")))
    assert covers(conditions, RuleTarget.BRANCH, b"refs/heads/one-99-x", default=b"")
    assert not covers(conditions, RuleTarget.BRANCH, b"refs/heads/two", default=b"")
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("include", "exclude", "about_them"),
    [
        (("~ALL",), (), {"web-site", "WEB-Shop", "engine"}),
        (("~ALL",), ("web-*",), {"engine"}),
        (("WEB-*", "Engine"), ("web-shop",), {"web-site", "engine"}),
        (("web-s?te", "web-[a-z]hop"), (), {"web-site", "WEB-Shop"}),
        (("eng",), (), set()),
        ((), (), set()),
    ],
    ids=["all", "but some", "whatever case", "one character", "a part", "none"],
)
def test_repositories_are_named_whatever_their_case(
    include: tuple[str, ...], exclude: tuple[str, ...], about_them: set[str]
) -> None:
    conditions = Conditions(repository_name=RepositoryNames(include, exclude))
    names = ("web-site", "WEB-Shop", "engine")
    assert {name for name in names if covers_repository(conditions, name)} == about_them
    assert all(covers_repository(Conditions(), name) for name in names), "who names none means all"
