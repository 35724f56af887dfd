"""Stock git pushes, in every way it knows; afterwards server and client hold the same."""

import os
import random
import re
import signal
import subprocess

import pytest
from tests.factories.git_repositories import StockGitFailed, StockRepository, fast_import
from tests.git_compat.fixtures import Place
from tests.git_compat.programs import assert_equal
from tests.services.ports import wait_until

from cairn.repositories.update import RepositoryChange


def refs_of(place: Place, client: StockRepository) -> dict[bytes, bytes]:
    """Return what the server advertises now."""
    lines = client.git("ls-remote", place.url).splitlines()
    return {name: oid for oid, name in (line.split(b"\t") for line in lines)}


def test_a_first_push_makes_the_repository_and_says_where_to_look(place: Place) -> None:
    client = place.client()
    client.commit({"a.txt": "one\n"}, "first")
    shown = subprocess.run(
        ["git", "push", "origin", "main"], cwd=client.path, env=place.environment, capture_output=True, check=True
    ).stderr
    assert f"{place.installation.origin}/ada/{place.repository.name}".encode() in shown
    assert_equal(place.url, client, place.folder / "mirror")


def test_a_fast_forward_and_a_second_branch_arrive(place: Place) -> None:
    client = place.client()
    client.commit({"a.txt": "one\n"})
    client.git("push", "-q", "origin", "main")
    client.commit({"a.txt": "two\n"})
    client.git("checkout", "-q", "-b", "topic")
    client.commit({"b.txt": "b\n"})
    client.git("push", "-q", "origin", "main", "topic")
    assert_equal(place.url, client, place.folder / "mirror")


def test_a_push_that_would_lose_commits_is_refused_unless_forced(place: Place) -> None:
    client = place.client()
    client.commit({"a.txt": "one\n"})
    client.commit({"a.txt": "two\n"})
    client.git("push", "-q", "origin", "main")
    client.git("reset", "-q", "--hard", "HEAD^")
    client.commit({"a.txt": "other\n"})
    with pytest.raises(StockGitFailed, match=r"non-fast-forward|fetch first"):
        client.git("push", "-q", "origin", "main")
    client.git("push", "-q", "--force", "origin", "main")
    assert_equal(place.url, client, place.folder / "mirror")


def test_of_two_clients_the_slower_one_is_told_to_fetch(place: Place) -> None:
    first = place.client("first")
    first.commit({"a.txt": "one\n"})
    first.git("push", "-q", "origin", "main")
    second = place.clone("second")
    first.commit({"a.txt": "two\n"})
    first.git("push", "-q", "origin", "main")
    second.commit({"b.txt": "b\n"})
    with pytest.raises(StockGitFailed, match="fetch first"):
        second.git("push", "-q", "origin", "main")
    second.git("pull", "-q", "--rebase")
    second.git("push", "-q", "origin", "main")
    assert_equal(place.url, second, place.folder / "mirror")


def test_a_branch_is_deleted_but_never_the_default_one(place: Place) -> None:
    client = place.client()
    client.commit({"a.txt": "one\n"})
    client.git("push", "-q", "origin", "main", "main:topic")
    client.git("push", "-q", "origin", ":topic")
    assert set(refs_of(place, client)) == {b"HEAD", b"refs/heads/main"}
    with pytest.raises(StockGitFailed, match="default branch"):
        client.git("push", "-q", "origin", ":main")
    assert_equal(place.url, client, place.folder / "mirror")


def test_an_atomic_push_moves_all_refs_or_none(place: Place) -> None:
    client = place.client()
    client.commit({"a.txt": "one\n"})
    client.git("push", "-q", "origin", "main")
    client.commit({"a.txt": "two\n"})
    before = refs_of(place, client)
    with pytest.raises(StockGitFailed, match="reserved"):
        client.git("push", "-q", "--atomic", "origin", "main", "main:refs/pull/1/head")
    assert refs_of(place, client) == before
    client.git("branch", "topic")
    client.git("push", "-q", "--atomic", "origin", "main", "topic")
    assert_equal(place.url, client, place.folder / "mirror")


def test_without_atomic_the_good_refs_move_and_the_reserved_one_is_refused(place: Place) -> None:
    client = place.client()
    client.commit({"a.txt": "one\n"})
    with pytest.raises(StockGitFailed, match="reserved"):
        client.git("push", "-q", "origin", "main", "main:refs/pull/1/head")
    assert_equal(place.url, client, place.folder / "mirror")


def test_push_options_are_accepted(place: Place) -> None:
    client = place.client()
    client.commit({"a.txt": "one\n"})
    client.git("push", "-q", "-o", "ci.skip", "-o", "topic=näme", "origin", "main")
    assert_equal(place.url, client, place.folder / "mirror")


