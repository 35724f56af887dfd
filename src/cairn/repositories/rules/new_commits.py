"""What a change of refs brings: the commits it adds to what a ruleset covers already, and the files they change.

Three git children at most, whatever the number of refs of one set: the walk, the changes, the contents
(``secret_scan``). Each is bounded, and what is beyond a bound is refused, never passed.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import pygit2

from cairn.git.commands import GitCommand
from cairn.git.history import Objects, merge_bases
from cairn.git.quarantine import Quarantine
from cairn.git.reading import open_repository
from cairn.git.runner import GitRunner
from cairn.git.types import Oid

COMMITS_MAX = 10_000
"""New commits that one change of refs may bring to the refs of a ruleset that looks into them."""

CHANGES_MAX = 200_000
"""Files that all of them may change together."""

NO_BLOB = Oid("0" * 40)
_SUBMODULE = b"160000"


class TooMuchToExamine(Exception):
    """A change brings more than is looked through; the message says more than how much, and what to do."""


@dataclass(frozen=True, slots=True)
class NewCommits:
    """Commits by their parents, in git's order."""

    parents: Mapping[Oid, Sequence[Oid]]

    def reached_from(self, tip: Oid) -> list[Oid]:
        """Return those that a tip reaches, the tip first."""
        seen, waiting = dict[Oid, None](), [tip]
        while waiting:
            oid = waiting.pop()
            if oid in self.parents and oid not in seen:
                seen[oid] = None
                waiting += self.parents[oid]
        return list(seen)


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file that a commit adds or changes; ``blob`` is None for a submodule."""

    commit: Oid
    path: bytes
    blob: Oid | None


async def walk_new(
    runner: GitRunner, quarantine: Quarantine, tips: Iterable[Oid], without: Iterable[Oid]
) -> NewCommits:
    """Return the commits that the tips reach and nothing of ``without`` does. Errors: TooMuchToExamine."""
    wanted = "".join(f"{oid}\n" for oid in tips) + "".join(f"^{oid}\n" for oid in without)
    command = GitCommand(name="rev-list", options=("--stdin", "--parents", f"--max-count={COMMITS_MAX + 1}"))
    output = await runner.run(
        command, git_dir=quarantine.path, alternates=quarantine.alternates, stdin=wanted.encode("ascii")
    )
    lines = output.decode("ascii").splitlines()
    if len(lines) > COMMITS_MAX:
        raise TooMuchToExamine(f"it brings more than {COMMITS_MAX:,} commits; push in parts")
    found: dict[Oid, Sequence[Oid]] = {}
    for line in lines:
        oid, *parents = line.split(" ")
        found[Oid(oid)] = [Oid(parent) for parent in parents]
    return NewCommits(found)


async def changed_files(runner: GitRunner, quarantine: Quarantine, commits: Sequence[Oid]) -> list[ChangedFile]:
    """Return what each commit adds or changes; of a merge what differs from all its parents.

    What a merge takes from a parent as it is came with that parent (see ``taken_back``). Errors: TooMuchToExamine.
    """
    return await _changed(runner, quarantine, commits, "-c", lambda path: True)


async def taken_back(
    runner: GitRunner,
    quarantine: Quarantine,
    commits: Mapping[Oid, Sequence[Oid]],
    is_wanted: Callable[[bytes], bool],
) -> list[ChangedFile]:
    """Return which of the wanted paths merges among ``commits`` (with their parents) leave as one parent has them that
    did not change them, although another parent did: so an old version comes back that no new commit brings.

    Errors: TooMuchToExamine.
    """
    merges = [oid for oid, parents in commits.items() if len(parents) > 1]
    # Of each merge what differs from any of its parents: of most nothing that is wanted.
    differing = dict.fromkeys(await _changed(runner, quarantine, merges, "-m", is_wanted))
    found: list[ChangedFile] = []
    objects = Objects(quarantine.path, quarantine.alternates)
    bases: dict[frozenset[Oid], list[Oid]] = {}
    for file in differing:
        parents = commits[file.commit]
        for one, other in combinations(set(parents), 2):
            pair = frozenset((one, other))
            if pair not in bases:
                bases[pair] = await merge_bases(runner, objects, one, other)
        if await asyncio.to_thread(_is_taken_back, quarantine, file, parents, bases):
            found.append(file)
    return found


def _is_taken_back(
    quarantine: Quarantine, file: ChangedFile, parents: Sequence[Oid], bases: Mapping[frozenset[Oid], Sequence[Oid]]
) -> bool:
    repository = open_repository(quarantine.path, alternates=quarantine.alternates)
    try:
        standing = _entry(repository, file.commit, file.path)
        theirs = {parent: _entry(repository, parent, file.path) for parent in parents}
        brings = [parent for parent in parents if theirs[parent] == standing]

        def has_changed_it(parent: Oid, since: Oid) -> bool:
            return all(_entry(repository, base, file.path) != standing for base in bases[frozenset((parent, since))])

        return any(
            theirs[other] != standing and not any(has_changed_it(parent, other) for parent in brings)
            for other in parents
        )
    finally:
        repository.free()


def _entry(repository: pygit2.Repository, commit: Oid, path: bytes) -> tuple[int, str] | None:
    """Return mode and id of what stands at a path of a commit, None for nothing."""
    found: object = repository[commit]
    found = found.tree if isinstance(found, pygit2.Commit) else None
    for name in path.split(b"/"):
        try:
            found = found[os.fsdecode(name)] if isinstance(found, pygit2.Tree) else None
        except KeyError:
            return None
    return (int(found.filemode), str(found.id)) if isinstance(found, pygit2.Object) else None


async def _changed(
    runner: GitRunner, quarantine: Quarantine, commits: Sequence[Oid], merges: str, is_wanted: Callable[[bytes], bool]
) -> list[ChangedFile]:
    if not commits:
        return []
    command = GitCommand(
        name="diff-tree",
        options=("--stdin", "-r", "-z", merges, "--root", "--raw", "--no-renames", "--no-abbrev"),
    )
    wanted = "".join(f"{oid}\n" for oid in commits).encode("ascii")
    found: list[ChangedFile] = []
    reader = _ChangesReader()
    async with runner.spawn(command, git_dir=quarantine.path, alternates=quarantine.alternates, stdin=wanted) as child:
        async for words in child.line_batches(b"\0"):
            found += (file for file in reader.feed(words) if is_wanted(file.path))
            if len(found) > CHANGES_MAX:
                raise TooMuchToExamine(f"its commits change more than {CHANGES_MAX:,} files; push in parts")
        await child.finish()
    return found


class _ChangesReader:
    """Takes the words of ``diff-tree -z``: an id alone begins a commit, a colon facts, and a path comes after those."""

    def __init__(self) -> None:
        self._commit = NO_BLOB
        self._facts: bytes | None = None

    def feed(self, words: Iterable[bytes]) -> Iterator[ChangedFile]:
        for word in words:
            if self._facts is not None:
                facts, self._facts = self._facts, None
                blob = _blob_of(facts)
                if blob != NO_BLOB:
                    yield ChangedFile(self._commit, word, blob)
            elif word.startswith(b":"):
                self._facts = word
            elif word:
                self._commit = Oid(word.decode("ascii"))


def _blob_of(facts: bytes) -> Oid | None:
    """Return the new blob that the facts of a change name; NO_BLOB for a deletion, None for a submodule.

    As many colons as parents, then a mode for each of these and the new one, then as many ids, then letters.
    """
    parents = len(facts) - len(facts.lstrip(b":"))
    words = facts.lstrip(b":").split(b" ")
    mode, oid = words[parents], words[2 * parents + 1]
    if mode == _SUBMODULE:
        return None
    return Oid(oid.decode("ascii"))
