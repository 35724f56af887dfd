"""Reading Authorization headers: every form git, gh and people send."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.base.errors import Unauthenticated
from cairn.identity.credentials import CredentialUnreadable, PasswordCredential, TokenCredential, parse_authorization
from cairn.identity.token_format import make_token

TOKEN = make_token()


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def parse(header: str | None) -> TokenCredential | PasswordCredential | None:
    return parse_authorization(header, address="192.0.2.1")


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {TOKEN}",
        f"bearer {TOKEN}",
        f"token {TOKEN}",
        f"Token  {TOKEN}",
        basic("anybody", TOKEN),
        basic("x-access-token", TOKEN),
        basic("", TOKEN),
        basic(TOKEN, ""),
        basic(TOKEN, "x-oauth-basic"),
    ],
    ids=range(9),  # the token is random, and every test process must find the same names
)
def test_a_token_is_found_wherever_clients_put_it(header: str) -> None:
    assert parse(header) == TokenCredential(TOKEN)


def test_a_password_keeps_its_colons_and_the_address_of_the_attempt() -> None:
    assert parse(basic("me@example.test", "a:b:c")) == PasswordCredential("me@example.test", "a:b:c", "192.0.2.1")


def test_a_damaged_token_stays_a_token() -> None:
    assert parse(basic("me", "crn_oops")) == TokenCredential("crn_oops")


def test_without_a_header_there_is_no_credential() -> None:
    assert parse(None) is None
    assert parse(" ") is None


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic !!!", "Basic " + base64.b64encode(b"nocolon").decode(), "Digest x", "Bearer", "x" * 9000,
     "Basic " + base64.b64encode(b"\xff\xfe:x").decode(), TOKEN],
    ids=range(8),
)  # fmt: skip
def test_other_headers_are_refused(header: str) -> None:
    with pytest.raises(CredentialUnreadable):
        parse(header)


@given(st.text(max_size=60))
def test_no_header_breaks_the_parser(text: str) -> None:
    try:
        parse(text)
    except Unauthenticated:
        return


def test_secrets_are_not_in_the_repr() -> None:
    assert TOKEN not in repr(TokenCredential(TOKEN))
    assert "hunter22" not in repr(PasswordCredential("me", "hunter22"))
