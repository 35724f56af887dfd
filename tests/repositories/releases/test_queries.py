"""Releases are found through their repository, and drafts only by who may push there."""

from typing import Any

import pytest
from tests.factories.forge import Forge
from tests.repositories.releases.support import create

from cairn.access.roles import Visibility
from cairn.base.actor import ANONYMOUS
from cairn.repositories.queries import RepositoryView
from cairn.repositories.releases.queries import (
    ReleaseMissing,
    count_releases,
    find_latest,
    find_release,
    find_release_of_tag,
    list_releases,
    tags_with_releases,
)


async def test_a_draft_counts_is_listed_and_found_only_for_who_may_push(
    forge: Forge, released: tuple[RepositoryView, Any]
) -> None:
    repository, _ = released
    draft = await create(forge, tag_name="v2.0", draft=True)
    ada = forge.people["ada"].actor
    async with forge.database.read() as session:
        assert await count_releases(session, ada, repository) == 2
        assert await count_releases(session, ANONYMOUS, repository) == 1
        page = await list_releases(session, ANONYMOUS, repository, offset=0, limit=10)
        assert [release.tag for release in page.releases] == [b"v1.0"]
        assert (await find_release(session, ada, repository, draft["id"])).is_draft
        with pytest.raises(ReleaseMissing):
            await find_release(session, ANONYMOUS, repository, draft["id"])
        with pytest.raises(ReleaseMissing):
            await find_release_of_tag(session, repository, b"v2.0")
        assert await tags_with_releases(session, repository, [b"v1.0", b"v2.0", b"v3.0"]) == {b"v1.0"}
        assert await tags_with_releases(session, repository, []) == frozenset()


async def test_another_repository_has_none_of_them(forge: Forge, released: tuple[RepositoryView, Any]) -> None:
    ada = forge.people["ada"]
    other = await forge.repository(ada, "other", visibility=Visibility.PRIVATE)
    async with forge.database.read() as session:
        assert await find_latest(session, other) is None
        assert (await list_releases(session, ada.actor, other, offset=0, limit=10)).total == 0
        with pytest.raises(ReleaseMissing):
            await find_release(session, ada.actor, other, released[1]["id"])
        with pytest.raises(ReleaseMissing):
            await find_release_of_tag(session, other, b"v1.0")


@pytest.mark.parametrize(
    ("text", "found"),
    [("STONE", [b"v2.0"]), ("v1", [b"v1.0"]), ("%", []), ("_", []), ("", [b"v2.0", b"v1.0"])],
)
async def test_a_text_is_looked_for_in_names_and_tags_letter_by_letter(
    forge: Forge, released: tuple[RepositoryView, Any], text: str, found: list[bytes]
) -> None:
    repository, _ = released
    await create(forge, tag_name="v2.0", name="Second Stone")
    async with forge.database.read() as session:
        page = await list_releases(session, ANONYMOUS, repository, offset=0, limit=10, text=text)
    assert [release.tag for release in page.releases] == found
    assert page.total == len(found)
