"""Credentials as they arrive: read from an Authorization header or proven by SSH, not yet believed."""

import base64
import binascii
from dataclasses import dataclass, field

from cairn.base.errors import Unauthenticated
from cairn.identity.token_format import looks_like_token

HEADER_LENGTH_MAX = 8192


@dataclass(frozen=True, slots=True)
class TokenCredential:
    """A personal token."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PasswordCredential:
    """A login or e-mail address and its password; ``address`` is where the attempt comes from."""

    name: str
    password: str = field(repr=False)
    address: str = ""


@dataclass(frozen=True, slots=True)
class KeyCredential:
    """The fingerprint of a key whose signature the SSH library has verified."""

    fingerprint: str


Credential = TokenCredential | PasswordCredential | KeyCredential


class CredentialUnreadable(Unauthenticated):
    """The Authorization header has no form that Cairn knows."""


def parse_authorization(header: str | None, *, address: str) -> TokenCredential | PasswordCredential | None:
    """Return what an Authorization header carries; None without a header.

    ``Bearer X`` and ``token X`` carry a token. ``Basic`` carries a token as the password of any name, a token as the
    name with an empty password or ``x-oauth-basic``, or a name and its password. ``address`` is the client's.
    Errors: CredentialUnreadable.
    """
    if header is None or not header.strip():
        return None
    if len(header) > HEADER_LENGTH_MAX:
        raise CredentialUnreadable("The Authorization header is too long.")
    scheme, _, rest = header.strip().partition(" ")
    rest = rest.strip()
    match scheme.lower():
        case "bearer" | "token" if rest:
            return TokenCredential(rest)
        case "basic" if rest:
            return _parse_basic(rest, address)
        case _:
            raise CredentialUnreadable("The Authorization header must be Basic, Bearer or token.")


def _parse_basic(encoded: str, address: str) -> TokenCredential | PasswordCredential:
    try:
        decoded = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise CredentialUnreadable("The Basic credentials are no base64 of UTF-8 text.") from None
    name, separator, password = decoded.partition(":")
    if not separator:
        raise CredentialUnreadable("The Basic credentials have no colon.")
    if looks_like_token(password):
        return TokenCredential(password)
    if looks_like_token(name) and password in {"", "x-oauth-basic"}:
        return TokenCredential(name)
    return PasswordCredential(name, password, address)
