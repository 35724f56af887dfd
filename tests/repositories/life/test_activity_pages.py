"""The page of activity: drawn, as tables, while it is counted, before the first commit."""

import pytest
from tests.factories.forge import Forge

from cairn.repositories.life import activity


async def test_activity_is_drawn_with_tables_beside(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine", files={"a": b"1\n"})
    await forge.repository(ada, "empty")
    browser = forge.browser()
    with monkeypatch.context() as impatient:
        impatient.setattr(activity, "PATIENCE_SECONDS", 0.0)
        assert "being counted" in (await browser.get("/ada/engine/activity")).text
    page = (await browser.get("/ada/engine/activity")).text
    assert 'class="graph-punch"' in page
    assert '<th scope="row">Monday</th>' in page
    assert 'href="/ada"' in page
    assert "Nothing has happened yet" in (await browser.get("/ada/empty/activity")).text
