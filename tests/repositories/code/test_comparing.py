"""What an address compares, and what is found: how the heads lie to each other, from where the files are compared."""

from pathlib import Path

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import init

from cairn.base.errors import NotFoundHere
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.comparing import compare, read_sides


async def test_an_address_names_two_sides_and_how_they_are_compared(forge: Forge, tmp_path: Path) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    made = init(tmp_path / "stock")
    start = made.commit({"a": "1", "b": "1"})
    made.git("checkout", "-q", "-b", "feature/x.y")
    made.commit({"a": "2"})
    made.git("checkout", "-q", "main")
    main = made.commit({"b": "2"})
    made.git("checkout", "-q", "--orphan", "alone")
    made.commit({"c": "1"})
    await forge.push_refs(repository, made, "refs/heads/main", "refs/heads/feature/x.y", "refs/heads/alone")
    async with open_code(forge.engine, repository.store_id) as code:

        async def found(address: bytes) -> tuple[str, int, int, str, list[bytes]]:
            one = await compare(code, await read_sides(code, address))
            return one.status, one.ahead, one.behind, one.old, [file.path for file in one.diff.files]

        assert await found(b"main...feature/x.y") == ("diverged", 1, 1, start, [b"a"])
        assert await found(b"feature/x.y") == ("diverged", 1, 1, start, [b"a"])
        assert await found(b"main..heads/feature/x.y") == ("diverged", 1, 1, main, [b"a", b"b"])
        assert await found(start.encode() + b"...main") == ("ahead", 1, 0, start, [b"b"])
        assert await found(b"main..." + start[:10].encode()) == ("behind", 0, 1, start, [])
        assert await found(b"main...main") == ("identical", 0, 0, main, [])
        assert (await found(b"main..alone"))[:3] == ("diverged", 1, 2)
        for address in (b"main...alone", b"...", b"main..", b"...main", b"a..b..c", b"main...nothing", b"x...main"):
            with pytest.raises(NotFoundHere):
                await found(address)
