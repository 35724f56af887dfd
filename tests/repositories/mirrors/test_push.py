"""Being followed: what goes there, what is taken away there, what is overwritten, and what never leaves."""

from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer
from tests.factories.git_repositories import StockRepository
from tests.factories.git_ssh import Process, give_key, run_git, serve_git_ssh
from tests.factories.importing import refs_of, wanted_refs
from tests.factories.mirroring import empty_target, mirror_now, mirror_of, settle, sync_again

from cairn.git import remote_push
from cairn.git.engine import Engine
from cairn.git.quarantine import Quarantine
from cairn.git.ref_transaction import RefUpdate
from cairn.git.remote_push import DIVERGED_THERE
from cairn.git.types import ZERO_OID
from cairn.jobs.models import Job, JobState
from cairn.repositories.accept_push import make_within
from cairn.repositories.mirrors.guard import SYNC_KIND
from cairn.repositories.mirrors.models import MirrorRefs
from cairn.repositories.queries import RepositoryView

MAIN = "refs/heads/main"


async def test_a_push_here_is_soon_there(forge: Forge, ada: Person, server: GitServer) -> None:
    target = empty_target(server.root)
    made = await forge.repository(ada, "engine", files={"a.txt": b"1"})
    mirror = await mirror_now(forge, ada, made, server.url("copy.git"), is_pull=False)
    assert (mirror.failure, mirror.skipped, mirror.moved_count) == ("", [], 1)
    assert wanted_refs(target) == await refs_of(forge, made)
    await forge.commit(ada, made, {"a.txt": b"2"})
    await forge.commit(ada, made, {"b.txt": b"2"}, branch=b"refs/heads/work")
    await settle(forge)
    assert wanted_refs(target) == await refs_of(forge, made)
    target.git("fsck", "--strict")
    await forge.land_deletion(ada, made, b"refs/heads/work")
    await settle(forge)
    assert wanted_refs(target) == await refs_of(forge, made)


async def test_what_the_other_side_has_besides_is_overwritten_and_named(
    forge: Forge, ada: Person, server: GitServer
) -> None:
    target = empty_target(server.root)
    made = await forge.repository(ada, "engine", files={"a.txt": b"1"})
    mirror = await mirror_now(forge, ada, made, server.url("copy.git"), is_pull=False)
    _commit_there(target.path, MAIN)
    _commit_there(target.path, "refs/heads/theirs")
    mirror = await sync_again(forge, mirror)
    assert wanted_refs(target) == await refs_of(forge, made)
    assert mirror.note == f"Overwritten, because {DIVERGED_THERE}: {MAIN}."


async def test_without_force_and_pruning_the_other_side_keeps_what_it_has(
    forge: Forge, ada: Person, server: GitServer
) -> None:
    target = empty_target(server.root)
    made = await forge.repository(ada, "engine", files={"a.txt": b"1"})
    mirror = await mirror_now(forge, ada, made, server.url("copy.git"), is_pull=False, overwrites=False, prunes=False)
    _commit_there(target.path, MAIN)
    _commit_there(target.path, "refs/heads/theirs")
    before = wanted_refs(target)
    await forge.commit(ada, made, {"a.txt": b"2"})
    await settle(forge)
    mirror = await mirror_of(forge, mirror.id)
    assert (mirror.failure, mirror.skipped) == ("", [[MAIN, DIVERGED_THERE]])
    assert wanted_refs(target) == before


async def test_a_hook_there_may_refuse_and_is_quoted(forge: Forge, ada: Person, server: GitServer) -> None:
    target = empty_target(server.root)
    hook = target.path / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/work ]\n')
    hook.chmod(0o755)
    made = await forge.repository(ada, "engine", files={"a.txt": b"1"})
    await forge.commit(ada, made, {"b.txt": b"2"}, branch=b"refs/heads/work")
    mirror = await mirror_now(forge, ada, made, server.url("copy.git"), is_pull=False)
    assert list(wanted_refs(target)) == [MAIN]
    assert mirror.skipped == [["refs/heads/work", "the other server refused it: hook declined"]]
    assert mirror.failure == ""


async def test_hidden_refs_and_those_beside_the_pattern_never_leave(
    forge: Forge, ada: Person, server: GitServer
) -> None:
    target = empty_target(server.root)
    made = await forge.repository(ada, "engine", files={"a.txt": b"1"})
    await forge.commit(ada, made, {"b.txt": b"2"}, branch=b"refs/heads/release/1")
    await forge.commit(ada, made, {"c.txt": b"2"}, branch=b"refs/cairn/own")
    url = server.url("copy.git")
    await mirror_now(forge, ada, made, url, is_pull=False, refs=MirrorRefs.PATTERN, pattern="release/*")
    assert list(wanted_refs(target)) == ["refs/heads/release/1"]
    assert target.git("for-each-ref", "refs/cairn") == b""


