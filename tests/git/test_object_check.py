"""A pack's objects are judged one by one, and its small files are told."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.factories import git_repositories
from tests.factories.git_repositories import StockRepository
from tests.factories.raw_packs import BLOB, COMMIT, TREE, object_id, raw_pack, whole, zeros
from tests.git.test_quarantine import LIMITS, PERSON, repository, runner, sent

from cairn.git.object_check import NODE_BYTES_MAX, check_objects
from cairn.git.quarantine import Limit, PackTooLarge, index_pack, open_quarantine
from cairn.git.runner import GitRunner

__all__ = ["repository", "runner"]


async def test_small_files_are_told_and_no_others(
    runner: GitRunner, repository: StockRepository, tmp_path: Path
) -> None:
    old = repository.commit({"base": "b" * 100 + "0123456789" * 80})
    sizes = (63, 64, 1023, 1024)
    changed = {"base": "b" * 100 + "0123456789" * 80 + "!"}
    new = repository.commit(changed | {f"f{size}": f"{size}".ljust(size, ".") for size in sizes})
    data = repository.pack([new], without=[old], thin=True)
    wanted = sorted(repository.oid(f"HEAD:{name}") for name in ("base", "f64", "f1023"))
    async with open_quarantine(tmp_path / "q", alternates=[repository.objects]) as quarantine:
        pack = await index_pack(runner, quarantine, sent(data), limits=LIMITS)
        assert pack is not None
        assert pack.appended_oids == (repository.oid(f"{old}:base"),)
        assert await check_objects(runner, quarantine, pack, limits=LIMITS) == wanted


async def test_a_file_too_large_is_named_even_inside_a_delta(
    runner: GitRunner, repository: StockRepository, tmp_path: Path
) -> None:
    base = "".join(f"{number}\n" for number in range(40_000))
    first = repository.commit({"a": base})
    data = repository.pack([repository.commit({"a": base + base}), first])
    blob = repository.oid("HEAD:a")
    tight = replace(LIMITS, file_bytes=Limit(300_000, "CAIRN_MAX_FILE_BYTES"))
    async with open_quarantine(tmp_path / "q") as quarantine:
        pack = await index_pack(runner, quarantine, sent(data, 65536), limits=LIMITS)
        assert pack is not None
        with pytest.raises(PackTooLarge, match=f"blob {blob}.*CAIRN_MAX_FILE_BYTES"):
            await check_objects(runner, quarantine, pack, limits=tight)


@pytest.mark.nightly
async def test_a_blob_that_unfolds_a_thousandfold_is_refused_without_being_held(
    runner: GitRunner, tmp_path: Path
) -> None:
    """Attack: 600 kB of pack hold a file of 600 MB of zeros, more than the indexing child may have as memory."""
    bomb = raw_pack([whole(BLOB, bytes(600_000_000))])
    assert len(bomb) < 1_000_000
    async with open_quarantine(tmp_path / "q") as quarantine:
        pack = await index_pack(runner, quarantine, sent(bomb, 65536), limits=LIMITS)
        assert pack is not None
        with pytest.raises(PackTooLarge, match=r"has 600,000,000 bytes, more than 1,000,000 \(CAIRN_MAX_FILE_BYTES\)"):
            await check_objects(runner, quarantine, pack, limits=LIMITS)


async def test_a_commit_larger_than_any_is_refused_by_name(runner: GitRunner, tmp_path: Path) -> None:
    """Attack: 65 kB of pack hold a commit of 65 MB, which every reader would have in memory."""
    head = b"tree %b\nauthor %b\ncommitter %b\n\n" % (object_id("tree", b"").encode(), PERSON, PERSON)
    oid, commit = zeros(COMMIT, head, NODE_BYTES_MAX)
    async with open_quarantine(tmp_path / "q") as quarantine:
        data = raw_pack([commit, whole(TREE, b"")])
        pack = await index_pack(runner, quarantine, sent(data, 65536), limits=LIMITS)
        assert pack is not None
        with pytest.raises(PackTooLarge, match=f"The commit {oid} of this push has .* more than 67,108,864"):
            await check_objects(runner, quarantine, pack, limits=LIMITS)


@pytest.mark.parametrize("many", [False, True])
async def test_long_delta_chains_are_refused_exactly_above_the_limit(
    runner: GitRunner, repository: StockRepository, tmp_path: Path, many: bool
) -> None:
    base = "".join(f"line {number}\n" for number in range(300))
    noise = {f"n{number}": b"%d" % number for number in range(600 if many else 1)}
    contents = [base + "x\n" * number for number in range(40)]
    git_repositories.fast_import(repository, [("c", {"a": text.encode(), **noise}) for text in contents])
    repository.git("repack", "-adfq", "--depth=30", "--window=60")
    pack_path = next(repository.objects.glob("pack/*.pack"))
    shown = repository.git("verify-pack", "-v", pack_path).decode().splitlines()
    depth = max(int(line.split()[5]) for line in shown if len(line.split()) == 7 and line[0] in "0123456789abcdef")
    async with open_quarantine(tmp_path / "q") as quarantine:
        pack = await index_pack(runner, quarantine, sent(pack_path.read_bytes()), limits=LIMITS)
        assert pack is not None
        await check_objects(
            runner, quarantine, pack, limits=replace(LIMITS, delta_depth=Limit(depth, "CAIRN_MAX_DELTA_DEPTH"))
        )
        with pytest.raises(PackTooLarge, match=r"deltas, more than .*CAIRN_MAX_DELTA_DEPTH"):
            await check_objects(
                runner, quarantine, pack, limits=replace(LIMITS, delta_depth=Limit(depth - 1, "CAIRN_MAX_DELTA_DEPTH"))
            )
