"""One release is the latest: as its publisher says, else by version; never a draft, never a pre-release."""

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository
from tests.repositories.releases.support import RELEASES, create

from cairn.repositories.queries import RepositoryView
from cairn.repositories.releases.latest import version_of

Place = tuple[RepositoryView, StockRepository]


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        (b"v1.2.3", (1, 2, 3)),
        (b"1.2", (1, 2, 0)),
        (b"release-10.0.1+build5", (10, 0, 1)),
        (b"engine/v2.0", (2, 0, 0)),
        (b"v1.2.3-rc1", None),
        (b"nightly", None),
        (b"v1", None),
        (b"v" + b"9" * 30 + b".0", None),
    ],
)
def test_a_version_is_read_from_a_tag(tag: bytes, version: tuple[int, int, int] | None) -> None:
    assert version_of(tag) == version


async def test_the_latest_is_what_publishers_say(forge: Forge, place: Place) -> None:
    async def latest() -> str:
        answer = await forge.api().get(f"{RELEASES}/latest")
        return str(answer.json().get("tag_name", ""))

    two = await create(forge, tag_name="v2.0")
    await create(forge, tag_name="v1.5", make_latest="false")
    assert await latest() == "v2.0"
    await create(forge, tag_name="v3.0-rc1", prerelease=True)
    assert await latest() == "v2.0"
    await create(forge, tag_name="v1.6")
    assert await latest() == "v1.6"
    await create(forge, tag_name="v1.7", make_latest="legacy")
    assert await latest() == "v2.0"
    ada = forge.api(forge.people["ada"])
    assert (await ada.call("DELETE", f"{RELEASES}/{two['id']}")).status_code == 204
    assert await latest() == "v1.7"


async def test_versions_are_compared_as_numbers(forge: Forge, place: Place) -> None:
    for tag in ("v1.9", "v1.10", "v1.2", "nightly"):
        await create(forge, tag_name=tag, make_latest="legacy")
    assert (await forge.api().get(f"{RELEASES}/latest")).json()["tag_name"] == "v1.10"


@pytest.mark.parametrize("change", [{"draft": True}, {"prerelease": True}], ids=["draft", "prerelease"])
async def test_what_becomes_a_draft_or_a_prerelease_is_not_the_latest(
    forge: Forge, place: Place, change: dict[str, bool]
) -> None:
    ada = forge.api(forge.people["ada"])
    one, two = await create(forge, tag_name="v1.0"), await create(forge, tag_name="v2.0")
    assert (await ada.get(f"{RELEASES}/latest")).json()["id"] == two["id"]
    assert (await ada.call("PATCH", f"{RELEASES}/{two['id']}", json=change)).status_code == 200
    assert (await ada.get(f"{RELEASES}/latest")).json()["id"] == one["id"]
