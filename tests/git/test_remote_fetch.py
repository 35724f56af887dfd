"""Reading another server's repository: what comes, what is refused, and that secrets stay where they are."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.factories import git_repositories
from tests.factories.git_http import GitServer, Request, serve_git
from tests.factories.git_repositories import StockRepository
from tests.factories.process_tree import command_lines

from cairn.git.quarantine import Limit, PackLimits, PackTooLarge, Quarantine, open_quarantine
from cairn.git.remote_fetch import (
    FetchProgress,
    Remote,
    RemoteFailed,
    RemoteMissing,
    RemoteUnauthorized,
    RemoteUnusable,
    fetch_refs,
    list_remote_refs,
    parse_progress,
)
from cairn.git.runner import GitRunner

LIMITS = PackLimits(
    pack_bytes=Limit(10_000_000, "CAIRN_MAX_IMPORT_BYTES"),
    objects=Limit(100_000, "CAIRN_MAX_IMPORT_OBJECTS"),
    file_bytes=Limit(10_000_000, "CAIRN_MAX_IMPORT_BYTES"),
    delta_depth=Limit(4096, "git"),
)
MAIN = b"refs/heads/main"


@pytest.fixture
def runner(tmp_path: Path) -> GitRunner:
    return GitRunner(home=tmp_path / "home")


@pytest.fixture
async def quarantine(tmp_path: Path) -> AsyncIterator[Quarantine]:
    async with open_quarantine(tmp_path / "q") as opened:
        yield opened


@pytest.fixture
def source(tmp_path: Path) -> StockRepository:
    (tmp_path / "served").mkdir()
    made = git_repositories.init(tmp_path / "served" / "r.git", bare=True)
    tree = made.git("mktree").decode().strip()
    first = made.git("commit-tree", tree, "-m", "one").decode().strip()
    second = made.git("commit-tree", tree, "-p", first, "-m", "two").decode().strip()
    made.git("update-ref", "refs/heads/main", second)
    made.git("update-ref", "refs/heads/old", first)
    made.git("update-ref", "refs/tags/v1", first)
    made.git("update-ref", "refs/pull/1/head", second)
    made.git("symbolic-ref", "HEAD", "refs/heads/main")
    return made


@pytest.fixture
async def server(source: StockRepository) -> AsyncIterator[GitServer]:
    async with serve_git(source.path.parent) as running:
        yield running


def remote(server: GitServer, name: str = "r.git", authorization: str = "") -> Remote:
    """Return what a caller knows of the server after the door has checked it."""
    return Remote(
        url=f"http://git.test:{server.port}/{name}",
        host="git.test",
        port=server.port,
        addresses=("127.0.0.1",),
        authorization=authorization,
    )


async def ignore(progress: FetchProgress) -> None:
    """Take no notice."""


async def test_branches_and_tags_are_listed_and_nothing_else(
    runner: GitRunner, quarantine: Quarantine, server: GitServer, source: StockRepository
) -> None:
    found = await list_remote_refs(runner, quarantine, remote(server), name_bytes_max=255)
    assert found.refs == {
        MAIN: source.oid("refs/heads/main"),
        b"refs/heads/old": source.oid("refs/heads/old"),
        b"refs/tags/v1": source.oid("refs/tags/v1"),
    }
    assert (found.head_target, found.others) == (MAIN, 1)


async def test_a_fetch_brings_what_is_asked_for_and_lacking(
    runner: GitRunner, tmp_path: Path, server: GitServer, source: StockRepository
) -> None:
    seen: list[FetchProgress] = []

    async def note(progress: FetchProgress) -> None:
        seen.append(progress)

    async with open_quarantine(tmp_path / "q") as first:
        fetched = await fetch_refs(
            runner, first, remote(server), [b"refs/heads/old"], have=[], limits=LIMITS, progress=note
        )
        assert fetched.refs == {b"refs/heads/old": source.oid("refs/heads/old")}
        assert fetched.pack is not None
        assert seen[-1].bytes > 0
        async with open_quarantine(tmp_path / "q", alternates=[first.objects]) as second:
            have = [source.oid("refs/heads/old")]
            more = await fetch_refs(runner, second, remote(server), [MAIN], have=have, limits=LIMITS, progress=ignore)
            assert more.refs == {MAIN: source.oid("refs/heads/main")}
            assert f"have {have[0]}".encode() in server.fetches[-1].body
        async with open_quarantine(tmp_path / "q", alternates=[first.objects]) as third:
            nothing = await fetch_refs(
                runner, third, remote(server), [b"refs/tags/v1"], have=have, limits=LIMITS, progress=ignore
            )
            assert nothing.refs == {b"refs/tags/v1": source.oid("refs/heads/old")}
            assert nothing.pack is None
            assert [len(chunk) async for chunk in nothing.chunks()] == [32]


async def test_credentials_are_sent_and_never_shown(
    runner: GitRunner, quarantine: Quarantine, server: GitServer, tmp_path: Path
) -> None:
    """Attack: another account of the machine lists processes; a log keeps what git said."""
    server.credentials = "ada:s3cr3t-w0rd"
    header = "Basic YWRhOnMzY3IzdC13MHJk"
    seen: list[str] = []

    async def look(request: Request, writer: asyncio.StreamWriter) -> bool:
        seen.extend(command_lines())
        return False

    server.answer = look
    found = await list_remote_refs(runner, quarantine, remote(server, authorization=header), name_bytes_max=255)
    assert MAIN in found.refs
    assert any("ls-remote" in line for line in seen), "git ran while the processes were listed"
    assert not any("s3cr3t" in line or "YWRhOnMz" in line for line in seen)
    with pytest.raises(RemoteUnauthorized) as refused:
        await list_remote_refs(
            runner, quarantine, remote(server, authorization="Basic d3Jvbmc6b25l"), name_bytes_max=255
        )
    assert "d3Jvbmc6b25l" not in f"{refused.value!r} {refused.value.__cause__!r} {refused.value.__cause__.__notes__}"  # type: ignore[union-attr]
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"YWRhOnMz" in data or b"d3Jvbmc" in data for data in written)
    assert "YWRhOnMz" not in repr(remote(server, authorization=header))


@pytest.mark.parametrize(("name", "error"), [("nothing.git", RemoteMissing), ("r.git/objects", RemoteMissing)])
async def test_a_missing_repository_is_told_as_such(
    runner: GitRunner, quarantine: Quarantine, server: GitServer, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await list_remote_refs(runner, quarantine, remote(server, name), name_bytes_max=255)


async def test_git_follows_no_redirect_and_knows_no_other_address(
    runner: GitRunner, quarantine: Quarantine, server: GitServer, source: StockRepository
) -> None:
    """Attack: the checked server sends git elsewhere, or the name stands for another machine by now."""
    async with serve_git(source.path.parent) as inner:

        async def redirect(request: Request, writer: asyncio.StreamWriter) -> bool:
            target = f"http://127.0.0.1:{inner.port}{request.path}".encode()
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: " + target + b"\r\nContent-Length: 0\r\n\r\n")
            return True

        server.answer = redirect
        with pytest.raises((RemoteFailed, RemoteUnusable)):
            await list_remote_refs(runner, quarantine, remote(server), name_bytes_max=255)
        assert inner.requests == []
    # git.test is nowhere: only the pin leads to the server, and a pin to a closed port leads nowhere.
    elsewhere = replace(remote(server), addresses=("127.0.0.2",))
    server.requests.clear()
    with pytest.raises(RemoteFailed):
        await list_remote_refs(runner, quarantine, elsewhere, name_bytes_max=255)
    assert server.requests == []


async def test_a_repository_beyond_the_limit_is_left_while_it_streams(
    runner: GitRunner, quarantine: Quarantine, server: GitServer, source: StockRepository
) -> None:
    """Attack: a source that sends until the disk is full."""
    blob = source.git("hash-object", "-w", "--stdin", stdin=bytes(hash_bytes(3_000_000))).decode().strip()
    tree = source.git("mktree", stdin=f"100644 blob {blob}\tbig\n".encode()).decode().strip()
    source.git("update-ref", "refs/heads/main", source.git("commit-tree", tree, "-m", "big").decode().strip())
    small = replace(LIMITS, pack_bytes=Limit(1_000_000, "CAIRN_MAX_IMPORT_BYTES"))
    with pytest.raises(PackTooLarge, match="CAIRN_MAX_IMPORT_BYTES"):
        await fetch_refs(runner, quarantine, remote(server), [MAIN], have=[], limits=small, progress=ignore)


def hash_bytes(size: int) -> bytes:
    """Return bytes that do not compress, the same in every run."""
    from hashlib import shake_128

    return shake_128(b"seed").digest(size)


async def test_a_fetch_that_breaks_off_says_so_and_leaves_nothing(
    runner: GitRunner, quarantine: Quarantine, server: GitServer
) -> None:
    server.cut_after = 200
    with pytest.raises((RemoteFailed, RemoteUnusable)):
        await fetch_refs(runner, quarantine, remote(server), [MAIN], have=[], limits=LIMITS, progress=ignore)
    assert runner.running == 0


async def test_whoever_watches_may_end_a_fetch(runner: GitRunner, quarantine: Quarantine, server: GitServer) -> None:
    class Enough(Exception):
        pass

    hanging = asyncio.Event()

    async def hang(request: Request, writer: asyncio.StreamWriter) -> bool:
        if request.is_fetch:
            hanging.set()
            await asyncio.Event().wait()
        return False

    async def stop(progress: FetchProgress) -> None:
        if hanging.is_set():
            raise Enough

    server.answer = hang
    with pytest.raises(Enough):
        await fetch_refs(runner, quarantine, remote(server), [MAIN], have=[], limits=LIMITS, progress=stop)
    assert runner.running == 0


@pytest.mark.parametrize(
    ("said", "progress"),
    [
        ("", FetchProgress()),
        ("remote: Counting objects:  50% (5/10)\r", FetchProgress("Counting objects", 50, 5, 10)),
        (
            "Receiving objects:   7% (70/1000)\rReceiving objects:  45% (450/1000), 1.50 MiB | 3.00 MiB/s\r",
            FetchProgress("Receiving objects", 45, 450, 1000, 1572864),
        ),
        (
            "Receiving objects: 100% (2/2), done.\nResolving deltas: 100% (1/1)",
            FetchProgress("Resolving deltas", 100, 1, 1),
        ),
    ],
)
def test_progress_is_the_last_step_git_tells_of(said: str, progress: FetchProgress) -> None:
    assert parse_progress(said) == progress
