"""Activity is what git log says: by author and week, by hour of the author's clock, lines added and deleted."""

from pathlib import Path

from tests.factories.engines import engine
from tests.factories.git_repositories import init
from tests.factories.pushes import push

from cairn.git.activity import WEEK_SECONDS, read_activity, week_of
from cairn.git.contributors import NAME_LENGTH_MAX, read_contributors
from cairn.git.engine import Engine
from cairn.git.types import ZERO_OID

__all__ = ["engine"]


def test_weeks_begin_on_sundays() -> None:
    assert week_of(0) == -4 * 86400
    assert week_of(3 * 86400) == 3 * 86400  # 1970-01-04 was a Sunday
    assert week_of(3 * 86400 - 1) == -4 * 86400
    assert WEEK_SECONDS == 604800


async def test_a_history_is_counted_and_goes_on_from_what_was_counted(engine: Engine, tmp_path: Path) -> None:
    async with engine.database.write() as session:
        store_id = await engine.create_store(session, head_target=b"refs/heads/main")
    stock = init(tmp_path / "stock")
    stock.commit({"a": "1\n2\n3\n"}, "One")
    stock.commit({"a": "1\n3\n", "b": "x\n"}, "Two\n\n3 files changed, 9 insertions(+)")
    first = stock.oid("HEAD")
    await push(engine, store_id, [(b"refs/heads/main", ZERO_OID, first)], stock.pack(["HEAD"]))
    counted = await read_activity(engine, await engine.state(store_id), first)
    assert counted.has_lines
    assert (len(counted.authors), sum(counted.hours)) == (1, 2)
    assert [sum(values) for values in zip(*counted.by_week().values(), strict=True)] == [2, 4, 1]
    stock.commit({"c": "1\n"}, "Three")
    second = stock.oid("HEAD")
    await push(engine, store_id, [(b"refs/heads/main", first, second)], stock.pack(["HEAD"]))
    after = await read_activity(engine, await engine.state(store_id), second)
    assert [sum(values) for values in zip(*after.by_week().values(), strict=True)] == [3, 5, 1]
    assert sum(after.hours) == 3


async def test_what_is_kept_of_a_name_has_a_bound(engine: Engine, tmp_path: Path) -> None:
    """Attack: thousands of authors with names of a megabyte, which compress to nothing on their way here."""
    async with engine.database.write() as session:
        store_id = await engine.create_store(session, head_target=b"refs/heads/main")
    stock = init(tmp_path / "stock")
    stock.git("fast-import", "--quiet", stdin=hostile_author(1 << 20))
    tip = stock.oid("refs/heads/main")
    await push(engine, store_id, [(b"refs/heads/main", ZERO_OID, tip)], stock.pack(["refs/heads/main"]))
    state = await engine.state(store_id)
    counted = await read_activity(engine, state, tip)
    assert [(len(name), len(email)) for name, email in counted.authors] == [(NAME_LENGTH_MAX, NAME_LENGTH_MAX)]
    async with engine.view(state) as view:
        [one] = await read_contributors(engine, state, view, tip)
    assert (len(one.name), len(one.email)) == (NAME_LENGTH_MAX, NAME_LENGTH_MAX)


def hostile_author(size: int) -> bytes:
    name = b"n" * size + b" <" + b"e" * size + b"> 1700000000 +0000\n"
    return b"commit refs/heads/main\nauthor " + name + b"committer Eve <eve@example.test> 1700000000 +0000\ndata 1\nx\n"
