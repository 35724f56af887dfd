"""Whole imports by a worker, from servers that behave and from some that do not."""

import asyncio
from pathlib import Path

import pytest
from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer, Request
from tests.factories.git_repositories import StockRepository
from tests.factories.importing import import_now, open_reaching_forge, refs_of, wanted_refs

from cairn.egress.door import HostUnknown
from cairn.git.remote_fetch import RemoteFailed, RemoteMissing
from cairn.repositories.imports.models import FailureKind, ImportState
from cairn.repositories.imports.run import failure_of, is_worth_another_attempt


async def test_branches_and_tags_come_with_the_default_branch(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository
) -> None:
    made, row = await import_now(forge, ada, server.url("r.git"))
    assert (row.state, row.failure) == (ImportState.DONE, "")
    assert await refs_of(forge, made) == wanted_refs(source)
    assert (row.percent, row.refs_done, row.refs_total, row.refs_left_out) == (100, 4, 4, 1)
    state = await forge.engine.state(made.store_id)
    assert bytes(state.head_target) == b"refs/heads/trunk"
    answer = await forge.api(ada).get("/repos/ada/engine")
    assert answer.json()["default_branch"] == "trunk"
    commits = await forge.api(ada).get("/repos/ada/engine/commits")
    assert len(commits.json()) == 3


async def test_an_empty_source_makes_an_empty_repository(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository
) -> None:
    for name in wanted_refs(source):
        source.git("update-ref", "-d", name)
    made, row = await import_now(forge, ada, server.url("r.git"))
    assert (row.state, await refs_of(forge, made)) == (ImportState.DONE, {})
    assert "no branches" in row.note


@pytest.mark.parametrize(("name", "kind"), [("nothing.git", FailureKind.NOT_FOUND), ("plain", FailureKind.NOT_GIT)])
async def test_what_is_no_repository_is_named(
    forge: Forge, ada: Person, server: GitServer, name: str, kind: FailureKind
) -> None:
    async def plain(request: Request, writer: asyncio.StreamWriter) -> bool:
        if not request.path.startswith("/plain"):
            return False
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi")
        return True

    server.answer = plain
    _, row = await import_now(forge, ada, server.url(name))
    assert (row.state, row.failure_kind) == (ImportState.FAILED, kind)
    assert "127.0.0.1" in row.failure


async def test_a_source_beyond_the_limit_is_refused_and_named(
    tmp_path: Path, sqlite_template: Path, server: GitServer
) -> None:
    async with open_reaching_forge(tmp_path / "small", sqlite_template, max_import_objects=3) as small:
        _, row = await import_now(small, await small.person("ada"), server.url("r.git"))
        assert (row.state, row.failure_kind) == (ImportState.FAILED, FailureKind.TOO_LARGE)
        assert "CAIRN_MAX_IMPORT_OBJECTS" in row.failure


def test_only_what_may_mend_itself_is_tried_again() -> None:
    assert is_worth_another_attempt(RemoteFailed("it broke off"))
    assert not is_worth_another_attempt(HostUnknown("nobody knows git.example"))
    assert not is_worth_another_attempt(RemoteMissing("git.example has no such repository"))


def test_a_failure_says_what_to_do() -> None:
    kind, words = failure_of(RemoteMissing("git.example has no such repository."))
    assert kind is FailureKind.NOT_FOUND
    assert words.startswith("git.example has no such repository. Check the address")
