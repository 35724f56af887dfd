"""Changing refs of another server's repository: what it lacks is packed and sent, and it says what became of each ref.

The counterpart of ``remote_fetch``, with the same promises: git connects to the addresses that were checked, follows no
redirect, and finds address, credentials and the names of refs in its environment alone.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cairn.git.commands import UPSTREAM, GitCommand
from cairn.git.places import Kind
from cairn.git.quarantine import Quarantine
from cairn.git.remote_fetch import Remote, explain_failure, remote_settings
from cairn.git.runner import GitFailed, GitRunner
from cairn.git.types import ZERO_OID, Oid, RefName

PUSH_SECONDS = 6 * 3600.0
REFS_AT_ONCE = 200
"""Refs of one conversation: their names are in the environment of a process, which has a limit."""

DIVERGED_THERE = "it has other commits there"
_SENT = (b"refs/heads/", b"refs/tags/")
_LINE = re.compile(rb"([ +\-*!=])\t([^:\t]*):([^\t]+)\t(.*)")
_REASON = re.compile(r"\((.*)\)$")
_REASONS = {
    "fetch first": DIVERGED_THERE,
    "non-fast-forward": DIVERGED_THERE,
    "needs force": DIVERGED_THERE,
    "already exists": "there is another tag of this name there",
}


@dataclass(frozen=True, slots=True)
class RemoteChange:
    """A ref of the other side and where it is to point; ZERO_OID: it is to be gone."""

    name: RefName
    new: Oid


@dataclass(frozen=True, slots=True)
class RemoteOutcome:
    """What became of one change: made if ``refusal`` is empty. ``was_forced``: commits of the other side are gone."""

    name: RefName
    refusal: str = ""
    was_forced: bool = False


async def push_refs(
    runner: GitRunner, quarantine: Quarantine, remote: Remote, changes: Sequence[RemoteChange], *, overwrites: bool
) -> list[RemoteOutcome]:
    """The other repository's refs are as wanted, but for those with a refusal; one outcome for each change.

    The objects lie in the quarantine's alternates. Without ``overwrites`` a branch only goes forward there, and no tag
    moves. Only branches and tags leave. Errors: as ``list_remote_refs``; GitTimedOut, GitBusy.
    """
    assert all(change.name.startswith(_SENT) for change in changes), "nothing else leaves"
    outcomes: list[RemoteOutcome] = []
    for start in range(0, len(changes), REFS_AT_ONCE):
        outcomes += await _push(runner, quarantine, remote, changes[start : start + REFS_AT_ONCE], overwrites)
    return outcomes


async def _push(
    runner: GitRunner,
    quarantine: Quarantine,
    remote: Remote,
    changes: Sequence[RemoteChange],
    overwrites: bool,
) -> list[RemoteOutcome]:
    options = ("--porcelain", "--no-verify", "--no-progress", "--no-recurse-submodules", UPSTREAM)
    found: dict[RefName, RemoteOutcome] = {}
    async with runner.spawn(
        GitCommand(name="push", options=options),
        git_dir=quarantine.path,
        alternates=quarantine.alternates,
        config=[*remote_settings(remote), *_refspecs(changes, overwrites=overwrites)],
        deadline_seconds=PUSH_SECONDS,
        kind=Kind.PACED,
    ) as child:
        async for lines in child.line_batches():
            found |= {outcome.name: outcome for outcome in parse_outcomes(lines)}
        exit_code = await child.wait()
    # With 1 it ends too if a ref was refused; then its line says so.
    if exit_code != 0 and not any(outcome.refusal for outcome in found.values()):
        failure = GitFailed("push", exit_code, child.stderr)
        raise explain_failure(failure) from failure
    unknown = "the other server did not say what became of it"
    return [found.get(change.name, RemoteOutcome(change.name, unknown)) for change in changes]


def parse_outcomes(lines: Sequence[bytes]) -> Iterator[RemoteOutcome]:
    """Yield what git's porcelain lines say of each ref; other lines are passed over.

    Source: git-push(1), "OUTPUT".
    """
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        flag, _, name, summary = found.groups()
        if flag == b"!":
            yield RemoteOutcome(name, _refusal(summary.decode("utf-8", "replace")))
        else:
            yield RemoteOutcome(name, was_forced=flag == b"+")


def _refusal(summary: str) -> str:
    reason = _REASON.search(summary)
    said = reason.group(1) if reason else summary
    if summary.startswith("[remote rejected]"):
        return f"the other server refused it: {said}"
    return _REASONS.get(said, said)


def _refspecs(changes: Sequence[RemoteChange], *, overwrites: bool) -> Iterator[tuple[str, str]]:
    force = "+" if overwrites else ""
    for change in changes:
        source = "" if change.new == ZERO_OID else change.new
        yield f"remote.{UPSTREAM}.push", f"{force}{source}:{os.fsdecode(change.name)}"
