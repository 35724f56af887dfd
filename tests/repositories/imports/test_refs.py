"""Refs come in groups, the default branch first, and what is here stays."""

import pytest
from sqlalchemy import update
from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer
from tests.factories.git_repositories import StockRepository
from tests.factories.importing import import_now, import_of, refs_of, wanted_refs
from tests.factories.work import do_what_is_due

from cairn.git.remote_fetch import RemoteRefs
from cairn.git.types import Oid
from cairn.repositories.imports import refs
from cairn.repositories.imports.credentials import Credentials
from cairn.repositories.imports.models import ImportState, RepositoryImport
from cairn.repositories.imports.refs import Brought, choose_refs
from cairn.repositories.imports.start import retry_import

ONE, TWO = Oid("1" * 40), Oid("2" * 40)


def test_a_source_without_a_default_branch_gives_all_of_it() -> None:
    found = RemoteRefs({b"refs/heads/a": ONE, b"refs/tags/t": TWO}, None, 0)
    assert choose_refs(found, default_branch_only=True) == found.refs


def test_many_refusals_are_counted_and_the_first_are_named() -> None:
    names = [f"refs/heads/{number:03}" for number in range(refs.REFUSALS_TOLD + 5)]
    remark = Brought(refusals=dict.fromkeys(names, "no")).remark
    assert remark.startswith("15 branches or tags were refused.")
    assert [name for name in names if name in remark] == names[: refs.REFUSALS_TOLD]


async def test_the_default_branch_is_fetched_alone_and_the_others_in_groups(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refs, "BRANCHES_AT_ONCE", 2)
    for number in range(4):
        tip = source.git("commit-tree", "trunk^{tree}", "-p", "trunk", "-m", f"own {number}").decode().strip()
        source.git("update-ref", f"refs/heads/topic-{number}", tip)
    made, row = await import_now(forge, ada, server.url("r.git"))
    assert (row.state, await refs_of(forge, made)) == (ImportState.DONE, wanted_refs(source))
    groups = [["trunk"], ["topic-0", "topic-1"], ["topic-2", "topic-3"]]
    for names, request in zip(groups, server.fetches, strict=True):
        oids = {source.oid(f"refs/heads/{name}").encode() for name in names}
        assert all(b"want " + oid in request.body for oid in oids)
        assert request.body.count(b"want ") == len(names)


async def test_only_the_default_branch_comes_where_that_is_wanted(forge: Forge, ada: Person, server: GitServer) -> None:
    made, row = await import_now(forge, ada, server.url("r.git"), default_branch_only=True)
    assert row.state is ImportState.DONE
    assert list(await refs_of(forge, made)) == ["refs/heads/trunk"]


async def test_what_somebody_pushed_meanwhile_stays(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository
) -> None:
    made, _ = await import_now(forge, ada, server.url("nothing.git"), name="engine")
    mine = await forge.commit(ada, made, {"mine.txt": b"mine"}, branch=b"refs/heads/topic-0")
    async with forge.database.write() as session:
        await session.execute(update(RepositoryImport).values(url=server.url("r.git")))
    async with forge.database.write() as session:
        await retry_import(session, forge.engine.settings, ada.actor, made.id, Credentials())
    await do_what_is_due(forge.engine)
    row, here = await import_of(forge, made), await refs_of(forge, made)
    assert row.state is ImportState.DONE
    assert here["refs/heads/topic-0"] == mine
    assert here["refs/heads/trunk"] == source.oid("refs/heads/trunk")
    assert "topic-0" in row.note


async def test_a_default_branch_with_rules_comes_as_any_other(forge: Forge, ada: Person, server: GitServer) -> None:
    """The source's default branch has another name than here, and rules are about whichever is the default."""
    made = await forge.repository(ada, "ruled")
    api = forge.api(ada)
    wanted = {
        "name": "Default",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
        "rules": [{"type": "deletion"}, {"type": "non_fast_forward"}],
    }
    assert (await api.call("POST", "/repos/ada/ruled/rulesets", json=wanted)).status_code == 201
    begun = await api.call("PUT", "/repos/ada/ruled/import", json={"vcs_url": server.url("r.git")})
    assert begun.status_code == 201, begun.text
    await do_what_is_due(forge.engine)
    row = await import_of(forge, made)
    assert (row.state, row.note) == (ImportState.DONE, "")
    assert "refs/heads/trunk" in await refs_of(forge, made)
