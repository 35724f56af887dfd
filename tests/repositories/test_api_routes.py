"""What the API's routes share; redirects after renames are in ``test_api``."""

from types import SimpleNamespace
from typing import Any

import pytest

from cairn.repositories.api_routes import (
    ParameterRefused,
    choose,
    query_bytes,
    read_moment,
    refuse_parameters,
    rest_of_path,
)


def context(path: str = "/api/v3/repos/o/r", **query: str) -> Any:
    return SimpleNamespace(path=path, request=SimpleNamespace(query_params=query))


@pytest.mark.parametrize(
    ("path", "after", "rest"),
    [
        ("/api/v3/repos/o/r/contents", "contents", b""),
        ("/api/v3/repos/o/r/contents/", "contents", b""),
        ("/api/v3/repos/o/r/contents/a%20b/%FF", "contents", b"a b/\xff"),
        ("/api/v3/repos/o/r/git/ref/heads/feature%2Fx", "git/ref", b"heads/feature/x"),
        ("/api/v3/repos/o/r/commits/contents", "commits", b"contents"),
    ],
)
def test_the_rest_of_a_path_is_bytes(path: str, after: str, rest: bytes) -> None:
    assert rest_of_path(context(path), after) == rest


def test_a_query_names_refs_and_paths() -> None:
    assert query_bytes(context(ref="/feature/é/"), "ref") == "feature/é".encode()
    assert query_bytes(context(), "ref") == b""


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "9999-12-31", "soon"])
def test_a_time_that_no_clock_reaches_in_every_zone_is_refused(text: str) -> None:
    """Attack: a time whose UTC has a year that no datetime has."""
    with pytest.raises(ParameterRefused):
        read_moment(context(since=text), "since")


def test_a_choice_outside_the_list_is_refused_with_the_list() -> None:
    assert choose(context(), "sort", {"a": 1, "b": 2}, "a") == 1
    assert choose(context(sort="b"), "sort", {"a": 1, "b": 2}, "a") == 2
    with pytest.raises(ParameterRefused, match=r"a, b") as caught:
        choose(context(sort="c"), "sort", {"a": 1, "b": 2}, "a")
    assert caught.value.problems[0].field == "sort"


def test_a_filter_that_is_not_offered_is_refused() -> None:
    refuse_parameters(context(other="1"), "author")
    with pytest.raises(ParameterRefused):
        refuse_parameters(context(author=""), "author")
