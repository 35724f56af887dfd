"""An attempt publishes only while somebody wants it to."""

from collections.abc import Sequence

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer
from tests.factories.importing import ask_for_import, begin_attempt

from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import RefName
from cairn.repositories.imports.attempt import still_wanted
from cairn.repositories.imports.start import cancel_import
from cairn.repositories.imports.work import ImportGivenUp


async def test_nothing_lands_after_somebody_cancelled(forge: Forge, ada: Person, server: GitServer) -> None:
    made = await ask_for_import(forge, ada, server.url("r.git"))
    attempt = await begin_attempt(forge, made)
    landed: list[str] = []

    async def land(session: AsyncSession, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
        landed.append("landed")
        return {}

    within = still_wanted(attempt, land)
    async with forge.database.write() as session:
        assert await within(session, []) == {}
    async with forge.database.write() as session:
        await cancel_import(session, ada.actor, made.id)
    async with forge.database.write() as session:
        with pytest.raises(ImportGivenUp):
            await within(session, [])
    assert landed == ["landed"]
