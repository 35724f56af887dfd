"""A preview of a purge names what is there and changes nothing, whatever pack, store or undo pack holds it."""

from tests.factories.engines import engine
from tests.factories.forge import Forge, forge
from tests.factories.pushes import refs_of

from cairn.git.purge_preview import preview_purge
from cairn.git.types import ObjectKind, Oid

__all__ = ["engine", "forge"]


async def test_kinds_sizes_packs_and_refs_are_told(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"folder/a.txt": b"12345"})
    commit = (await refs_of(forge.engine, repository.store_id))[b"refs/heads/main"]
    tree = await forge.api(ada).get(f"/repos/ada/engine/git/trees/{commit}?recursive=1")
    oids = {entry["path"]: Oid(entry["sha"]) for entry in tree.json()["tree"]}
    asked = [commit, oids["folder"], oids["folder/a.txt"], Oid("f" * 40)]
    found = await preview_purge(forge.engine, [repository.store_id], asked)
    kinds = {one.oid: (one.kind, one.stores) for one in found.objects}
    here = (repository.store_id,)
    assert kinds == {
        commit: (ObjectKind.COMMIT, here),
        oids["folder"]: (ObjectKind.TREE, here),
        oids["folder/a.txt"]: (ObjectKind.BLOB, here),
        Oid("f" * 40): (None, ()),
    }
    assert {one.size_bytes for one in found.objects if one.kind is ObjectKind.BLOB} == {5}
    assert found.refs == ((repository.store_id, b"refs/heads/main"),)
    assert (found.stores, found.packs, found.undo_packs) == (here, 1, 0)
    assert found.pack_bytes == await forge.engine.views.bytes_of(await forge.engine.state(repository.store_id))


async def test_what_no_ref_reaches_is_prevented_by_none(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"a.txt": b"12345"})
    found = await preview_purge(forge.engine, [repository.store_id], [Oid("f" * 40)])
    assert (found.refs, found.packs, found.pack_bytes) == ((), 0, 0)
