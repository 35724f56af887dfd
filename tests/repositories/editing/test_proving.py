"""What may be built on: everything that a root reaches, nothing else that lies in the packs."""

import pytest
from tests.factories.forge import Forge
from tests.factories.forking import fork, heads, view_of

from cairn.git.reading import ObjectReader
from cairn.git.types import ObjectKind, Oid
from cairn.repositories.editing.proving import ObjectUnknown, kinds_of, require_kinds

MAIN = "refs/heads/main"


async def test_only_what_a_root_reaches_is_known_with_its_kind(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    made = await forge.repository(ada, "engine", files={"a": b"0\n", "d/e": b"e\n"})
    repository = await view_of(forge, ada, made)
    head = Oid((await heads(forge, repository))[MAIN])
    async with forge.engine.view(await forge.engine.state(repository.store_id)) as view:
        reader = ObjectReader(view.path)
        folder, file = (await reader.resolve_path(head, b"d")).oid, (await reader.resolve_path(head, b"d/e")).oid
    await forge.commit(ada, repository, {"d/e": b"other\n"})
    mine = await fork(forge, ben, made)
    foreign = await forge.commit(ben, mine, {"secret": b"s\n"})
    absent = Oid("1" * 40)
    assert await kinds_of(forge.engine, repository, [head, folder, file, foreign, absent]) == {
        head: ObjectKind.COMMIT,
        folder: ObjectKind.TREE,
        file: ObjectKind.BLOB,
    }
    assert await kinds_of(forge.engine, repository, []) == {}
    await require_kinds(forge.engine, repository, {head: ObjectKind.COMMIT, file: ObjectKind.BLOB})
    for oid, kind in ((file, ObjectKind.TREE), (foreign, ObjectKind.COMMIT), (absent, ObjectKind.BLOB)):
        with pytest.raises(ObjectUnknown, match=f"{kind.value.capitalize()} does not exist: {oid}"):
            await require_kinds(forge.engine, repository, {oid: kind})
