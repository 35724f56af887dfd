"""Ahead and behind of many branches by one walk: as git counts each pair, and bounded."""

from pathlib import Path
from random import Random

import pytest
from tests.factories.engines import engine
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import make_store, push
from tests.factories.seeds import chosen_seed

from cairn.git import distances
from cairn.git.distances import Distance, Walk, read_distances
from cairn.git.engine import Engine
from cairn.git.runner import GitRunner
from cairn.git.types import ZERO_OID, Oid

__all__ = ["engine"]


def random_history(client: StockRepository, seed: int) -> list[str]:
    """Make branches that part, meet and part again, some of them with no commit in common; return their names."""
    chance = Random(seed)
    names = ["main"]
    client.commit({"a": "0"}, "root")
    for number in range(1, 40):
        here = chance.choice(names)
        client.git("checkout", "-q", here)
        match chance.randrange(4):
            case 0 if len(names) < 9:
                names.append(f"b{number}")
                client.git("checkout", "-q", "-b", names[-1])
            case 1:
                client.git(
                    "merge", "-q", "-s", "ours", "--no-edit", "--allow-unrelated-histories", chance.choice(names)
                )
            case 2 if number == 20:
                names.append("alone")
                client.git("checkout", "-q", "--orphan", "alone")
        client.commit({f"f{number}": str(number)}, f"c{number}")
    return names


def as_git_counts(client: StockRepository, tip: Oid, base: Oid) -> Distance:
    ahead, behind = client.git("rev-list", "--left-right", "--count", f"{tip}...{base}").split()
    return Distance(int(ahead), int(behind))


async def stored(engine: Engine, client: StockRepository, names: list[str]) -> int:
    store = await make_store(engine)
    refs = [(f"refs/heads/{name}".encode(), ZERO_OID, client.oid(name)) for name in names]
    assert (await push(engine, store, refs, client.pack(names))).is_ok
    return store


async def test_each_branch_is_as_far_as_git_counts_that_pair(engine: Engine, tmp_path: Path) -> None:
    seed = chosen_seed()
    client = init(tmp_path / "client")
    names = random_history(client, seed)
    store = await stored(engine, client, names)
    state = await engine.state(store)
    tips = [client.oid(name) for name in names]
    async with engine.view(state) as view:
        for base in tips:
            found = await read_distances(engine, state, view, base=base, tips=tips)
            assert found == {tip: as_git_counts(client, tip, base) for tip in tips}, seed


def test_a_walk_ends_where_the_branches_parted() -> None:
    """A branch of yesterday costs what yesterday had, not the whole history."""
    oids = [Oid(f"{number:040x}") for number in range(6)]
    base, tip, shared, *older = oids
    walk = Walk(base, [tip])
    lines = [f"{base} {shared}", f"{tip} {shared}", f"{shared} {older[0]}", f"{older[0]} {older[1]}"]
    assert not walk.feed([lines[0].encode()])
    assert walk.feed([line.encode() for line in lines[1:]]), "what is left belongs to both"
    assert walk.distances() == {tip: Distance(1, 1)}


async def test_a_branch_too_far_away_has_no_distance_and_the_others_keep_theirs(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = init(tmp_path / "client")
    client.commit({"a": "0"})
    client.git("branch", "old")
    for number in range(20):
        client.commit({"a": str(number)}, f"c{number}")
    client.git("branch", "near", "main~1")
    store = await stored(engine, client, ["main", "old", "near"])
    state = await engine.state(store)
    monkeypatch.setattr(distances, "WALKED_MAX", 5)
    base, old, near = (client.oid(name) for name in ("main", "old", "near"))
    async with engine.view(state) as view:
        assert await read_distances(engine, state, view, base=base, tips=[old, near]) == {near: Distance(0, 1)}


async def test_what_was_counted_once_starts_no_git_again(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = init(tmp_path / "client")
    client.commit({"a": "0"})
    client.git("branch", "side")
    client.commit({"a": "1"})
    store = await stored(engine, client, ["main", "side"])
    state = await engine.state(store)
    base, side = client.oid("main"), client.oid("side")
    async with engine.view(state) as view:
        first = await read_distances(engine, state, view, base=base, tips=[side])
        monkeypatch.setattr(GitRunner, "spawn", None)
        assert await read_distances(engine, state, view, base=base, tips=[side]) == first == {side: Distance(0, 1)}
