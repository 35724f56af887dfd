"""Reads what the engine must know of packs and their indexes without inflating anything.

Source: gitformat-pack(5): pack header, and index version 2 (fan-out, names, checksums, offsets, large offsets).
"""

import heapq
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from cairn.base.errors import Malformed
from cairn.git.types import OID_BYTES, Oid

PACK_HEADER_BYTES = 12

_INDEX_MAGIC = b"\xfftOc\x00\x00\x00\x02"
_FANOUT_AT = len(_INDEX_MAGIC)
_NAMES_AT = _FANOUT_AT + 256 * 4
_LARGE_OFFSET = 1 << 31


class PackCorrupt(Malformed):
    """Bytes that should be a pack or a pack index are not."""


def read_pack_header(header: bytes) -> tuple[int, int]:
    """Return (version, number of objects) from the first 12 bytes of a pack; PackCorrupt for anything else."""
    if len(header) < PACK_HEADER_BYTES:
        raise PackCorrupt(f"the pack ended after {len(header)} bytes; push again")
    magic, version, objects = struct.unpack_from(">4sII", header)
    if magic != b"PACK":
        raise PackCorrupt("what was sent in place of a pack does not start with PACK")
    if version not in {2, 3}:
        raise PackCorrupt(f"the pack has version {version}; 2 and 3 are supported")
    return version, objects


class PackIndex:
    """A pack index of version 2, mapped into memory; a context manager."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self._data = data
        if data[:_FANOUT_AT] != _INDEX_MAGIC or len(data) < _NAMES_AT + 2 * OID_BYTES:
            raise PackCorrupt(f"{path.name} is no pack index of version 2")
        self._fanout: tuple[int, ...] = struct.unpack_from(">256I", data, _FANOUT_AT)
        self._count = self._fanout[255]
        self._offsets_at = _NAMES_AT + self._count * (OID_BYTES + 4)
        self._large_at = self._offsets_at + self._count * 4
        large_bytes = len(data) - 2 * OID_BYTES - self._large_at
        if (
            large_bytes < 0
            or large_bytes % 8
            or any(a > b for a, b in zip(self._fanout, self._fanout[1:], strict=False))
        ):
            raise PackCorrupt(f"{path.name} has a wrong size for {self._count:,} objects")

    @classmethod
    def open(cls, path: Path) -> "PackIndex":
        """Map the index at ``path``; PackCorrupt if it is none."""
        with path.open("rb") as file:
            try:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError:
                raise PackCorrupt(f"{path.name} is empty") from None
        try:
            return cls(data, path)
        except PackCorrupt:
            data.close()
            raise

    def __enter__(self) -> "PackIndex":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Unmap the index."""
        self._data.close()

    def __len__(self) -> int:
        return self._count

    def __contains__(self, oid: Oid) -> bool:
        return self.position(bytes.fromhex(oid)) is not None

    @property
    def pack_checksum(self) -> str:
        """The checksum at the end of the pack this index belongs to, in hex."""
        return self._data[-2 * OID_BYTES : -OID_BYTES].hex()

    def oids(self) -> Iterator[Oid]:
        """Yield every object id in ascending order."""
        for position in range(self._count):
            yield self.oid_at(position)

    def oid_at(self, position: int) -> Oid:
        """Return the object id with this rank."""
        return Oid(self._name(position).hex())

    def position(self, raw: bytes) -> int | None:
        """Return the rank of an object id given as 20 bytes, or None if the pack does not hold it."""
        first = raw[0]
        low = self._fanout[first - 1] if first else 0
        high = self._fanout[first]
        while low < high:
            middle = (low + high) // 2
            name = self._name(middle)
            if name == raw:
                return middle
            if name < raw:
                low = middle + 1
            else:
                high = middle
        return None

    def offset_at(self, position: int) -> int:
        """Return where in the pack the object with this rank starts, in bytes."""
        (offset,) = struct.unpack_from(">I", self._data, self._offsets_at + 4 * position)
        if offset < _LARGE_OFFSET:
            return int(offset)
        at = self._large_at + 8 * (offset - _LARGE_OFFSET)
        if at + 8 > len(self._data) - 2 * OID_BYTES:
            raise PackCorrupt("a pack index names a large offset it does not have")
        (large,) = struct.unpack_from(">Q", self._data, at)
        return int(large)

    def oids_by_offset(self) -> list[Oid]:
        """Return every object id in the order of the pack."""
        return [self.oid_at(position) for position in sorted(range(self._count), key=self.offset_at)]

    def last_oids(self, count: int) -> tuple[Oid, ...]:
        """Return the ``count`` objects that stand last in the pack: what ``index-pack --fix-thin`` appended."""
        last = heapq.nlargest(count, range(self._count), key=self.offset_at) if count else []
        return tuple(self.oid_at(position) for position in last)

    def _name(self, position: int) -> bytes:
        at = _NAMES_AT + position * OID_BYTES
        return self._data[at : at + OID_BYTES]
