import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.factories import git_repositories

from cairn.git.packfile import PackCorrupt, PackIndex, read_pack_header
from cairn.git.types import Oid


def packed(tmp_path: Path) -> tuple[git_repositories.StockRepository, Path]:
    repository = git_repositories.init(tmp_path / "r")
    git_repositories.fast_import(repository, [(f"c{n}", {f"d{n % 3}/f{n}": b"%d\n" % n * 30}) for n in range(40)])
    repository.repack()
    return repository, next(repository.objects.glob("pack/*.idx"))


def test_the_index_tells_what_stock_git_tells(tmp_path: Path) -> None:
    repository, path = packed(tmp_path)
    shown = [line.split() for line in repository.git("show-index", stdin=path.read_bytes()).decode().splitlines()]
    with PackIndex.open(path) as index:
        assert len(index) == len(shown)
        assert list(index.oids()) == [line[1] for line in shown]
        by_offset = [line[1] for line in sorted(shown, key=lambda line: int(line[0]))]
        assert index.oids_by_offset() == by_offset
        assert set(index.last_oids(3)) == set(by_offset[-3:])
        assert index.last_oids(0) == ()
        assert path.name == f"pack-{index.pack_checksum}.idx"
        assert all(Oid(line[1]) in index for line in shown)


def test_objects_of_no_pack_are_not_found(tmp_path: Path) -> None:
    _, path = packed(tmp_path)
    with PackIndex.open(path) as index:
        present = set(index.oids())
        for oid in ["0" * 40, "f" * 40, *(oid[:-1] + ("0" if oid[-1] != "0" else "1") for oid in present)]:
            assert (Oid(oid) in index) == (oid in present)


def test_offsets_beyond_two_gibibytes_are_read_from_the_large_table(tmp_path: Path) -> None:
    names = [bytes([n]) * 20 for n in (1, 2)]
    fanout = b"".join(struct.pack(">I", sum(name[0] <= first for name in names)) for first in range(256))
    body = b"".join(names) + b"\0" * 8 + struct.pack(">II", 12, 1 << 31) + struct.pack(">Q", 5 << 30)
    path = tmp_path / "large.idx"
    path.write_bytes(b"\xfftOc\0\0\0\2" + fanout + body + b"\0" * 40)
    with PackIndex.open(path) as index:
        assert [index.offset_at(0), index.offset_at(1)] == [12, 5 << 30]
        assert index.last_oids(1) == (names[1].hex(),)


@pytest.mark.parametrize("damage", ["empty", "short", "magic", "cut"])
def test_a_damaged_index_is_refused(tmp_path: Path, damage: str) -> None:
    _, path = packed(tmp_path)
    good = path.read_bytes()
    bad = {"empty": b"", "short": good[:100], "magic": b"x" + good[1:], "cut": good[: len(good) // 2 + 1]}[damage]
    other = tmp_path / "bad.idx"
    other.write_bytes(bad)
    with pytest.raises(PackCorrupt, match=r"bad\.idx"):
        PackIndex.open(other)


def test_a_pack_header_is_read() -> None:
    assert read_pack_header(b"PACK\0\0\0\2\0\0\1\0rest") == (2, 256)


@given(st.binary(max_size=14).filter(lambda raw: not raw.startswith(b"PACK")))
def test_anything_else_is_no_pack(raw: bytes) -> None:
    with pytest.raises(PackCorrupt):
        read_pack_header(raw)


def test_unknown_pack_versions_are_refused() -> None:
    with pytest.raises(PackCorrupt, match="version 9"):
        read_pack_header(b"PACK\0\0\0\x09\0\0\0\1")
