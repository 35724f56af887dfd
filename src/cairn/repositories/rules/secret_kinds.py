"""What secrets look like: well-known tokens, with their checksums where they have one, and keys.

Each is one RE2 expression over bytes and, where the form says more than an expression can, a test of what it found.
Sources: what the issuers publish about the forms of their tokens.
"""

import base64
import binascii
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from cairn.base.linear_regex import LinearRegex
from cairn.identity.token_format import TOKEN_PREFIX, is_well_formed_token
from cairn.repositories.rules.new_commits import TooMuchToExamine
from cairn.repositories.rules.types import CustomSecret, SecretsParameters

SECRET_BYTES_MAX = 4096
"""What of a secret that begins somewhere is looked at, and goes into its fingerprint."""

FOUND_AT_ONCE_MAX = 100
"""Secrets of one text that are told by each expression; there may be more."""

MATCHES_MAX = 100_000
"""Places of one text where an expression may match: what matches nearly everywhere finds no secrets."""

_ENTROPY_BITS_MIN = 3.5
"""A random 40-character key has about 4.8 bits a character; a word or a placeholder less."""


@dataclass(frozen=True, slots=True)
class SecretKind:
    """A kind of secret; ``shown`` are the first characters that a refusal may show, the same for all of its kind."""

    name: str
    pattern: bytes
    shown: int = 0
    test: Callable[[bytes], bool] = lambda found: True
    ends: bytes = b""
    """What ends one that the expression finds the beginning of."""


def _github(found: bytes) -> bool:
    """GitHub's tokens end in the CRC-32 of what stands between, written as ours is."""
    body = found.rpartition(b"_")[2].decode("ascii")
    return is_well_formed_token(TOKEN_PREFIX + body)


def _cairn(found: bytes) -> bool:
    return is_well_formed_token(found.decode("ascii"))


def _aws_id(found: bytes) -> bool:
    return not found.endswith(b"EXAMPLE")


def _aws_secret(found: bytes) -> bool:
    key = found.rstrip(b"'\"")[-40:]
    return not key.endswith(b"EXAMPLEKEY") and _is_random(key)


