"""Searching blobs: lines with their neighbours, cut lines, encodings, bounds, and an end in time."""

import asyncio
from pathlib import Path

import pytest
from tests.factories.engines import engine
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import push

from cairn.git import blob_search
from cairn.git.blob_search import (
    FILE_BYTES_MAX,
    LINE_BYTES_MAX,
    LINES_PER_FILE_MAX,
    MATCHES_PER_FILE_MAX,
    FoundInFiles,
    PatternRefused,
    Stopped,
    as_utf8,
    compile_pattern,
    find_in_text,
    search_files,
)
from cairn.git.engine import Engine
from cairn.git.file_list import list_files
from cairn.git.store_state import StoreState
from cairn.git.types import ZERO_OID, Oid

__all__ = ["engine"]


def lines_of(pattern: str, text: bytes, *, is_regex: bool = False) -> dict[int, list[str]]:
    """Return the pieces of each line that is shown."""
    compiled = compile_pattern(pattern, is_regex=is_regex, is_case_sensitive=True)
    found = find_in_text(compiled, text)
    return {} if found is None else {line.number: line.pieces for line in found.lines}


def test_lines_come_with_their_neighbours_and_pieces_by_turns() -> None:
    assert lines_of("b", b"one\r\nabbb\r\ntwo\nthree\n\nb") == {
        1: ["one"],
        2: ["a", "b", "", "b", "", "b", ""],
        3: ["two"],
        5: [""],
        6: ["", "b", ""],
    }
    assert lines_of("x", b"x\nx\n") == {1: ["", "x", ""], 2: ["", "x", ""]}
    assert lines_of("x", b"no") == {}


def test_a_long_line_is_cut_around_its_first_match() -> None:
    [pieces] = lines_of("needle", b"a" * 5000 + b"needle" + b"b" * 5000).values()
    assert len("".join(pieces)) == LINE_BYTES_MAX
    assert pieces[1] == "needle"
    [pieces] = lines_of("x+", b"x" * 5000, is_regex=True).values()
    assert pieces == ["", "x" * LINE_BYTES_MAX, ""]


def test_matches_are_counted_beyond_the_lines_that_are_shown_up_to_a_bound() -> None:
    compiled = compile_pattern("x", is_regex=False, is_case_sensitive=True)
    found = find_in_text(compiled, b"x\n" * 50)
    assert found is not None
    assert (found.matches, len(found.lines), found.has_more_lines) == (50, LINES_PER_FILE_MAX + 1, True)
    found = find_in_text(compiled, b"x" * (MATCHES_PER_FILE_MAX + 5))
    assert found is not None
    assert found.matches == MATCHES_PER_FILE_MAX


def test_text_of_any_encoding_becomes_utf8_and_binary_none() -> None:
    text = "M\u00fchle"
    for data in (text.encode(), text.encode("utf-8-sig"), text.encode("utf-16"), text.encode("latin-1")):
        assert as_utf8(data) == text.encode()
    assert as_utf8(b"a\0b") is None
    assert as_utf8(b"") == b""


@pytest.mark.parametrize(
    ("text", "is_regex"), [("", False), ("  ", False), ("x" * 1001, False), ("(", True), ("x*", True), ("^", True)]
)
def test_what_cannot_be_searched_for_is_refused(text: str, is_regex: bool) -> None:
    with pytest.raises(PatternRefused):
        compile_pattern(text, is_regex=is_regex, is_case_sensitive=False)


@pytest.fixture
async def stock(engine: Engine, tmp_path: Path) -> tuple[StockRepository, int]:
    """Fifty files with one line each, two of them equal, one too large, one binary."""
    made = init(tmp_path / "stock")
    files: dict[str, str | bytes] = {f"d/f{number:02}": f"stone {number}\n" for number in range(50)}
    files |= {"again": "stone 7\n", "big": "stone\n" * (FILE_BYTES_MAX // 6 + 1), "x.bin": b"\0stone", "empty": ""}
    made.commit(files)
    async with engine.database.write() as session:
        store_id = await engine.create_store(session)
    await push(engine, store_id, [(b"refs/heads/main", ZERO_OID, made.oid("main"))], made.pack(["main"]))
    return made, store_id


async def search(engine: Engine, stock: tuple[StockRepository, int], text: str, *, seconds: float = 60) -> FoundInFiles:
    made, store_id = stock
    state = await engine.state(store_id)
    listed = await list_files(engine, state, Oid(made.oid("main^{tree}")))
    pattern = compile_pattern(text, is_regex=False, is_case_sensitive=False)
    return await search_files(engine, state, listed.files, pattern, deadline_seconds=seconds)


async def test_every_file_is_searched_and_found_in_the_order_of_paths(
    engine: Engine, stock: tuple[StockRepository, int]
) -> None:
    found = await search(engine, stock, "STONE 7")
    assert [(file.path, file.matches) for file in found.files] == [(b"again", 1), (b"d/f07", 1)]
    assert (found.searched, found.total, found.too_large, found.stopped) == (53, 54, 1, Stopped.NOT)
    assert found.matches == 2
    assert engine.runner.running == 0


async def test_a_search_ends_when_it_has_found_enough(
    engine: Engine, stock: tuple[StockRepository, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob_search, "FILES_FOUND_MAX", 5)
    monkeypatch.setattr(blob_search, "_BATCH_BYTES", 1)
    found = await search(engine, stock, "stone")
    assert len(found.files) == 5
    assert found.stopped is Stopped.MANY
    assert found.searched < 53
    assert engine.runner.running == 0


async def test_a_search_ends_in_time_with_what_it_found_and_leaves_no_child(
    engine: Engine, stock: tuple[StockRepository, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    take = blob_search._Search.take

    async def hangs(engine: Engine, state: StoreState, search: blob_search._Search) -> None:
        take(search, f"{search.oids[0]} blob 8\nstone 7\n\n".encode())
        await asyncio.Event().wait()

    monkeypatch.setattr(blob_search, "_feed", hangs)
    found = await search(engine, stock, "stone", seconds=0.05)
    assert (found.stopped, len(found.files), found.searched) == (Stopped.TIME, 2, 3)
    assert engine.runner.running == 0
