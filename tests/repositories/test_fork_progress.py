"""The page of a fork that is being made: how far it is, why it failed, and nothing of it afterwards."""

from tests.factories.forge import Forge
from tests.factories.work import do_what_is_due

from cairn.repositories.fork import NewFork, fail_fork, fork_repository
from cairn.repositories.fork_progress import STEPS
from cairn.repositories.models import WorkKind, WorkStep
from cairn.repositories.network import work_of


async def test_the_page_follows_the_work_by_itself(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", files={"a": b"1"})
    made = (await fork_repository(forge.database, forge.engine, ben.actor, parent, NewFork())).repository
    for step, text in STEPS:
        async with forge.database.write() as session:
            found = await work_of(session, made.id, WorkKind.FILL)
            assert found is not None
            found.step = step
        page = await forge.browser(ben).get("/ben/engine")
        assert 'data-looks-again hx-get="/ben/engine"' in page.text
        assert '<noscript><a href="/ben/engine">Look again</a></noscript>' in page.text
        assert "refresh" not in page.headers, "it would take away what somebody reads, or types"
        assert f'<li aria-current="step">{text}</li>' in page.text
    await do_what_is_due(forge.engine)
    page = await forge.browser(ben).get("/ben/engine")
    assert "looks-again" not in page.text
    assert "Forking" not in page.text


async def test_a_failure_is_told_and_asks_no_more(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", files={"a": b"1"})
    made = (await fork_repository(forge.database, forge.engine, ben.actor, parent, NewFork())).repository
    await fail_fork(forge.database, made.id, "The parent is gone.")
    page = await forge.browser(ben).get("/ben/engine")
    assert "The parent is gone." in page.text
    assert "looks-again" not in page.text
    async with forge.database.read() as session:
        found = await work_of(session, made.id, WorkKind.FILL)
    assert found is not None
    assert found.step is WorkStep.FAILED
    await fail_fork(forge.database, 999_999, "nothing to fail")


async def test_an_empty_repository_that_is_no_fork_says_how_to_begin(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    page = await forge.browser(ada).get("/ada/engine")
    assert "Lay the first stone" in page.text
    assert "looks-again" not in page.text
