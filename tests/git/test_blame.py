"""Lines of a file and the commits they are from: as git says, across renames, past ignored commits."""

from pathlib import Path

import pytest
from tests.factories.engines import engine
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import make_store, push_commit

from cairn.git.blame import Blame, parse_incremental, read_blame
from cairn.git.engine import Engine
from cairn.git.runner import GitFailed
from cairn.git.types import Oid

__all__ = ["engine"]
ODD = 'o"d\td ü'


def of_each_line(blame: Blame) -> list[str]:
    """Return the commit of every line, which the groups must cover once and in order."""
    lines: list[str] = []
    for group in blame.lines:
        assert group.start == len(lines) + 1
        lines += [group.oid] * group.count
    return lines


async def pushed(engine: Engine, client: StockRepository) -> int:
    store = await make_store(engine)
    assert (await push_commit(engine, store, client)).unpacked == "ok"
    return store


async def test_each_line_is_from_the_commit_that_git_names(engine: Engine, tmp_path: Path) -> None:
    client = init(tmp_path / "client")
    first = client.commit({ODD: "".join(f"{number}\n" for number in range(20))}, "Begin <b>")
    client.git("mv", ODD, "file")
    second = client.commit({"file": "".join(f"{number * (number != 7)}\n" for number in range(20))}, "Seven")
    store = await pushed(engine, client)
    state = await engine.state(store)
    blame = await read_blame(engine, state, second, b"file")
    assert of_each_line(blame) == [first] * 7 + [second] + [first] * 12
    assert {one.subject for one in blame.commits.values()} == {"Begin <b>", "Seven"}
    later = blame.commits[second]
    assert (later.previous_oid, later.previous_path) == (first, ODD.encode())
    assert blame.commits[first].previous_oid is None
    said = client.git("log", "-1", "--format=%an%n%ae%n%at", second).decode().split("\n")
    assert [later.author.name, later.author.email, f"{later.author.at.timestamp():.0f}"] == said[:3]
    assert await read_blame(engine, state, second, b"file") == blame


async def test_lines_of_an_ignored_commit_belong_to_the_one_before(engine: Engine, tmp_path: Path) -> None:
    client = init(tmp_path / "client")
    first = client.commit({"file": "one\ntwo\nthree\n"})
    second = client.commit({"file": "one\nTWO\nthree\n"})
    state = await engine.state(await pushed(engine, client))
    assert second in of_each_line(await read_blame(engine, state, second, b"file"))
    assert of_each_line(await read_blame(engine, state, second, b"file", ignored=[second])) == [first] * 3


async def test_no_such_file_is_an_error_that_is_not_kept(engine: Engine, tmp_path: Path) -> None:
    client = init(tmp_path / "client")
    client.commit({"file": "1\n"})
    state = await engine.state(await pushed(engine, client))
    for _ in range(2):
        with pytest.raises(GitFailed):
            await read_blame(engine, state, client.oid("HEAD"), b"nothing")


def test_an_empty_file_has_no_lines_and_a_date_no_calendar_has_is_the_epoch() -> None:
    assert parse_incremental(b"") == Blame([], {})
    oid = Oid("1" * 40)
    output = b"%b 1 1 1\nauthor-time 99999999999999\nfilename x\n" % oid.encode()
    assert parse_incremental(output).commits[oid].author.at.timestamp() == 0
