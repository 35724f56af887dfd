"""The words of git that every module of the engine shares: object ids, ref names, kinds, signatures."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NewType

from cairn.base.errors import Invalid

Oid = NewType("Oid", str)
"""Forty lower-case hex digits; made by ``parse_oid`` or by git itself."""

RefName = bytes
"""A full ref name (``refs/heads/main``): bytes, because git promises no encoding."""

ZERO_OID = Oid("0" * 40)
OID_BYTES = 20

_OID = re.compile(r"[0-9a-f]{40}")


class OidInvalid(Invalid):
    """A text that should name an object is not 40 lower-case hex digits."""


class ObjectKind(Enum):
    """The four kinds of object; values are git's own words."""

    COMMIT = "commit"
    TREE = "tree"
    BLOB = "blob"
    TAG = "tag"


@dataclass(frozen=True, slots=True)
class Signature:
    """Who and when, as a commit or tag says it: ``at`` is aware and keeps the author's own UTC offset.

    Names are text for people: bytes that are no UTF-8 were replaced when read.
    """

    name: str
    email: str
    at: datetime

    def __post_init__(self) -> None:
        assert self.at.tzinfo is not None, "a signature's time is aware"


def parse_oid(text: str) -> Oid:
    """Return ``text`` as an object id; OidInvalid names what is not 40 lower-case hex digits."""
    if not _OID.fullmatch(text):
        raise OidInvalid(f"{text[:100]!r} is not an object id (40 lower-case hex digits)")
    return Oid(text)


def is_oid(text: str) -> bool:
    """Tell whether ``text`` has the form of an object id."""
    return _OID.fullmatch(text) is not None


def show(raw: bytes) -> str:
    """Return a ref name or path as text for a message: UTF-8, other bytes and controls escaped."""
    text = raw.decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
