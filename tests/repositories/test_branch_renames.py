"""Where a renamed branch is, through any number of renames; until its old name is used anew."""

from dataclasses import dataclass

import pytest
from sqlalchemy import func, select
from tests.factories.forge import Forge, Person
from tests.factories.forking import heads

from cairn.git.types import Oid
from cairn.repositories import branch_renames
from cairn.repositories.branch_renames import Renamed, find_renamed_branch
from cairn.repositories.editing.change_refs import create_ref, delete_ref, rename_branch
from cairn.repositories.models import BranchRename
from cairn.repositories.queries import BRANCH_PREFIX, RepositoryView


@dataclass
class Place:
    forge: Forge
    ada: Person
    repository: RepositoryView
    head: Oid

    async def find(self, address: bytes) -> tuple[bytes, bytes] | None:
        found = await find_renamed_branch(
            self.forge.database,
            self.forge.engine,
            repository_id=self.repository.id,
            store_id=self.repository.store_id,
            address=address,
        )
        assert found is None or isinstance(found, Renamed)
        return None if found is None else (found.branch, found.rest)

    async def rename(self, old: bytes, new: bytes) -> None:
        await rename_branch(
            self.forge.engine, self.ada.actor, self.repository, BRANCH_PREFIX + old, BRANCH_PREFIX + new
        )

    async def make(self, name: bytes) -> None:
        await create_ref(self.forge.engine, self.ada.actor, self.repository, BRANCH_PREFIX + name, self.head)

    async def delete(self, name: bytes) -> None:
        await delete_ref(self.forge.engine, self.ada.actor, self.repository, BRANCH_PREFIX + name)


@pytest.fixture
async def place(forge: Forge) -> Place:
    """ada's repository with the branches main and feature/x."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"src/a.c": b"int a;\n"})
    made = Place(forge, ada, repository, Oid((await heads(forge, repository))["refs/heads/main"]))
    await made.make(b"feature/x")
    return made


async def test_a_name_leads_to_the_present_one_with_what_follows_it(place: Place) -> None:
    assert await place.find(b"feature/x/src/a.c") is None
    await place.rename(b"feature/x", b"caf\xe9")
    assert await place.find(b"feature/x/src/a.c") == (b"caf\xe9", b"src/a.c")
    assert await place.find(b"feature/x") == (b"caf\xe9", b"")
    await place.rename(b"caf\xe9", b"later")
    assert await place.find(b"feature/x/src") == (b"later", b"src")
    assert await place.find(b"caf\xe9") == (b"later", b"")
    assert await place.find(b"feature") is None
    assert await place.find(b"") is None


async def test_the_longest_old_name_wins(place: Place) -> None:
    await place.rename(b"feature/x", b"one")
    await place.make(b"feature")
    await place.rename(b"feature", b"two")
    assert await place.find(b"feature/x/y") == (b"one", b"y")
    assert await place.find(b"feature/y") == (b"two", b"y")


async def test_renaming_back_and_forth_makes_no_ring(place: Place) -> None:
    await place.rename(b"feature/x", b"y")
    await place.rename(b"y", b"feature/x")
    assert await place.find(b"y") == (b"feature/x", b"")
    assert await place.find(b"feature/x") is None


async def test_a_new_branch_of_the_old_name_ends_it_for_good(place: Place) -> None:
    await place.rename(b"feature/x", b"y")
    await place.make(b"feature/x")
    await place.delete(b"feature/x")
    assert await place.find(b"feature/x") is None


async def test_a_push_of_the_old_name_ends_it_too(place: Place) -> None:
    await place.rename(b"main", b"trunk")
    assert await place.find(b"main/src") == (b"trunk", b"src")
    await place.forge.commit(place.ada, place.repository, {"b": b"b"}, branch=b"refs/heads/main")
    await place.delete(b"main")
    assert await place.find(b"main/src") is None


async def test_a_branch_that_is_gone_is_nowhere(place: Place) -> None:
    await place.rename(b"feature/x", b"y")
    await place.delete(b"y")
    assert await place.find(b"feature/x") is None


async def test_the_oldest_names_are_forgotten(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branch_renames, "RENAMES_MAX", 2)
    for old, new in ((b"feature/x", b"1"), (b"1", b"2"), (b"2", b"3")):
        await place.rename(old, new)
    assert await place.find(b"feature/x") is None
    assert [await place.find(name) for name in (b"1", b"2")] == [(b"3", b"")] * 2
    async with place.forge.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(BranchRename)) == 2


async def test_names_of_another_repository_lead_nowhere(place: Place) -> None:
    await place.rename(b"feature/x", b"y")
    other = await place.forge.repository(place.ada, "other", files={"a": b"a"})
    found = await find_renamed_branch(
        place.forge.database, place.forge.engine, repository_id=other.id, store_id=other.store_id, address=b"feature/x"
    )
    assert found is None
