"""Branches and tags as their pages list them: chosen, ordered by last commit, cut into pages, none left out unsaid."""

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from cairn.git.distances import Distance, read_distances
from cairn.git.reading import Commit, ObjectNotFound, Tag
from cairn.git.ref_queries import RefValue
from cairn.git.tip_facts import TipFact, read_tip_facts
from cairn.git.types import Oid
from cairn.repositories.code.browse import Code

REFS_PER_PAGE = 30
STALE_AFTER = timedelta(days=90)
"""A branch without a commit for so long is stale."""

PATIENCE_SECONDS = 0.25
"""So long a page waits for what orders it or stands beside its rows; a browser asks for the rest by itself."""

HEADS, TAGS = b"refs/heads/", b"refs/tags/"

T = TypeVar("T")


class Which(StrEnum):
    """Which branches a page lists."""

    ALL = "all"
    YOURS = "yours"
    """Those whose last commit the reader wrote."""
    ACTIVE = "active"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to see; ``text`` is part of a name, without case. ``waits`` until everything is known."""

    which: Which = Which.ALL
    text: str = ""
    page: int = 1
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch of a page; ``distance`` None where it is the base, unknown yet, or too far."""

    ref: RefValue
    commit: Commit
    is_default: bool
    distance: Distance | None


@dataclass(frozen=True, slots=True)
class TagRow:
    """One tag of a page. ``commit`` None: it names a file or folder. ``previous`` is the tag that came before it."""

    ref: RefValue
    tag: Tag | None
    commit: Commit | None
    previous: RefValue | None


@dataclass(frozen=True, slots=True)
class RefPage:
    """A page of refs of all ``total`` that match; ``following`` is the first of the next page.

    ``is_complete`` is False while it is not known when their commits are from: then they are in the order of names.
    """

    refs: Sequence[RefValue] = ()
    total: int = 0
    following: RefValue | None = None
    is_complete: bool = True


def short_name(ref: RefValue) -> bytes:
    """Return the name of a branch or tag without ``refs/heads/`` or ``refs/tags/``."""
    return ref.name.split(b"/", 2)[2]


def matching(refs: Sequence[RefValue], text: str) -> Sequence[RefValue]:
    """Return the refs whose short name has a text in it, without case."""
    if not text:
        return refs
    wanted = text.lower().encode("utf-8", "surrogateescape")
    return [ref for ref in refs if wanted in short_name(ref).lower()]


async def choose_branches(code: Code, asked: Asked, *, own_emails: Collection[str], now: datetime) -> RefPage:
    """Return a page of the branches that somebody wants to see: the default first, then by last commit."""
    facts = await _facts(code, waits=asked.waits)
    found = matching(code.branches, asked.text)
    if facts is None:
        return _page(found if asked.which is Which.ALL else (), asked, is_complete=False)
    since = int((now.astimezone(UTC) - STALE_AFTER).timestamp())
    own = {email.lower() for email in own_emails}

    def is_wanted(ref: RefValue) -> bool:
        fact = facts.get(ref.oid, _NOTHING)
        match asked.which:
            case Which.YOURS:
                return fact.author_email.lower() in own
            case Which.ACTIVE:
                return fact.seconds >= since
            case Which.STALE:
                return fact.seconds < since
        return True

    head = code.parts[1].head_target
    chosen = [ref for ref in found if is_wanted(ref)]
    chosen.sort(key=lambda ref: (ref.name == head, facts.get(ref.oid, _NOTHING).seconds), reverse=True)
    return _page(chosen, asked, is_complete=True)


async def choose_tags(code: Code, asked: Asked) -> RefPage:
    """Return a page of tags, the newest commit first."""
    facts = await _facts(code, waits=asked.waits)
    found = list(matching(code.tags, asked.text))
    if facts is not None:
        found.sort(key=lambda ref: (facts.get(ref.peeled or ref.oid, _NOTHING).seconds, ref.name), reverse=True)
    return _page(found, asked, is_complete=facts is not None)


async def read_branches(code: Code, chosen: RefPage, *, waits: bool) -> tuple[list[Branch], bool]:
    """Return the branches of a page with last commit and distance, and whether the distances are known."""
    commits = await code.commits([ref.oid for ref in chosen.refs])
    base = await code.default_revision()
    distances: dict[Oid, Distance] | None = {}
    if base is not None and chosen.refs:
        engine, state, view = code.parts
        reading = read_distances(engine, state, view, base=base.commit_oid, tips=[ref.oid for ref in chosen.refs])
        distances = await _patiently(reading, waits=waits)
    head = code.parts[1].head_target
    rows = [
        Branch(ref, commit, ref.name == head, None if ref.name == head else (distances or {}).get(ref.oid))
        for ref, commit in zip(chosen.refs, commits, strict=True)
    ]
    return rows, distances is not None


async def read_tags(code: Code, chosen: RefPage) -> list[TagRow]:
    """Return the tags of a page with what they say and mean, each with the one before it in time."""
    rows: list[TagRow] = []
    for ref, previous in zip(chosen.refs, [*chosen.refs[1:], chosen.following], strict=False):
        tag = await code.tag(ref.oid) if ref.peeled else None
        rows.append(TagRow(ref, tag, await _commit(code, ref.peeled or ref.oid), previous))
    return rows


async def _commit(code: Code, oid: Oid) -> Commit | None:
    try:
        return await code.commit(oid)
    except ObjectNotFound:
        return None


_NOTHING = TipFact(0, "")


async def _facts(code: Code, *, waits: bool) -> dict[Oid, TipFact] | None:
    engine, state, view = code.parts  # the state is not older than the snapshot's
    tips = [ref.peeled or ref.oid for ref in code.snapshot.refs if ref.name.startswith((HEADS, TAGS))]
    return await _patiently(read_tip_facts(engine, state, view, tips), waits=waits)


async def _patiently(reading: Awaitable[T], *, waits: bool) -> T | None:
    """Return what is read, or None if that takes longer than a page waits."""
    try:
        async with asyncio.timeout(None if waits else PATIENCE_SECONDS):
            return await reading
    except TimeoutError:
        return None


def _page(found: Sequence[RefValue], asked: Asked, *, is_complete: bool) -> RefPage:
    start = (asked.page - 1) * REFS_PER_PAGE
    end = start + REFS_PER_PAGE
    following = found[end] if end < len(found) else None
    return RefPage(found[start:end], len(found), following, is_complete)
