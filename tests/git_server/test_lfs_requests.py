"""Addresses, ranges and bodies of LFS are read as its documentation has them."""

import pytest

from cairn.base.errors import Invalid, Malformed
from cairn.git_server.lfs_requests import (
    BatchRequest,
    LfsAddress,
    LfsPart,
    LocksQuestion,
    RangeOutside,
    decode_body,
    decode_locks_query,
    parse_lfs_address,
    parse_range,
)

OID = "ab" * 32
LOCK = "cd" * 16


@pytest.mark.parametrize(
    ("rest", "part", "name"),
    [
        ("objects/batch", LfsPart.BATCH, ""),
        (f"objects/{OID}", LfsPart.OBJECT, OID),
        (f"objects/{OID}/verify", LfsPart.VERIFY, OID),
        ("locks", LfsPart.LOCKS, ""),
        ("locks/verify", LfsPart.VERIFY_LOCKS, ""),
        (f"locks/{LOCK}/unlock", LfsPart.UNLOCK, LOCK),
        (f"objects/{OID.upper()}", LfsPart.UNKNOWN, ""),
        (f"objects/{OID}/", LfsPart.UNKNOWN, ""),
        ("objects/../batch", LfsPart.UNKNOWN, ""),
        ("", LfsPart.UNKNOWN, ""),
    ],
)
def test_an_address_below_info_lfs_is_lfss(rest: str, part: LfsPart, name: str) -> None:
    assert parse_lfs_address(f"/ada/engine.git/info/lfs/{rest}") == LfsAddress("ada", "engine.git", part, name)
    assert parse_lfs_address(f"/ada/engine/info/lfs/{rest}") == LfsAddress("ada", "engine", part, name)


@pytest.mark.parametrize(
    "path", ["/", "/ada/engine", "/info/lfs/locks", "/ada/info/lfs/locks", "/a/b/c/info/lfs/locks", "/a/b/info/lfsx"]
)
def test_other_addresses_are_left_alone(path: str) -> None:
    assert parse_lfs_address(path) is None


def test_the_address_alone_is_lfss_too() -> None:
    assert parse_lfs_address("/ada/engine.git/info/lfs") == LfsAddress("ada", "engine.git", LfsPart.UNKNOWN)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("bytes=0-9", (0, 10)),
        ("bytes=5-", (5, 10)),
        ("bytes = 5 - 6", (5, 7)),
        ("bytes=5-999", (5, 10)),
        ("bytes=6-5", None),
        ("bytes=-5", None),
        ("bytes=0-1,3-4", None),
        ("items=0-1", None),
        ("", None),
    ],
)
def test_one_range_from_a_start_on_is_read(header: str, wanted: tuple[int, int] | None) -> None:
    assert parse_range(header, 10) == wanted


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=0-0", 0)])
def test_a_range_past_the_end_is_refused(header: str, size: int) -> None:
    with pytest.raises(RangeOutside):
        parse_range(header, size)


def test_a_body_is_its_request_or_refused() -> None:
    read = decode_body(b'{"operation":"upload","objects":[],"later":1}', BatchRequest)
    assert isinstance(read, BatchRequest)
    assert (read.transfers, read.hash_algo) == (["basic"], "sha256")
    assert decode_body(b"", LocksQuestion) == LocksQuestion()
    with pytest.raises(Malformed):
        decode_body(b"{", BatchRequest)
    with pytest.raises(Invalid):
        decode_body(b"[]", BatchRequest)


def test_a_query_of_locks_is_read_or_refused() -> None:
    read = decode_locks_query(b"path=a%20b&limit=5&refspec=refs/heads/main")
    assert (read.path, read.limit, read.id, read.cursor) == ("a b", 5, None, "")
    for wrong in (b"limit=-1", b"limit=x", b"path=%ff", b"\xff", b"&".join([b"a=b"] * 30)):
        with pytest.raises(Invalid):
            decode_locks_query(wrong)