async def test_credentials_go_to_the_server_and_nowhere_else(
    forge: Forge, ada: Person, server: GitServer, tmp_path: Path
) -> None:
    target = empty_target(server.root)
    server.credentials = "bot:pass-w0rd-of-mine"
    made = await forge.repository(ada, "engine", files={"a.txt": b"1"})
    mirror = await mirror_now(
        forge, ada, made, server.url("copy.git"), is_pull=False, user="bot", password="pass-w0rd-of-mine"
    )
    assert (mirror.failure, wanted_refs(target)) == ("", await refs_of(forge, made))
    assert not any(b"pass-w0rd" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    server.credentials = "bot:another"
    mirror = await sync_again(forge, mirror)
    assert "does not take this user and password" in mirror.failure
    assert "pass-w0rd" not in mirror.failure


async def test_pushes_in_a_row_are_one_sync(forge: Forge, ada: Person, server: GitServer) -> None:
    empty_target(server.root)
    made = await forge.repository(ada, "engine", files={"a.txt": b"1"})
    await mirror_now(forge, ada, made, server.url("copy.git"), is_pull=False)
    for number in range(3):
        await forge.commit(ada, made, {"a.txt": b"%d" % number})
    assert await _waiting(forge.engine) == 1


async def _waiting(engine: Engine) -> int:
    async with engine.database.read() as session:
        waiting = select(func.count()).where(Job.kind == SYNC_KIND, Job.state == JobState.WAITING)
        return await session.scalar(waiting) or 0


def _commit_there(path: Path, name: str) -> None:
    target = StockRepository(path)
    tree = target.git("mktree", stdin=b"").decode().strip()
    oid = target.git("commit-tree", tree, "-m", "theirs").decode().strip()
    target.git("update-ref", name, oid)


async def test_many_refs_go_in_several_conversations(
    forge: Forge, ada: Person, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_push, "REFS_AT_ONCE", 20)
    count = 45
    target = empty_target(server.root)
    made = await forge.repository(ada, "engine", files={"a.txt": b"1"})
    await _many_branches(forge, ada, made, count)
    mirror = await mirror_now(forge, ada, made, server.url("copy.git"), is_pull=False)
    assert (mirror.failure, mirror.moved_count) == ("", count + 1)
    assert wanted_refs(target) == await refs_of(forge, made)


async def _many_branches(forge: Forge, ada: Person, made: RepositoryView, count: int) -> None:
    tip = (await forge.engine.snapshot(await forge.engine.state(made.store_id))).refs[0].oid

    async def write(quarantine: Quarantine) -> list[RefUpdate]:
        return [RefUpdate(b"refs/heads/many-%04d" % number, ZERO_OID, tip) for number in range(count)]

    staged = await forge.engine.stage(made.store_id, write)
    await forge.engine.land(staged, push_id="ab" * 16, actor="test", within=make_within(ada.actor, made.id))


async def test_a_repository_behind_ssh_follows(forge: Forge, ada: Person, tmp_path: Path) -> None:
    target = empty_target(tmp_path)
    async with serve_git_ssh(tmp_path) as shell:
        await give_key(forge, ada, shell)
        made = await forge.repository(ada, "engine", files={"a.txt": b"1"})
        mirror = await mirror_now(forge, ada, made, shell.url("copy.git"), is_pull=False)
        assert (mirror.failure, mirror.skipped, mirror.moved_count) == ("", [], 1)
        await forge.commit(ada, made, {"b.txt": b"2"}, branch=b"refs/heads/work")
        await settle(forge)
        assert wanted_refs(target) == await refs_of(forge, made)
        target.git("fsck", "--strict")
        await forge.land_deletion(ada, made, b"refs/heads/work")
        await settle(forge)
        assert wanted_refs(target) == await refs_of(forge, made)


async def test_a_key_that_may_only_read_there_is_told_so(forge: Forge, ada: Person, tmp_path: Path) -> None:
    empty_target(tmp_path)
    async with serve_git_ssh(tmp_path) as shell:

        async def read_only(process: Process) -> None:
            if str(process.command).startswith("git-receive-pack"):
                process.stderr.write(b"ERROR: The key you are authenticating with has been marked as read only.\n")
                process.exit(1)
            else:
                await run_git(process, str(process.command))

        await give_key(forge, ada, shell)
        shell.instead = read_only
        made = await forge.repository(ada, "engine", files={"a.txt": b"1"})
        mirror = await mirror_now(forge, ada, made, shell.url("copy.git"), is_pull=False)
        assert "to push it wants the right to write" in mirror.failure
