"""Git LFS as its users run it: stock git-lfs against running programs, by both doors, on both kinds of installation."""

import json
import secrets
import shutil
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest
from tests.factories.git_repositories import StockGitFailed, StockRepository
from tests.git_compat.fixtures import Place

OBJECT_BYTES = 300_000
pytestmark = pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")


def lfs_client(place: Place, name: str = "client") -> StockRepository:
    """Return a repository in which ``*.bin`` files are large objects."""
    client = place.client(name)
    client.git("lfs", "install", "--local")
    client.git("lfs", "track", "*.bin")
    return client


def commit(client: StockRepository, name: str, data: bytes) -> str:
    """Commit a file and return the SHA-256 of its bytes."""
    (client.path / name).write_bytes(data)
    client.git("add", "-A")
    client.git("commit", "-qm", f"Add {name}")
    return sha256(data).hexdigest()


def lfs_clone(place: Place, name: str) -> StockRepository:
    """Clone with every large object in the working copy."""
    clone = place.clone(name, "--no-checkout")
    clone.git("lfs", "install", "--local")
    clone.git("checkout", "-q", "main")
    return clone


def test_objects_are_pushed_and_cloned_again(place: Place) -> None:
    client = lfs_client(place)
    first, second = secrets.token_bytes(OBJECT_BYTES), secrets.token_bytes(10)
    commit(client, "one.bin", first)
    commit(client, "two.bin", second)
    client.git("push", "-q", "origin", "main")
    clone = lfs_clone(place, "clone")
    assert (clone.path / "one.bin").read_bytes() == first
    assert (clone.path / "two.bin").read_bytes() == second
    assert clone.git("show", "HEAD:one.bin").startswith(b"version https://git-lfs.github.com/spec/v1")


def test_a_push_whose_objects_were_not_sent_is_refused_and_says_how_to(place: Place) -> None:
    client = lfs_client(place)
    oid = commit(client, "one.bin", secrets.token_bytes(OBJECT_BYTES))
    # What somebody does who pushes from a machine where git-lfs is not set up.
    hook = client.git_dir / "hooks" / "pre-push"
    hook.rename(hook.with_name("asleep"))
    with pytest.raises(StockGitFailed) as refused:
        client.git("push", "origin", "main")
    said = str(refused.value)
    assert f"remote:   one.bin ({oid}, 300,000 bytes)" in said
    assert "remote:   Send them first: git lfs push --all <remote>" in said
    assert "! [remote rejected] main -> main (Git LFS objects are not here: one.bin" in said
    client.git("lfs", "push", "--all", "origin")
    client.git("push", "-q", "origin", "main")


def test_an_interrupted_download_goes_on_where_it_ended(place: Place) -> None:
    client = lfs_client(place)
    data = secrets.token_bytes(OBJECT_BYTES)
    oid = commit(client, "one.bin", data)
    client.git("push", "-q", "origin", "main")
    clone = place.clone("clone", "--no-checkout")
    clone.git("lfs", "install", "--local")
    # What git-lfs leaves behind when a download breaks.
    part = clone.git_dir / "lfs" / "incomplete" / f"{oid}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(data[:200_000])
    clone.git("config", "lfs.transfer.enablehrefrewrite", "false")
    trace = {"GIT_TRACE": "1", "GIT_CURL_VERBOSE": "1"}
    clone.git("checkout", "-q", "main", env={**trace, "GIT_TRACE": str(place.folder / "trace")})
    assert (clone.path / "one.bin").read_bytes() == data
    said = (place.folder / "trace").read_text("utf-8", "replace")
    assert "server accepted resume" in said


def test_a_locked_file_is_released_by_its_owner_or_by_force(place: Place) -> None:
    client = lfs_client(place)
    commit(client, "one.bin", b"1")
    client.git("push", "-q", "origin", "main")
    [lock] = json.loads(client.git("lfs", "lock", "--json", "one.bin"))
    assert (lock["path"], lock["owner"]["name"]) == ("one.bin", "ada")
    assert [one["id"] for one in json.loads(client.git("lfs", "locks", "--json"))] == [lock["id"]]
    verified = json.loads(client.git("lfs", "locks", "--verify", "--json"))
    assert ([one["path"] for one in verified["ours"]], verified["theirs"]) == (["one.bin"], [])
    with pytest.raises(StockGitFailed, match=r"Lock exists|locked by ada already"):
        client.git("lfs", "lock", "one.bin")
    [released] = json.loads(client.git("lfs", "unlock", "--json", "one.bin"))
    assert released["unlocked"] is True
    client.git("lfs", "lock", "one.bin")
    client.git("lfs", "unlock", "--force", "one.bin")
    assert json.loads(client.git("lfs", "locks", "--json")) == []


def test_two_who_push_the_same_object_at_once_both_have_it(place: Place) -> None:
    data = secrets.token_bytes(OBJECT_BYTES)
    clients = [lfs_client(place, name) for name in ("one", "two")]
    for number, client in enumerate(clients):
        commit(client, "one.bin", data)
        client.git("checkout", "-q", "-b", f"branch-{number}")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda client: client.git("push", "-q", "origin", "HEAD"), clients))
    for number in range(2):
        clone = place.clone(f"clone-{number}", "--no-checkout", "-b", f"branch-{number}")
        clone.git("lfs", "install", "--local")
        clone.git("checkout", "-q", f"branch-{number}")
        assert (clone.path / "one.bin").read_bytes() == data
