"""Room is used up by what is announced together; 0 is no limit."""

import pytest

from cairn.base.settings import GIB, Settings
from cairn.lfs.quotas import ObjectTooLarge, QuotaExceeded, Room, require_size
from cairn.storage.storage import OBJECT_BYTES_MAX


def test_a_batch_uses_the_room_up() -> None:
    room = Room(100, 40, 0, 0)
    room.take(60)
    with pytest.raises(QuotaExceeded, match="has 100 of the 100 bytes"):
        room.take(1)
    room.take(0)


def test_zero_is_no_limit() -> None:
    Room(0, 0, 0, 0).take(1 << 60)


def test_the_owners_quota_counts_too() -> None:
    with pytest.raises(QuotaExceeded, match="CAIRN_MAX_LFS_OWNER_BYTES"):
        Room(100, 0, 50, 50).take(1)


def test_no_object_is_larger_than_the_store_takes() -> None:
    require_size(Settings(), OBJECT_BYTES_MAX)
    with pytest.raises(ObjectTooLarge) as refused:
        require_size(Settings(), OBJECT_BYTES_MAX + 1)
    assert "CAIRN" not in refused.value.message  # no setting moves this
    with pytest.raises(ObjectTooLarge, match="CAIRN_MAX_LFS_OBJECT_BYTES"):
        require_size(Settings(max_lfs_object_bytes=GIB), GIB + 1)
