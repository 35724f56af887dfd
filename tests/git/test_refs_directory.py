"""Refs as files for one child: stock git reads exactly what the rows say."""

from pathlib import Path

import pytest
from tests.factories.git_repositories import StockRepository

from cairn.git.ref_queries import RefValue
from cairn.git.refs_directory import refs_directory
from cairn.git.types import Oid

A, B = Oid("a" * 40), Oid("b" * 40)


@pytest.mark.parametrize("count", [3, 3000])
async def test_stock_git_reads_the_refs(tmp_path: Path, count: int) -> None:
    refs = [RefValue(b"refs/tags/%04d" % number, A, peeled=B) for number in range(count)]
    refs.append(RefValue(b"refs/heads/\xff", B))
    async with refs_directory(tmp_path, refs, head_target=b"refs/heads/\xff", also=[A, B, A]) as path:
        lines = (path / "packed-refs").read_bytes().splitlines()
        names = [line.split(b" ", 1)[1] for line in lines[1:] if not line.startswith(b"^")]
        assert names == sorted(set(names))
        assert len(names) == count + 3
        (path / "objects").mkdir()  # git wants one to call it a repository; children get theirs by environment
        head = StockRepository(path).git("symbolic-ref", "HEAD")
        assert head == b"refs/heads/\xff\n"
        shown = StockRepository(path).git("rev-parse", "refs/tags/0001")
        assert shown.decode().strip() == A
    assert list(tmp_path.iterdir()) == []


async def test_it_is_gone_when_its_user_failed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        async with refs_directory(tmp_path, [], head_target=b"refs/heads/main"):
            raise RuntimeError("failed")
    assert list(tmp_path.iterdir()) == []