def _base64_of(prefix: bytes) -> Callable[[bytes], bool]:
    def test(found: bytes) -> bool:
        body = found.partition(b"-")[2]
        try:
            return base64.urlsafe_b64decode(body[: len(body) // 4 * 4]).startswith(prefix)
        except (binascii.Error, ValueError):
            return False

    return test


def _is_random(text: bytes) -> bool:
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts) >= _ENTROPY_BITS_MIN


BUILTIN = (
    SecretKind("Cairn token", rb"\bcrn_[0-9A-Za-z]{36}\b", 4, _cairn),
    SecretKind("GitHub token", rb"\bgh[pousr]_[0-9A-Za-z]{36}\b", 4, _github),
    SecretKind("GitHub fine-grained token", rb"\bgithub_pat_[0-9A-Za-z]{22}_[0-9A-Za-z]{59}\b", 11),
    SecretKind("GitLab token", rb"\bgl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat)-[0-9A-Za-z_.-]{20,300}", 6),
    SecretKind("AWS access key", rb"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b", 4, _aws_id),
    SecretKind(
        "AWS secret access key",
        rb"(?i:aws|amazon)[^\n]{0,60}?(?i:secret|key)[^\n]{0,30}?[=:'\" \t]['\"]?[0-9A-Za-z/+]{40}(?:['\"]|\b)",
        0,
        _aws_secret,
    ),
    SecretKind("Slack token", rb"\bxox[abeoprs]-[0-9A-Za-z-]{20,250}", 5),
    SecretKind("Slack app token", rb"\bxapp-[0-9]-[0-9A-Z]{8,20}-[0-9]{8,20}-[0-9a-f]{32,80}\b", 5),
    SecretKind(
        "Slack webhook", rb"https://hooks\.slack\.com/(?:services|workflows)/T[0-9A-Z]{6,20}/[0-9A-Za-z/]{20,120}", 24
    ),
    SecretKind("Stripe key", rb"\b[sr]k_live_[0-9A-Za-z]{16,250}\b", 8),
    SecretKind("Google API key", rb"\bAIza[0-9A-Za-z_-]{35}", 4),
    SecretKind("Google OAuth secret", rb"\bGOCSPX-[0-9A-Za-z_-]{28}", 7),
    SecretKind("npm token", rb"\bnpm_[0-9A-Za-z]{36}\b", 4, _github),
    SecretKind("PyPI token", rb"\bpypi-[0-9A-Za-z_-]{80,500}", 5, _base64_of(b"\x02\x01")),
    SecretKind("Docker token", rb"\bdckr_(?:pat|oat)_[0-9A-Za-z_-]{20,60}", 9),
    SecretKind("DigitalOcean token", rb"\bdo[opr]_v1_[0-9a-f]{64}\b", 7),
    SecretKind("SendGrid key", rb"\bSG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}", 3),
    SecretKind("Shopify token", rb"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b", 6),
    SecretKind("Telegram bot token", rb"\b[0-9]{8,10}:AA[0-9A-Za-z_-]{33}\b"),
    SecretKind("Azure storage key", rb"\bAccountKey=[0-9A-Za-z+/]{86}==", 11),
    SecretKind("age secret key", rb"\bAGE-SECRET-KEY-1[0-9A-Z]{58}\b", 16),
    # The head alone stands in many a program that reads keys: what follows must look like one.
    SecretKind(
        "private key",
        rb"-----BEGIN (?:RSA |EC |DSA |OPENSSH |PGP )?PRIVATE KEY(?: BLOCK)?-----"
        rb"(?:\\[nr]|[^0-9A-Za-z+/]|[\r\n][A-Z][0-9A-Za-z-]{1,20}: [^\r\n]{0,120}){1,8}[0-9A-Za-z+/=]{30}",
        10,
        ends=b"-----END",
    ),
    SecretKind("PuTTY private key", rb"\bPuTTY-User-Key-File-[23]: [^\r\n]{3,40}\r?\n", 19, ends=b"Private-MAC:"),
)


_UNNAMED = SecretKind("secret", b"")


@dataclass(frozen=True, slots=True)
class FoundSecret:
    """A secret in a text: where it begins and what it is; ``masked`` may be shown to anybody."""

    start: int
    kind: str
    masked: str
    fingerprint: str


class SecretPatterns:
    """What one rule looks for, compiled: all well-known kinds in one pass, each of one's own in another."""

    def __init__(
        self, *, builtin: bool, custom: Sequence[CustomSecret], allowed_fingerprints: Collection[str] = ()
    ) -> None:
        self._allowed = frozenset(allowed_fingerprints)
        self._passes: list[tuple[LinearRegex, Sequence[tuple[SecretKind, LinearRegex]]]] = []
        if builtin:
            kinds = [(kind, _bytewise(kind.pattern)) for kind in BUILTIN]
            self._passes.append((_bytewise(b"|".join(b"(?:" + kind.pattern + b")" for kind in BUILTIN)), kinds))
        for one in custom:
            compiled = LinearRegex(one.pattern.encode("utf-8", "surrogatepass"))
            self._passes.append((compiled, [(SecretKind(one.name, b""), compiled)]))

    def find(self, text: bytes, *, since: int = 0) -> list[FoundSecret]:
        """Return the secrets that begin at ``since`` or behind it and are not allowed, by their places: the first
        FOUND_AT_ONCE_MAX at least. Look-alikes hide nothing behind them. Errors: TooMuchToExamine.
        """
        found: list[FoundSecret] = []
        for anything, kinds in self._passes:
            found += islice(self._of_pass(text, since, anything, kinds), FOUND_AT_ONCE_MAX)
        return sorted(found, key=lambda one: one.start)

    def _of_pass(
        self, text: bytes, since: int, anything: LinearRegex, kinds: Sequence[tuple[SecretKind, LinearRegex]]
    ) -> Iterator[FoundSecret]:
        spans = anything.spans(text, most=MATCHES_MAX + 1)
        for start, end in spans[:MATCHES_MAX]:
            if start < since:
                continue
            kind = next((one for one, regex in kinds if regex.matches(text[start:end])), _UNNAMED)
            if kind.test(text[start:end]) and (one := _found(kind, text, start, end)).fingerprint not in self._allowed:
                yield one
        if len(spans) > MATCHES_MAX:
            names = ", ".join(kind.name for kind, _ in kinds[:3])
            raise TooMuchToExamine(f"the secret patterns ({names}) match in more than {MATCHES_MAX:,} places of a file")


def _bytewise(pattern: bytes) -> LinearRegex:
    return LinearRegex(pattern, spans_lines=True, is_bytewise=True)


def _found(kind: SecretKind, text: bytes, start: int, end: int) -> FoundSecret:
    if kind.ends:
        stop = text.find(kind.ends, end, start + SECRET_BYTES_MAX)
        end = min(start + SECRET_BYTES_MAX, len(text)) if stop < 0 else stop
    secret = text[start:end]
    digest = hashlib.sha256(kind.name.encode() + b"\0" + secret).hexdigest()[:16]
    shown = secret[: kind.shown].decode("ascii", "replace")
    return FoundSecret(start, kind.name, f"{shown}… ({end - start:,} bytes)", digest)


@lru_cache(maxsize=100)
def patterns_of(parameters: SecretsParameters) -> SecretPatterns:
    """Return what a rule looks for, compiled once."""
    return SecretPatterns(
        builtin=parameters.builtin,
        custom=parameters.custom,
        allowed_fingerprints=parameters.allowed_fingerprints,
    )
