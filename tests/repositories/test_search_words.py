"""Queries taken apart: words, phrases, qualifiers, expressions."""

import pytest

from cairn.repositories.search_words import Qualifier, split_query, unquoted

NAMES = {"path", "language"}


@pytest.mark.parametrize(
    ("query", "text", "words", "qualifiers"),
    [
        ("one two", "one two", ("one", "two"), ()),
        ('"one two" x', '"one two" x', ("one two", "x"), ()),
        ("a path:src b", "a b", ("a", "b"), (Qualifier("path", "src"),)),
        ('-PATH:"a b" c', "c", ("c",), (Qualifier("path", "a b", is_negated=True),)),
        ('"path:src"', '"path:src"', ("path:src",), ()),
        ("std::string http://x", "std::string http://x", ("std::string", "http://x"), ()),
        ("/a path:b/ path:c", "/a path:b/", ("/a path:b/",), (Qualifier("path", "c"),)),
        ("a / b / c", "a / b / c", ("a", "/", "b", "/", "c"), ()),
        ('say "hi', 'say "hi', ("say", '"hi'), ()),
        (r'"a \"b\" \\"', r'"a \"b\" \\"', ('a "b" \\',), ()),
        ("path:", "path:", ("path:",), ()),
        ("a\0 path:\0", "a\ufffd", ("a\ufffd",), (Qualifier("path", "\ufffd"),)),
        ("", "", (), ()),
    ],
)
def test_a_query_is_taken_apart(
    query: str, text: str, words: tuple[str, ...], qualifiers: tuple[Qualifier, ...]
) -> None:
    found = split_query(query, NAMES)
    assert (found.text, found.words, found.qualifiers) == (text, words, qualifiers)


def test_values_are_asked_for_by_name_and_sign() -> None:
    found = split_query("path:a -path:b path:c", NAMES)
    assert (found.of("path"), found.of("path", is_negated=True), found.of("language")) == (["a", "c"], ["b"], [])


@pytest.mark.parametrize(("text", "plain"), [('"a b"', "a b"), (r'"a\"b"', 'a"b'), ('"a" b', '"a" b'), ("a", "a")])
def test_only_marks_around_everything_are_taken_off(text: str, plain: str) -> None:
    assert unquoted(text) == plain
