"""Many atomic pushes over the same few refs through two nodes: lost races, never a deadlock a client sees (C7, C2)."""

import asyncio
from pathlib import Path
from random import Random

import pytest
from tests.factories.git_repositories import init
from tests.factories.pushes import MAIN, make_store, push, push_commit, refs_of, verdict
from tests.factories.seeds import chosen_seed
from tests.stories.nodes import open_node

from cairn.git.engine import Engine
from cairn.git.types import ZERO_OID, Oid, RefName

REFS = [b"refs/heads/b%02d" % number for number in range(12)]
REFS_A_PUSH = 5
TRIES_MAX = 400
servers = pytest.mark.parametrize("any_database_url", ["postgresql", "mariadb"], indirect=True)


async def _contend(folder: Path, database_url: str, *, pushers: int, pushes: int) -> None:
    """Let each pusher land so many atomic pushes of five random refs, each tried until it wins."""
    dice = Random(chosen_seed())
    storage_url = f"file://{folder / 'store'}"
    async with (
        open_node(folder / "a", database_url=database_url, storage_url=storage_url) as one,
        open_node(folder / "b", database_url=database_url, storage_url=storage_url) as other,
    ):
        nodes = [one, other]
        store = await make_store(one)
        client = init(folder / "client")
        commits = [client.commit({"a": str(number)}) for number in range(10)]
        assert (await push_commit(one, store, client)).is_ok
        empty = client.git("pack-objects", "--stdout", "-q", stdin=b"")
        report = await push(one, store, [(name, ZERO_OID, commits[0]) for name in REFS], empty)
        assert report.is_ok, report
        reasons: dict[str, int] = {}

        async def work(number: int, chance: Random) -> None:
            for _ in range(pushes):
                assert await _land(nodes[number % 2], store, chance, commits, empty, reasons)

        async with asyncio.TaskGroup() as group:
            for number in range(pushers):
                group.create_task(work(number, Random(dice.random())))
        print(f"lost races: {reasons}")
        for reason in reasons:
            assert not any(word in reason for word in ("database", "deadlock", "serializ", "lock", "failed to")), (
                reasons
            )
        found = await verdict(other, store, folder / "verdict")
        assert found == await refs_of(one, store)
        assert set(found) == {MAIN, *REFS}


async def _land(
    node: Engine, store: int, chance: Random, commits: list[Oid], empty: bytes, reasons: dict[str, int]
) -> bool:
    for _ in range(TRIES_MAX):
        refs = await refs_of(node, store)
        names: list[RefName] = chance.sample(REFS, REFS_A_PUSH)  # in no order: the engine orders them
        commands = [(name, refs[name], chance.choice([c for c in commits if c != refs[name]])) for name in names]
        report = await push(node, store, commands, empty, capabilities=("atomic",))
        after = set(report.refs.values())
        assert report.is_ok or "" not in after, f"an atomic push landed in part: {report}"
        if report.is_ok:
            return True
        for reason in {report.unpacked, *after} - {"ok", ""}:
            reasons[reason] = reasons.get(reason, 0) + 1
    return False


@servers
async def test_a_few_atomic_pushes_over_the_same_refs_only_lose_races(any_database_url: str, tmp_path: Path) -> None:
    await _contend(tmp_path, any_database_url, pushers=6, pushes=1)


@pytest.mark.nightly
@pytest.mark.timeout(900)
@servers
async def test_thirty_two_atomic_pushers_over_the_same_refs_only_lose_races(
    any_database_url: str, tmp_path: Path
) -> None:
    """C7: 32 pushers, five random refs each, four times."""
    await _contend(tmp_path, any_database_url, pushers=32, pushes=4)


async def _race_for_a_name(folder: Path, database_url: str, *, rounds: int) -> None:
    storage_url = f"file://{folder / 'store'}"
    async with (
        open_node(folder / "a", database_url=database_url, storage_url=storage_url) as one,
        open_node(folder / "b", database_url=database_url, storage_url=storage_url) as other,
    ):
        store = await make_store(one)
        client = init(folder / "client")
        head = client.commit({"a": "a"})
        assert (await push_commit(one, store, client)).is_ok
        empty = client.git("pack-objects", "--stdout", "-q", stdin=b"")
        for number in range(rounds):
            names = [b"refs/heads/n%d" % number, b"refs/heads/n%d/inner" % number]
            reports = await asyncio.gather(
                *(
                    push(node, store, [(name, ZERO_OID, head)], empty)
                    for node, name in zip((one, other), names, strict=True)
                )
            )
            winners = [name for name, report in zip(names, reports, strict=True) if report.is_ok]
            assert len(winners) == 1, reports
            for node in (one, other):
                assert {name for name in await refs_of(node, store) if name in names} == set(winners)
        await verdict(one, store, folder / "verdict")


@pytest.mark.parametrize("any_database_url", ["postgresql", "mariadb"], indirect=True)
async def test_a_name_and_a_name_below_it_have_one_winner(any_database_url: str, tmp_path: Path) -> None:
    await _race_for_a_name(tmp_path, any_database_url, rounds=4)


@pytest.mark.nightly
@pytest.mark.timeout(900)
async def test_a_name_and_a_name_below_it_have_one_winner_each_of_200_times(
    any_database_url: str, tmp_path: Path
) -> None:
    """C2: ``n`` through one node, ``n/inner`` through the other; SQLite too, where both are of one machine."""
    await _race_for_a_name(tmp_path, any_database_url, rounds=200)
