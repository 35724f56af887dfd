"""The pages of deleted repositories: restore and erase by forms, a name in use told in place."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.factories.forge import PACKAGES, Forge, open_forge


@pytest.fixture
async def forge(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Forge]:
    """A forge whose pages of settings have their frame."""
    packages = tuple(dict.fromkeys((*PACKAGES, "cairn.identity")))
    async with open_forge(tmp_path / "forge", sqlite_template, packages=packages) as made:
        yield made


async def test_restore_and_erase_by_forms(forge: Forge) -> None:
    ada = await forge.person("ada")
    made = await forge.repository(ada, "engine", files={"a": b"1"})
    browser = forge.browser(ada)
    assert "Nothing was deleted" in (await browser.get("/settings/deleted")).text
    await browser.submit("/ada/engine/settings/delete", {"full_name": "ada/engine"}, page="/ada/engine/settings")
    await forge.repository(ada, "engine")
    assert "ada/engine" in (await browser.get("/settings/deleted")).text
    fields = {"repository": str(made.id), "name": "engine"}
    refused = await browser.submit("/settings/deleted/restore", fields, page="/settings/deleted")
    assert refused.status_code == 422
    assert f'aria-describedby="f-name-{made.id}-problem"' in refused.text
    assert "already exists" in refused.text
    done = await browser.submit("/settings/deleted/restore", fields | {"name": "motor"}, page="/settings/deleted")
    assert (done.status_code, done.headers["location"]) == (303, "/ada/motor")
    await browser.submit("/ada/motor/settings/delete", {"full_name": "ada/motor"}, page="/ada/motor/settings")
    for typed, left in (("motor", True), ("ada/motor", False)):
        await browser.submit(
            "/settings/deleted/erase", {"repository": str(made.id), "name": typed}, page="/settings/deleted"
        )
        assert ("Restore ada/motor" in (await browser.get("/settings/deleted")).text) is left
