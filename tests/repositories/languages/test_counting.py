"""Bytes by language of a real tree: names, first lines, attributes, bounds."""

import pytest
from tests.factories.forge import Forge

from cairn.git import file_list
from cairn.git.tree_listing import list_tree
from cairn.repositories.code.revisions import default_revision
from cairn.repositories.languages.counting import Counted, count_tree


async def counted(forge: Forge, files: dict[str, bytes]) -> Counted:
    owner = await forge.person("ada")
    repository = await forge.repository(owner, "engine", files=files)
    state = await forge.engine.state(repository.store_id)
    revision = await default_revision(forge.engine, state)
    assert revision is not None
    return await count_tree(forge.engine, state, revision.commit_oid)


async def test_code_is_counted_in_bytes_the_most_first(forge: Forge) -> None:
    found = await counted(
        forge,
        {
            "a.py": b"x" * 30,
            "b/c.py": b"x" * 12,
            "run": b"#!/bin/bash\n" + b"x" * 88,
            "data.json": b"{}" * 500,
            "README.md": b"#" * 500,
            "vendor/x.go": b"x" * 900,
            "page.html": b"<p>",
            "empty.rb": b"",
            "unknown": b"what",
        },
    )
    assert found == Counted({"Shell": 100, "Python": 42, "HTML": 3}, is_complete=True)
    assert list(found.sizes) == ["Shell", "Python", "HTML"]
    assert found.main == "Shell"


async def test_a_repository_says_what_its_files_are(forge: Forge) -> None:
    rules = (
        b"*.inc linguist-language=php\n*.sql linguist-detectable\n"
        b"*.js linguist-detectable=false\nvendor/** -linguist-vendored\n"
    )
    found = await counted(
        forge,
        {
            ".gitattributes": rules,
            "a.inc": b"x" * 5,
            "b.sql": b"x" * 4,
            "c.js": b"x" * 9,
            "vendor/d.go": b"x" * 3,
            "sub/.gitattributes": b"*.py linguist-generated\n*.txt linguist-language=Klingon linguist-detectable\n",
            "sub/e.py": b"x",
            "sub/f.txt": b"xx",
        },
    )
    assert found.sizes == {"PHP": 5, "SQL": 4, "Go": 3, "Text": 2}


async def test_a_tree_without_code_has_no_language(forge: Forge) -> None:
    assert await counted(forge, {"notes.txt": b"x"}) == Counted({}, is_complete=True)
    assert Counted({}, is_complete=True).main is None


async def test_a_tree_of_too_many_files_is_counted_as_far_as_it_is_read(
    forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def few(*args: object, **kwargs: object) -> object:
        return await list_tree(*args, **{**kwargs, "max_entries": 2})  # type: ignore[arg-type]

    monkeypatch.setattr(file_list, "list_tree", few)
    assert await counted(forge, {"a.py": b"x", "b.py": b"x", "c.py": b"x"}) == Counted({"Python": 2}, is_complete=False)
