"""What clients send about protection, and what they are answered."""

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from cairn.repositories.queries import RepositoryView
from cairn.repositories.rules.protection import Protection, ProtectionRefused
from cairn.repositories.rules.protection_bodies import (
    CheckBody,
    ChecksBody,
    ProtectionBody,
    ProtectionJson,
    ReviewsBody,
    checks_of,
    enforcement_level,
    named_in,
    refuse_apps,
    reviews_of,
    with_contexts,
)
from cairn.repositories.rules.rule_actors import ActorNames
from cairn.repositories.rules.types import (
    BypassKind,
    PullRequestParameters,
    RuleActor,
    StatusCheck,
    StatusChecksParameters,
)

BEFORE = StatusChecksParameters((StatusCheck("ci", 7),), strict_required_status_checks_policy=True)


def test_what_a_body_of_checks_leaves_out_is_as_before() -> None:
    assert checks_of(ChecksBody(), BEFORE) == BEFORE
    assert checks_of(ChecksBody(strict=False), BEFORE).required_status_checks == BEFORE.required_status_checks
    assert checks_of(ChecksBody(checks=(CheckBody("a", -1), CheckBody("a", -1))), BEFORE).required_status_checks == (
        StatusCheck("a"),
    )


def test_a_context_that_was_there_keeps_its_program() -> None:
    assert with_contexts(BEFORE, ["lint", "ci"]).required_status_checks == (StatusCheck("lint"), StatusCheck("ci", 7))


def test_what_a_body_of_reviews_leaves_out_is_as_before() -> None:
    before = PullRequestParameters(required_approving_review_count=3, require_code_owner_review=True)
    body = ReviewsBody(dismiss_stale_reviews=True)
    found = reviews_of(body, before, dismissal=msgspec.UNSET, allowed=msgspec.UNSET)
    assert found == msgspec.structs.replace(before, dismiss_stale_reviews_on_push=True)


@pytest.mark.parametrize("missing", ["required_status_checks", "enforce_admins", "restrictions"])
def test_four_things_must_be_said(missing: str) -> None:
    whole: dict[str, Any] = dict.fromkeys(
        ("required_status_checks", "enforce_admins", "required_pull_request_reviews", "restrictions")
    )
    assert msgspec.convert(whole, ProtectionBody) == ProtectionBody(None, None, None, None)
    del whole[missing]
    with pytest.raises(msgspec.ValidationError, match=missing):
        msgspec.convert(whole, ProtectionBody)


def test_apps_are_refused_because_there_are_none() -> None:
    refuse_apps((), "restrictions")
    with pytest.raises(ProtectionRefused, match="robot"):
        refuse_apps(("robot",), "restrictions")


def test_whoever_is_gone_or_hidden_is_left_out_of_the_answer() -> None:
    actors = (RuleActor(BypassKind.USER, 1), RuleActor(BypassKind.TEAM, 2))
    found = Protection(restrictions=actors, reviews=PullRequestParameters(allowed_actors=actors))
    repository = cast("RepositoryView", SimpleNamespace(owner="acme"))
    json = ProtectionJson("http://x/protection", origin="http://x", repository=repository, names=ActorNames())
    assert json.restrictions(found)["users"] == json.restrictions(found)["teams"] == []
    assert "dismissal_restrictions" not in json.reviews(found)
    assert set(named_in(found)) == {(BypassKind.USER, 1), (BypassKind.TEAM, 2)}
    assert "required_status_checks" not in json.whole(found)


def test_whom_checks_are_for_is_told_in_githubs_words() -> None:
    assert enforcement_level(Protection()) == "off"
    assert enforcement_level(Protection(checks=BEFORE)) == "non_admins"
    assert enforcement_level(Protection(checks=BEFORE, enforce_admins=True)) == "everyone"
