"""A mirror that follows a changing upstream, by stock git on both sides: asked for on the import page, read-only,
patient while its source is away; and repositories elsewhere that follow one of ours.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.factories.git_http import GitServer, Request, serve_git
from tests.factories.git_repositories import StockRepository
from tests.factories.importing import make_source, wanted_refs
from tests.factories.mirroring import empty_target
from tests.services.ports import eventually
from tests.stories.browser import Browser
from tests.stories.installation import Installation, commit_file, fails, git, installation
from tests.stories.people import join

SECONDS = 60


class World:
    """A running Cairn with ada, and the other server."""

    def __init__(self, cairn: Installation, server: GitServer, source: StockRepository, token: str) -> None:
        self.cairn, self.server, self.source, self.token = cairn, server, source, token

    async def call(self, method: str, path: str, **options: Any) -> Any:
        """Call the API, which must succeed, and return what it says."""

        def ask() -> Any:
            with self.cairn.client(self.token) as api:
                answer = api.request(method, f"/api/v3{path}", **options)
                assert answer.is_success, answer.text
                return answer.json() if answer.content else None

        return await asyncio.to_thread(ask)

    async def refs(self, name: str) -> dict[str, str]:
        """Return branches and tags as git sees them."""
        url = self.cairn.url(name, user="ada", secret=self.token)
        lines = await asyncio.to_thread(git, "ls-remote", "--refs", url)
        return {ref: oid for oid, ref in (line.split() for line in lines.splitlines())}

    async def in_step(self, name: str) -> None:
        """Wait until the mirror has what the source has."""

        async def is_so() -> bool:
            return await self.refs(name) == wanted_refs(self.source)

        await eventually(is_so, within_seconds=SECONDS, what="the mirror to have what its source has")

    async def told(self, name: str, is_so: Callable[[Any], bool], what: str) -> Any:
        """Wait until the mirror's own words are as wanted, and return them."""
        found: list[Any] = []

        async def look() -> bool:
            found.append(await self.call("GET", f"/repos/{name}/mirror"))
            return is_so(found[-1])

        await eventually(look, within_seconds=SECONDS, what=what)
        return found[-1]


async def story(tmp_path: Path, tell: Callable[[World], Awaitable[None]]) -> None:
    """Run the story in a world of its own."""
    (tmp_path / "served").mkdir()
    source = make_source(tmp_path / "served")
    async with serve_git(tmp_path / "served") as server:
        running = installation(tmp_path / "cairn", {"CAIRN_EGRESS_ALLOW": "127.0.0.0/8"})
        cairn = await asyncio.to_thread(running.__enter__)
        try:
            client, token = await asyncio.to_thread(join, cairn, "ada")
            with closing(client):
                await asyncio.to_thread(import_as_mirror, Browser(client), server.url("r.git"))
            await tell(World(cairn, server, source, token))
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)


def import_as_mirror(browser: Browser, url: str) -> None:
    """Fill in the import page, with its box ticked."""
    browser.open("/new/import")
    fields = {"url": url, "name": "engine", "visibility": "public", "mirror": "true"}
    shown = browser.submit(**fields)
    assert shown.status_code == 200, shown.text
    assert "Import from" in shown.text


async def follow_the_changes(world: World) -> None:
    """New commits, a new branch, one that is gone, one that was forced, a new tag."""
    source = world.source
    await world.in_step("ada/engine")
    facts = await world.call("GET", "/repos/ada/engine")
    assert (facts["mirror_url"], facts["default_branch"]) == (world.server.url("r.git"), "trunk")
    tree = source.git("mktree", stdin=b"").decode().strip()
    new = source.git("commit-tree", tree, "-p", source.oid("refs/heads/trunk"), "-m", "later").decode().strip()
    other = source.git("commit-tree", tree, "-m", "forced").decode().strip()
    source.git("update-ref", "refs/heads/trunk", new)
    source.git("update-ref", "refs/heads/new", new)
    source.git("update-ref", "-d", "refs/heads/topic-0")
    source.git("update-ref", "refs/heads/topic-1", other)
    source.git("tag", "-a", "-m", "second", "v2", new)
    await world.call("POST", "/repos/ada/engine/mirror-sync")
    await world.in_step("ada/engine")
    said = await world.told("ada/engine", lambda found: found["moved_count"] == 5, "the sync to be noted")
    assert (said["state"], said["last_error"], said["skipped"]) == ("active", None, [])


