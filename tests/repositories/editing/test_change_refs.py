"""Moving refs: races have one winner, a merge is made again on a new head, what was asked for is what is done."""

import asyncio

import pytest
from tests.factories.forge import Forge, Person
from tests.factories.forking import heads, view_of

from cairn.access.roles import Role
from cairn.base.errors import Forbidden
from cairn.git.types import Oid
from cairn.repositories.editing.change_refs import (
    MergedBranch,
    NotFastForward,
    RefExists,
    create_ref,
    delete_ref,
    merge_branch,
    rename_branch,
    update_ref,
)
from cairn.repositories.queries import RepositoryView

MAIN, TOPIC = b"refs/heads/main", b"refs/heads/topic"


async def make(forge: Forge) -> tuple[Person, RepositoryView, Oid]:
    ada = await forge.person("ada")
    made = await forge.repository(ada, "engine", files={"a": b"0\n"})
    return ada, await view_of(forge, ada, made), Oid((await heads(forge, made))[MAIN.decode()])


async def test_of_several_who_make_one_ref_one_wins(forge: Forge) -> None:
    ada, repository, head = await make(forge)
    results = await asyncio.gather(
        *(create_ref(forge.engine, ada.actor, repository, TOPIC, head) for _ in range(4)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["RefExists"] * 3 + ["RefValue"]
    assert (await heads(forge, repository))[TOPIC.decode()] == head
    with pytest.raises(RefExists):
        await create_ref(forge.engine, ada.actor, repository, TOPIC, head)


async def test_merges_into_one_branch_all_land(forge: Forge) -> None:
    ada, repository, head = await make(forge)
    sides: list[Oid] = []
    for n in range(4):
        await create_ref(forge.engine, ada.actor, repository, b"refs/heads/side%d" % n, head)
        sides.append(
            await forge.commit(ada, repository, {f"f{n}": b"x\n"}, branch=b"refs/heads/side%d" % n, message=f"s{n}")
        )
    merged = await asyncio.gather(
        *(
            merge_branch(forge.engine, ada.actor, repository, base=MAIN, head=side, head_label=f"side{n}")
            for n, side in enumerate(sides)
        )
    )
    assert all(isinstance(one, MergedBranch) for one in merged)
    for side in sides:
        again = await merge_branch(forge.engine, ada.actor, repository, base=MAIN, head=side, head_label="side")
        assert again is None


async def test_a_tag_moves_only_by_force(forge: Forge) -> None:
    ada, repository, first = await make(forge)
    second = await forge.commit(ada, repository, {"a": b"1\n"})
    tag = b"refs/tags/v1"
    await create_ref(forge.engine, ada.actor, repository, tag, second)
    with pytest.raises(NotFastForward):
        await update_ref(forge.engine, ada.actor, repository, tag, first, force=False)
    assert (await update_ref(forge.engine, ada.actor, repository, tag, first, force=True)).oid == first
    assert (await update_ref(forge.engine, ada.actor, repository, tag, first, force=False)).oid == first
    await delete_ref(forge.engine, ada.actor, repository, tag, expected=first)
    assert tag.decode() not in await heads(forge, repository)


async def test_who_lost_the_role_since_the_page_was_made_moves_nothing(forge: Forge) -> None:
    ada, repository, head = await make(forge)
    ben = await forge.person("ben")
    await forge.grant(repository, ben, Role.WRITE)
    seen = await view_of(forge, ben, repository)
    await forge.api(ada).call("DELETE", "/repos/ada/engine/collaborators/ben")
    with pytest.raises(Forbidden):
        await create_ref(forge.engine, ben.actor, seen, TOPIC, head)
    with pytest.raises(Forbidden):
        await rename_branch(forge.engine, ben.actor, seen, MAIN, TOPIC)
    assert await heads(forge, repository) == {MAIN.decode(): head}
