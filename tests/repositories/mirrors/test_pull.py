"""Following another repository: what comes, what goes, what is forced and what is skipped with its reason."""

from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer
from tests.factories.git_repositories import StockRepository
from tests.factories.git_ssh import give_key, serve_git_ssh
from tests.factories.importing import refs_of, wanted_refs
from tests.factories.mirroring import mirror_now, sync_again

from cairn.repositories.mirrors.models import MirrorRefs


async def test_what_changes_there_changes_here(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository
) -> None:
    made = await forge.repository(ada, "engine")
    mirror = await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True)
    assert (mirror.failure, mirror.skipped, mirror.moved_count) == ("", [], 4)
    assert await refs_of(forge, made) == wanted_refs(source)
    assert bytes((await forge.engine.state(made.store_id)).head_target) == b"refs/heads/trunk"
    source.git("update-ref", "refs/heads/new", source.oid("refs/heads/trunk"))
    source.git("update-ref", "-d", "refs/heads/topic-0")
    source.git("update-ref", "refs/heads/topic-1", source.oid("refs/heads/trunk~2"))
    source.git("update-ref", "refs/heads/topic-0/below", source.oid("refs/heads/trunk~2"))
    source.git("update-ref", "refs/tags/v2", source.oid("refs/heads/trunk"))
    mirror = await sync_again(forge, mirror)
    assert await refs_of(forge, made) == wanted_refs(source)
    assert (mirror.failure, mirror.skipped, mirror.moved_count) == ("", [], 5)
    before = len(server.fetches)
    mirror = await sync_again(forge, mirror)
    assert (mirror.moved_count, len(server.fetches)) == (0, before)


async def test_the_same_change_twice_comes_twice(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository
) -> None:
    """A branch that goes to and fro lands each time, though the landing's values are the same."""
    made = await forge.repository(ada, "engine")
    mirror = await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True)
    for revision in ("trunk~2", "trunk~1", "trunk~2", "trunk~1"):
        source.git("update-ref", "refs/heads/topic-0", source.oid(f"refs/heads/{revision}"))
        mirror = await sync_again(forge, mirror)
        assert await refs_of(forge, made) == wanted_refs(source)


async def test_without_overwriting_and_deleting_nothing_here_is_lost(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository
) -> None:
    made = await forge.repository(ada, "engine")
    mirror = await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True, overwrites=False, prunes=False)
    before = await refs_of(forge, made)
    source.git("update-ref", "refs/heads/topic-1", source.oid("refs/heads/trunk~2"))
    source.git("update-ref", "-d", "refs/heads/topic-0")
    mirror = await sync_again(forge, mirror)
    assert await refs_of(forge, made) == before
    assert mirror.skipped == [["refs/heads/topic-1", "it has other commits here"]]


async def test_a_source_that_lost_everything_takes_nothing_away(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository
) -> None:
    made = await forge.repository(ada, "engine")
    mirror = await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True)
    before = await refs_of(forge, made)
    for name in before:
        source.git("update-ref", "-d", name)
    mirror = await sync_again(forge, mirror)
    assert await refs_of(forge, made) == before
    assert "no branches" in mirror.note


async def test_the_default_branch_is_followed_when_it_gets_another_name(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository
) -> None:
    made = await forge.repository(ada, "engine")
    mirror = await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True)
    source.git("branch", "-m", "trunk", "main")
    mirror = await sync_again(forge, mirror)
    assert await refs_of(forge, made) == wanted_refs(source)
    assert (mirror.skipped, bytes((await forge.engine.state(made.store_id)).head_target)) == ([], b"refs/heads/main")


async def test_a_pattern_leaves_other_refs_alone(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository
) -> None:
    made = await forge.repository(ada, "engine", files={"own.txt": b"mine"})
    own = await refs_of(forge, made)
    mirror = await mirror_now(
        forge, ada, made, server.url("r.git"), is_pull=True, refs=MirrorRefs.PATTERN, pattern="topic-*"
    )
    theirs = {name: oid for name, oid in wanted_refs(source).items() if "topic" in name}
    assert (mirror.failure, await refs_of(forge, made)) == ("", own | theirs)
    await forge.commit(ada, made, {"more.txt": b"mine"})


async def test_a_source_behind_ssh_is_followed(forge: Forge, ada: Person, source: StockRepository) -> None:
    async with serve_git_ssh(source.path.parent) as shell:
        await give_key(forge, ada, shell)
        made = await forge.repository(ada, "engine")
        mirror = await mirror_now(forge, ada, made, shell.url(), is_pull=True)
        assert (mirror.failure, mirror.skipped, mirror.moved_count) == ("", [], 4)
        source.git("update-ref", "refs/heads/new", source.oid("refs/heads/trunk"))
        source.git("update-ref", "-d", "refs/heads/topic-0")
        mirror = await sync_again(forge, mirror)
        assert (mirror.failure, mirror.moved_count) == ("", 2)
        assert await refs_of(forge, made) == wanted_refs(source)
        await give_key(forge, ada)  # another one, which nobody told the source
        mirror = await sync_again(forge, mirror)
        assert "Add it there as a deploy key" in mirror.failure
        assert mirror.failures == 1
