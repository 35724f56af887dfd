"""The last commit of each entry of a folder: as git log tells it, over merges, and from what was known before."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.factories.engines import engine
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import make_store, push_commit

from cairn.git import last_commits
from cairn.git.engine import Engine
from cairn.git.last_commits import LastCommits, find_last_commits, read_last_commits
from cairn.git.reading import ObjectNotFound
from cairn.git.runner import GitRunner
from cairn.git.types import Oid

__all__ = ["engine"]


def last_of(client: StockRepository, *paths: str | bytes) -> Oid:
    return Oid(client.git("--literal-pathspecs", "log", "-1", "--format=%H", "HEAD", "--", *paths).decode().strip())


def as_git_says(client: StockRepository, folder: str) -> dict[bytes, str]:
    """Return the last commit of each entry, each asked for by itself."""
    names = client.git("ls-tree", "--name-only", "-z", f"HEAD:{folder}").rstrip(b"\0").split(b"\0")
    above = f"{folder}/".encode() if folder else b""
    return {name: last_of(client, above + name) for name in names}


async def ask(engine: Engine, store: int, client: StockRepository, folder: str) -> LastCommits:
    tip = last_of(client, *([folder] if folder else []))
    return await read_last_commits(engine, await engine.state(store), folder=folder.encode(), tip=tip)


def told(found: LastCommits) -> dict[bytes, str]:
    return {name: found.commits[place].oid for name, place in found.names.items()}


async def test_each_entry_has_the_commit_that_git_log_names(engine: Engine, tmp_path: Path) -> None:
    """Files, folders, names of any bytes and of the form of git's own output; a merge that changes a file itself."""
    client = init(tmp_path / "client")
    odd = ":100644 " + "1" * 40
    client.commit({"README": "1", "src/a": "1", "src/deep/b": "1", odd: "1", "ü\n": "1", "gone": "1"}, message="One")
    client.commit({"src/deep/b": "2"}, message="Two\nlines\n\nand a body")
    client.git("checkout", "-q", "-b", "side")
    client.commit({"src/a": "2", odd: "2"}, "", "--allow-empty-message")
    client.git("checkout", "-q", "main")
    client.commit({"README": "2", "src/a": "3"}, message="Three")
    client.git("merge", "-q", "-X", "ours", "--no-commit", "side")
    client.commit({"src/a": "4"}, message="Merge")
    client.git("rm", "-q", "gone")
    client.git("commit", "-q", "-m", "Remove")
    store = await make_store(engine)
    assert (await push_commit(engine, store, client)).unpacked == "ok"
    for folder in ("", "src", "src/deep"):
        found = await ask(engine, store, client, folder)
        assert told(found) == as_git_says(client, folder), folder
        assert len({commit.oid for commit in found.commits}) == len(found.commits)
    readme = (await ask(engine, store, client, "")).of(b"README")
    assert readme is not None
    assert readme.subject == "Three"
    assert readme.seconds == int(client.git("log", "-1", "--format=%ct", "--", "README"))
    assert readme.at.timestamp() == readme.seconds
    assert (await ask(engine, store, client, "src/deep")).commits[0].subject == "Two lines"
    assert (await ask(engine, store, client, "")).of(b"absent") is None


async def test_a_later_answer_reads_only_what_came_since(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = init(tmp_path / "client")
    for number in range(5):
        client.commit({f"f{number}": "1", "d/x": str(number)}, message=f"Change {number}")
    store = await make_store(engine)
    await push_commit(engine, store, client)
    first = await ask(engine, store, client, "")
    client.commit({"f1": "2", "new": "1"}, message="Later")
    client.commit({"f2": "2"}, message="Last")
    await push_commit(engine, store, client)

    walked: list[Sequence[str]] = []
    spawn = GitRunner.spawn

    def note(self: GitRunner, command: object, **options: object) -> object:
        walked.append(getattr(command, "revisions", ()))
        return spawn(self, command, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(GitRunner, "spawn", note)
    later = await ask(engine, store, client, "")
    assert told(later) == as_git_says(client, "")
    assert f"^{told(first)[b'f4']}" in {str(revision) for revisions in walked for revision in revisions}


async def test_few_entries_that_are_old_are_asked_for_by_name(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_commits, "_WALKED_COMMITS", 2)
    client = init(tmp_path / "client")
    client.commit({"old": "1", "older/still": "1", "new": "1"}, message="First")
    for number in range(10):
        client.commit({"new": str(number)}, message=f"Change {number}")
    store = await make_store(engine)
    await push_commit(engine, store, client)
    assert told(await ask(engine, store, client, "")) == as_git_says(client, "")


async def test_what_is_found_is_found_again_without_git(engine: Engine, tmp_path: Path) -> None:
    client = init(tmp_path / "client")
    client.commit({"a": "1"}, message="One")
    store = await make_store(engine)
    await push_commit(engine, store, client)
    state, tip = await engine.state(store), client.oid("HEAD")
    assert find_last_commits(engine, state, folder=b"", tip=tip) is None
    found = await ask(engine, store, client, "")
    assert find_last_commits(engine, state, folder=b"", tip=tip) == found
    assert find_last_commits(engine, state, folder=b"a", tip=tip) is None


async def test_a_folder_that_is_not_there_is_said_to_be(engine: Engine, tmp_path: Path) -> None:
    client = init(tmp_path / "client")
    client.commit({"a": "1"}, message="One")
    store = await make_store(engine)
    await push_commit(engine, store, client)
    with pytest.raises(ObjectNotFound):
        await read_last_commits(engine, await engine.state(store), folder=b"nowhere", tip=client.oid("HEAD"))
