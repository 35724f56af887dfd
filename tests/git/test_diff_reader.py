"""One diff read piece by piece on a real engine: the list once, some files' lines, what moved within all of it."""

import asyncio
from pathlib import Path

import pytest
from tests.factories.engines import engine
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import make_store, push_commit

from cairn.git import diff, diff_reader
from cairn.git.diff import Compared, DiffBounds, DiffTooLarge, FileStatus
from cairn.git.diff_reader import DiffReader
from cairn.git.engine import Engine
from cairn.git.history import Objects
from cairn.git.moved_lines import Move
from cairn.git.runner import GitLimits

__all__ = ["engine"]

BODY = "def carry(wheel, teeth):\n    for tooth in teeth:\n        wheel.turn(tooth)\n    return wheel\n"


async def pushed(engine: Engine, client: StockRepository) -> int:
    store = await make_store(engine)
    assert (await push_commit(engine, store, client)).unpacked == "ok"
    return store


async def test_files_lines_and_moves_are_read_apart_and_fit(engine: Engine, tmp_path: Path) -> None:
    client = init(tmp_path / "client")
    old = client.commit({"a.py": BODY + "x = 1\n", "b.py": "y = 2\n", "c": "1\n"})
    new = client.commit({"a.py": "x = 1\n", "b.py": "y = 2\n\n" + BODY, "c": "2\n", "d": "new\n"})
    state = await engine.state(await pushed(engine, client))
    compared = Compared(old=old, new=new)
    async with engine.view(state) as view:
        reader = DiffReader(engine, state, Objects(view.path))
        files = await reader.changes(compared)
        assert [(file.path, file.status, file.hunks) for file in files] == [
            (b"a.py", FileStatus.MODIFIED, ()),
            (b"b.py", FileStatus.MODIFIED, ()),
            (b"c", FileStatus.MODIFIED, ()),
            (b"d", FileStatus.ADDED, ()),
        ]
        (only,) = await reader.hunks(compared, files[2:3], DiffBounds())
        assert [line.content for line in only.hunks[0].lines] == [b"1", b"2"]
        assert await reader.moves(compared, files) == [Move(0, 1, 1, 3, 4)]


async def test_the_list_and_the_moves_are_made_once(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = init(tmp_path / "client")
    old = client.commit({"a": BODY})
    new = client.commit({"a": "", "b": BODY + "more of it\n"})
    state = await engine.state(await pushed(engine, client))
    runs: list[str] = []
    real = diff.list_changes

    async def counted(*given: object) -> bytes:
        runs.append("list")
        return await real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(diff_reader, "list_changes", counted)
    async with engine.view(state) as view:
        reader = DiffReader(engine, state, Objects(view.path))
        compared = Compared(old=old, new=new)
        together = await asyncio.gather(*(reader.changes(compared) for _ in range(3)))
        assert together == [await reader.changes(compared)] * 3
        assert runs == ["list"]
        await reader.changes(Compared(old=old, new=new, ignore_whitespace=True))
        assert runs == ["list", "list"]
        moves = await reader.moves(compared, together[0])
        monkeypatch.setattr(diff_reader, "find_moves", None)
        assert await reader.moves(compared, together[0]) == moves


async def test_nothing_is_looked_for_in_a_change_of_too_many_lines(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = init(tmp_path / "client")
    old = client.commit({"a": BODY, "b": "1\n"})
    new = client.commit({"a": "1\n", "b": BODY})
    state = await engine.state(await pushed(engine, client))
    monkeypatch.setattr(diff_reader, "MOVED_LINES_MAX", 5)
    async with engine.view(state) as view:
        reader = DiffReader(engine, state, Objects(view.path))
        compared = Compared(old=old, new=new)
        assert await reader.moves(compared, await reader.changes(compared)) == []


async def test_a_list_that_is_too_long_is_refused_and_not_kept(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = init(tmp_path / "client")
    old = client.commit({})
    new = client.commit({"a": "1\n"})
    state = await engine.state(await pushed(engine, client))
    async with engine.view(state) as view:
        reader = DiffReader(engine, state, Objects(view.path))
        compared = Compared(old=old, new=new)
        with monkeypatch.context() as patched:
            patched.setattr("cairn.git.diff.LIST_BYTES_MAX", 10)
            patched.setattr("cairn.git.diff.DIFF_LIMITS", GitLimits())
            with pytest.raises(DiffTooLarge, match="more files than can be compared"):
                await reader.changes(compared)
        assert len(await reader.changes(compared)) == 1