def test_tags_light_annotated_and_nested_arrive_peeled(place: Place) -> None:
    client = place.client()
    oid = client.commit({"a.txt": "one\n"})
    client.git("tag", "light")
    client.git("tag", "-a", "-m", "annotated", "v1")
    client.git("tag", "-a", "-m", "a tag of a tag", "nested", "v1")
    client.git("push", "-q", "--tags", "origin", "main")
    found = refs_of(place, client)
    assert found[b"refs/tags/v1^{}"] == found[b"refs/tags/nested^{}"] == oid.encode()
    assert b"refs/tags/light^{}" not in found
    assert_equal(place.url, client, place.folder / "mirror")
    client.git("push", "-q", "origin", ":refs/tags/light")
    client.git("tag", "-d", "light")
    assert_equal(place.url, client, place.folder / "mirror-after")


def test_names_that_exclude_each_other_are_refused(place: Place) -> None:
    client = place.client()
    client.commit({"a.txt": "one\n"})
    client.git("push", "-q", "origin", "main", "main:a")
    with pytest.raises(StockGitFailed, match="name conflict"):
        client.git("push", "-q", "origin", "main:a/b")


def test_ten_thousand_refs_are_pushed_listed_and_cloned(place: Place) -> None:
    client = place.client()
    oid = client.commit({"a.txt": "one\n"})
    lines = [f"create refs/tags/t{number:05} {oid}\n" for number in range(9_999)]
    client.git("update-ref", "--stdin", stdin="".join(lines).encode())
    # Over HTTP the client itself needs a minute: it compares each of its refspecs with each of its refs.
    client.git("push", "-q", "--tags", place.installation.ssh_url(place.repository.name), "main")
    assert_equal(place.url, client, place.folder / "mirror")
    client.commit({"a.txt": "two\n"})
    client.git("push", "-q", "origin", "main")
    assert len(refs_of(place, client)) == 10_001


def test_a_thin_pack_builds_on_objects_of_other_packs(place: Place) -> None:
    client = place.client()
    content = random.Random(1).randbytes(400_000).hex()
    client.commit({"big.txt": content})
    client.git("push", "-q", "origin", "main")
    for number in range(3):
        client.commit({"big.txt": f"{content[: 1000 * (number + 1)]}{number}{content[1000 * (number + 1) :]}"})
        shown = subprocess.run(
            ["git", "push", "--progress", "--thin", "origin", "main"],
            cwd=client.path, env=place.environment, capture_output=True, check=True,
        ).stderr  # fmt: skip
        sent = re.search(rb"Writing objects: 100% \(\d+/\d+\), ([\d.]+) (bytes|KiB)", shown)
        assert sent is not None, shown
        assert float(sent[1]) * (1 if sent[2] == b"bytes" else 1024) < 20_000, "it was not sent as a delta"
    assert_equal(place.url, client, place.folder / "mirror")


def test_a_file_of_50_mb_goes_there_and_back(place: Place) -> None:
    client = place.client()
    client.commit({"big.bin": random.Random(2).randbytes(50 << 20)})
    client.git("push", "-q", "origin", "main")
    assert_equal(place.url, client, place.folder / "mirror")
    assert (place.clone("back").path / "big.bin").read_bytes() == (client.path / "big.bin").read_bytes()


def test_symlinks_submodules_modes_and_names_in_any_bytes_survive(place: Place) -> None:
    client = place.client()
    (client.path / "link").symlink_to("target/of/it")
    client.write("run.sh", "#!/bin/sh\n")
    (client.path / "run.sh").chmod(0o755)
    client.write(b"caf\xe9.txt".decode("utf-8", "surrogateescape"), "latin-1 in its name\n")
    oid = client.commit({"a.txt": "one\n"})
    client.git("update-index", "--add", "--cacheinfo", f"160000,{oid},libs/other")
    client.write(".gitmodules", '[submodule "libs/other"]\n\tpath = libs/other\n\turl = ../other.git\n')
    client.git("add", ".gitmodules")
    client.git("commit", "-q", "-m", "a submodule")
    client.git("push", "-q", "origin", "main")
    mirror = assert_equal(place.url, client, place.folder / "mirror")
    listing = mirror.git("ls-tree", "-r", "-z", "main")
    assert b"caf\xe9.txt" in listing
    assert {line[:6] for line in listing.split(b"\0") if line} == {b"100644", b"100755", b"120000", b"160000"}


def test_an_octopus_merge_and_a_second_root_survive(place: Place) -> None:
    client = place.client()
    client.commit({"a.txt": "one\n"})
    for name in ("x", "y", "z"):
        client.git("checkout", "-q", "-b", name, "main")
        client.commit({f"{name}.txt": name})
    client.git("checkout", "-q", "--orphan", "other")
    client.commit({"unrelated.txt": "root\n"})
    client.git("checkout", "-q", "main")
    client.commit({"main.txt": "main"})
    client.git("merge", "-q", "-m", "octopus", "x", "y", "z")
    client.git("merge", "-q", "--allow-unrelated-histories", "-m", "join", "other")
    client.git("push", "-q", "--all", "origin")
    mirror = assert_equal(place.url, client, place.folder / "mirror")
    assert len(mirror.git("rev-list", "--parents", "-1", "main^").split()) == 5


