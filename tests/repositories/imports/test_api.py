"""Imports over REST: who may, and what they are told."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.factories.forge import Forge
from tests.factories.git_http import serve_git
from tests.factories.importing import make_source, open_reaching_forge
from tests.factories.work import do_what_is_due


@pytest.fixture
async def forge(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Forge]:
    async with open_reaching_forge(tmp_path / "forge", sqlite_template, imports_per_person=1) as opened:
        yield opened


async def test_an_import_is_begun_watched_and_finished(forge: Forge, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    make_source(tmp_path / "served")
    ada, eve = await forge.person("ada"), await forge.person("eve")
    await forge.repository(ada, "engine")
    await forge.repository(ada, "other")
    path = "/repos/ada/engine/import"
    assert (await forge.api(ada).get(path)).status_code == 404
    async with serve_git(tmp_path / "served") as server:
        wanted = {"vcs_url": server.url("r.git"), "vcs": "git"}
        assert (await forge.api().call("PUT", path, json=wanted)).status_code in {401, 403, 404}
        assert (await forge.api(eve).call("PUT", path, json=wanted)).status_code in {403, 404}
        begun = await forge.api(ada).call("PUT", path, json={**wanted, "vcs_password": "s3cret"})
        assert (begun.status_code, begun.json()["status"]) == (201, "detecting")
        assert "s3cret" not in begun.text
        assert (await forge.api(ada).call("PUT", path, json=wanted)).status_code == 409
        assert (await forge.api(ada).call("PUT", "/repos/ada/other/import", json=wanted)).status_code == 409
        await do_what_is_due(forge.engine)
    done = (await forge.api(ada).get(path)).json()
    assert (done["status"], done["percent"], done["refs_done"]) == ("complete", 100, 4)
    assert (await forge.api(eve).get(path)).status_code in {403, 404}
    assert (await forge.api(ada).call("DELETE", path)).status_code == 404
    assert (await forge.api(ada).call("PUT", path, json=wanted)).status_code == 409  # not empty any more


async def test_a_cancelled_import_goes_on_when_asked(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    path = "/repos/ada/engine/import"
    await forge.api(ada).call("PUT", path, json={"vcs_url": "http://127.0.0.1:9/r.git"})
    assert (await forge.api(ada).call("DELETE", path)).status_code == 204
    assert (await forge.api(ada).get(path)).json()["status"] == "cancelled"
    again = await forge.api(ada).call("PATCH", path, json={"vcs_username": "ada", "vcs_password": "p"})
    assert (again.status_code, again.json()["status"]) == (200, "detecting")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"vcs_url": ""},
        {"vcs_url": "ssh://h/a"},
        {"vcs_url": "git@h.example:a", "vcs_password": "s3cret"},
        {"vcs_url": "http://127.1/"},
        {"vcs_url": "https://h/a", "vcs": "svn"},
    ],
)
async def test_what_cannot_be_imported_is_refused(forge: Forge, body: dict[str, str]) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    assert (await forge.api(ada).call("PUT", "/repos/ada/engine/import", json=body)).status_code == 422


async def test_an_operator_may_switch_imports_off(tmp_path: Path, sqlite_template: Path) -> None:
    async with open_reaching_forge(tmp_path / "off", sqlite_template, imports="off") as off:
        ada = await off.person("ada")
        await off.repository(ada, "engine")
        answer = await off.api(ada).call("PUT", "/repos/ada/engine/import", json={"vcs_url": "https://h.example/a"})
        assert (answer.status_code, "CAIRN_IMPORTS" in answer.text) == (403, True)
