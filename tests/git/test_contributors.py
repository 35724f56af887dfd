"""Commits per author: as git shortlog counts them, and from an earlier count on."""

from pathlib import Path

import pytest
from tests.factories.engines import engine
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import make_store, push

from cairn.git import contributors
from cairn.git.contributors import AuthorCount, read_contributors
from cairn.git.engine import Engine
from cairn.git.types import ZERO_OID, Oid

__all__ = ["engine"]


def as_git_counts(client: StockRepository, tip: Oid) -> set[tuple[str, str, int]]:
    lines = client.git("shortlog", "-sne", "--no-merges", tip).decode().splitlines()
    found = set()
    for line in lines:
        count, _, signed = line.strip().partition("\t")
        name, _, email = signed.rpartition(" <")
        found.add((name, email.removesuffix(">"), int(count)))
    return found


async def test_counts_are_those_of_git_and_go_on_from_the_ones_before(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = init(tmp_path / "client")
    for number in range(6):
        client.commit({"a": str(number)}, f"c{number}", f"--author={'Bob' if number % 3 else 'Ü'} <p{number % 3}@x>")
    client.git("checkout", "-q", "-b", "side", "main~3")
    client.commit({"b": "1"}, "side")
    client.git("checkout", "-q", "main")
    client.git("merge", "-q", "--no-edit", "side")
    first = client.oid("main")
    store = await make_store(engine)
    assert (await push(engine, store, [(b"refs/heads/main", ZERO_OID, first)], client.pack([first]))).is_ok
    state = await engine.state(store)
    async with engine.view(state) as view:
        found = await read_contributors(engine, state, view, first)
    assert {(one.name, one.email, one.commits) for one in found} == as_git_counts(client, first)
    assert found[0].commits == max(one.commits for one in found)

    second = client.commit({"a": "more"}, "more", "--author=Ü <p0@x>")
    pack = client.pack([second], without=[first])
    assert (await push(engine, store, [(b"refs/heads/main", first, second)], pack)).is_ok
    state = await engine.state(store)
    monkeypatch.setattr(contributors, "AUTHORS_MAX", 0)  # no new name would be counted: those before are known
    async with engine.view(state) as view:
        found = await read_contributors(engine, state, view, second)
    assert {(one.name, one.email, one.commits) for one in found} == as_git_counts(client, second)
    assert AuthorCount("Ü", "p0@x", 3) in found