async def refuse_a_push(world: World, tmp_path: Path) -> None:
    """Who pushes to a mirror is told where to go instead, by git over HTTP."""
    url, work = world.cairn.url("ada/engine", user="ada", secret=world.token), tmp_path / "work"
    await asyncio.to_thread(git, "clone", "-q", url, work)
    await asyncio.to_thread(commit_file, work, "own", "1")
    printed = await asyncio.to_thread(fails, "push", "origin", "HEAD:trunk", "HEAD:mine", cwd=work)
    assert f"this repository is a mirror of {world.server.url('r.git')}" in " ".join(printed.split())
    assert await world.refs("ada/engine") == wanted_refs(world.source)


async def lose_and_find_the_source(world: World) -> None:
    """While it is away the mirror waits longer and longer; when it is back, it is in step again."""

    async def away(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        return True

    world.server.answer = away
    for failures in (1, 2):
        await world.call("POST", "/repos/ada/engine/mirror-sync")
        said = await world.told("ada/engine", partial(_failed, failures), "a failure")
        assert "503" in said["last_error"]
    world.server.answer = None
    world.source.git("update-ref", "refs/heads/back", world.source.oid("refs/heads/trunk"))
    await world.call("POST", "/repos/ada/engine/mirror-sync")
    await world.in_step("ada/engine")
    said = await world.told("ada/engine", lambda found: found["failures"] == 0, "the failures to be over")
    assert said["last_error"] is None


def _failed(count: int, found: Any) -> bool:
    return bool(found["failures"] == count)


async def be_followed(world: World, tmp_path: Path) -> None:
    """A push mirror into a bare repository, and one into another repository of a Cairn, follow a push by themselves."""
    target = empty_target(tmp_path / "served")
    for name in ("work", "copy"):
        await world.call("POST", "/user/repos", json={"name": name})
    own = world.cairn.url("ada/copy")
    for address, user, password in ((world.server.url("copy.git"), "", ""), (own, "ada", world.token)):
        body = {"remote_address": address, "remote_username": user, "remote_password": password}
        await world.call("POST", "/repos/ada/work/push_mirrors", json=body)
    work = tmp_path / "pushed"
    await asyncio.to_thread(git, "clone", "-q", world.cairn.url("ada/work", user="ada", secret=world.token), work)
    await asyncio.to_thread(git, "checkout", "-q", "-b", "main", cwd=work)
    await asyncio.to_thread(commit_file, work, "a", "1")
    await asyncio.to_thread(git, "push", "-q", "origin", "main", cwd=work)

    async def is_there() -> bool:
        ours = await world.refs("ada/work")
        return bool(ours) and wanted_refs(target) == ours == await world.refs("ada/copy")

    await eventually(is_there, within_seconds=SECONDS, what="both followers to have the push")


async def nothing_secret_is_written(world: World) -> None:
    """Neither the token nor the header made of it stands in any log, and no file but the sealed row has it."""
    header = base64.b64encode(f"ada:{world.token}".encode()).decode()
    log = await asyncio.to_thread(world.cairn.log)
    assert world.token not in log
    assert header not in log


async def test_a_mirror_follows_and_takes_no_pushes(tmp_path: Path) -> None:
    async def tell(world: World) -> None:
        await follow_the_changes(world)
        await refuse_a_push(world, tmp_path)

    await story(tmp_path, tell)


@pytest.mark.nightly
async def test_a_mirror_that_follows_a_changing_upstream(tmp_path: Path) -> None:
    async def tell(world: World) -> None:
        await follow_the_changes(world)
        await refuse_a_push(world, tmp_path)
        await lose_and_find_the_source(world)
        await be_followed(world, tmp_path)
        await nothing_secret_is_written(world)

    await story(tmp_path, tell)
