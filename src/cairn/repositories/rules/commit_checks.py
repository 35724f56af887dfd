"""Rules about commits: their parents, messages, addresses and signatures."""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cairn.base.settings import MIB
from cairn.db.database import Database
from cairn.git.history import Objects
from cairn.git.quarantine import Quarantine
from cairn.git.reading import open_repository
from cairn.git.signed_objects import read_signed_objects
from cairn.git.types import Oid
from cairn.identity.signature_verifier import OBJECTS_MAX, verify_objects
from cairn.repositories.rules.new_commits import TooMuchToExamine
from cairn.repositories.rules.texts import breaks, said
from cairn.repositories.rules.types import (
    AuthorEmail,
    CommitMessage,
    CommitterEmail,
)

COMMIT_BYTES_MAX = MIB
"""A larger commit breaks every rule about its text: nobody writes one by hand."""

TEXT_BYTES_MAX = 64 * MIB
"""Of all new commits together."""

_ENCODING = re.compile(
    rb"(?:iso-?8859|latin|windows-|cp|koi8|gb|big5|euc|shift_?jis|iso-?2022|us-ascii)[0-9a-z_-]{0,16}", re.IGNORECASE
)
"""What people write commits in; Python knows other codecs, of which some unfold a little into very much."""

_ADDRESS = re.compile(rb"<([^<>\n]*)>")


@dataclass(frozen=True, slots=True)
class CommitFacts:
    """What rules ask of a commit, as UTF-8; None where it is too large."""

    message: bytes
    author_email: bytes
    committer_email: bytes


def linear_problems(commits: Sequence[Oid], parents: Mapping[Oid, Sequence[Oid]]) -> Iterator[str]:
    """Yield what is wrong with commits that may have one parent only."""
    for oid in commits:
        if len(parents[oid]) > 1:
            yield f"commit {oid[:10]} is a merge; rebase instead"


def text_problems(
    rule: CommitMessage | AuthorEmail | CommitterEmail, commits: Sequence[Oid], facts: Mapping[Oid, CommitFacts | None]
) -> Iterator[str]:
    """Yield what is wrong with the texts of commits."""
    what = {
        CommitMessage: "the message",
        AuthorEmail: "the author's address",
        CommitterEmail: "the committer's address",
    }[type(rule)]
    for oid in commits:
        found = facts[oid]
        if found is None:
            yield f"commit {oid[:10]} has more than {COMMIT_BYTES_MAX:,} bytes"
        elif breaks(rule.parameters, _text(rule, found)):
            yield f"{what} of commit {oid[:10]} {said(rule.parameters)}"


def _text(rule: CommitMessage | AuthorEmail | CommitterEmail, facts: CommitFacts) -> bytes:
    match rule:
        case CommitMessage():
            return facts.message
        case AuthorEmail():
            return facts.author_email
        case CommitterEmail():
            return facts.committer_email


async def read_facts(quarantine: Quarantine, commits: Sequence[Oid]) -> dict[Oid, CommitFacts | None]:
    """Return what rules ask of each commit."""
    return await asyncio.to_thread(_read_facts, quarantine, commits)


def _read_facts(quarantine: Quarantine, commits: Sequence[Oid]) -> dict[Oid, CommitFacts | None]:
    repository = open_repository(quarantine.path, alternates=quarantine.alternates)
    try:
        found: dict[Oid, CommitFacts | None] = {}
        left = TEXT_BYTES_MAX
        for oid in commits:
            _, size = repository.odb.read_header(oid)
            left -= min(int(size), COMMIT_BYTES_MAX)
            if left < 0:
                raise TooMuchToExamine(f"its commits have more than {TEXT_BYTES_MAX:,} bytes of text; push in parts")
            found[oid] = None if int(size) > COMMIT_BYTES_MAX else take_apart(repository.odb.read(oid)[1])
        return found
    finally:
        repository.free()


def take_apart(raw: bytes) -> CommitFacts:
    """Return what rules ask of a commit's bytes; text in another encoding that it names as UTF-8."""
    head, _, message = raw.partition(b"\n\n")
    lines = head.split(b"\n")
    encoding = next((line.removeprefix(b"encoding ") for line in lines if line.startswith(b"encoding ")), b"")
    return CommitFacts(
        _utf8(message, encoding),
        _utf8(_address(lines, b"author "), encoding),
        _utf8(_address(lines, b"committer "), encoding),
    )


def _address(lines: Sequence[bytes], word: bytes) -> bytes:
    line = next((line for line in lines if line.startswith(word)), b"")
    found = _ADDRESS.search(line)
    return b"" if found is None else found[1]


def _utf8(text: bytes, encoding: bytes) -> bytes:
    if _ENCODING.fullmatch(encoding):
        # What cannot be read so is judged as it lies there.
        with suppress(LookupError, ValueError):
            text = text.decode(encoding.decode("ascii")).encode()
    return text.decode("utf-8", "replace").encode()


async def signature_problems(
    database: Database, host: str, quarantine: Quarantine, oids: Sequence[Oid]
) -> dict[Oid, str]:
    """Return why the signature of each of these commits and tags does not count; those that do are absent."""
    found: dict[Oid, str] = {}
    objects = Objects(quarantine.path, quarantine.alternates)
    for start in range(0, len(oids), OBJECTS_MAX):
        batch = oids[start : start + OBJECTS_MAX]
        signed = await read_signed_objects(objects, batch)
        verified = await verify_objects(database, host, signed.values())
        for oid in batch:
            verification = verified.get(oid)
            if verification is None:
                found[oid] = f"{oid[:10]} is neither a commit nor a tag that could be signed"
            elif not verification.is_verified:
                sentence = verification.finding.sentence.rstrip(".")
                found[oid] = f"{oid[:10]} has no signature that counts: {sentence[:1].lower()}{sentence[1:]}"
    return found


NEEDS_TEXTS = (CommitMessage, AuthorEmail, CommitterEmail)
