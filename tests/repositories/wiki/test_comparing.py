"""What a comparison's address names: two commits of the wiki as they are."""

import pytest
from tests.factories.forge import Forge
from tests.repositories.wiki.support import commit_files_to_wiki, reload

from cairn.repositories.code.comparing import ComparisonUnknown
from cairn.repositories.code.revisions import RevisionNotFound
from cairn.repositories.wiki.comparing import read_two
from cairn.repositories.wiki.reading import open_wiki


async def test_two_versions_are_compared_as_they_are_and_anything_else_is_told(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    first = await commit_files_to_wiki(forge, ada, repository, {b"Home.md": b"one\n"})
    repository = await reload(forge, ada, repository)
    second = await commit_files_to_wiki(forge, ada, repository, {b"Home.md": b"two\n"})
    async with open_wiki(forge.engine, repository) as wiki:
        assert wiki.code is not None
        for marks in ("..", "..."):
            sides = await read_two(wiki.code, f"{first}{marks}main".encode())
            assert (sides.base.commit_oid, sides.head.commit_oid, sides.is_direct) == (first, second, True)
        for address in (b"", b"main", b"...main", b"main...", b"main..main..main"):
            with pytest.raises(ComparisonUnknown):
                await read_two(wiki.code, address)
        with pytest.raises(RevisionNotFound):
            await read_two(wiki.code, b"main..." + b"1" * 40)
