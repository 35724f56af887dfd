"""What is taken for a secret and what is not."""

import base64
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.identity.token_format import make_token
from cairn.repositories.rules.secret_kinds import BUILTIN, SecretPatterns
from cairn.repositories.rules.types import CustomSecret

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PATTERNS = SecretPatterns(builtin=True, custom=())


def checked(prefix: str, body: str) -> str:
    """Return a token whose last six characters are the CRC-32 of what is between, in base62."""
    number, found = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        found = DIGITS[digit] + found
    return prefix + body + found


HEX = "0123456789abcdef"
BODY = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1"
MACAROON = b"\x02\x01\x08index.test\x00" + bytes(range(70))
# Written so that no scanner takes this file for a leak.
SECRETS = {
    "Cairn token": make_token(),
    "GitHub token": checked("gh" + "p_", BODY),
    "GitHub fine-grained token": "github" + "_pat_" + BODY[:22] + "_" + (BODY * 2)[:59],
    "GitLab token": "gl" + "pat-" + BODY[:20],
    "AWS access key": "AK" + "IA" + "QWERTY234567ABCD",
    "AWS secret access key": "aws_secret_access_key = " + "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "9q8w7e6r5t",
    "Slack token": "xox" + "b-123456789012-1234567890123-" + BODY[:24],
    "Slack app token": "xa" + "pp-1-A012345678-1234567890123-" + HEX * 4,
    "Slack webhook": "https://hooks" + ".slack.com/services/T01234567/B01234567/" + BODY[:24],
    "Stripe key": "sk" + "_live_" + BODY[:24],
    "Google API key": "AI" + "za" + (BODY * 2)[:35],
    "Google OAuth secret": "GOC" + "SPX-" + BODY[:28],
    "npm token": checked("np" + "m_", BODY),
    "PyPI token": "py" + "pi-" + base64.urlsafe_b64encode(MACAROON).decode().strip("="),
    "Docker token": "dckr" + "_pat_" + BODY[:27],
    "DigitalOcean token": "do" + "p_v1_" + HEX * 4,
    "SendGrid key": "S" + "G." + BODY[:22] + "." + (BODY * 2)[:43],
    "Shopify token": "shp" + "at_" + HEX * 2,
    "Telegram bot token": "123456789:" + "AA" + (BODY * 2)[:33],
    "Azure storage key": "Account" + "Key=" + (BODY * 3)[:86] + "==",
    "age secret key": "AGE-SECRET" + "-KEY-1" + ("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L" * 2)[:58],
    "private key": "-----BEGIN" + " RSA PRIVATE KEY-----\n" + (BODY * 3)[:64] + "\n-----END RSA PRIVATE KEY-----",
    "PuTTY private key": "PuTTY-User" + "-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-MAC: 00",
}  # fmt: skip


def test_every_kind_has_an_example_here() -> None:
    assert list(SECRETS) == [kind.name for kind in BUILTIN]


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_found_by_its_kind_and_masked(name: str) -> None:
    text = f"before\nkey: '{SECRETS[name]}'\nafter"
    [found] = PATTERNS.find(text.encode())
    assert found.kind == name
    shown = found.masked.partition("…")[0]
    assert len(shown) <= 24
    assert SECRETS[name][len(shown) + 8 :] not in found.masked
    assert re.fullmatch("[0-9a-f]{16}", found.fingerprint)


@pytest.mark.parametrize(
    "text",
    [
        SECRETS["Cairn token"][:-1] + ("0" if SECRETS["Cairn token"][-1] != "0" else "1"),
        SECRETS["GitHub token"][:-1] + ("0" if SECRETS["GitHub token"][-1] != "0" else "1"),
        "x" + SECRETS["GitHub token"],
        SECRETS["GitHub token"] + "x",
        "AK" + "IAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = " + "a" * 40,
        "if line == '-----BEGIN RSA PRIVATE KEY-----': read the key, and so on and so on until the end",
        "-----BEGIN" + " PUBLIC KEY-----\n" + "A" * 64,
        "py" + "pi-" + "A" * 90,
    ],
    ids=range(9),
)
def test_a_look_alike_is_let_alone(text: str) -> None:
    assert PATTERNS.find(text.encode()) == []


def test_keys_of_one_kind_that_begin_alike_have_different_fingerprints() -> None:
    head = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz\n"
    tail = "\n-----END OPENSSH PRIVATE KEY-----\n"
    one, two = (PATTERNS.find((head + body * 60 + tail).encode())[0] for body in "AB")
    assert one.fingerprint != two.fingerprint


def test_many_look_alikes_hide_no_secret_behind_them() -> None:
    text = "\n".join(["ghp_" + "0" * 36] * 5000 + [SECRETS["GitHub token"]])
    assert [one.kind for one in PATTERNS.find(text.encode())] == ["GitHub token"]


def test_patterns_of_ones_own_show_nothing_of_what_they_found() -> None:
    own = SecretPatterns(builtin=False, custom=[CustomSecret("PIN of the safe", "pin[0-9]{4}")])
    [found] = own.find(b"a pin1234 b")
    assert (found.kind, found.start, found.masked) == ("PIN of the safe", 2, "… (7 bytes)")
    allowing = SecretPatterns(
        builtin=False, custom=[CustomSecret("PIN of the safe", "pin[0-9]{4}")], allowed_fingerprints=[found.fingerprint]
    )
    assert [one.start for one in allowing.find(b"a pin1234 b pin1235")] == [12]


@given(st.binary(max_size=300))
def test_no_bytes_make_the_search_fail(data: bytes) -> None:
    PATTERNS.find(data + b"ghp_" + data)
