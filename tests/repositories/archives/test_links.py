"""Links to archives: good for one archive, for five minutes, and only while their asker may read the repository."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from tests.factories.forge import Forge
from tests.repositories.archives.support import follow, make_repository, members

from cairn.access.models import Grant
from cairn.access.roles import Role, Visibility
from cairn.base.clock import utc_now
from cairn.identity.models import Account


async def test_a_private_archive_has_an_address_that_opens_it_alone(forge: Forge, tmp_path: Path) -> None:
    await make_repository(forge, tmp_path / "stock", visibility=Visibility.PRIVATE)
    assert (await forge.api().get("/repos/ada/engine/tarball/v1.0")).status_code == 404
    answer = await forge.api(forge.people["ada"]).get("/repos/ada/engine/tarball/v1.0")
    location = answer.headers["location"]
    found = await follow(forge, location)
    assert "engine-1.0/README.md" in members(found.content, ".tar.gz")
    path, _, token = location.partition("?")
    for other in (
        path,
        f"{path}?{token}0",
        location.replace("v1.0", "v1.1"),
        location.replace("tags/v1.0", "heads/main"),
    ):
        assert (await follow(forge, other)).status_code == 404


async def test_a_link_opens_nothing_once_its_asker_lost_the_repository(forge: Forge, tmp_path: Path) -> None:
    repository, _ = await make_repository(forge, tmp_path / "stock", visibility=Visibility.PRIVATE)
    bob = await forge.person("bob")
    await forge.grant(repository, bob, Role.READ)
    location = (await forge.api(bob).get("/repos/ada/engine/zipball/main")).headers["location"]
    assert (await follow(forge, location)).status_code == 200
    async with forge.database.write() as session:
        grant = await session.get_one(Grant, (repository.id, bob.account.id))
        await session.delete(grant)
    assert (await follow(forge, location)).status_code == 404


@pytest.mark.parametrize(("seconds", "status"), [(299, 200), (301, 404)])
async def test_a_link_ends_after_five_minutes(forge: Forge, tmp_path: Path, seconds: int, status: int) -> None:
    await make_repository(forge, tmp_path / "stock", visibility=Visibility.PRIVATE)
    site = forge.running.app.site
    now = site.clock()
    object.__setattr__(site, "clock", lambda: now)
    location = (await forge.api(forge.people["ada"]).get("/repos/ada/engine/zipball/main")).headers["location"]
    object.__setattr__(site, "clock", lambda: now + timedelta(seconds=seconds))
    assert (await follow(forge, location)).status_code == status


async def test_a_link_of_a_suspended_account_opens_nothing(forge: Forge, tmp_path: Path) -> None:
    await make_repository(forge, tmp_path / "stock", visibility=Visibility.PRIVATE)
    ada = forge.people["ada"]
    location = (await forge.api(ada).get("/repos/ada/engine/zipball/main")).headers["location"]
    async with forge.database.write() as session:
        await session.execute(update(Account).where(Account.id == ada.account.id).values(suspended_at=utc_now()))
    assert (await follow(forge, location)).status_code == 404


async def test_a_link_of_another_repository_opens_nothing(forge: Forge, tmp_path: Path) -> None:
    await make_repository(forge, tmp_path / "stock", visibility=Visibility.PRIVATE)
    ada = forge.people["ada"]
    await forge.repository(ada, "mill", visibility=Visibility.PRIVATE, files={"a": b"a"})
    location = (await forge.api(ada).get("/repos/ada/engine/zipball/main")).headers["location"]
    assert (await follow(forge, location.replace("/ada/engine/", "/ada/mill/"))).status_code == 404
