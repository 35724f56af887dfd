"""Statistics over REST, in GitHub's shape."""

import pytest
from tests.factories.accounts import verify_address
from tests.factories.forge import Forge

from cairn.repositories.life import activity


async def test_statistics(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await forge.person("ada")
    async with forge.database.write() as session:
        await verify_address(session, ada.account)
    made = await forge.repository(ada, "engine", files={"a": b"1\n2\n"})
    await forge.commit(ada, made, {"a": b"1\n"}, "Second")
    await forge.repository(ada, "empty")
    api, base = forge.api(ada), "/repos/ada/engine/stats"
    weeks = (await api.get(f"{base}/commit_activity")).json()
    assert (len(weeks), set(weeks[0])) == (52, {"total", "week", "days"})
    [[_, added, deleted]] = (await api.get(f"{base}/code_frequency")).json()
    assert (added, deleted) == (2, -1)
    [one] = (await api.get(f"{base}/contributors")).json()
    assert (one["author"]["login"], one["total"], one["weeks"][0]["c"]) == ("ada", 2, 2)
    card = (await api.get(f"{base}/punch_card")).json()
    assert (len(card), [1, 7, 2] in card) == (168, True)  # a Monday, 7 o'clock where ada was
    series = (await api.get(f"{base}/participation")).json()
    assert (len(series["all"]), len(series["owner"])) == (52, 52)
    assert (await api.get("/repos/ada/empty/stats/contributors")).json() == []


async def test_what_takes_long_is_accepted(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "PATIENCE_SECONDS", 0.0)
    ada = await forge.person("ada")
    await forge.repository(ada, "engine", files={"a": b"1\n"})
    answer = await forge.api(ada).get("/repos/ada/engine/stats/punch_card")
    assert (answer.status_code, answer.json()) == (202, {})
