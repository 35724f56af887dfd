import pytest

from cairn.web.markup.links import AddressKind, LinkContext, lead_address

HERE = LinkContext("/ada/engine", b"feature/x", b"docs/api")


@pytest.mark.parametrize(
    ("address", "kind", "leads_to"),
    [
        ("a.md", "link", "/ada/engine/blob/feature/x/docs/api/a.md"),
        ("./a.md#L3-L5", "link", "/ada/engine/blob/feature/x/docs/api/a.md#L3-L5"),
        ("../b.md#Some-part", "link", "/ada/engine/blob/feature/x/docs/b.md#user-content-Some-part"),
        ("/c.c#L1", "link", "/ada/engine/blob/feature/x/c.c#L1"),
        ("sub/", "link", "/ada/engine/blob/feature/x/docs/api/sub"),
        ("a%20b.md?plain=1", "link", "/ada/engine/blob/feature/x/docs/api/a%20b.md?plain=1"),
        ("logo.png?raw=true", "image", "/ada/engine/raw/feature/x/docs/api/logo.png"),
        ("logo.png#gh-dark-mode-only", "image", "/ada/engine/raw/feature/x/docs/api/logo.png#gh-dark-mode-only"),
        ("../../x.md", "link", "/ada/engine/blob/feature/x/x.md"),
        ("../../../x.md", "link", "/ada/engine/blob/feature/x/x.md"),
        ("../../../../issues", "link", "/ada/engine/issues"),
        ("../../../../../../../admin", "link", "/ada/engine/admin"),
        ("#part", "link", "#user-content-part"),
        ("#", "link", "#"),
        ("https://example.org/a?b#c", "link", "https://example.org/a?b#c"),
        ("mailto:a@example.org", "link", "mailto:a@example.org"),
    ],
)
def test_addresses_lead_to_the_same_revision(address: str, kind: AddressKind, leads_to: str) -> None:
    assert lead_address(address, kind, HERE) == leads_to


@pytest.mark.parametrize(
    "address",
    ["javascript:x", "data:text/html,x", "//evil.test", "/\\evil.test", "\\\\evil.test", "http://[x", "java\tscript:x"],
)
@pytest.mark.parametrize("kind", ["link", "image"])
def test_addresses_that_lead_astray_lead_nowhere(address: str, kind: AddressKind) -> None:
    assert lead_address(address, kind, HERE) is None


def test_a_mail_address_is_no_picture() -> None:
    assert lead_address("mailto:a@example.org", "image", None) is None


def test_html_that_leaves_the_site_has_whole_addresses() -> None:
    away = LinkContext("https://forge.test/ada/engine", b"main")
    assert lead_address("a.md", "link", away) == "https://forge.test/ada/engine/blob/main/a.md"
    assert lead_address("../../issues", "link", away) == "https://forge.test/ada/engine/issues"


def test_without_a_place_relative_addresses_stay() -> None:
    assert lead_address("a.md", "link", None) == "a.md"
