"""What rules find in the objects that a change of refs brings; each is read once, and only if it is asked for."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import pygit2
from pygit2.enums import ObjectType

from cairn.db.database import Database
from cairn.git.path_patterns import matches_any
from cairn.git.quarantine import Quarantine
from cairn.git.reading import open_repository
from cairn.git.ref_transaction import RefUpdate
from cairn.git.runner import GitRunner
from cairn.git.types import Oid, show
from cairn.repositories.rules.commit_checks import (
    TEXT_BYTES_MAX,
    CommitFacts,
    linear_problems,
    read_facts,
    signature_problems,
    text_problems,
)
from cairn.repositories.rules.file_checks import file_problems, path_patterns, read_sizes
from cairn.repositories.rules.new_commits import ChangedFile, NewCommits, TooMuchToExamine, changed_files, taken_back
from cairn.repositories.rules.secret_kinds import patterns_of
from cairn.repositories.rules.secret_scan import scan_blobs, scan_texts
from cairn.repositories.rules.types import (
    AuthorEmail,
    CommitMessage,
    CommitterEmail,
    ExaminedRule,
    FileExtensions,
    FilePathLength,
    FilePaths,
    FileSize,
    LinearHistory,
    NonFastForward,
    Secrets,
    Signatures,
)

TAGS_MAX = 10
"""Annotated tags that may stand between a ref and its commit."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What one update brings: its new commits, and the annotated tags on the way to them (raw bytes by id).

    ``odd`` says what is wrong where the ref would name something that no rule can look into.
    """

    commits: Sequence[Oid]
    tags: Mapping[Oid, bytes]
    odd: str = ""


Check = Callable[[Brought], Iterable[str]]
"""Yields what a rule has against what an update brings."""


class Contents:
    """Reads the new commits of some updates and what they hold, each thing at most once."""

    def __init__(
        self, runner: GitRunner, database: Database, host: str, quarantine: Quarantine, commits: NewCommits
    ) -> None:
        self._runner = runner
        self._database = database
        self._host = host
        self._quarantine = quarantine
        self._commits = commits
        self._all = list(commits.parents)
        self._facts: dict[Oid, CommitFacts | None] | None = None
        self._files: dict[Oid, list[ChangedFile]] | None = None
        self._sizes: dict[Oid, int] | None = None
        self._tags: dict[Oid, bytes] = {}

    async def brought_by(self, update: RefUpdate, tip: Oid, *, is_known: bool) -> Brought:
        """Return what an update to ``tip`` brings; ``is_known`` if a covered ref points there already."""
        tags = await asyncio.to_thread(_read_tags, self._quarantine, update.new) if update.peeled else {}
        self._tags |= tags
        commits = self._commits.reached_from(tip)
        odd = ""
        if not commits and not is_known:
            kind = await asyncio.to_thread(_kind, self._quarantine, tip)
            odd = "" if kind == "commit" else f"it names a {kind}, which rules cannot look into; name a commit"
        return Brought(commits, tags, odd)

    async def prepare(self, rule: ExaminedRule) -> Check:
        """Read what a rule asks for and return its check."""
        check = await self._check(rule)
        return lambda brought: [brought.odd] if brought.odd else check(brought)

    async def _check(self, rule: ExaminedRule) -> Check:
        match rule:
            case LinearHistory():
                return lambda brought: linear_problems(brought.commits, self._commits.parents)
            case Signatures():
                return await self._signatures()
            case CommitMessage() | AuthorEmail() | CommitterEmail():
                facts = await self._read_facts()
                return lambda brought: text_problems(rule, brought.commits, facts)
            case FilePaths():
                return await self._paths(rule)
            case FilePathLength() | FileExtensions() | FileSize():
                files = await self._read_files()
                sizes = await self._read_sizes() if isinstance(rule, FileSize) else {}
                return lambda brought: file_problems(rule, _files_of(files, brought), sizes)
            case Secrets():
                return await self._secrets(rule)
            case NonFastForward():
                raise AssertionError("looks at the ref, not into what it brings")

    async def _paths(self, rule: FilePaths) -> Check:
        files = await self._read_files()
        patterns = path_patterns(rule.parameters.restricted_file_paths)
        back: dict[Oid, list[ChangedFile]] = {}
        for file in await taken_back(
            self._runner, self._quarantine, self._commits.parents, lambda path: matches_any(patterns, path)
        ):
            back.setdefault(file.commit, []).append(file)
        return lambda brought: file_problems(rule, chain(_files_of(files, brought), _files_of(back, brought)), {})

    async def _signatures(self) -> Check:
        problems = await signature_problems(self._database, self._host, self._quarantine, [*self._all, *self._tags])

        def check(brought: Brought) -> Iterator[str]:
            for oid in brought.commits:
                if oid in problems:
                    yield f"commit {problems[oid]}"
            for oid in brought.tags:
                if oid in problems:
                    yield f"tag {problems[oid]}"

        return check

    async def _secrets(self, rule: Secrets) -> Check:
        allowed = path_patterns(rule.parameters.allowed_paths)
        patterns = patterns_of(rule.parameters)
        files = await self._read_files()
        sizes = await self._read_sizes()
        wanted = {
            file.blob: sizes[file.blob]
            for one in files.values()
            for file in one
            if file.blob is not None and not matches_any(allowed, file.path)
        }
        found = await scan_blobs(self._runner, self._quarantine, wanted, patterns)
        texts = {oid: one.message for oid, one in (await self._read_facts()).items() if one is not None} | self._tags
        in_texts = await asyncio.to_thread(scan_texts, texts, patterns)

        def check(brought: Brought) -> Iterator[str]:
            for file in _files_of(files, brought):
                if file.blob is not None and not matches_any(allowed, file.path):
                    for one in found.get(file.blob, ()):
                        yield f"{show(file.path)[:300]} in commit {file.commit[:10]}: {one}"
            for oid in (*brought.commits, *brought.tags):
                for one in in_texts.get(oid, ()):
                    yield f"the message of {oid[:10]}: {one}"

        return check

    async def _read_facts(self) -> dict[Oid, CommitFacts | None]:
        if self._facts is None:
            self._facts = await read_facts(self._quarantine, self._all)
        return self._facts

    async def _read_files(self) -> dict[Oid, list[ChangedFile]]:
        if self._files is None:
            self._files = {}
            for file in await changed_files(self._runner, self._quarantine, self._all):
                self._files.setdefault(file.commit, []).append(file)
        return self._files

    async def _read_sizes(self) -> dict[Oid, int]:
        if self._sizes is None:
            files = await self._read_files()
            blobs = {file.blob for one in files.values() for file in one if file.blob is not None}
            self._sizes = await read_sizes(self._quarantine, blobs)
        return self._sizes


def _files_of(files: Mapping[Oid, Sequence[ChangedFile]], brought: Brought) -> Iterator[ChangedFile]:
    for oid in brought.commits:
        yield from files.get(oid, ())


def _read_tags(quarantine: Quarantine, oid: Oid) -> dict[Oid, bytes]:
    """Return the annotated tags from ``oid`` on, tag after tag. Blocks."""
    repository = open_repository(quarantine.path, alternates=quarantine.alternates)
    found: dict[Oid, bytes] = {}
    left = TEXT_BYTES_MAX
    try:
        while ObjectType((facts := repository.odb.read_header(oid))[0]) is ObjectType.TAG:
            left -= int(facts[1])
            if left < 0 or len(found) >= TAGS_MAX:
                raise TooMuchToExamine("its tags name tags that name tags; name a commit")
            found[oid] = repository.odb.read(oid)[1]
            tag = repository[oid]
            assert isinstance(tag, pygit2.Tag)
            oid = Oid(str(tag.target))
        return found
    finally:
        repository.free()


def _kind(quarantine: Quarantine, oid: Oid) -> str:
    repository = open_repository(quarantine.path, alternates=quarantine.alternates)
    try:
        return ObjectType(repository.odb.read_header(oid)[0]).name.lower()
    finally:
        repository.free()
