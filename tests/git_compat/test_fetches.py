"""Stock git fetches: shallow, partial, narrow, incremental; what arrives is sound and is what was asked for."""

import pytest
from tests.factories.git_repositories import StockGitFailed, StockRepository
from tests.git_compat.fixtures import Place

DAY = 86_400
EPOCH = 1_700_000_000


@pytest.fixture
def origin(place: Place) -> StockRepository:
    """Ten commits on main, a day apart, two on topic, a tag; all pushed."""
    client = place.client("origin")
    for number in range(10):
        when = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), f"{EPOCH + number * DAY} +0000")
        client.write("file.txt", f"line {number}\n" * (number + 1))
        client.write(f"folder{number}/deep/file.txt", f"{number}\n")
        client.git("add", "-A")
        client.git("commit", "-q", "-m", f"commit {number}", env=when)
    client.git("tag", "-a", "-m", "five", "v5", "HEAD~5")
    client.git("checkout", "-q", "-b", "topic")
    client.commit({"topic.txt": "1\n"})
    client.commit({"topic.txt": "2\n"})
    client.git("checkout", "-q", "main")
    client.git("push", "-q", "--tags", "origin", "main", "topic")
    return client


def count(repository: StockRepository, revision: str = "HEAD") -> int:
    """Return how many commits the repository has of a revision."""
    return int(repository.git("rev-list", "--count", revision))


def sound(repository: StockRepository) -> None:
    """Check the repository by git's own strict check."""
    repository.git("fsck", "--strict", "--no-progress", "--no-dangling")


def test_a_shallow_clone_deepens_step_by_step_to_the_whole(place: Place, origin: StockRepository) -> None:
    clone = place.clone("clone", "--depth=1")
    assert count(clone) == 1
    clone.git("fetch", "-q", "--depth=3")
    assert count(clone) == 3
    clone.git("fetch", "-q", "--deepen=2")
    assert count(clone) == 5
    sound(clone)
    clone.git("fetch", "-q", "--unshallow")
    assert count(clone) == 10
    sound(clone)
    assert not (clone.git_dir / "shallow").exists()


def test_a_clone_is_cut_by_date_or_by_what_it_leaves_out(place: Place, origin: StockRepository) -> None:
    since = place.clone("since", f"--shallow-since={EPOCH + 6 * DAY}")
    assert count(since) == 4
    sound(since)
    without = place.clone("without", "--shallow-exclude=v5")
    assert count(without) == 5
    sound(without)


def test_a_shallow_clone_pushes_back(place: Place, origin: StockRepository) -> None:
    clone = place.clone("clone", "--depth=1")
    clone.commit({"new.txt": "from a shallow clone\n"})
    clone.git("push", "-q", "origin", "main")
    origin.git("pull", "-q", "origin", "main")
    assert origin.oid("main") == clone.oid("main")
    sound(origin)


@pytest.mark.parametrize("wanted", ["blob:none", "tree:0", "blob:limit=20"])
def test_a_partial_clone_fetches_the_rest_when_it_is_needed(place: Place, origin: StockRepository, wanted: str) -> None:
    clone = place.clone("clone", "--no-checkout", f"--filter={wanted}")
    missing = clone.git("rev-list", "--objects", "--all", "--missing=print", env={"GIT_NO_LAZY_FETCH": "1"})
    assert b"\n?" in missing, "nothing was left out"
    clone.git("checkout", "-q", "main")
    assert (clone.path / "file.txt").read_text() == "line 9\n" * 10
    assert clone.git("blame", "--porcelain", "file.txt") == origin.git("blame", "--porcelain", "file.txt")
    clone.git("checkout", "-q", "HEAD~7")
    assert (clone.path / "file.txt").read_text() == "line 2\n" * 3
    sound(clone)


def test_a_sparse_filter_is_refused_by_name(place: Place, origin: StockRepository) -> None:
    with pytest.raises(StockGitFailed, match=r"sparse:oid.* is not offered"):
        place.clone("clone", "--no-checkout", "--filter=sparse:oid=main:file.txt")


def test_a_single_branch_clone_has_one_branch(place: Place, origin: StockRepository) -> None:
    clone = place.clone("clone", "--single-branch", "--branch=topic")
    assert clone.git("for-each-ref", "--format=%(refname)", "refs/remotes").split() == [b"refs/remotes/origin/topic"]
    assert count(clone) == 12
    sound(clone)


def test_an_incremental_fetch_brings_the_news_alone(place: Place, origin: StockRepository) -> None:
    clone = place.clone("clone")
    packed = clone.git("count-objects", "-v")
    assert packed
    origin.commit({"file.txt": "news\n"})
    origin.git("push", "-q", "origin", "main")
    shown = clone.git("-c", "fetch.unpackLimit=1", "fetch", "--progress", "origin")
    assert shown == b""
    packs = sorted((clone.objects / "pack").glob("*.pack"), key=lambda path: path.stat().st_size)
    assert packs[0].stat().st_size < 2_000
    assert clone.oid("origin/main") == origin.oid("main")
    clone.git("fetch", "-q", "origin")
    sound(clone)


def test_diverged_histories_meet_in_the_negotiation(place: Place, origin: StockRepository) -> None:
    clone = place.clone("clone")
    for number in range(40):
        clone.commit({"mine.txt": f"{number}\n"})
        origin.commit({"theirs.txt": f"{number}\n"})
    origin.git("push", "-q", "origin", "main")
    clone.git("fetch", "-q", "origin")
    assert clone.oid("origin/main") == origin.oid("main")
    sound(clone)


def test_deleted_branches_are_pruned_and_new_tags_follow(place: Place, origin: StockRepository) -> None:
    clone = place.clone("clone")
    origin.git("push", "-q", "origin", ":topic")
    origin.commit({"file.txt": "tagged\n"})
    origin.git("tag", "-a", "-m", "six", "v6")
    origin.git("push", "-q", "origin", "main", "v6")
    clone.git("fetch", "-q", "--prune", "origin")
    found = clone.git("for-each-ref", "--format=%(refname)").split()
    assert b"refs/tags/v6" in found
    assert b"refs/remotes/origin/topic" not in found


def test_a_commit_is_fetched_by_its_id_only_if_something_reaches_it(place: Place, origin: StockRepository) -> None:
    inside = origin.oid("main~4")
    client = place.client("by-id")
    client.git("fetch", "-q", "origin", inside)
    assert client.oid("FETCH_HEAD") == inside
    with pytest.raises(StockGitFailed, match="not our ref"):
        client.git("fetch", "-q", "origin", "1234567890" * 4)


def test_a_want_from_an_older_advertisement_is_served(place: Place, origin: StockRepository) -> None:
    lost = origin.oid("topic")
    origin.git("checkout", "-q", "topic")
    origin.git("reset", "-q", "--hard", "main")
    origin.commit({"topic.txt": "rewritten\n"})
    origin.git("push", "-q", "--force", "origin", "topic")
    client = place.client("late")
    client.git("fetch", "-q", "origin", lost)
    assert client.oid("FETCH_HEAD") == lost
    sound(client)


def test_a_ref_is_listed_by_prefix(place: Place, origin: StockRepository) -> None:
    assert origin.git("ls-remote", place.url, "refs/heads/topic").split() == [
        origin.oid("topic").encode(),
        b"refs/heads/topic",
    ]
    assert origin.git("ls-remote", "--symref", place.url, "HEAD").startswith(b"ref: refs/heads/main\tHEAD\n")
