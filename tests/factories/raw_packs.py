"""Packs written by hand, to send what stock git would not write."""

import hashlib
import zlib
from collections.abc import Sequence

from cairn.git.types import Oid

COMMIT, TREE, BLOB, TAG = 1, 2, 3, 4
_REF_DELTA = 7


def object_id(kind: str, content: bytes) -> Oid:
    """Return the id git gives an object."""
    return Oid(hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest())


def whole(kind: int, content: bytes) -> bytes:
    """Return an object as it stands in a pack."""
    return _head(kind, len(content)) + zlib.compress(content)


def ref_delta(base: Oid, base_bytes: int, result: bytes) -> bytes:
    """Return a delta against an object of ``base_bytes`` that unfolds to ``result`` (at most 127 bytes)."""
    delta = _varint(base_bytes) + _varint(len(result)) + bytes([len(result)]) + result
    return _head(_REF_DELTA, len(delta)) + bytes.fromhex(base) + zlib.compress(delta)


def raw_pack(objects: Sequence[bytes]) -> bytes:
    """Return a pack of objects as ``whole`` and ``ref_delta`` make them."""
    body = b"PACK\0\0\0\2" + len(objects).to_bytes(4, "big") + b"".join(objects)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def _head(kind: int, size: int) -> bytes:
    rest = size >> 4
    first = (kind << 4) | (size & 15)
    return bytes([first | 0x80]) + _varint(rest) if rest else bytes([first])


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    return bytes([*out, number])
