"""Commits and tags as whoever signed them saw them: what was signed, the signature, and whose address stands in it.

Nothing is verified here: the engine knows no keys. Source: parse_signed_commit and parse_signature of git.
"""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass

import pygit2
from pygit2.enums import ObjectType

from cairn.base.settings import MIB
from cairn.git.armor import signature_start
from cairn.git.history import Objects
from cairn.git.reading import open_repository
from cairn.git.types import Oid

SIGNED_BYTES_MAX = MIB
"""Larger commits and tags are not looked into."""

_IDENT = re.compile(rb"[^<>\n]*<([^<>\n]*)>[^<>\n]*")


@dataclass(frozen=True, slots=True)
class SignedObject:
    """A commit or tag taken apart. ``signature`` is None where there is none; ``email`` is the committer's or tagger's.

    ``is_whole`` False: the object is too large to be looked into, and nothing else is known. ``is_sound`` False: it has
    several signatures or no one committer, so that nobody can say what was signed.
    """

    oid: Oid
    payload: bytes = b""
    signature: bytes | None = None
    email: str = ""
    is_whole: bool = True
    is_sound: bool = True


async def read_signed_objects(objects: Objects, oids: Iterable[Oid]) -> dict[Oid, SignedObject]:
    """Return the commits and annotated tags among ``oids``, taken apart; other kinds and absent ids are left out.

    Their reachability is proved by the caller.
    """
    return await asyncio.to_thread(_read_all, objects, list(dict.fromkeys(oids)))


def _read_all(objects: Objects, oids: list[Oid]) -> dict[Oid, SignedObject]:
    repository = open_repository(objects.git_dir, alternates=objects.alternates)
    found: dict[Oid, SignedObject] = {}
    try:
        for oid in oids:
            one = _read(repository, oid)
            if one is not None:
                found[oid] = one
    finally:
        repository.free()
    return found


def _read(repository: pygit2.Repository, oid: Oid) -> SignedObject | None:
    try:
        kind, size = repository.odb.read_header(oid)
    except KeyError:
        return None
    if ObjectType(kind) not in {ObjectType.COMMIT, ObjectType.TAG}:
        return None
    if int(size) > SIGNED_BYTES_MAX:
        return SignedObject(oid, is_whole=False)
    _, raw = repository.odb.read(oid)
    return take_commit_apart(oid, raw) if ObjectType(kind) is ObjectType.COMMIT else take_tag_apart(oid, raw)


def take_commit_apart(oid: Oid, raw: bytes) -> SignedObject:
    """Return a commit without its ``gpgsig`` header, and what stood in that."""
    head, blank, message = raw.partition(b"\n\n")
    kept: list[bytes] = []
    signatures: list[list[bytes]] = []
    into: list[bytes] | None = kept
    for line in head.split(b"\n"):
        if line.startswith(b" "):
            if into is not None:
                into.append(line if into is kept else line[1:])
        elif line.startswith(b"gpgsig "):
            into = [line.removeprefix(b"gpgsig ")]
            signatures.append(into)
        elif line.startswith(b"gpgsig"):
            into = None  # the signature of the same commit in another hash: git leaves it out as well
        else:
            into = kept
            kept.append(line)
    email, is_sound = _one_address(kept, b"committer ")
    return SignedObject(
        oid,
        b"\n".join(kept) + blank + message,
        b"\n".join(signatures[0]) + b"\n" if signatures else None,
        email,
        is_sound=is_sound and len(signatures) <= 1,
    )


def take_tag_apart(oid: Oid, raw: bytes) -> SignedObject:
    """Return a tag up to the signature at its end, and that."""
    head, _, message = raw.partition(b"\n\n")
    email, is_sound = _one_address(head.split(b"\n"), b"tagger ")
    start = len(raw) - len(message) + signature_start(message)
    if start == len(raw):
        return SignedObject(oid, raw, None, email)
    return SignedObject(oid, raw[:start], raw[start:], email, is_sound=is_sound)


def _one_address(lines: list[bytes], word: bytes) -> tuple[str, bool]:
    """Return the address of the one line that begins with ``word``; "" and False unless there is just one."""
    idents = [line.removeprefix(word) for line in lines if line.startswith(word)]
    match = _IDENT.fullmatch(idents[0]) if len(idents) == 1 else None
    return ("", False) if match is None else (match[1].decode("utf-8", "replace"), True)
