"""Objects go a fortnight after the last pointer that names them, and not before."""

from datetime import timedelta
from hashlib import sha256

from tests.factories.forge import Forge, Person
from tests.factories.lfs import send_object
from tests.factories.passing_time import let_pass

from cairn.git.ref_transaction import RefUpdate
from cairn.lfs.collection import collect_objects, find_collectable
from cairn.lfs.condemned_blobs import condemn_unnamed, delete_condemned_blobs
from cairn.lfs.objects import Usage, find_objects, note_wanted, usage_of
from cairn.repositories.accept_push import make_within
from cairn.repositories.queries import RepositoryView

FORTNIGHT = timedelta(days=14, hours=3)


def pointer(data: bytes) -> bytes:
    """Return the pointer of an object."""
    return (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256(data).hexdigest()}\nsize {len(data)}\n"
    ).encode()


async def send(forge: Forge, repository: RepositoryView, person: Person, data: bytes) -> str:
    """Send an object to a repository and return its SHA-256."""
    return (await send_object(forge.engine, person.actor, repository.id, data)).oid


async def there(forge: Forge, repository: RepositoryView, *oids: str) -> set[str]:
    """Return those of the objects that the repository has."""
    async with forge.database.read() as session:
        return set(await find_objects(session, repository.id, oids))


async def delete_branch(forge: Forge, person: Person, repository: RepositoryView, name: bytes) -> None:
    """Delete a branch."""
    snapshot = await forge.engine.snapshot(await forge.engine.state(repository.store_id))
    ref = snapshot.find(name)
    assert ref is not None

    async def write(quarantine: object) -> list[RefUpdate]:
        return [RefUpdate(name, ref.oid, "0" * 40)]  # type: ignore[arg-type]

    staged = await forge.engine.stage(repository.store_id, write)
    within = make_within(person.actor, repository.id)
    await forge.engine.land(staged, push_id="d" * 32, actor="test", within=within)


async def test_what_a_pointer_in_any_commit_names_stays(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(
        ada, "engine", files={"one.bin": pointer(b"one"), "a": b"text"}, may_lack_objects=True
    )
    named, unnamed = await send(forge, repository, ada, b"one"), await send(forge, repository, ada, b"two")
    await forge.commit(ada, repository, {"one.bin": None}, "Remove it: the history still names it")
    await let_pass(forge.database, FORTNIGHT)
    assert await find_collectable(forge.database) == [repository.id]
    assert await collect_objects(forge.engine, repository.id) == Usage(1, 3)
    assert await there(forge, repository, named, unnamed) == {named}
    async with forge.database.read() as session:
        assert await usage_of(session, repository.id) == Usage(1, 3)
    assert await find_collectable(forge.database) == []


async def test_what_was_sent_or_asked_for_lately_stays(forge: Forge) -> None:
    """Somebody was told that an object is here and needs not be sent; the push that names it is about to come."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"a": b"text"})
    old = await send(forge, repository, ada, b"old")
    await let_pass(forge.database, FORTNIGHT)
    new = await send(forge, repository, ada, b"new")
    async with forge.database.read() as session:
        found = await find_objects(session, repository.id, [old])
    await note_wanted(forge.database, repository.id, found.values())
    assert await collect_objects(forge.engine, repository.id) == Usage()
    assert await there(forge, repository, old, new) == {old, new}


async def test_a_deleted_branch_keeps_its_objects_for_a_fortnight(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"a": b"text"})
    oid = await send(forge, repository, ada, b"side")
    await forge.commit(ada, repository, {"side.bin": pointer(b"side")}, branch=b"refs/heads/side")
    await let_pass(forge.database, FORTNIGHT)
    await delete_branch(forge, ada, repository, b"refs/heads/side")
    assert await collect_objects(forge.engine, repository.id) == Usage()
    await let_pass(forge.database, FORTNIGHT)
    assert await collect_objects(forge.engine, repository.id) == Usage(1, 4)
    assert await there(forge, repository, oid) == set()


async def test_an_empty_repository_loses_what_nothing_names(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    await send(forge, repository, ada, b"lost")
    await let_pass(forge.database, FORTNIGHT)
    assert await collect_objects(forge.engine, repository.id) == Usage(1, 4)


async def test_what_left_its_last_repository_gives_its_bytes_back(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"one.bin": pointer(b"one")}, may_lack_objects=True)
    await send(forge, repository, ada, b"one")
    await send(forge, repository, ada, b"two")
    await let_pass(forge.database, FORTNIGHT)
    await collect_objects(forge.engine, repository.id)
    assert await condemn_unnamed(forge.database) == 1
    await let_pass(forge.database, timedelta(hours=7))
    assert (await delete_condemned_blobs(forge.database, forge.engine.storage)).packs == 1
    assert len([entry async for entry in forge.engine.storage.list("lfs")]) == 1
