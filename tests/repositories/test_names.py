"""Repository names: GitHub's grammar, without those that an address reads otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.repositories.names import RepositoryNameInvalid, check_repository_name, is_repository_name


@pytest.mark.parametrize("name", ["a", "A.b-c_d", ".github", "_", "9", "x" * 100, "git", "a.git.b", "--x", "..a"])
def test_names_of_github_are_names(name: str) -> None:
    assert is_repository_name(name)
    check_repository_name(name)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "1 to 100"),
        ("x" * 101, "1 to 100"),
        (".", "needs a letter"),
        ("..", "needs a letter"),
        ("-", "needs a letter"),
        ("a/b", "use letters"),
        ("a b", "use letters"),
        ("é", "use letters"),
        ("a\n", "use letters"),
        ("a\x00", "use letters"),
        ("a.git", "cannot end"),
        ("A.GIT", "cannot end"),
        ("a.wiki", "cannot end"),
        ("a.atom", "cannot end"),
        ("a.lock", "cannot end"),
        (".git", "cannot end"),
    ],
)
def test_other_texts_are_refused_with_the_rule(name: str, says: str) -> None:
    assert not is_repository_name(name)
    with pytest.raises(RepositoryNameInvalid, match=says) as refused:
        check_repository_name(name)
    assert refused.value.problems[0].field == "name"


@given(st.text(alphabet="aZ09._-/\\ %\n", max_size=12))
def test_a_name_is_one_segment_of_a_path_that_means_itself(name: str) -> None:
    if is_repository_name(name):
        assert name not in {".", ".."}
        assert "/" not in name
        assert not name.lower().endswith(".git")
