"""Which tips contain a commit: as stock git says."""

from pathlib import Path

from tests.factories.engines import engine
from tests.factories.git_repositories import init
from tests.factories.pushes import make_store, push

from cairn.git.containing import read_containing
from cairn.git.engine import Engine
from cairn.git.types import ZERO_OID

__all__ = ["engine"]


async def test_the_tips_that_contain_a_commit_are_those_that_git_names(engine: Engine, tmp_path: Path) -> None:
    client = init(tmp_path / "client")
    client.commit({"a": "0"}, "root")
    client.git("branch", "old")
    client.git("checkout", "-q", "-b", "side")
    client.commit({"b": "1"}, "side")
    client.git("checkout", "-q", "main")
    client.commit({"a": "1"}, "main")
    client.git("branch", "before-merge")
    client.git("merge", "-q", "--no-edit", "side")
    client.git("checkout", "-q", "--orphan", "alone")
    client.commit({"z": "1"}, "alone")
    names = ["main", "old", "side", "before-merge", "alone"]
    store = await make_store(engine)
    refs = [(f"refs/heads/{name}".encode(), ZERO_OID, client.oid(name)) for name in names]
    assert (await push(engine, store, refs, client.pack(names))).is_ok
    state = await engine.state(store)
    tips = {client.oid(name): name for name in names}
    async with engine.view(state) as view:
        for revision in (*names, "main~1", "main~2"):
            found = await read_containing(engine, state, view, commit=client.oid(revision), tips=tips)
            said = client.git("branch", "--format=%(refname:short)", "--contains", revision).decode().split()
            assert {tips[oid] for oid in found} == set(said), revision
