"""D9: on SQLite and a folder, a power cut that loses whatever was not flushed loses no acknowledged push."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import pytest
from tests.factories.seeds import chosen_seed
from tests.services.processes import ServiceMissing
from tests.stories.installation import PASSWORD, commit_file, git, installation, run_cairnd, working_copy
from tests.stories.lost_writes import Call, LostWrites, read_calls, strace
from tests.stories.pushers import heads_of

SETTINGS = {"CAIRN_RATE_GIT_PER_MINUTE": "0", "CAIRN_SECRET_KEY": "s" * 32}
TOKEN = ["admin", "create-token", "ada", "--scopes", "repo"]
WITHOUT = ("cache", "run", "cairn.db-shm", "cairn.log")
"""Made anew after a power cut: the cache, sockets and the index of SQLite's log."""


@dataclass(frozen=True)
class Traced:
    """What an installation did to its empty folder while branches were pushed one after the other."""

    folder: Path
    calls: list[Call]
    heads: dict[str, str]
    """The commit of each branch, in the order of the pushes."""

    def first(self, is_it: Callable[[Call], bool], *, after: int = -1) -> int:
        """Return the place of the first such call after another."""
        for place in range(after + 1, len(self.calls)):
            if is_it(self.calls[place]):
                return place
        raise AssertionError(f"no such call after {after} of {len(self.calls)}")

    def told(self, branch: str) -> int:
        """Return the place of the call that told the client that its branch moved."""
        return self.first(partial(_sends, words=f"ok refs/heads/{branch}\n".encode()))


def _on(call: Call, path: Path) -> bool:
    return call.arguments[:1] == (bytes(path),)


def _writes(call: Call, *, path: Path, words: bytes) -> bool:
    return call.name == "pwrite64" and _on(call, path) and words in call.arguments[1]


def _flushes(call: Call, *, path: Path) -> bool:
    return call.name in {"fsync", "fdatasync"} and _on(call, path)


def _sends(call: Call, *, words: bytes) -> bool:
    is_sent = call.arguments[:1] != () and call.arguments[0].startswith(b"socket:")
    return is_sent and any(words in argument for argument in call.arguments[1:])


def _trace(folder: Path, sizes: list[int], seed: int) -> Traced:
    """Push so many branches, each with a file of so many bytes that nothing compresses, to a new installation."""
    dice = Random(seed)
    trace, data = folder / "trace", folder / "site" / "data"
    (folder / "site").mkdir()  # what Cairn is given; the rest it makes
    try:
        under = strace(trace)
    except ServiceMissing as missing:
        pytest.skip(str(missing))
    environment = {**os.environ, **SETTINGS, "CAIRN_DATA_DIR": str(data)}
    for words in (["migrate"], ["admin", "create-user", "ada", "--email", "ada@x.test", "--password", PASSWORD], TOKEN):
        token = run_cairnd(environment, *words, under=under)
    heads: dict[str, str] = {}
    with installation(folder / "site", SETTINGS, program="web", under=under) as site:
        with site.client(token) as client:
            assert client.post("/api/v3/user/repos", json={"name": "r0"}).status_code == 201
        url = site.url("ada/r0", user="ada", secret=token)
        work = working_copy(folder / "work")
        for number, size in enumerate(sizes):
            (work / "noise").write_bytes(dice.randbytes(size))
            commit_file(work, "number", f"{number}")
            git("push", "-q", url, f"HEAD:refs/heads/p{number}", cwd=work)
            heads[f"p{number}"] = git("rev-parse", "HEAD", cwd=work).strip()
    return Traced(folder / "site", read_calls(trace), heads)


def _branches(database: Path) -> dict[str, str]:
    """Return the branches in an installation's database; none before there is a table."""
    if not database.exists():
        return {}
    with closing(sqlite3.connect(database)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'git_ref'").fetchall():
            return {}
        rows = connection.execute("SELECT name, oid FROM git_ref").fetchall()
    return {name.decode().removeprefix("refs/heads/"): oid for name, oid in rows}


def _survives(traced: Traced, disk: LostWrites, place: int, folder: Path, dice: Random | None = None) -> None:
    """Cut the power after so many calls: every branch that was told stands in what is left, and the doctor agrees."""
    told = {branch: oid for branch, oid in traced.heads.items() if traced.told(branch) < place}
    disk.play(place)
    disk.leave(folder, dice)
    kept = _branches(folder / "data" / "cairn.db")
    assert told.items() <= kept.items(), f"after {place} calls {kept} is left of {told}"
    assert kept.items() <= traced.heads.items(), "a branch that nobody pushed"
    with installation(folder, SETTINGS, program="web") as site:
        report = run_cairnd(site.environment, "doctor")
        assert ", 0 with findings" in report, report
        if kept:
            token = run_cairnd(site.environment, *TOKEN)
            assert heads_of(site.url("ada/r0", user="ada", secret=token), folder / "mirror") == kept


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    """An installation with five pushes, small ones and some larger than what a pipe or a page holds."""
    return _trace(tmp_path_factory.mktemp("traced"), [2_000, 400_000, 2_000, 3_000_000, 2_000], chosen_seed())


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_a_push_is_on_the_disk_before_its_commit_and_its_commit_before_its_answer(traced: Traced) -> None:
    """The order of system calls: pack and index are flushed, then named, then their folder is flushed; then the new ref
    is written into the database's log and flushed; then the client is told.
    """
    log = traced.folder / "data" / "cairn.db-wal"
    begin = 0
    for branch, oid in traced.heads.items():
        committing = traced.first(partial(_writes, path=log, words=oid.encode()))
        assert traced.first(partial(_flushes, path=log), after=committing) < traced.told(branch)
        named = []
        for place in range(begin, committing):
            call = traced.calls[place]
            if call.name == "rename" and call.path(1).suffix in {".pack", ".idx"} and "objects" in call.path(1).parts:
                source, target = call.path(0), call.path(1)
                flushed = traced.first(partial(_flushes, path=source))
                assert flushed < place
                later = {between.name for between in traced.calls[flushed:place] if _on(between, source)}
                assert later == {"fsync"}, "it was written to after it was flushed"
                assert traced.first(partial(_flushes, path=target.parent), after=place) < committing
                named.append(target.suffix)
        assert sorted(named) == [".idx", ".pack"]
        begin = committing


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_a_power_cut_loses_no_push_that_was_told(traced: Traced, tmp_path: Path) -> None:
    """At each "ok", with all lost that was not flushed, what is left is a whole installation with the push in it."""
    disk = LostWrites(traced.folder, traced.calls, without=WITHOUT)
    for branch in traced.heads:
        _survives(traced, disk, traced.told(branch) + 1, tmp_path / branch)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_a_power_cut_at_any_call_leaves_old_or_new_whatever_reached_the_disk(traced: Traced, tmp_path: Path) -> None:
    """At calls drawn by chance, from the first start on, with a part of what was not flushed kept by chance."""
    dice = Random(chosen_seed())
    disk = LostWrites(traced.folder, traced.calls, without=WITHOUT)
    pushes = traced.told("p0")
    early, late = dice.sample(range(pushes), 4), dice.sample(range(pushes, len(traced.calls)), 12)
    for place in sorted(early + late):
        _survives(traced, disk, place, tmp_path / f"{place}", dice)
