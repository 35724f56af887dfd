"""Owner names: GitHub's grammar, and none that collides with a path of ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.identity.names import RESERVED_LOGINS, LoginInvalid, check_new_login, is_login, unreserved


@pytest.mark.parametrize("login", ["a", "A1", "octo-cat", "a-b-c", "0", "x" * 39])
def test_logins_of_github_are_logins(login: str) -> None:
    assert is_login(login)
    check_new_login(login)


@pytest.mark.parametrize(
    "login",
    ["", "-a", "a-", "a--b", "x" * 40, "a.b", "a_b", "a b", "a/b", "..", "é", "a\n", "a\x00", "\uff41", "repo.git"],
)
def test_other_texts_are_none(login: str) -> None:
    assert not is_login(login)
    with pytest.raises(LoginInvalid) as refused:
        check_new_login(login)
    assert refused.value.problems[0].field == "login"


@pytest.mark.parametrize("login", ["api", "API", "Login", "healthz", "static", "ghost", "settings", "x-access-token"])
def test_reserved_names_cannot_be_taken_in_any_case(login: str) -> None:
    with pytest.raises(LoginInvalid, match="reserved"):
        check_new_login(login)


def test_every_reserved_name_is_written_so_that_the_comparison_finds_it() -> None:
    assert {name for name in RESERVED_LOGINS if name != name.lower()} == set()


def test_a_route_that_somebody_could_register_is_found() -> None:
    paths = ["/", "/{owner}/{repo}", "/-/setup/{secret}", "/api/v3/user", "/brandnew/thing", "/robots.txt", "/Other"]
    assert unreserved(paths) == ["brandnew", "other"]


@given(st.text(alphabet="abcXYZ019-._/\n", max_size=45))
def test_a_login_never_holds_what_a_path_or_url_would_read_otherwise(text: str) -> None:
    if is_login(text):
        assert text.isascii()
        assert text.replace("-", "").isalnum()
        assert "--" not in text
