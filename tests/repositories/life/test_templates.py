"""A repository from a template has its files and nothing else of it."""

import pytest
from tests.factories.forge import Forge

from cairn.access.roles import Visibility
from cairn.base.errors import NotFound
from cairn.repositories.create import NewRepository
from cairn.repositories.delete import delete_repository
from cairn.repositories.life.templates import NoTemplate, create_from_template
from cairn.repositories.queries import find_repository, find_repository_by_id
from cairn.repositories.update import RepositoryChange, update_repository


async def test_files_come_along_and_history_stays(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    mould = await forge.repository(ada, "mould", files={"a": b"1", "deep/b": b"2"})
    await forge.commit(ada, mould, {"a": b"changed"}, "Second")
    await forge.commit(ada, mould, {"c": b"3"}, "Third", branch=b"refs/heads/side")
    for actor in (ada.actor, ben.actor):
        with pytest.raises(NoTemplate):
            await create_from_template(forge.database, forge.engine, actor, mould, NewRepository(name="early"))
    async with forge.database.write() as session:
        change = RepositoryChange(is_template=True)
        mould = await update_repository(session, forge.engine, ada.actor, mould.id, change)
    one = await create_from_template(forge.database, forge.engine, ben.actor, mould, NewRepository(name="one"))
    await create_from_template(
        forge.database, forge.engine, ben.actor, mould, NewRepository(name="all"), all_branches=True
    )
    assert (one.parent_id, one.source_id, one.template_id) == (None, None, mould.id)
    api = forge.api(ben)
    commits = (await api.get("/repos/ben/one/commits")).json()
    assert [commit["commit"]["message"] for commit in commits] == ["Initial commit"]
    assert [branch["name"] for branch in (await api.get("/repos/ben/one/branches")).json()] == ["main"]
    assert [branch["name"] for branch in (await api.get("/repos/ben/all/branches")).json()] == ["main", "side"]
    tree = (await api.get("/repos/ben/all/git/trees/side?recursive=1")).json()
    assert {entry["path"] for entry in tree["tree"]} == {"a", "c", "deep", "deep/b"}
    # What becomes of the template changes nothing here.
    async with forge.database.write() as session:
        await delete_repository(session, forge.engine, ada.actor, mould.id)
    raw = forge.api(ben, accept="application/vnd.github.raw")
    assert (await raw.get("/repos/ben/one/contents/a")).content == b"changed"
    async with forge.database.read() as session:
        assert (await find_repository_by_id(session, ben.actor, one.id)).template_id == mould.id


async def test_a_hidden_template_is_absent(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    await forge.repository(ada, "mould", files={"a": b"1"}, visibility=Visibility.PRIVATE)
    async with forge.database.read() as session:
        with pytest.raises(NotFound):
            await find_repository(session, ben.actor, "ada", "mould")
    refused = await forge.api(ben).call("POST", "/repos/ada/mould/generate", json={"name": "mine"})
    assert refused.status_code == 404
