"""``tarball`` and ``zipball``: a redirect to the archive of what is named, and of nothing else."""

from pathlib import Path

import pytest
from tests.factories.forge import Forge
from tests.repositories.archives.support import follow, make_repository
from tests.web.support import ORIGIN


@pytest.mark.parametrize(("verb", "ending"), [("tarball", "tar.gz"), ("zipball", "zip")])
async def test_a_public_archive_has_a_plain_address(forge: Forge, tmp_path: Path, verb: str, ending: str) -> None:
    await make_repository(forge, tmp_path / "stock")
    for ref, address in {"v1.0": f"refs/tags/v1.0.{ending}", "feature/x": f"refs/heads/feature/x.{ending}"}.items():
        answer = await forge.api().get(f"/repos/ada/engine/{verb}/{ref}")
        assert answer.status_code == 302
        assert answer.headers["location"] == f"{ORIGIN}/ada/engine/archive/{address}"
        assert (await follow(forge, answer.headers["location"])).status_code == 200


async def test_without_a_name_it_is_the_default_branch(forge: Forge, tmp_path: Path) -> None:
    await make_repository(forge, tmp_path / "stock")
    answer = await forge.api().get("/repos/ada/engine/zipball")
    assert answer.headers["location"] == f"{ORIGIN}/ada/engine/archive/refs/heads/main.zip"
    assert (await forge.api().get("/repos/ada/engine/zipball/none")).status_code == 404
