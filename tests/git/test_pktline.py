from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import TooLarge
from cairn.git.pktline import (
    DELIM,
    FLUSH,
    RESPONSE_END,
    Band,
    ConversationEnded,
    Marker,
    Pkt,
    PktReader,
    ProtocolError,
    encode,
    encode_lines,
    side_band,
)

PACKETS = st.lists(st.one_of(st.binary(max_size=200), st.sampled_from(list(Marker))), max_size=20)
WIRE = {Marker.FLUSH: FLUSH, Marker.DELIM: DELIM, Marker.RESPONSE_END: RESPONSE_END}


def written(packets: Sequence[Pkt]) -> bytes:
    return b"".join(WIRE[packet] if isinstance(packet, Marker) else encode(packet) for packet in packets)


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]
        yield b""


async def everything(reader: PktReader) -> list[Pkt]:
    packets: list[Pkt] = []
    while (packet := await reader.read_or_end()) is not None:
        packets.append(packet)
    return packets


@settings(deadline=None)
@given(PACKETS, st.integers(1, 70), st.binary(max_size=100))
async def test_packets_survive_any_cutting_and_the_rest_is_handed_over(
    packets: list[Pkt], size: int, pack: bytes
) -> None:
    reader = PktReader(pieces(written(packets) + pack, size), max_bytes=1 << 20)
    assert [await reader.read() for _ in packets] == packets
    assert b"".join([chunk async for chunk in reader.rest()]) == pack


@given(st.binary(max_size=300_000))
async def test_side_band_carries_everything_in_packets_of_legal_size(data: bytes) -> None:
    reader = PktReader(pieces(side_band(Band.PROGRESS, data), 50_000), max_bytes=1 << 20)
    packets = await everything(reader)
    assert all(isinstance(packet, bytes) and packet[:1] == b"\2" and 1 < len(packet) <= 65516 for packet in packets)
    assert b"".join(packet[1:] for packet in packets if isinstance(packet, bytes)) == data


@pytest.mark.parametrize("wire", [b"zzzz", b"0003", b"fff1", b"00-1", b"+005", b" 4", b"0x05", b"g"])
async def test_malformed_lengths_are_refused(wire: bytes) -> None:
    with pytest.raises(ProtocolError, match="a packet"):
        await PktReader(pieces(wire + b"x" * 70_000, 10_000), max_bytes=1 << 20).read()


@pytest.mark.parametrize("wire", [b"00", b"0010abc", b"0009ab"])
async def test_a_conversation_cut_inside_a_packet_is_an_error_not_an_end(wire: bytes) -> None:
    with pytest.raises(ConversationEnded):
        await PktReader(pieces(wire, 3), max_bytes=100).read_or_end()


async def test_the_end_between_packets_is_an_end() -> None:
    assert await PktReader(pieces(b"", 3), max_bytes=100).read_or_end() is None
    with pytest.raises(ConversationEnded):
        await PktReader(pieces(b"", 3), max_bytes=100).read()


async def test_more_packets_than_allowed_are_refused_with_the_setting() -> None:
    reader = PktReader(pieces(encode(b"x" * 60) * 2, 64), max_bytes=100)
    await reader.read()
    with pytest.raises(TooLarge, match="CAIRN_MAX_REQUEST_BYTES"):
        await reader.read()


async def test_lines_end_at_the_flush_and_other_markers_are_refused() -> None:
    reader = PktReader(pieces(encode_lines([b"a", b"", b"c"]) + DELIM, 5), max_bytes=100)
    assert await reader.read_until_flush() == [b"a", b"", b"c"]
    with pytest.raises(ProtocolError, match="delim"):
        await reader.read_until_flush()
