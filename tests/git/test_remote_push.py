"""Changing another server's refs: what git says of each, names that are no text, and nothing but branches and tags."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.factories import git_repositories
from tests.factories.git_http import GitServer, Request, serve_git
from tests.factories.git_repositories import StockRepository
from tests.factories.process_tree import command_lines

from cairn.git.quarantine import Quarantine, open_quarantine
from cairn.git.remote_fetch import Remote, RemoteFailed, RemoteUnauthorized
from cairn.git.remote_push import (
    DIVERGED_THERE,
    RemoteChange,
    RemoteOutcome,
    parse_outcomes,
    push_refs,
)
from cairn.git.runner import GitRunner
from cairn.git.types import ZERO_OID, Oid

MAIN = b"refs/heads/main"


@pytest.fixture
def runner(tmp_path: Path) -> GitRunner:
    return GitRunner(home=tmp_path / "home")


@pytest.fixture
def here(tmp_path: Path) -> StockRepository:
    made = git_repositories.init(tmp_path / "here")
    made.commit({"a": "1"})
    return made


@pytest.fixture
async def quarantine(tmp_path: Path, here: StockRepository) -> AsyncIterator[Quarantine]:
    async with open_quarantine(tmp_path / "q", alternates=[here.objects]) as opened:
        yield opened


@pytest.fixture
def there(tmp_path: Path) -> StockRepository:
    (tmp_path / "served").mkdir()
    made = git_repositories.init(tmp_path / "served" / "r.git", bare=True)
    made.git("config", "http.receivepack", "true")
    return made


@pytest.fixture
async def server(there: StockRepository) -> AsyncIterator[GitServer]:
    async with serve_git(there.path.parent) as running:
        yield running


def remote(server: GitServer, authorization: str = "") -> Remote:
    return Remote(
        url=f"http://git.test:{server.port}/r.git",
        host="git.test",
        port=server.port,
        addresses=("127.0.0.1",),
        authorization=authorization,
    )


async def test_names_that_are_no_text_go_as_they_are(
    runner: GitRunner, quarantine: Quarantine, here: StockRepository, there: StockRepository, server: GitServer
) -> None:
    tip = here.oid("HEAD")
    names = [MAIN, b"refs/heads/\xff\xfe", b"refs/tags/+plus'\"$(x)", "refs/heads/größe".encode()]
    changes = [RemoteChange(name, tip) for name in names]
    outcomes = await push_refs(runner, quarantine, remote(server), changes, overwrites=True)
    assert outcomes == [RemoteOutcome(name) for name in names]
    lines = there.git("for-each-ref", "--format=%(refname)").splitlines()
    assert sorted(lines) == sorted(names)
    gone = await push_refs(
        runner, quarantine, remote(server), [RemoteChange(name, ZERO_OID) for name in names[1:]], overwrites=True
    )
    assert gone == [RemoteOutcome(name) for name in names[1:]]
    assert there.git("for-each-ref", "--format=%(refname)").split() == [MAIN]


async def test_force_is_told_and_its_lack_refuses(
    runner: GitRunner, quarantine: Quarantine, here: StockRepository, there: StockRepository, server: GitServer
) -> None:
    tree = there.git("mktree", stdin=b"").decode().strip()
    theirs = there.git("commit-tree", tree, "-m", "theirs").decode().strip()
    there.git("update-ref", "refs/heads/main", theirs)
    there.git("update-ref", "refs/tags/v1", theirs)
    changes = [RemoteChange(MAIN, here.oid("HEAD")), RemoteChange(b"refs/tags/v1", here.oid("HEAD"))]
    refused = await push_refs(runner, quarantine, remote(server), changes, overwrites=False)
    assert refused == [
        RemoteOutcome(MAIN, DIVERGED_THERE),
        RemoteOutcome(b"refs/tags/v1", "there is another tag of this name there"),
    ]
    assert there.oid("refs/heads/main") == theirs
    forced = await push_refs(runner, quarantine, remote(server), changes, overwrites=True)
    assert [outcome.was_forced for outcome in forced] == [True, True]
    assert there.oid("refs/heads/main") == here.oid("HEAD")


async def test_whoever_may_not_push_is_told_so_and_no_secret_shows(
    runner: GitRunner, quarantine: Quarantine, here: StockRepository, server: GitServer
) -> None:
    """The attack: another account of the machine reads command lines while a push runs."""
    server.credentials = "bot:right"
    seen: list[str] = []

    async def look(request: Request, writer: asyncio.StreamWriter) -> bool:
        seen.extend(command_lines())
        return False

    changes = [RemoteChange(MAIN, here.oid("HEAD"))]
    with pytest.raises(RemoteUnauthorized) as refused:
        await push_refs(runner, quarantine, remote(server, "Basic d3Jvbmc="), changes, overwrites=True)
    assert "d3Jvbmc" not in refused.value.message
    server.answer = look
    right = "Basic Ym90OnJpZ2h0"
    assert await push_refs(runner, quarantine, remote(server, right), changes, overwrites=True) == [RemoteOutcome(MAIN)]
    assert any("push" in line for line in seen)
    assert not any("Ym90OnJpZ2h0" in line or "refs/heads/main" in line for line in seen)


async def test_a_server_that_breaks_off_is_a_failure(
    runner: GitRunner, quarantine: Quarantine, here: StockRepository, server: GitServer
) -> None:
    async def break_off(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.transport.abort()
        return True

    server.answer = break_off
    with pytest.raises(RemoteFailed):
        await push_refs(runner, quarantine, remote(server), [RemoteChange(MAIN, here.oid("HEAD"))], overwrites=True)


@pytest.mark.parametrize("name", [b"refs/cairn/own", b"refs/pull/1/head", b"HEAD", b"refs/notes/commits"])
async def test_nothing_but_branches_and_tags_leaves(
    runner: GitRunner, quarantine: Quarantine, server: GitServer, name: bytes
) -> None:
    with pytest.raises(AssertionError):
        await push_refs(runner, quarantine, remote(server), [RemoteChange(name, Oid("1" * 40))], overwrites=True)
    assert server.requests == []


def test_every_kind_of_line_is_read() -> None:
    lines = [
        b"To http://git.test/r.git",
        b" \tabc:refs/heads/a\tabc..def",
        b"*\tabc:refs/heads/b\t[new branch]",
        b"+\tabc:refs/heads/c\tabc...def (forced update)",
        b"-\t:refs/heads/d\t[deleted]",
        b"=\tabc:refs/heads/e\t[up to date]",
        b"!\tabc:refs/heads/f\t[remote rejected] (protected branch (ask ada))",
        b"!\tabc:refs/heads/g\t[rejected] (fetch first)",
        b"Done",
    ]
    assert list(parse_outcomes(lines)) == [
        RemoteOutcome(b"refs/heads/a"),
        RemoteOutcome(b"refs/heads/b"),
        RemoteOutcome(b"refs/heads/c", was_forced=True),
        RemoteOutcome(b"refs/heads/d"),
        RemoteOutcome(b"refs/heads/e"),
        RemoteOutcome(b"refs/heads/f", "the other server refused it: protected branch (ask ada)"),
        RemoteOutcome(b"refs/heads/g", DIVERGED_THERE),
    ]
