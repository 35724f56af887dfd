"""Changes of pages become commits that expect what their writer saw."""

from dataclasses import replace

import pytest
from tests.factories.forge import Forge
from tests.repositories.wiki.support import commit_files_to_wiki, reload

from cairn.base.errors import Forbidden, Invalid
from cairn.git.types import ZERO_OID, Oid
from cairn.repositories.editing.changes import StaleFile
from cairn.repositories.wiki.edit import PageEdit, PageGone, delete_page, merge_page, path_of_edit, save_page
from cairn.repositories.wiki.page_names import PageNameInvalid, WikiPage
from cairn.repositories.wiki.reading import open_wiki


async def test_a_change_of_an_old_version_is_refused_and_merged_where_it_can_be(forge: Forge) -> None:
    ada, bob = await forge.person("ada"), await forge.person("bob")
    repository = await forge.repository(ada, "engine")
    written = PageEdit(title="Set up", ending="md", text="one\n\ntwo\n\nthree\n", message="  Begin  ")
    assert await save_page(forge.engine, ada.actor, repository, written) == b"Set-up"
    repository = await reload(forge, ada, repository)
    async with open_wiki(forge.engine, repository) as wiki:
        assert wiki.revision is not None
        assert wiki.code is not None
        assert (await wiki.code.commit(wiki.revision.commit_oid)).subject == "Begin"
        [page], base = wiki.index.pages, Oid(wiki.revision.commit_oid)
    seen = replace(written, page=page, base=base, message="")
    await save_page(forge.engine, ada.actor, repository, replace(seen, text="ONE\n\ntwo\n\nthree\n"))
    mine = replace(seen, text="one\n\ntwo\n\nTHREE\n")
    with pytest.raises(StaleFile):
        await save_page(forge.engine, ada.actor, repository, mine)
    merged = await merge_page(forge.engine, repository, mine)
    assert not merged.conflicts
    assert [one.content for one in merged.changes] == [b"ONE\n\ntwo\n\nTHREE\n"]  # type: ignore[union-attr]
    with pytest.raises(PageNameInvalid, match="already"):
        await save_page(forge.engine, ada.actor, repository, replace(written, title="set UP"))
    with pytest.raises(Forbidden):
        await save_page(forge.engine, bob.actor, repository, replace(written, title="Other"))
    with pytest.raises(Forbidden):
        await delete_page(forge.engine, bob.actor, repository, b"Set-up", expected=ZERO_OID)


async def test_a_deleted_page_stays_in_the_history_and_is_deleted_once(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    before = await commit_files_to_wiki(forge, ada, repository, {b"Home.md": b"one\n", b"img/x.png": b"\0"})
    repository = await reload(forge, ada, repository)
    async with open_wiki(forge.engine, repository) as wiki:
        (page,) = wiki.index.pages
    with pytest.raises(StaleFile):
        await delete_page(forge.engine, ada.actor, repository, b"home", expected=before)
    await delete_page(forge.engine, ada.actor, repository, b"home", expected=Oid(page.oid))
    async with open_wiki(forge.engine, repository) as wiki:
        assert wiki.index.pages == []
        assert list(wiki.index.files) == [b"img/x.png"]
        assert [one.name for one in (await wiki.at(before)).index.pages] == [b"Home"]
    with pytest.raises(PageGone):
        await delete_page(forge.engine, ada.actor, repository, b"Home", expected=Oid(page.oid))


def test_an_edit_stays_in_its_file_unless_its_title_or_format_changes() -> None:
    pushed = WikiPage(b"Set up.mediawiki", "1" * 40, b"Set-up")
    edit = PageEdit(title="Set up", ending="mediawiki", text="", page=pushed)
    assert path_of_edit(edit) == b"Set up.mediawiki"
    assert path_of_edit(replace(edit, ending="md")) == b"Set-up.md"
    with pytest.raises(PageNameInvalid, match="formats"):
        path_of_edit(replace(edit, title="Other"))
    for field, wanted in (("text", "é" * (1 << 19) + "e"), ("message", "x" * 1001)):
        with pytest.raises(Invalid) as refused:
            path_of_edit(replace(edit, **{field: wanted}))  # type: ignore[arg-type]
        assert [problem.field for problem in refused.value.problems] == [field]
