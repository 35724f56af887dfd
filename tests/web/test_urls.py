import pytest

from cairn.web.urls import own_path, path_join, sign_in_url


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.test", "//evil.test", "///evil.test", "/\\evil.test", "\\\\evil.test", "/\t/evil.test",
        "/\n/evil.test", "javascript:alert(1)", "evil.test", "", None, "/a\r\nSet-Cookie: x=1", "/\x7f", " /a",
        "http:/a",
        "/" + "a" * 2000,
        "/%5c/evil.test\\", "?next=/a", "#a", "//[evil",
    ],
)  # fmt: skip
def test_nothing_leads_to_another_site(elsewhere: str | None) -> None:
    """The attacker sends a sign-in link whose ``next`` leads to a copy of this site."""
    assert own_path(elsewhere, default="/home") == "/home"


@pytest.mark.parametrize("own", ["/", "/ada/engine?tab=1#L3", "/a//b", "/search?q=https://x.test", "/%2f%2fevil.test"])
def test_own_paths_pass(own: str) -> None:
    assert own_path(own) == own


def test_signing_in_comes_back() -> None:
    assert sign_in_url("/ada/engine?a=1&b=2") == "/login?next=/ada/engine%3Fa%3D1%26b%3D2"
    assert sign_in_url("//evil.test") == sign_in_url("/") == "/login"


def test_parts_are_encoded_and_slashes_of_refs_stay() -> None:
    assert (
        path_join("ada", "engine", "tree", "feature/x?#%", "a b.py") == "/ada/engine/tree/feature/x%3F%23%25/a%20b.py"
    )
    assert path_join(b"\xff") == "/%FF"