def test_an_empty_repository_clones_to_the_servers_unborn_branch(place: Place) -> None:
    changed = place.installation.change(place.repository, RepositoryChange(default_branch="main"))
    assert changed.head_target == b"refs/heads/main"
    here = StockRepository(place.folder, place.environment)
    here.git("-c", "init.defaultBranch=elsewhere", "clone", "-q", place.url, "empty")
    client = StockRepository(place.folder / "empty", place.environment)
    assert client.git("symbolic-ref", "HEAD") == b"refs/heads/main\n"
    client.commit({"a.txt": "one\n"})
    client.git("push", "-q", "origin", "HEAD")
    assert_equal(place.url, client, place.folder / "mirror")


def test_a_changed_default_branch_is_what_clones_check_out(place: Place) -> None:
    client = place.client()
    client.commit({"a.txt": "one\n"})
    client.git("branch", "trunk")
    client.git("push", "-q", "origin", "main", "trunk")
    place.installation.change(place.repository, RepositoryChange(default_branch="trunk"))
    assert place.clone("after").git("symbolic-ref", "HEAD") == b"refs/heads/trunk\n"
    client.git("push", "-q", "origin", ":main")
    assert set(refs_of(place, client)) == {b"HEAD", b"refs/heads/trunk"}


def test_an_interrupted_push_leaves_nothing_and_the_next_one_works(place: Place) -> None:
    client = place.client()
    client.commit({"a.txt": "one\n"})
    client.git("push", "-q", "origin", "main")
    before = refs_of(place, client)
    client.commit({"big.bin": random.Random(3).randbytes(30 << 20)})
    process = subprocess.Popen(
        ["git", "push", "--progress", "origin", "main"],
        cwd=client.path, env=place.environment, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    _kill_when_seen(process, b"Writing objects")
    quarantines = place.installation.settings.cache_path / "quarantine"
    wait_until(lambda: not list(quarantines.glob("quarantine-*")), within_seconds=20, what="the quarantine is gone")
    assert refs_of(place, client) in (before, {**before, b"HEAD": client.oid("HEAD").encode(),
                                                b"refs/heads/main": client.oid("HEAD").encode()})  # fmt: skip
    client.git("push", "-q", "origin", "main")
    assert_equal(place.url, client, place.folder / "mirror")


def test_an_interrupted_clone_leaves_no_git_process_and_the_next_one_works(place: Place) -> None:
    client = place.client()
    client.commit({"big.bin": random.Random(4).randbytes(20 << 20)})
    client.git("push", "-q", "origin", "main")
    process = subprocess.Popen(
        ["git", "clone", "--progress", place.url, "cut"],
        cwd=place.folder, env=place.environment, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    _kill_when_seen(process, b"Receiving objects")
    program = place.installation.web if place.door == "http" else place.installation.ssh
    wait_until(lambda: not _children(program.pid), within_seconds=20, what="no git child is left")
    assert_equal(place.url, client, place.folder / "mirror")


def test_a_long_history_is_pushed_and_cloned(place: Place) -> None:
    client = place.client()
    fast_import(client, ((f"commit {number}", {f"d{number % 37}/f{number % 11}": b"%d\n" % number})
                         for number in range(2_000)))  # fmt: skip
    client.git("push", "-q", "origin", "main")
    assert_equal(place.url, client, place.folder / "mirror")


@pytest.mark.parametrize("version", [0, 1, 2])
def test_every_protocol_version_pushes_fetches_and_clones(place: Place, version: int) -> None:
    place.environment["GIT_CONFIG_COUNT"] = "1"
    place.environment["GIT_CONFIG_KEY_0"] = "protocol.version"
    place.environment["GIT_CONFIG_VALUE_0"] = str(version)
    client = place.client()
    client.commit({"a.txt": "one\n"})
    client.git("tag", "-a", "-m", "one", "v1")
    client.git("push", "-q", "--tags", "origin", "main")
    other = place.clone("other")
    for number in range(3):
        client.commit({"a.txt": f"{number}\n"})
    client.git("push", "-q", "origin", "main")
    other.git("pull", "-q")
    assert other.oid("HEAD") == client.oid("HEAD")
    shallow = place.clone("shallow", "--depth=2")
    assert shallow.git("rev-list", "--count", "HEAD") == b"2\n"
    assert_equal(place.url, client, place.folder / "mirror")


def _kill_when_seen(process: "subprocess.Popen[bytes]", word: bytes) -> None:
    """End git and its helpers in the middle of what it says it does."""
    assert process.stderr is not None
    with process.stderr:
        seen = b""
        while word not in seen and (piece := os.read(process.stderr.fileno(), 65536)):
            seen += piece
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    assert word in seen


def _children(pid: int) -> list[str]:
    try:
        names = subprocess.run(
            ["ps", "--no-headers", "-o", "comm", "--ppid", str(pid)], capture_output=True, text=True, check=False
        ).stdout.split()
    except FileNotFoundError:
        pytest.skip("ps is not installed")
    return [name for name in names if name == "git"]
