"""A wiki as it is at a commit."""

import pytest
from tests.factories.forge import Forge
from tests.repositories.wiki.support import commit_files_to_wiki, reload

from cairn.repositories.update import RepositoryChange, update_repository
from cairn.repositories.wiki.reading import open_wiki, wiki_view
from cairn.repositories.wiki.stores import NoWiki


async def test_a_wiki_that_nobody_wrote_is_empty_and_one_that_is_off_is_absent(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    async with open_wiki(forge.engine, repository) as wiki:
        assert (wiki.code, wiki.revision, wiki.index.pages) == (None, None, [])
        with pytest.raises(NoWiki):
            await wiki.at("main")
    with pytest.raises(NoWiki):
        wiki_view(repository)
    await commit_files_to_wiki(forge, ada, repository, {b"Home.md": b"one\n"})
    repository = await reload(forge, ada, repository)
    assert wiki_view(repository).store_id == repository.wiki_store_id != repository.store_id
    async with forge.database.write() as session:
        change = RepositoryChange(has_wiki=False)
        repository = await update_repository(session, forge.engine, ada.actor, repository.id, change)
    with pytest.raises(NoWiki):
        wiki_view(repository)
    with pytest.raises(NoWiki):
        async with open_wiki(forge.engine, repository):
            pass


async def test_pages_and_their_content_are_those_of_the_commit(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    old = await commit_files_to_wiki(forge, ada, repository, {b"Home.md": b"one\n", b"Gone.rst": b"two\n"})
    repository = await reload(forge, ada, repository)
    await commit_files_to_wiki(forge, ada, repository, {b"Home.md": b"three\n", b"Gone.rst": None})
    async with open_wiki(forge.engine, repository) as wiki:
        [home] = wiki.index.pages
        assert (await wiki.content(home)).data == b"three\n"
        then = await wiki.at(old)
        assert [one.path for one in then.index.pages] == [b"Gone.rst", b"Home.md"]
        assert (await then.content(then.index.pages[1])).data == b"one\n"
