"""Forking: at once where the base is complete, by a job where it must be cut, by whoever may read and create."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories.forge import Forge
from tests.factories.forked_stores import packs_of, sound
from tests.factories.forking import fork, heads, may_see, view_of
from tests.factories.work import do_what_is_due

from cairn.access.roles import Role, Visibility
from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS
from cairn.base.errors import NotFound, Unauthenticated
from cairn.events.models import EventRow
from cairn.git import fail_points
from cairn.git.fail_points import FailPointError, Step
from cairn.git.forks import cut_base
from cairn.repositories.create import RepositoryExists
from cairn.repositories.fork import ForkNotPossible, NewFork, fork_repository, free_name
from cairn.repositories.models import WorkKind, WorkStep
from cairn.repositories.network import work_of


async def test_a_first_fork_is_filled_by_a_job_and_the_next_at_once(forge: Forge) -> None:
    ada, ben, cleo = [await forge.person(name) for name in ("ada", "ben", "cleo")]
    parent = await forge.repository(ada, "engine", files={"a": b"1"}, description="Mill")
    await forge.commit(ada, parent, {"b": b"2"}, branch=b"refs/heads/side")
    first = await fork_repository(forge.database, forge.engine, ben.actor, parent, NewFork())
    assert (first.is_new, first.is_ready) == (True, False)
    assert await heads(forge, first.repository) == {}
    assert "repositories.fill_fork" in await do_what_is_due(forge.engine)
    seen = await view_of(forge, ben, first.repository)
    assert await heads(forge, seen) == await heads(forge, parent)
    assert (seen.full_name, seen.parent_name, seen.description) == ("ben/engine", "ada/engine", "Mill")
    assert (seen.parent_id, seen.source_id, seen.default_branch) == (parent.id, parent.id, "main")
    second = await fork_repository(forge.database, forge.engine, cleo.actor, parent, NewFork())
    assert (second.is_new, second.is_ready) == (True, True)
    assert await heads(forge, second.repository) == await heads(forge, parent)
    assert await packs_of(forge.engine, parent.store_id) == await packs_of(forge.engine, second.repository.store_id)
    assert (await view_of(forge, ada, parent)).forks_count == 2


async def test_a_fork_begins_as_asked(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", files={"a": b"1"})
    await forge.commit(ada, parent, {"b": b"2"}, branch=b"refs/heads/side")
    await cut_base(forge.engine, parent.store_id)
    wanted = NewFork(name="motor", description="Mine", default_branch_only=True)
    made = (await fork_repository(forge.database, forge.engine, ben.actor, parent, wanted)).repository
    assert (made.full_name, made.description) == ("ben/motor", "Mine")
    assert list(await heads(forge, made)) == ["refs/heads/main"]


async def test_who_has_a_fork_already_gets_it(forge: Forge) -> None:
    """GitHub's rule, for the whole network: the fork of a fork counts, and the root's owner has the root."""
    ada, ben, cleo = [await forge.person(name) for name in ("ada", "ben", "cleo")]
    parent = await forge.repository(ada, "engine", files={"a": b"1"})
    mine = await fork(forge, ben, parent)
    again = await fork_repository(forge.database, forge.engine, ben.actor, parent, NewFork(name="other"))
    assert (again.repository.id, again.is_new) == (mine.id, False)
    second = await fork(forge, cleo, mine)
    assert (second.parent_id, second.source_id) == (mine.id, parent.id)
    back = await fork_repository(forge.database, forge.engine, ada.actor, second, NewFork())
    assert (back.repository.id, back.is_new) == (parent.id, False)


async def test_two_forks_at_once_are_one(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", files={"a": b"1"})
    made = await asyncio.gather(
        *(fork_repository(forge.database, forge.engine, ben.actor, parent, NewFork()) for _ in range(4))
    )
    assert len({one.repository.id for one in made}) == 1
    assert sorted(one.is_new for one in made) == [False, False, False, True]


async def test_a_name_that_is_taken_gets_a_number_unless_it_was_chosen(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", files={"a": b"1"})
    await forge.repository(ben, "Engine")
    with pytest.raises(RepositoryExists):
        await fork_repository(forge.database, forge.engine, ben.actor, parent, NewFork(name="engine"))
    async with forge.database.read() as session:
        assert await free_name(session, ben.account.id, "engine") == "engine-1"
    assert (await fork(forge, ben, parent)).name == "engine-1"


async def test_who_may_not_read_or_is_nobody_forks_nothing(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    secret = await forge.repository(ada, "secret", visibility=Visibility.PRIVATE, files={"a": b"1"})
    with pytest.raises(NotFound):
        await fork_repository(forge.database, forge.engine, ben.actor, secret, NewFork())
    with pytest.raises(Unauthenticated):
        await fork_repository(forge.database, forge.engine, ANONYMOUS, secret, NewFork())
    with pytest.raises(ForkNotPossible, match="another account"):
        await fork_repository(forge.database, forge.engine, ada.actor, secret, NewFork())
    with pytest.raises(ForkNotPossible, match="no account"):
        await fork_repository(forge.database, forge.engine, ada.actor, secret, NewFork(owner="nobody"))


async def test_a_fork_of_a_private_repository_is_private(forge: Forge) -> None:
    ada, ben, cleo = [await forge.person(name) for name in ("ada", "ben", "cleo")]
    secret = await forge.repository(ada, "secret", visibility=Visibility.PRIVATE, files={"a": b"1"})
    await forge.grant(secret, ben, Role.READ)
    made = await fork(forge, ben, secret)
    assert made.visibility is Visibility.PRIVATE
    assert not await may_see(forge, cleo, made)


async def test_what_was_pushed_to_the_fork_meanwhile_stays(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", files={"a": b"1"})
    await forge.commit(ada, parent, {"b": b"2"}, branch=b"refs/heads/side")
    begun = (await fork_repository(forge.database, forge.engine, ben.actor, parent, NewFork())).repository
    mine = await forge.commit(ben, begun, {"mine": b"3"})
    await do_what_is_due(forge.engine)
    found = await heads(forge, begun)
    assert found["refs/heads/main"] == mine
    assert found["refs/heads/side"] == (await heads(forge, parent))["refs/heads/side"]


async def test_a_fork_all_of_whose_names_are_taken_is_done(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", files={"a": b"1"})
    begun = (await fork_repository(forge.database, forge.engine, ben.actor, parent, NewFork())).repository
    mine = await forge.commit(ben, begun, {"mine": b"3"})
    await do_what_is_due(forge.engine)
    assert await heads(forge, begun) == {"refs/heads/main": mine}
    async with forge.database.read() as session:
        assert await work_of(session, begun.id, WorkKind.FILL) is None


async def test_an_empty_repository_can_be_forked(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    made = await fork(forge, ben, await forge.repository(ada, "engine"))
    assert made.parent_name == "ada/engine"
    assert await heads(forge, made) == {}


async def test_a_fork_is_told(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", files={"a": b"1"})
    made = await fork(forge, ben, parent)
    async with forge.database.read() as session:
        rows = await session.scalars(select(EventRow).where(EventRow.type == "repository_forked"))
        [event] = list(rows)
        entry = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "repository.fork"))).one()
    assert event.payload["fork_id"] == made.id
    assert event.repository_id == parent.id
    assert (entry.target, entry.details["fork"]) == ("ada/engine", "ben/engine")


async def test_a_parent_that_is_gone_or_closed_meanwhile_is_told(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    for name, body in (("gone", None), ("closed", {"private": True})):
        parent = await forge.repository(ada, name, files={"a": b"1"})
        begun = (await fork_repository(forge.database, forge.engine, ben.actor, parent, NewFork())).repository
        method = "PATCH" if body else "DELETE"
        answer = await forge.api(ada).call(method, f"/repos/ada/{name}", json=body)
        assert answer.is_success, answer.text
        await do_what_is_due(forge.engine)
        async with forge.database.read() as session:
            found = await work_of(session, begun.id, WorkKind.FILL)
        assert found is not None
        assert found.step is WorkStep.FAILED
        assert "gone" in found.failure
        assert await heads(forge, begun) == {}


@pytest.mark.parametrize("step", [Step.FORK_MADE, Step.BEFORE_COMMIT, Step.AFTER_COMMIT])
async def test_a_fork_that_was_interrupted_is_finished_by_the_worker(forge: Forge, tmp_path: Path, step: Step) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", files={"a": b"1"})
    await cut_base(forge.engine, parent.store_id)
    fail_points.configure([f"{step.value}=error"])
    try:
        with pytest.raises(FailPointError):
            await fork_repository(forge.database, forge.engine, ben.actor, parent, NewFork())
    finally:
        fail_points.configure([])
    await do_what_is_due(forge.engine)
    again = await fork_repository(forge.database, forge.engine, ben.actor, parent, NewFork())
    assert (again.is_new, again.is_ready) == (False, True)
    assert await heads(forge, again.repository) == await heads(forge, parent)
    await sound(forge.engine, again.repository.store_id, tmp_path / "fork")
