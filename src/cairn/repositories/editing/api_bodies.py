"""What the operations that write have in common: who wrote it, ids, content in base64, errors that name the field."""

import base64
import binascii
import re
from datetime import datetime

import msgspec

from cairn.base.clock import parse_moment
from cairn.base.errors import FieldProblem, Invalid
from cairn.git.types import Oid, Signature, is_oid

_BLANKS = re.compile(r"\s+")


class FieldInvalid(Invalid):
    """A field of a body has a value that means nothing."""

    def __init__(self, field: str, message: str, *, code: str = "invalid") -> None:
        super().__init__(f"Invalid request.\n\n{message}", FieldProblem(field, code, message))


class PersonSent(msgspec.Struct):
    """An author, committer or tagger of a body."""

    name: str
    email: str
    date: str | None = None


def signature_of(person: PersonSent, field: str, *, now: datetime) -> Signature:
    """Return who and when, in whole seconds with the zone they gave; FieldInvalid for a time that is none."""
    at = now
    if person.date is not None:
        try:
            at = parse_moment(person.date)
        except ValueError:
            raise FieldInvalid(
                f"{field}.date", f"{person.date[:50]!r} is no time such as 2024-01-02T03:04:05Z."
            ) from None
    if not person.email.strip():
        raise FieldInvalid(f"{field}.email", f"{field} has no email.")
    return Signature(person.name, person.email, at.replace(microsecond=0))


def oid_of(text: str, field: str) -> Oid:
    """Return an object id of a body, in any case; FieldInvalid."""
    oid = text.strip().lower()
    if not is_oid(oid):
        raise FieldInvalid(field, f"{text[:60]!r} is not an object id (40 hex digits).")
    return Oid(oid)


def base64_of(text: str, field: str = "content") -> bytes:
    """Return what base64 says, with or without line ends; FieldInvalid."""
    try:
        return base64.b64decode(_BLANKS.sub("", text), validate=True)
    except (binascii.Error, ValueError):
        raise FieldInvalid(field, f"{field} is not valid Base64.") from None


def missing(field: str) -> FieldInvalid:
    """Return the error for a field that was not sent, in GitHub's words."""
    return FieldInvalid(field, f'"{field}" wasn\'t supplied.', code="missing_field")
