"""Notes written from history: what was committed since the release before, by whom, and where to read on."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import FieldProblem, Invalid
from cairn.git.contributors import read_contributors
from cairn.git.reading import Commit
from cairn.git.types import show
from cairn.identity.attribution import Authors, find_authors
from cairn.repositories.code.browse import Code, open_code
from cairn.repositories.code.revisions import Revision, RevisionNotFound
from cairn.repositories.queries import RepositoryView
from cairn.repositories.releases.models import NOTES_LENGTH_MAX, Release
from cairn.web.context import RequestContext
from cairn.web.urls import path_join

COMMITS_MAX = 500
"""Notes name so many changes; the comparison has the rest."""
_TAGS_TRIED = 50
_SUBJECT_LENGTH_MAX = 300
_CONVENTIONAL = re.compile(r"([a-z]{2,12})(?:\([^()]{1,60}\))?(!?): +(\S.*)", re.IGNORECASE)
_GROUPS = (
    ("Features", frozenset({"feat", "feature"})),
    ("Fixes", frozenset({"fix", "bugfix", "hotfix"})),
    ("Performance", frozenset({"perf"})),
    ("Documentation", frozenset({"docs", "doc"})),
)
_BREAKING, _OTHER = "Breaking changes", "Other changes"


class NotesRefused(Invalid):
    """Notes cannot be written between what was named."""


@dataclass(frozen=True, slots=True)
class Notes:
    """What is proposed: a title and a text in Markdown."""

    name: str
    body: str


async def generate_notes(
    context: RequestContext, repository: RepositoryView, *, tag: bytes, target: str = "", previous: bytes | None = None
) -> Notes:
    """Return notes for a release that ``tag`` names, or would at ``target``, against ``previous``.

    Without one against the newest published release whose tag the history contains. Errors: NotesRefused.
    """
    engine = context.site.engine
    async with engine.database.read() as session:
        earlier = await _earlier_tags(session, repository, but=tag)
    async with open_code(engine, repository.store_id) as code:
        head = await _head(code, tag, target)
        base = await _base(code, head, previous, earlier)
        if base is None:
            commits = await _all(code, head)
        else:
            commits = await code.commits_beyond(base.commit_oid, head.commit_oid, max_count=COMMITS_MAX + 1)
        known = set[str]()
        if base is not None:
            before = await read_contributors(*code.parts, base.commit_oid)
            known = {one.email.lower() for one in before}
    is_cut = len(commits) > COMMITS_MAX
    changes = [commit for commit in commits[:COMMITS_MAX] if len(commit.parent_oids) < 2]
    async with engine.database.read() as session:
        authors = await find_authors(session, engine.settings.host, [commit.author.email for commit in changes])
    link = context.settings.origin + path_join(repository.owner, repository.name)
    parts = [_changes(changes, authors)]
    if base is not None and (newcomers := _newcomers(changes, authors, known)):
        parts.append(newcomers)
    if is_cut:
        parts.append(f"The newest {COMMITS_MAX:,} changes are listed; the full changelog has the rest.")
    if base is None:
        parts.append(f"**Full Changelog**: {link}{path_join('commits', tag)}")
    else:
        parts.append(f"**Full Changelog**: {link}{path_join('compare', base.name + b'...' + tag)}")
    return Notes(show(tag), "\n\n".join(part for part in parts if part)[:NOTES_LENGTH_MAX])


async def _all(code: Code, head: Revision) -> list[Commit]:
    place = await code.place(head.commit_oid.encode())
    return (await code.history(place, page=1, per_page=COMMITS_MAX + 1)).commits


async def _earlier_tags(session: AsyncSession, repository: RepositoryView, *, but: bytes) -> list[bytes]:
    # ix_repository_release_repository_id_created_at
    found = await session.scalars(
        select(Release.tag)
        .where(Release.repository_id == repository.id, Release.published_at.is_not(None))
        .order_by(Release.created_at.desc(), Release.id.desc())
        .limit(_TAGS_TRIED)
    )
    return [bytes(tag) for tag in found if bytes(tag) != but]


async def _head(code: Code, tag: bytes, target: str) -> Revision:
    try:
        return await code.revision(b"refs/tags/" + tag)
    except RevisionNotFound:
        pass
    try:
        found = await code.revision(target.encode()) if target else await code.default_revision()
    except RevisionNotFound:
        found = None
    if found is None:
        raise _refused("target_commitish", "There is no such tag, branch or commit.")
    return found


async def _base(code: Code, head: Revision, previous: bytes | None, earlier: Sequence[bytes]) -> Revision | None:
    if previous:
        try:
            return replace(await code.revision(b"refs/tags/" + previous), name=previous)
        except RevisionNotFound:
            raise _refused("previous_tag_name", "There is no such tag.") from None
    for tag in earlier:
        try:
            found = await code.revision(b"refs/tags/" + tag)
        except RevisionNotFound:
            continue
        if (
            found.commit_oid != head.commit_oid
            and await code.merge_base(found.commit_oid, head.commit_oid) == found.commit_oid
        ):
            return replace(found, name=tag)
    return None


def _changes(commits: Sequence[Commit], authors: Authors) -> str:
    groups: dict[str, list[str]] = {}
    for commit in commits:
        group, subject = _group_of(commit)
        groups.setdefault(group, []).append(f"* {subject} by {_who(commit, authors)} in {commit.oid[:10]}")
    if not groups:
        return "## What's Changed\n\nNothing but merges."
    if set(groups) == {_OTHER}:
        return "\n".join(["## What's Changed", "", *groups[_OTHER]])
    order = [_BREAKING, *(title for title, _ in _GROUPS), _OTHER]
    sections = ["\n".join([f"### {title}", "", *groups[title]]) for title in order if title in groups]
    return "\n\n".join(["## What's Changed", *sections])


def _group_of(commit: Commit) -> tuple[str, str]:
    subject = _escaped(commit.subject[:_SUBJECT_LENGTH_MAX])
    found = _CONVENTIONAL.fullmatch(commit.subject[:_SUBJECT_LENGTH_MAX])
    if found is None:
        return _OTHER, subject
    said = _escaped(found[3])
    if found[2]:
        return _BREAKING, said
    return next(((title, said) for title, words in _GROUPS if found[1].lower() in words), (_OTHER, subject))


def _newcomers(commits: Sequence[Commit], authors: Authors, known: set[str]) -> str:
    first: dict[str, Commit] = {}
    for commit in commits:  # newest first: the oldest stays
        if commit.author.email.lower() not in known:
            first[commit.author.email.lower()] = commit
    lines = [
        f"* {_who(commit, authors)} made their first contribution in {commit.oid[:10]}" for commit in first.values()
    ]
    return "\n".join(["## New Contributors", "", *dict.fromkeys(reversed(lines))]) if lines else ""


def _who(commit: Commit, authors: Authors) -> str:
    account = authors.of(commit.author.email)
    return f"@{account.login}" if account else _escaped(commit.author.name)


def _escaped(text: str) -> str:
    """Return a text as Markdown shows it: what strangers wrote into commits draws nothing and mentions nobody."""
    return re.sub(r"([\\`*_\[\]<>#|@])", r"\\\1", " ".join(text.split()))


def _refused(field: str, message: str) -> NotesRefused:
    return NotesRefused("Validation Failed", FieldProblem(field, "invalid", message, "Release"))
