"""Packet lines: the framing of every git conversation.

Source: gitprotocol-common(5) and gitprotocol-v2(5): four hex digits of length including themselves, at most 65,520;
0000 flush, 0001 delimiter, 0002 response end.
"""

from collections.abc import AsyncIterator, Iterable
from enum import Enum

from cairn.base.errors import Malformed, TooLarge
from cairn.git.types import show

FLUSH = b"0000"
DELIM = b"0001"
RESPONSE_END = b"0002"

LINE_BYTES_MAX = 65520
DATA_BYTES_MAX = LINE_BYTES_MAX - 4

_HEX = frozenset(b"0123456789abcdefABCDEF")


class Marker(Enum):
    """A packet that carries no data."""

    FLUSH = 0
    DELIM = 1
    RESPONSE_END = 2


Pkt = bytes | Marker

_MARKERS = {marker.value: marker for marker in Marker}


class Band(Enum):
    """Channels of side-band-64k."""

    DATA = 1
    PROGRESS = 2
    ERROR = 3


class ProtocolError(Malformed):
    """The peer does not speak git's protocol as documented; the message says where."""


class ConversationEnded(ProtocolError):
    """The peer stopped in the middle of a packet or of a list of packets."""


def encode(data: bytes) -> bytes:
    """Return ``data`` as one packet; at most 65,516 bytes fit."""
    assert len(data) <= DATA_BYTES_MAX, "the caller splits what does not fit into one packet"
    return b"%04x%b" % (len(data) + 4, data)


def encode_lines(lines: Iterable[bytes]) -> bytes:
    """Return each line as a packet of its own, followed by a flush."""
    return b"".join(map(encode, lines)) + FLUSH


def side_band(band: Band, data: bytes) -> bytes:
    """Return ``data`` as packets of one channel of side-band-64k; nothing for no data."""
    size = DATA_BYTES_MAX - 1
    if 0 < len(data) <= size:
        return b"%04x%c%b" % (len(data) + 5, band.value, data)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(b"%04x%c%b" % (len(piece) + 5, band.value, piece) for piece in pieces)


def decode(data: bytes, offset: int = 0) -> tuple[Pkt, int] | None:
    """Return the packet at ``offset`` and the offset after it; None if ``data`` ends before the packet does."""
    head = data[offset : offset + 4]
    if not _HEX.issuperset(head):
        raise ProtocolError(f"a packet cannot start with {show(head)!r}")
    if len(head) < 4:
        return None
    length = int(head, 16)
    if length < 4:
        marker = _MARKERS.get(length)
        if marker is None:
            raise ProtocolError(f"a packet cannot have the length {length}")
        return marker, offset + 4
    if length > LINE_BYTES_MAX:
        raise ProtocolError(f"a packet of {length:,} bytes is longer than {LINE_BYTES_MAX:,}")
    if len(data) < offset + length:
        return None
    return data[offset + 4 : offset + length], offset + length


class PktReader:
    """Reads packets from pieces of any size and hands over what follows them.

    ``max_bytes`` bounds what ``read`` takes in all (``rest`` is not counted): TooLarge beyond it.
    """

    def __init__(
        self, source: AsyncIterator[bytes], *, max_bytes: int, setting: str = "CAIRN_MAX_REQUEST_BYTES"
    ) -> None:
        self._source = source
        self._data = b""
        self._offset = 0
        self._bytes_left = max_bytes
        self._max_bytes = max_bytes
        self._setting = setting

    def renew(self, max_bytes: int) -> None:
        """Start counting anew: the next request of the same conversation may have ``max_bytes`` of its own."""
        self._max_bytes = self._bytes_left = max_bytes

    async def read_or_end(self) -> Pkt | None:
        """Return the next packet, or None if the peer ended between two packets."""
        while (found := decode(self._data, self._offset)) is None:
            if not await self._fill():
                if self._offset == len(self._data):
                    return None
                raise ConversationEnded("the conversation ended in the middle of a packet")
        packet, after = found
        self._bytes_left -= after - self._offset
        if self._bytes_left < 0:
            raise TooLarge(f"this request has more than {self._max_bytes:,} bytes besides its pack ({self._setting})")
        self._offset = after
        return packet

    async def read(self) -> Pkt:
        """Return the next packet; ConversationEnded if there is none."""
        packet = await self.read_or_end()
        if packet is None:
            raise ConversationEnded("the conversation ended where a packet was expected")
        return packet

    async def read_until_flush(self) -> list[bytes]:
        """Return the data packets before the next flush; ProtocolError for another marker among them."""
        lines: list[bytes] = []
        while (packet := await self.read()) is not Marker.FLUSH:
            if isinstance(packet, Marker):
                raise ProtocolError(f"a {packet.name.lower()} packet stands where data or a flush was expected")
            lines.append(packet)
        return lines

    def rest(self) -> AsyncIterator[bytes]:
        """Return everything after the packets read so far: a pack.

        Unlike a generator it outlives a cancelled read, so that what the peer still sends can be read and dropped.
        """
        unread, self._data, self._offset = self._data[self._offset :], b"", 0
        return _Rest(unread, self._source)

    async def _fill(self) -> bool:
        """Take the next non-empty piece in; False at the end of the source."""
        async for chunk in self._source:
            if chunk:
                self._data = self._data[self._offset :] + chunk
                self._offset = 0
                return True
        return False


class _Rest:
    def __init__(self, unread: bytes, source: AsyncIterator[bytes]) -> None:
        self._unread = unread
        self._source = source

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        unread, self._unread = self._unread, b""
        while not unread:
            unread = await anext(self._source)
        return unread
