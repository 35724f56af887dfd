"""Error families: what a door can rely on."""

import inspect

import pytest

from cairn.base import errors
from cairn.base.errors import CairnError, FieldProblem, Invalid, NotFoundHere, RateLimited, Unavailable

FAMILIES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CairnError)]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_keeps_its_sentence_as_message_and_text(family: type[CairnError]) -> None:
    error = RateLimited("Sentence.", retry_after_seconds=7) if family is RateLimited else family("Sentence.")
    assert (error.message, str(error)) == ("Sentence.", "Sentence.")


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in (CairnError, NotFoundHere)])
def test_families_exclude_each_other(family: type[CairnError]) -> None:
    others = [other for other in FAMILIES if other not in (CairnError, NotFoundHere, family)]
    assert not any(issubclass(family, other) for other in others)


def test_invalid_names_its_fields() -> None:
    problem = FieldProblem("name", "missing_field", "A name is missing.")
    assert Invalid("Not acceptable.", problem).problems == (problem,)
    assert Invalid("Not acceptable.").problems == ()


def test_errors_that_a_retry_may_cure_say_when() -> None:
    assert RateLimited("Slower.", retry_after_seconds=30).retry_after_seconds == 30
    assert Unavailable("Away.").retry_after_seconds == 5
