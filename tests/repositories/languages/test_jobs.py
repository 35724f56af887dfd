"""The worker counts after pushes, once a tree, and what nobody asked for; pages and the API show it."""

import pytest
from sqlalchemy import delete
from tests.factories.forge import Forge
from tests.factories.forking import fork
from tests.factories.work import do_what_is_due

from cairn.jobs.models import Job
from cairn.jobs.registry import registry
from cairn.jobs.schedules import enqueue_due
from cairn.repositories.languages import jobs
from cairn.repositories.languages.recorded import COUNT_KIND, load_languages
from cairn.repositories.update import RepositoryChange, update_repository

PYTHON, GO = {"a.py": b"x" * 300}, {"a.py": None, "b.go": b"x" * 100, "c.html": b"x" * 50}


async def test_a_push_to_the_default_branch_is_counted(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files=PYTHON)
    assert (await forge.api().get("/repos/ada/engine/languages")).json() == {}
    assert COUNT_KIND in await do_what_is_due(forge.engine)
    assert (await forge.api().get("/repos/ada/engine/languages")).json() == {"Python": 300}
    assert (await forge.api().get("/repos/ada/engine")).json()["language"] == "Python"
    await forge.commit(ada, repository, GO, branch=b"refs/heads/other")
    assert COUNT_KIND not in await do_what_is_due(forge.engine)
    await forge.commit(ada, repository, GO)
    await do_what_is_due(forge.engine)
    assert (await forge.api().get("/repos/ada/engine/languages")).json() == {"Go": 100, "HTML": 50}
    text = (await forge.browser().get("/ada/engine")).text
    assert '<span class="language-name">Go</span> <span class="muted">66.7%</span>' in text
    assert "Go" in (await forge.browser().get("/explore")).text


async def test_another_default_branch_is_counted_and_the_same_tree_is_not(
    forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files=PYTHON)
    await forge.commit(ada, repository, GO, branch=b"refs/heads/other")
    await do_what_is_due(forge.engine)
    async with forge.database.write() as session:
        change = RepositoryChange(default_branch="other")
        await update_repository(session, forge.engine, ada.actor, repository.id, change)
    await do_what_is_due(forge.engine)
    assert await load_languages(forge.database, repository.id) == {"Go": 100, "HTML": 50}

    async def never(*args: object) -> None:
        raise AssertionError("this tree is counted")

    monkeypatch.setattr(jobs, "count_tree", never)
    await jobs.count_languages(forge.database, forge.engine, repository.id)
    await jobs.count_languages(forge.database, forge.engine, 999_999)


async def test_what_no_push_asked_for_is_found_by_the_hour(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    repository = await forge.repository(ada, "engine", files=PYTHON)
    await forge.repository(ada, "empty")
    async with forge.database.write() as session:
        await session.execute(delete(Job).where(Job.kind == COUNT_KIND))
    assert "repositories.uncounted_languages" in await enqueue_due(forge.database, registry)
    await do_what_is_due(forge.engine)
    assert await load_languages(forge.database, repository.id) == {"Python": 300}
    mine = await fork(forge, ben, repository)
    await do_what_is_due(forge.engine)
    assert await load_languages(forge.database, mine.id) == {"Python": 300}
