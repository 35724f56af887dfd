"""What an LFS client asks for: addresses below ``info/lfs``, bodies, ranges; and the answers' shapes.

Source: git-lfs's docs/api (batch.md, basic-transfers.md, locking.md).
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from cairn.base.errors import Invalid, Malformed
from cairn.lfs.locks import Lock, LockPage
from cairn.lfs.words import Operation

MEDIA_TYPE = b"application/vnd.git-lfs+json"
OBJECTS_MAX = 1000
"""Objects of one batch; git-lfs asks for 100 at a time."""
BODY_BYTES_MAX = 1 << 20

Oid = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Size = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class LfsPart(StrEnum):
    """What an address below ``info/lfs`` is for; values are its template."""

    BATCH = "objects/batch"
    OBJECT = "objects/{oid}"
    VERIFY = "objects/{oid}/verify"
    LOCKS = "locks"
    VERIFY_LOCKS = "locks/verify"
    UNLOCK = "locks/{id}/unlock"
    UNKNOWN = "(unknown)"


@dataclass(frozen=True, slots=True)
class LfsAddress:
    """An address that belongs to LFS. ``name`` is as written; ``id`` an object's or a lock's."""

    owner: str
    name: str
    part: LfsPart
    id: str = ""


_ADDRESS = re.compile(r"/([^/]+)/([^/]+)/info/lfs(?:/(.*))?")
_PARTS: tuple[tuple[LfsPart, "re.Pattern[str]"], ...] = (
    (LfsPart.BATCH, re.compile("objects/batch()")),
    (LfsPart.OBJECT, re.compile("objects/([0-9a-f]{64})")),
    (LfsPart.VERIFY, re.compile("objects/([0-9a-f]{64})/verify")),
    (LfsPart.LOCKS, re.compile("locks()")),
    (LfsPart.VERIFY_LOCKS, re.compile("locks/verify()")),
    (LfsPart.UNLOCK, re.compile("locks/([0-9a-f]{32})/unlock")),
)
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{0,18})")


def parse_lfs_address(path: str) -> LfsAddress | None:
    """Return what a path asks for, None if it is not LFS's."""
    if "/info/lfs" not in path:
        return None
    match = _ADDRESS.fullmatch(path)
    if match is None:
        return None
    owner, name, rest = match.groups()
    for part, pattern in _PARTS:
        if found := pattern.fullmatch(rest or ""):
            return LfsAddress(owner, name, part, found[1])
    return LfsAddress(owner, name, LfsPart.UNKNOWN)


class RangeOutside(Invalid):
    """The range that was asked for begins past the object's end."""


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Return the first byte of a Range header and the one after its last; None where the whole object is the answer.

    What is no single range of bytes from a start on is answered with the whole object, as RFC 9110 allows. Errors:
    RangeOutside.
    """
    found = _RANGE.fullmatch(header.replace(" ", ""))
    if found is None:
        return None
    start, end = int(found[1]), int(found[2]) + 1 if found[2] else size
    if start >= size:
        raise RangeOutside(f"the object has {size:,} bytes, and the range begins at {start:,}")
    return None if end <= start else (start, min(end, size))


class RefName(msgspec.Struct):
    """The ref a client works on."""

    name: str = ""


class WantedObject(msgspec.Struct):
    """An object of a batch."""

    oid: Oid
    size: Size


class BatchRequest(msgspec.Struct):
    """What a client wants to transfer. ``ref`` changes nothing: who may push may send objects for every ref."""

    operation: Operation
    objects: Annotated[list[WantedObject], Meta(max_length=OBJECTS_MAX)]
    transfers: list[str] = msgspec.field(default_factory=lambda: ["basic"])
    ref: RefName | None = None
    hash_algo: str = "sha256"


class LockRequest(msgspec.Struct):
    """A path to lock. ``ref`` changes nothing: a lock holds on every branch."""

    path: Annotated[str, Meta(min_length=1)]
    ref: RefName | None = None


class LocksQuestion(msgspec.Struct):
    """Which page of the locks."""

    cursor: str = ""
    limit: Annotated[int, Meta(ge=0)] = 0
    ref: RefName | None = None


class UnlockRequest(msgspec.Struct):
    """How to release a lock."""

    force: bool = False
    ref: RefName | None = None


class LocksQuery(msgspec.Struct):
    """The query of a list of locks; ``refspec`` leaves none out, because a lock holds on every branch."""

    path: str | None = None
    id: str | None = None
    cursor: str = ""
    limit: Annotated[int, Meta(ge=0)] = 0
    refspec: str = ""


class Link(msgspec.Struct, omit_defaults=True):
    """Where a client gets, puts or confirms an object."""

    href: str
    header: dict[str, str] = msgspec.field(default_factory=dict)
    expires_in: int = 0


class ObjectProblem(msgspec.Struct):
    """Why one object of a batch cannot be transferred."""

    code: int
    message: str


class BatchObject(msgspec.Struct, omit_defaults=True):
    """What may be done with one object; neither actions nor an error: the server has it already."""

    oid: str
    size: int
    authenticated: bool = False
    actions: dict[str, Link] = msgspec.field(default_factory=dict)
    error: ObjectProblem | None = None


class BatchAnswer(msgspec.Struct):
    """The answer to a batch."""

    objects: list[BatchObject]
    transfer: str = "basic"
    hash_algo: str = "sha256"


def decode_body(body: bytes, kind: type[msgspec.Struct]) -> msgspec.Struct:
    """Return a body as its request. Errors: Malformed, Invalid with what is wrong."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise Invalid(f"The request is not understood: {error}.") from None
    except msgspec.MsgspecError:
        raise Malformed("Problems parsing JSON") from None


def decode_locks_query(query: bytes) -> LocksQuery:
    """Return the query of a list of locks. Errors: Invalid."""
    try:
        found = dict(parse_qsl(query.decode("ascii"), keep_blank_values=False, max_num_fields=20, errors="strict"))
        return msgspec.convert(found, LocksQuery, strict=False)
    except (ValueError, msgspec.ValidationError) as error:
        raise Invalid(f"The query is not understood: {error}.") from None


def show_lock(lock: Lock) -> dict[str, object]:
    """Return a lock as clients read it."""
    moment = lock.locked_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"id": lock.id, "path": lock.path, "locked_at": moment, "owner": {"name": lock.owner}}


def show_locks(page: LockPage, account_id: int | None) -> dict[str, object]:
    """Return a page of locks, those of an account apart from others'."""
    ours = [show_lock(lock) for lock in page.locks if lock.account_id == account_id]
    theirs = [show_lock(lock) for lock in page.locks if lock.account_id != account_id]
    return {"ours": ours, "theirs": theirs} | _following(page)


def show_all_locks(page: LockPage) -> dict[str, object]:
    """Return a page of locks."""
    return {"locks": [show_lock(lock) for lock in page.locks]} | _following(page)


def _following(page: LockPage) -> dict[str, object]:
    return {"next_cursor": page.next_cursor} if page.next_cursor else {}
