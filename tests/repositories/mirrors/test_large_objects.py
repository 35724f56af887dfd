"""Large objects go to a follower before the refs that name them, once each, and what it does not take is named."""

from hashlib import sha256

import pytest
from tests.factories import git_repositories
from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer
from tests.factories.git_ssh import give_key, serve_git_ssh
from tests.factories.importing import import_now, refs_of, wanted_refs
from tests.factories.lfs_source import LfsSource
from tests.factories.mirroring import empty_target, mirror_now, mirror_of, settle, sync_again

from cairn.repositories.mirrors.edit import WantedMirror, change_mirror

PARTS = [b"granite" * 1000, b"slate" * 3000]
OIDS = [sha256(part).hexdigest() for part in PARTS]


@pytest.fixture
def large(server: GitServer) -> LfsSource:
    """A repository ``big.git`` whose history names two large objects."""
    made = LfsSource(server)
    first, second = [made.add(part) for part in PARTS]
    git_repositories.fast_import(
        git_repositories.init(server.root / "big.git", bare=True),
        [("One", {"a.bin": first}), ("Two", {"a.bin": second})],
    )
    return made


async def test_every_object_goes_before_the_refs(
    forge: Forge, ada: Person, server: GitServer, large: LfsSource
) -> None:
    made, _ = await import_now(forge, ada, server.url("big.git"))
    target = empty_target(server.root)
    large.objects.clear()
    server.requests.clear()
    mirror = await mirror_now(forge, ada, made, server.url("copy.git"), is_pull=False)
    assert (mirror.failure, mirror.note) == ("", "")
    assert large.objects == dict(zip(OIDS, PARTS, strict=True))
    paths = [request.path for request in server.requests if request.method in {"PUT", "POST"}]
    last_put = max(number for number, path in enumerate(paths) if path.startswith("/large/"))
    assert last_put < paths.index("/copy.git/git-receive-pack")
    assert wanted_refs(target)
    asked = len(large.asked)
    await sync_again(forge, mirror)
    assert len(large.asked) == asked, "nothing moved, so nothing was asked"
    await forge.commit(ada, made, {"more.txt": b"1"}, branch=b"refs/heads/main")
    puts = [request for request in server.requests if request.method == "PUT"]
    await settle(forge)
    assert [request for request in server.requests if request.method == "PUT"] == puts


async def test_a_follower_behind_ssh_says_where_they_go(
    forge: Forge, ada: Person, server: GitServer, large: LfsSource
) -> None:
    made, _ = await import_now(forge, ada, server.url("big.git"))
    target = empty_target(server.root)
    large.objects.clear()
    server.requests.clear()
    async with serve_git_ssh(server.root) as shell:
        await give_key(forge, ada, shell)
        shell.instead = large.answer_over_ssh
        mirror = await mirror_now(forge, ada, made, shell.url("copy.git"), is_pull=False)
    assert (mirror.failure, mirror.note) == ("", "")
    assert large.objects == dict(zip(OIDS, PARTS, strict=True))
    assert {one.headers["x-pass"] for one in server.requests if one.path.endswith("/objects/batch")} == {"for-an-hour"}
    assert f"git-lfs-authenticate '{server.root}/copy.git' upload" in shell.commands
    assert wanted_refs(target) == await refs_of(forge, made)


async def test_what_is_not_taken_is_named_and_tried_again(
    forge: Forge, ada: Person, server: GitServer, large: LfsSource
) -> None:
    made, _ = await import_now(forge, ada, server.url("big.git"))
    target = empty_target(server.root)
    large.objects.clear()
    large.refused.add(OIDS[0])
    mirror = await mirror_now(forge, ada, made, server.url("copy.git"), is_pull=False)
    assert mirror.failure == ""
    assert mirror.note.startswith(f"1 objects of Git LFS did not go there, the first is {OIDS[0]}")
    assert "507" in mirror.note
    assert wanted_refs(target)
    large.refused.clear()
    await sync_again(forge, mirror)
    await forge.commit(ada, made, {"more.txt": b"1"}, branch=b"refs/heads/main")
    await settle(forge)
    assert (set(large.objects), (await mirror_of(forge, mirror.id)).note) == (set(OIDS), "")


async def test_a_pull_mirror_brings_the_objects_of_its_source(
    forge: Forge, ada: Person, server: GitServer, large: LfsSource
) -> None:
    made = await forge.repository(ada, "engine")
    mirror = await mirror_now(forge, ada, made, server.url("big.git"), is_pull=True)
    assert (mirror.failure, mirror.note, sorted(large.fetched)) == ("", "", sorted(OIDS))


async def test_objects_that_a_broken_sync_did_not_bring_come_with_the_next(
    forge: Forge, ada: Person, server: GitServer, large: LfsSource
) -> None:
    made = await forge.repository(ada, "engine")
    large.is_down = True
    mirror = await mirror_now(forge, ada, made, server.url("big.git"), is_pull=True)
    refs = await refs_of(forge, made)
    assert "about Git LFS with status 500" in mirror.failure
    assert refs, "the branches came before it broke off"
    large.is_down = False
    mirror = await sync_again(forge, mirror)
    assert (mirror.failure, mirror.moved_count, sorted(large.fetched)) == ("", 0, sorted(OIDS))
    asked = len(large.asked)
    await sync_again(forge, mirror)
    assert len(large.asked) == asked, "all of them are here"


@pytest.mark.parametrize("is_pull", [True, False])
async def test_objects_come_once_somebody_wants_them(
    forge: Forge, ada: Person, server: GitServer, large: LfsSource, is_pull: bool
) -> None:
    if is_pull:
        made, name = await forge.repository(ada, "engine"), "big.git"
    else:
        made, name = (await import_now(forge, ada, server.url("big.git")))[0], "copy.git"
        empty_target(server.root)
        large.objects.clear()
    large.asked.clear()
    mirror = await mirror_now(forge, ada, made, server.url(name), is_pull=is_pull, with_lfs=False)
    assert (mirror.failure, large.asked) == ("", [])
    wanted = WantedMirror(url=mirror.url)
    async with forge.database.write() as session:
        await change_mirror(session, forge.engine.settings, ada.actor, made.id, mirror.id, wanted)
    mirror = await sync_again(forge, mirror)
    assert (mirror.failure, mirror.note, sorted(large.asked)) == ("", "", sorted(OIDS))
