"""A text is as it must be, or not."""

import pytest

from cairn.repositories.rules.texts import breaks, said
from cairn.repositories.rules.types import MatchOperator, TextParameters


@pytest.mark.parametrize(
    ("operator", "pattern", "text", "matches"),
    [
        ("starts_with", "fix", b"fix: it", True),
        ("starts_with", "fix", b"a fix", False),
        ("ends_with", "#1", b"fix #1\n", True),
        ("ends_with", "#1", b"fix #1 again", False),
        ("contains", "*", b"a*b", True),
        ("contains", ".", b"ab", False),
        ("regex", "^Signed-off-by: .+ <.+>$", b"fix\n\nSigned-off-by: A <a@b>\n", True),
        ("regex", "^[A-Z]+-[0-9]+$", b"AB-1 x", False),
        ("regex", "é+", "éé".encode(), True),
        ("regex", "(a+)+$", b"a" * 50_000 + b"b", False),
    ],
)
def test_texts_are_compared_as_the_operator_says(operator: str, pattern: str, text: bytes, matches: bool) -> None:
    wanted = TextParameters(operator=MatchOperator(operator), pattern=pattern)
    assert breaks(wanted, text) is not matches
    assert breaks(TextParameters(operator=MatchOperator(operator), pattern=pattern, negate=True), text) is matches


def test_what_is_wanted_is_said_in_words() -> None:
    assert said(TextParameters(operator=MatchOperator.REGEX, pattern="x")) == "must match 'x'"
    assert said(TextParameters(operator=MatchOperator.CONTAINS, pattern="x", negate=True)) == "must not contain 'x'"
    assert "a ticket" in said(TextParameters(operator=MatchOperator.REGEX, pattern="x", name="a ticket"))
