"""Protocol v2's ``object-info``: the sizes of objects without the objects. Source: gitprotocol-v2(5).

A reader learns the size of what a root of the last 14 days reaches, and of nothing else: any other id gets the answer
of one that does not exist.
"""

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path

from cairn.git.pktline import ProtocolError, encode_lines
from cairn.git.reading import open_repository
from cairn.git.types import Oid, is_oid, show

OIDS_MAX = 10_000
"""Ids of one request."""


class InfoRefused(ProtocolError):
    """A question that this server does not answer; the client shows the message."""


def parse_object_info(arguments: Sequence[bytes]) -> list[Oid]:
    """Return the ids that are asked for, in their order; InfoRefused names what is not offered."""
    oids: list[Oid] = []
    for line in arguments:
        word, _, value = line.partition(b" ")
        text = value.decode("latin-1")
        if word == b"oid" and is_oid(text):
            oids.append(Oid(text))
        elif line != b"size":
            raise InfoRefused(f"object-info has no argument {show(line[:100])!r}")
    if b"size" not in arguments:
        raise InfoRefused("object-info tells sizes only; ask for size")
    if len(oids) > OIDS_MAX:
        raise InfoRefused(f"object-info answers at most {OIDS_MAX:,} ids at a time; ask in parts")
    return oids


async def answer_object_info(git_dir: Path, oids: Sequence[Oid], *, hidden: Collection[Oid]) -> bytes:
    """Return the answer: each id with its size in bytes; nothing after an id that is absent or ``hidden``."""
    return await asyncio.to_thread(_answer, git_dir, oids, hidden)


def _answer(git_dir: Path, oids: Sequence[Oid], hidden: Collection[Oid]) -> bytes:
    repository = open_repository(git_dir)
    lines = [b"size"]
    for oid in oids:
        size = b""
        if oid not in hidden and oid in repository:
            size = b"%d" % repository.odb.read_header(oid)[1]
        lines.append(b"%b %b" % (oid.encode("ascii"), size))
    return encode_lines(lines)
