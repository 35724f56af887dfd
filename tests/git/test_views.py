"""Opening views by state: the version that is here, or the present one with everything in it."""

from pathlib import Path

import pytest
from tests.factories.git_repositories import init
from tests.factories.pushes import make_store, push_commit

from cairn.git import views
from cairn.git.engine import Engine

pytest_plugins = ["tests.factories.engines"]


async def test_a_view_is_opened_by_version_and_a_later_one_serves_an_earlier_state(
    engine: Engine, tmp_path: Path
) -> None:
    store = await make_store(engine)
    states = [await engine.state(store)]
    client = init(tmp_path / "client")
    for number in range(2):
        client.commit({"a": str(number)})
        await push_commit(engine, store, client)
        states.append(await engine.state(store))
    opened = []
    for state in (states[2], states[1]):
        async with engine.view(state) as view:
            opened.append((view.manifest_version, len(list((view.objects / "pack").glob("*.pack")))))
    # The push after it left the view of version 1 here: it is exact, and enough for its state.
    assert opened == [(2, 2), (1, 1)]
    async with engine.view(states[0]) as empty:
        assert list((empty.objects / "pack").iterdir()) == []
    with pytest.raises(ValueError, match="body"):
        async with engine.view(states[2]):
            raise ValueError("body")


async def test_sizes_are_known_without_a_download(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_SIZES_KEPT", 1)
    store = await make_store(engine)
    assert await engine.views.bytes_of(await engine.state(store)) == 0
    client = init(tmp_path / "client")
    client.commit({"a": "a"})
    await push_commit(engine, store, client)
    state = await engine.state(store)
    async with engine.view(state) as view:
        packs = sum(path.stat().st_size for path in (view.objects / "pack").glob("*.pack"))
    assert await engine.views.bytes_of(state) == packs
    assert len(engine.views._sizes) <= 2
