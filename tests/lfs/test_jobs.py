"""The jobs that recur do what is due, one repository by itself."""

from datetime import timedelta

from tests.factories.forge import Forge
from tests.factories.passing_time import let_pass
from tests.factories.work import do_what_is_due, services_of
from tests.lfs.test_collection import FORTNIGHT, pointer, send, there

from cairn.jobs.context import JobContext
from cairn.lfs.jobs import collect_what_lost_its_names, delete_what_nobody_has, sweep_uploads
from cairn.programs.features import load_jobs


async def test_what_nothing_names_goes_with_its_bytes(forge: Forge) -> None:
    load_jobs()
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"one.bin": pointer(b"one")}, may_lack_objects=True)
    one, two = await send(forge, repository, ada, b"one"), await send(forge, repository, ada, b"two")
    await let_pass(forge.database, FORTNIGHT)
    context = JobContext(forge.database, 0, 0, 1, services_of(forge.engine))
    await collect_what_lost_its_names(context)
    await collect_what_lost_its_names(context)  # a second scan finds it waiting
    assert "lfs.collect" in await do_what_is_due(forge.engine)
    assert await there(forge, repository, one, two) == {one}
    await delete_what_nobody_has(context)
    await let_pass(forge.database, timedelta(hours=7))
    await delete_what_nobody_has(context)
    assert len([entry async for entry in forge.engine.storage.list("lfs")]) == 1
    await sweep_uploads(context)
