"""Objects without a ref, made by the service: who may, how many, what they may be made of."""

from datetime import UTC, datetime

import pytest
from tests.factories.forge import Forge, Person
from tests.factories.forking import heads, view_of

from cairn.base.errors import Forbidden
from cairn.git.reading import ObjectReader
from cairn.git.types import Oid, Signature
from cairn.git.writing import File
from cairn.repositories.editing import new_objects
from cairn.repositories.editing.new_objects import (
    PARENTS_MAX,
    CommitInvalid,
    NewCommit,
    TooManyKept,
    make_blob,
    make_commit,
    make_tree,
)
from cairn.repositories.queries import RepositoryView
from cairn.repositories.update import RepositoryChange, update_repository

ADA = Signature("Ada", "ada@example.org", datetime(2024, 1, 2, tzinfo=UTC))


async def make(forge: Forge) -> tuple[Person, RepositoryView, Oid]:
    ada = await forge.person("ada")
    made = await forge.repository(ada, "engine", files={"a": b"0\n"})
    return ada, await view_of(forge, ada, made), Oid((await heads(forge, made))["refs/heads/main"])


async def test_an_empty_repository_takes_its_first_objects(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await view_of(forge, ada, await forge.repository(ada, "empty"))
    tree = await make_tree(forge.engine, ada.actor, repository, {b"a": File(b"1\n")})
    wanted = NewCommit(tree=tree, parents=[], author=ADA, committer=ADA, message="First")
    commit = await make_commit(forge.engine, ada.actor, repository, wanted)
    async with forge.engine.view(await forge.engine.state(repository.store_id)) as view:
        made = await ObjectReader(view.path).read_commit(commit)
    # The message is the client's to the letter: a signature would cover it.
    assert (made.tree_oid, made.message) == (tree, "First")
    assert await heads(forge, repository) == {}


async def test_who_lost_the_right_meanwhile_makes_nothing(forge: Forge) -> None:
    ada, repository, _ = await make(forge)
    async with forge.database.write() as session:
        await update_repository(session, forge.engine, ada.actor, repository.id, RepositoryChange(is_archived=True))
    with pytest.raises(Forbidden, match="archived"):
        await make_blob(forge.engine, ada.actor, repository, b"x")


async def test_the_number_of_objects_and_of_parents_is_bounded(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, repository, head = await make(forge)
    many = [Oid(f"{n:040x}") for n in range(PARENTS_MAX + 1)]
    wanted = NewCommit(tree=head, parents=many, author=ADA, committer=ADA, message="m")
    with pytest.raises(CommitInvalid, match="up to 16 parents"):
        await make_commit(forge.engine, ada.actor, repository, wanted)
    monkeypatch.setattr(new_objects, "KEPT_MAX", 1)
    await make_blob(forge.engine, ada.actor, repository, b"1")
    with pytest.raises(TooManyKept, match="push instead"):
        await make_blob(forge.engine, ada.actor, repository, b"2")
