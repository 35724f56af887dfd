"""Networks: who is whose parent when repositories go, narrow, or shut people out."""

import pytest
from tests.factories.forge import Forge
from tests.factories.forking import fork, may_see, view_of
from tests.factories.work import do_what_is_due

from cairn.access.roles import Role, Visibility
from cairn.identity.organizations import create_organization
from cairn.repositories.collaborators import put_collaborator, remove_collaborator
from cairn.repositories.create import NewRepository, create_repository
from cairn.repositories.delete import delete_repository
from cairn.repositories.models import Repository
from cairn.repositories.network import (
    NoReaderOfParent,
    WiderThanParent,
    guard_private_fork,
    list_private_forks,
    list_relatives,
    private_forks_of,
)
from cairn.repositories.queries import RepositoryView
from cairn.repositories.update import RepositoryChange, update_repository


async def test_a_deleted_parent_hands_its_forks_on(forge: Forge) -> None:
    """root <- middle <- last <- leaf: without middle, last is root's; without root, last is the root of leaf."""
    people = [await forge.person(name) for name in ("ada", "ben", "cleo", "dan")]
    root = await forge.repository(people[0], "engine", files={"a": b"1"})
    middle = await fork(forge, people[1], root)
    last = await fork(forge, people[2], middle)
    leaf = await fork(forge, people[3], last)
    assert (leaf.parent_id, leaf.source_id) == (last.id, root.id)
    async with forge.database.write() as session:
        await delete_repository(session, forge.engine, people[1].actor, middle.id)
    last = await view_of(forge, people[2], last)
    assert (last.parent_id, last.source_id) == (root.id, root.id)
    async with forge.database.write() as session:
        await delete_repository(session, forge.engine, people[0].actor, root.id)
    last, leaf = await view_of(forge, people[2], last), await view_of(forge, people[3], leaf)
    assert (last.parent_id, last.source_id, last.is_fork) == (None, None, False)
    assert (leaf.parent_id, leaf.source_id) == (last.id, last.id)


async def test_relatives_are_everything_that_may_hold_the_same_objects(forge: Forge) -> None:
    """root <- middle <- last and root <- other; whatever is deleted meanwhile, as long as it may come back."""
    people = [await forge.person(name) for name in ("ada", "ben", "cleo", "dan")]
    root = await forge.repository(people[0], "engine", files={"a": b"1"})
    middle = await fork(forge, people[1], root)
    last = await fork(forge, people[2], middle)
    other = await fork(forge, people[3], root)
    stranger = await forge.repository(people[0], "stranger", files={"a": b"1"})
    family = {one.id for one in (root, middle, last, other)}

    async def relatives(repository: RepositoryView) -> set[int]:
        async with forge.database.read() as session:
            row = await session.get_one(Repository, repository.id)
            found = await list_relatives(session, row)
        assert found[0].id == repository.id
        assert len({one.store_id for one in found}) == len(found)
        return {one.id for one in found}

    for gone in (None, (people[1], middle), (people[0], root)):
        if gone is not None:
            async with forge.database.write() as session:
                await delete_repository(session, forge.engine, gone[0].actor, gone[1].id)
        for one in (root, middle, last, other):
            assert await relatives(one) == family
    assert await relatives(stranger) == {stranger.id}


async def test_a_parent_that_narrows_lets_go_of_wider_forks_only(forge: Forge) -> None:
    ada, ben, cleo = [await forge.person(name) for name in ("ada", "ben", "cleo")]
    async with forge.database.write() as session:
        await create_organization(session, ada.actor, login="guild")
    wanted = NewRepository(name="engine", owner="guild")
    root = await create_repository(forge.database, forge.engine, ada.actor, wanted)
    await forge.commit(ada, root, {"a": b"1"})
    wide, narrow = await fork(forge, ben, root), await fork(forge, cleo, root)
    for who, which, visibility in ((cleo, narrow, Visibility.PRIVATE), (ada, root, Visibility.INTERNAL)):
        async with forge.database.write() as session:
            change = RepositoryChange(visibility=visibility)
            await update_repository(session, forge.engine, who.actor, which.id, change)
    await do_what_is_due(forge.engine)
    assert (await view_of(forge, ben, wide)).parent_id is None
    assert (await view_of(forge, cleo, narrow)).parent_id == root.id
    change = RepositoryChange(visibility=Visibility.PUBLIC)
    with pytest.raises(WiderThanParent, match="internal repository cannot be public"):
        async with forge.database.write() as session:
            await update_repository(session, forge.engine, cleo.actor, narrow.id, change)


async def test_who_reads_a_private_fork_reads_its_parent(forge: Forge) -> None:
    ada, ben, cleo = [await forge.person(name) for name in ("ada", "ben", "cleo")]
    secret = await forge.repository(ada, "secret", visibility=Visibility.PRIVATE, files={"a": b"1"})
    async with forge.database.write() as session:
        await put_collaborator(session, ada.actor, secret.id, login="ben", role=Role.READ)
    mine = await fork(forge, ben, secret)
    with pytest.raises(NoReaderOfParent, match="cleo cannot read"):
        async with forge.database.write() as session:
            await put_collaborator(session, ben.actor, mine.id, login="cleo", role=Role.READ)
    async with forge.database.write() as session:
        await put_collaborator(session, ada.actor, secret.id, login="cleo", role=Role.READ)
    async with forge.database.write() as session:
        await put_collaborator(session, ben.actor, mine.id, login="cleo", role=Role.WRITE)
    assert await may_see(forge, cleo, mine)
    # Whoever loses the parent loses the fork, at once: as somebody let in, and as its owner.
    async with forge.database.write() as session:
        await remove_collaborator(session, ada.actor, secret.id, login="cleo")
    assert not await may_see(forge, cleo, mine)
    assert await may_see(forge, ben, mine)
    async with forge.database.write() as session:
        await remove_collaborator(session, ada.actor, secret.id, login="ben")
    assert not await may_see(forge, ben, mine)
    assert (await forge.api(ben).get("/user/repos")).json() == []
    # Given back with the parent.
    async with forge.database.write() as session:
        await put_collaborator(session, ada.actor, secret.id, login="ben", role=Role.READ)
        await guard_private_fork(session, mine.id)
    assert await may_see(forge, ben, mine)


async def test_private_forks_are_found_level_by_level(forge: Forge) -> None:
    ada, ben, cleo = [await forge.person(name) for name in ("ada", "ben", "cleo")]
    secret = await forge.repository(ada, "secret", visibility=Visibility.PRIVATE, files={"a": b"1"})
    for person in (ben, cleo):
        await forge.grant(secret, person, Role.READ)
    first = await fork(forge, ben, secret)
    await forge.grant(first, cleo, Role.READ)
    second = await fork(forge, cleo, first)
    await fork(forge, ben, await forge.repository(ada, "open", files={"a": b"1"}))
    async with forge.database.read() as session:
        assert await private_forks_of(session, secret.id) == [first.id, second.id]
        assert list(await list_private_forks(session, after=0, limit=10)) == [first.id, second.id]
        assert list(await list_private_forks(session, after=first.id, limit=10)) == [second.id]
