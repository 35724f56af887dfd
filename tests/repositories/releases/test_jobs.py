"""The worker deletes what no release has, in two runs hours apart."""

from datetime import timedelta
from typing import Any

from tests.factories.forge import Forge
from tests.factories.passing_time import let_pass
from tests.factories.work import services_of
from tests.repositories.releases.support import RELEASES, stored_keys, upload

from cairn.jobs.context import JobContext
from cairn.repositories.queries import RepositoryView
from cairn.repositories.releases.jobs import delete_what_no_release_has


async def test_the_job_condemns_and_hours_later_deletes(forge: Forge, released: tuple[RepositoryView, Any]) -> None:
    await upload(forge, released[1], "a.bin")
    await forge.api(forge.people["ada"]).call("DELETE", f"{RELEASES}/{released[1]['id']}")
    context = JobContext(forge.database, 0, 0, 1, services_of(forge.engine))
    await delete_what_no_release_has(context)
    assert len(await stored_keys(forge)) == 1
    await let_pass(forge.database, timedelta(hours=7))
    await delete_what_no_release_has(context)
    assert await stored_keys(forge) == []
