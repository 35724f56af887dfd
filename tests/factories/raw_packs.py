"""Packs written by hand, to send what stock git would not write."""

import hashlib
import zlib
from collections.abc import Sequence

from cairn.git.types import Oid

COMMIT, TREE, BLOB, TAG = 1, 2, 3, 4
_OFS_DELTA, _REF_DELTA = 6, 7
_COPY_BYTES_MAX = 0xFFFFFF


def object_id(kind: str, content: bytes) -> Oid:
    """Return the id git gives an object."""
    return Oid(hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest())


def whole(kind: int, content: bytes) -> bytes:
    """Return an object as it stands in a pack."""
    return _head(kind, len(content)) + zlib.compress(content)


def zeros(kind: int, head: bytes, count: int) -> tuple[Oid, bytes]:
    """Return the id of an object of ``head`` and so many spaces (zeros in a blob), and how it stands in a pack."""
    size = len(head) + count
    name = {COMMIT: "commit", TREE: "tree", BLOB: "blob", TAG: "tag"}[kind]
    digest = hashlib.sha1(f"{name} {size}\0".encode() + head, usedforsecurity=False)
    squeezed = zlib.compressobj()
    packed = [squeezed.compress(head)]
    piece = (b"\0" if kind == BLOB else b" ") * (1 << 20)
    for start in range(0, count, len(piece)):
        part = piece[: count - start]
        digest.update(part)
        packed.append(squeezed.compress(part))
    return Oid(digest.hexdigest()), b"".join([_head(kind, size), *packed, squeezed.flush()])


def copying_delta(distance: int, base_bytes: int, times: int, extra: bytes = b"") -> tuple[int, bytes]:
    """Return the size of an object that is its base so often, and ``extra``, and how it stands in a pack.

    The base has ``base_bytes`` and begins so many bytes before this object.
    """
    copies = b""
    for start in range(0, base_bytes, _COPY_BYTES_MAX):
        size = min(_COPY_BYTES_MAX, base_bytes - start)
        copies += b"\xff" + start.to_bytes(4, "little") + size.to_bytes(3, "little")
    result = times * base_bytes + len(extra)
    insert = bytes([len(extra)]) + extra if extra else b""
    delta = _varint(base_bytes) + _varint(result) + times * copies + insert
    return result, _head(_OFS_DELTA, len(delta)) + _distance(distance) + zlib.compress(delta)


def ref_delta(base: Oid, base_bytes: int, result: bytes) -> bytes:
    """Return a delta against an object of ``base_bytes`` that unfolds to ``result`` (at most 127 bytes)."""
    delta = _varint(base_bytes) + _varint(len(result)) + bytes([len(result)]) + result
    return _head(_REF_DELTA, len(delta)) + bytes.fromhex(base) + zlib.compress(delta)


def raw_pack(objects: Sequence[bytes], *, claimed: int | None = None) -> bytes:
    """Return a pack of objects as ``whole`` and its like make them; its first line may claim another number."""
    count = len(objects) if claimed is None else claimed
    body = b"PACK\0\0\0\2" + count.to_bytes(4, "big") + b"".join(objects)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def _head(kind: int, size: int) -> bytes:
    rest = size >> 4
    first = (kind << 4) | (size & 15)
    return bytes([first | 0x80]) + _varint(rest) if rest else bytes([first])


def _distance(number: int) -> bytes:
    out = [number & 0x7F]
    while number := number >> 7:
        number -= 1
        out.append(0x80 | (number & 0x7F))
    return bytes(reversed(out))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    return bytes([*out, number])
