"""Pointers of a commit stand for objects that the repository has, and for no others."""

from tests.factories.forge import Forge
from tests.lfs.test_collection import pointer, send

from cairn.lfs.archived_files import large_files_in

ONE, TWO = b"one large object", b"another one"


async def test_what_is_here_takes_the_place_of_its_pointers(forge: Forge) -> None:
    ada = await forge.person("ada")
    made = await forge.repository(ada, "engine")
    await send(forge, made, ada, ONE)
    wrong = pointer(TWO).replace(b"size 11", b"size 12")
    await send(forge, made, ada, TWO)
    files = {
        "a.bin": pointer(ONE),
        "b/a.bin": pointer(ONE),
        "lost": pointer(b"lost"),
        "wrong": wrong,
        "text": b"t" * 99,
    }
    commit = await forge.commit(ada, made, files, may_lack_objects=True)
    state = await forge.engine.state(made.store_id)
    found = await large_files_in(forge.engine, state, commit, made.id)
    assert found is not None
    assert found.more_bytes == 2 * len(ONE)
    put = found.find(pointer(ONE))
    assert put is not None
    assert (put.size, b"".join([chunk async for chunk in put.read()])) == (len(ONE), ONE)
    assert [found.find(other) for other in (pointer(b"lost"), wrong, b"t" * 99)] == [None] * 3


async def test_another_answer_has_another_digest(forge: Forge) -> None:
    ada = await forge.person("ada")
    made = await forge.repository(ada, "engine")
    files = {"a.bin": pointer(ONE), "b.bin": pointer(TWO)}
    commit = await forge.commit(ada, made, files, may_lack_objects=True)
    state = await forge.engine.state(made.store_id)
    assert await large_files_in(forge.engine, state, commit, made.id) is None
    digests = []
    for data in (ONE, TWO):
        await send(forge, made, ada, data)
        found = await large_files_in(forge.engine, state, commit, made.id)
        assert found is not None
        digests.append(found.digest)
    assert len(set(digests)) == 2
