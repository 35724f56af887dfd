"""When tips are from and whose they are: read once, and after a push only those that moved."""

from pathlib import Path

import pytest
from tests.factories.engines import engine
from tests.factories.git_repositories import init
from tests.factories.pushes import make_store, push

from cairn.git import tip_facts
from cairn.git.engine import Engine
from cairn.git.tip_facts import TipFact, read_tip_facts
from cairn.git.types import ZERO_OID

__all__ = ["engine"]


async def test_a_later_version_reads_only_the_tips_that_are_new(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = init(tmp_path / "client")
    first = client.commit({"a": "1"})
    blob = client.oid("HEAD:a")
    store = await make_store(engine)
    assert (await push(engine, store, [(b"refs/heads/main", ZERO_OID, first)], client.pack([first]))).is_ok
    state = await engine.state(store)
    async with engine.view(state) as view:
        found = await read_tip_facts(engine, state, view, [first, blob])
    assert found == {first: TipFact(1700000001, "ada@example.org")}, "what is no commit has none"

    second = client.commit({"a": "2"}, "change", "--author=Ü <ü@example.org>")
    pack = client.pack([second], without=[first])
    assert (await push(engine, store, [(b"refs/heads/x", ZERO_OID, second)], pack)).is_ok
    state = await engine.state(store)
    asked: list[frozenset[str]] = []
    real = tip_facts._read

    def spy(engine: Engine, view: object, oids: frozenset[str]) -> object:
        asked.append(oids)
        return real(engine, view, oids)  # type: ignore[arg-type]

    monkeypatch.setattr(tip_facts, "_read", spy)
    async with engine.view(state) as view:
        found = await read_tip_facts(engine, state, view, [first, second])
    assert found[second].author_email == "ü@example.org"
    assert set(found) == {first, second}
    assert asked == [frozenset({second})]
