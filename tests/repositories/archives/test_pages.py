"""The address of an archive: every name and format, and who may have it."""

from pathlib import Path

import pytest
from tests.factories.forge import Forge
from tests.repositories.archives.support import make_repository, members

from cairn.access.roles import Role, Visibility


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz"])
async def test_a_branch_comes_as_one_file_in_each_format(forge: Forge, tmp_path: Path, form: str) -> None:
    _, stock = await make_repository(forge, tmp_path / "stock")
    answer = await forge.browser().get(f"/ada/engine/archive/main.{form}")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == (
        f"attachment; filename=\"engine-main.{form}\"; filename*=UTF-8''engine-main.{form}"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.content == stock.git("archive", f"--format={form}", "--prefix=engine-main/", "main")
    found = members(answer.content, f".{form}")
    assert found["engine-main/version.txt"] == f"{stock.oid('main')}\n".encode()
    assert not any("secret" in name for name in found)


@pytest.mark.parametrize(
    ("address", "folder"),
    [
        ("v1.0.zip", "engine-1.0"),
        ("refs/tags/v1.0.zip", "engine-1.0"),
        ("refs/heads/feature/x.zip", "engine-feature-x"),
        ("feature/x.zip", "engine-feature-x"),
    ],
)
async def test_every_name_of_a_revision_has_an_archive(forge: Forge, tmp_path: Path, address: str, folder: str) -> None:
    await make_repository(forge, tmp_path / "stock")
    answer = await forge.browser().get(f"/ada/engine/archive/{address}")
    assert f"{folder}/README.md" in members(answer.content, ".zip")
    assert f'filename="{folder}.zip"' in answer.headers["content-disposition"]


async def test_a_commit_has_one_too(forge: Forge, tmp_path: Path) -> None:
    _, stock = await make_repository(forge, tmp_path / "stock")
    oid = stock.oid("main")
    answer = await forge.browser().get(f"/ada/engine/archive/{oid}.tar.gz")
    assert f"engine-{oid}/README.md" in members(answer.content, ".tar.gz")


@pytest.mark.parametrize(
    "address", ["none.zip", "main", "main.rar", ".zip", "0000000000000000000000000000000000000000.zip"]
)
async def test_what_is_not_there_is_absent(forge: Forge, tmp_path: Path, address: str) -> None:
    await make_repository(forge, tmp_path / "stock")
    assert (await forge.browser().get(f"/ada/engine/archive/{address}")).status_code == 404


async def test_a_private_repository_gives_its_archives_to_readers_only(forge: Forge, tmp_path: Path) -> None:
    repository, _ = await make_repository(forge, tmp_path / "stock", visibility=Visibility.PRIVATE)
    eve, bob = await forge.person("eve"), await forge.person("bob")
    await forge.grant(repository, bob, Role.READ)
    address = "/ada/engine/archive/main.zip"
    assert (await forge.browser(bob).get(address)).status_code == 200
    for refused in (forge.browser(), forge.browser(eve)):
        assert (await refused.get(address)).status_code == 404


async def test_the_old_name_leads_to_the_new_one(forge: Forge, tmp_path: Path) -> None:
    await make_repository(forge, tmp_path / "stock")
    ada = forge.people["ada"]
    renamed = await forge.api(ada).call("PATCH", "/repos/ada/engine", json={"name": "mill"})
    assert renamed.status_code == 200
    moved = await forge.browser().get("/ada/engine/archive/refs/tags/v1.0.zip?x=1")
    assert (moved.status_code, moved.headers["location"]) == (301, "/ada/mill/archive/refs/tags/v1.0.zip?x=1")
