"""Trailers at the end of messages, and the co-authors they name."""

import pytest

from cairn.git.trailers import co_authors, read_trailers


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("Subject", []),
        ("Signed-off-by: only a subject", []),
        ("Subject\n\nBody.\n\nReviewed-by: A <a@x>\nFixes: #1\n", [("Reviewed-by", "A <a@x>"), ("Fixes", "#1")]),
        ("Subject\n\nBody.\n\nNote: one\n  and more\n", [("Note", "one and more")]),
        ("Subject\n\nReviewed-by: A <a@x>\nbut this is prose\n", []),
        ("Subject\n\nhttp://example.org\n", []),
    ],
)
def test_trailers_are_the_last_paragraph_and_nothing_else(message: str, wanted: list[tuple[str, str]]) -> None:
    assert read_trailers(message) == wanted


def test_each_co_author_is_named_once_and_text_that_names_nobody_is_passed_over() -> None:
    message = (
        "Pair\n\nWork.\n\nCo-authored-by: Bob Ray <bob@x.org>\nco-authored-by: Bob <BOB@x.org>\n"
        "Co-Authored-By: nobody\nCo-authored-by: <carol@x.org>\n"
    )
    assert co_authors(message) == [("Bob Ray", "bob@x.org"), ("carol@x.org", "carol@x.org")]
    assert co_authors("x" * 100_000) == []
