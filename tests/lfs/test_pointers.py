"""Pointers are read as git-lfs writes them, and nothing else is one."""

import pytest
from tests.factories.forge import Forge

from cairn.lfs.pointers import Pointer, named_by, read_pointer

OID = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
WHOLE = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 12345\n".encode()


def test_a_pointer_names_hash_and_size() -> None:
    assert read_pointer(WHOLE) == Pointer(OID, 12345)
    extended = WHOLE.replace(b"oid", b"ext-0-foo sha256:" + b"0" * 64 + b"\noid")
    assert read_pointer(extended) == Pointer(OID, 12345)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"version 1\n",
        WHOLE[:-1],
        WHOLE + b"\n",
        WHOLE.replace(b"sha256", b"sha512"),
        WHOLE.replace(b"12345", b"-1"),
        WHOLE.replace(b"12345", b"9" * 30),
        WHOLE.replace(b"spec/v1", b"spec/v2"),
        WHOLE.replace(b"4d7a", b"4D7A"),
        WHOLE + b"x " + b"y" * 1000 + b"\n",
        b"oid sha256:" + OID.encode() + b"\nsize 1\n",
    ],
    ids=range(11),
)
def test_other_files_are_none(data: bytes) -> None:
    assert read_pointer(data) is None


async def test_every_commit_is_looked_through(forge: Forge) -> None:
    ada = await forge.person("ada")
    others = {f"many/{number}": f"{number}".encode() for number in range(300)}
    repository = await forge.repository(
        ada, "engine", files={"a.bin": WHOLE, "large": b"x" * 5000} | others, may_lack_objects=True
    )
    await forge.commit(
        ada, repository, {"a.bin": WHOLE.replace(b"4d7a", b"aa7a"), "deep/b.bin": WHOLE[:-1]}, may_lack_objects=True
    )
    state = await forge.engine.state(repository.store_id)
    snapshot = await forge.engine.snapshot(state)
    named = await named_by(forge.engine, snapshot.fresher(state), list(snapshot.tips))
    assert named == {OID: 12345, "aa" + OID[2:]: 12345}
    assert await named_by(forge.engine, state, []) == {}
