"""Branch protection as a ruleset."""

import itertools
from typing import Any

import msgspec
import pytest

from cairn.base.clock import utc_now
from cairn.repositories.rules import types
from cairn.repositories.rules.checks import check_content
from cairn.repositories.rules.patterns import covers
from cairn.repositories.rules.protection import (
    ADMINISTRATORS,
    BranchNotProtected,
    Protection,
    ProtectionHasMore,
    ProtectionRefused,
    protecting,
    protection_in_force,
    protection_of,
    refuse_to_forget,
    with_protection,
)
from cairn.repositories.rules.types import BypassKind, Enforcement, RuleActor, Ruleset, RulesetContent

BOB = RuleActor(BypassKind.USER, 7)
FLAGS = (
    *("enforce_admins", "required_signatures", "required_linear_history", "allow_force_pushes", "allow_deletions"),
    "block_creations",
)


def stored(content: RulesetContent, *, number: int = 1, repository_id: int | None = 1) -> Ruleset:
    """Return a ruleset as if it had been kept."""
    return Ruleset(number, 1, repository_id, None if repository_id else 9, content, utc_now(), utc_now())


CHECKS = types.StatusChecksParameters((types.StatusCheck("ci", 3),))
REVIEWS = types.PullRequestParameters(required_approving_review_count=2, allowed_actors=(BOB,))
PUSHING: tuple[dict[str, Any], ...] = (
    {},
    {"lock_branch": True},
    {"lock_branch": True, "allow_fork_syncing": True},
    {"restrictions": ()},
    {"restrictions": (BOB,)},
)
NAMES = ("main", "release/1.x", "a*b", "[x]", "wei\u00df", "z\u200bz", "x" * 200)


def test_what_is_said_is_what_is_read() -> None:
    said = itertools.product(
        itertools.product((False, True), repeat=len(FLAGS)), (None, CHECKS), (None, REVIEWS), PUSHING
    )
    names = itertools.cycle(NAMES)
    for (flags, checks, reviews, pushing), branch in zip(said, names, strict=False):
        wanted = Protection(**dict(zip(FLAGS, flags, strict=True)), **pushing, checks=checks, reviews=reviews)
        kept = check_content(with_protection(None, branch, wanted))
        assert protection_of(kept) == wanted
        assert protecting([stored(kept)], branch) is not None
        assert covers(kept.conditions, kept.target, b"refs/heads/" + branch.encode(), default=b"refs/heads/main")


@pytest.mark.parametrize("branch", ["a*b", "a[bc]d", "a?b", "a\\b"])
def test_a_name_with_a_patterns_letters_is_that_name_alone(branch: str) -> None:
    content = check_content(with_protection(None, branch, Protection()))
    others = [branch.replace("*", "x"), branch.replace("?", "x"), "abd", "acd", "ab"]
    about = [
        other
        for other in {*others, branch}
        if covers(content.conditions, content.target, f"refs/heads/{other}".encode(), default=b"")
    ]
    assert about == [branch]


def test_what_contradicts_itself_is_refused_by_name() -> None:
    for wanted, field in (
        (Protection(lock_branch=True, restrictions=()), "lock_branch"),
        (Protection(allow_fork_syncing=True), "allow_fork_syncing"),
        (Protection(required_conversation_resolution=True), "required_conversation_resolution"),
    ):
        with pytest.raises(ProtectionRefused) as refused:
            with_protection(None, "main", wanted)
        assert refused.value.problems[0].field == field


def test_it_is_the_repositorys_own_ruleset_about_just_the_branch() -> None:
    mine = with_protection(None, "main", Protection())
    disabled = msgspec.structs.replace(mine, enforcement=Enforcement.DISABLED)
    wider = msgspec.structs.replace(
        mine, conditions=types.Conditions(types.RefNames(include=("refs/heads/main", "refs/heads/x")))
    )
    tags = msgspec.structs.replace(mine, target=types.RuleTarget.TAG)
    for other in (stored(wider), stored(tags), stored(mine, repository_id=None)):
        assert protecting([other], "main") is None
    off, on = stored(disabled, number=1), stored(mine, number=2)
    assert protecting([off, on], "main") == on
    assert protecting([off], "main") == off
    with pytest.raises(BranchNotProtected):
        protection_in_force([off], "main")
    assert protection_in_force([off, on], "main")[0] == on


def test_what_it_has_no_words_for_stays_and_is_not_forgotten() -> None:
    size = types.FileSize(types.FileSizeParameters(5))
    bob = types.BypassActor(BypassKind.USER, 7)
    before = msgspec.structs.replace(
        with_protection(None, "main", Protection()),
        name="Mine",
        rules=(size, types.Deletion()),
        bypass_actors=(bob, ADMINISTRATORS),
        enforcement=Enforcement.DISABLED,
    )
    after = with_protection(before, "main", Protection(allow_deletions=True, enforce_admins=True))
    assert after.name == "Mine"
    assert after.enforcement is Enforcement.ACTIVE
    assert after.rules == (types.NonFastForward(), size)
    assert after.bypass_actors == (bob,)
    with pytest.raises(ProtectionHasMore, match="max_file_size"):
        refuse_to_forget(stored(after))
    refuse_to_forget(stored(with_protection(None, "main", Protection())))


def test_two_long_names_have_two_rulesets() -> None:
    names = {with_protection(None, "x" * 150 + end, Protection()).name for end in "ab"}
    assert len(names) == 2
    assert all(len(name) <= 100 for name in names)
