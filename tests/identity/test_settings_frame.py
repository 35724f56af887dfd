"""The frame of the settings."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.identity.web_support import People, open_people

from cairn.base.actor import ANONYMOUS
from cairn.base.errors import Unauthenticated
from cairn.db.database import Database
from cairn.identity.settings_frame import SECTIONS, own_account


@pytest.fixture
async def people(tmp_path: Path, database: Database) -> AsyncIterator[People]:
    async with open_people(tmp_path, database) as opened:
        yield opened


async def test_every_section_opens_and_is_marked(people: People) -> None:
    """But transfers and what was deleted: those pages belong to repositories, and are tested there."""
    await people.account("ada")
    ada = await people.signed_in("ada")
    for name in {name for name, _, _ in SECTIONS} - {"transfers", "deleted"}:
        answer = await ada.get(f"/settings/{name}")
        assert answer.status_code == 200, name
        assert f'href="/settings/{name}" aria-current="page"' in answer.text
        assert answer.headers["cache-control"] == "no-store"


def test_a_visitor_has_no_settings() -> None:
    with pytest.raises(Unauthenticated):
        own_account(ANONYMOUS)
