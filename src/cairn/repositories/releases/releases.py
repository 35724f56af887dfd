"""Writing, publishing, changing and deleting releases.

Publishing makes the tag where it is missing: through the engine, by the rules of a push. The release is written in the
transaction after that; if it fails, the tag is there and the next attempt finds it. That transaction holds the store:
the tag is there when it ends, and whoever deletes it afterwards takes the release back (``retract``).
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.decide import require
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, FieldProblem, Invalid
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.git.engine import Engine
from cairn.git.models import REF_NAME_BYTES_MAX, Ref
from cairn.git.types import ObjectKind, Oid, show
from cairn.lfs.authorization import Authorize
from cairn.repositories.code.browse import Code, open_code
from cairn.repositories.code.revisions import RevisionNotFound
from cairn.repositories.editing.change_refs import RefExists, RefMissing, create_ref, delete_ref
from cairn.repositories.editing.landing import require_writable
from cairn.repositories.lfs_access import make_authorize
from cairn.repositories.queries import RepositoryView, lock_repository
from cairn.repositories.releases.events import ReleaseDeleted, ReleaseEdited
from cairn.repositories.releases.latest import MakeLatest, choose_latest, choose_latest_without
from cairn.repositories.releases.models import NAME_LENGTH_MAX, NOTES_LENGTH_MAX, SEARCH_LENGTH_MAX, Release
from cairn.repositories.releases.queries import ReleaseMissing
from cairn.repositories.releases.retract import TAG_PREFIX, written_event


class ReleaseInvalid(Invalid):
    """A field of a release has a value that cannot be."""


class ReleaseMoved(Conflict):
    """Somebody else changed the release after its writer saw it."""

    def __init__(self) -> None:
        super().__init__("Somebody else changed this release meanwhile. Look at what they wrote, then save again.")


class TagGone(Conflict):
    """Somebody deleted the tag between making it and publishing under it."""

    def __init__(self, tag: bytes) -> None:
        super().__init__(f"Somebody deleted the tag {show(tag)[:100]!r} meanwhile. Publish again to make it anew.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A release as its writer wants it: all of it; an edit starts from what is there, as of ``seen_at``."""

    tag: bytes
    target: str = ""
    name: str = ""
    notes: str = ""
    is_draft: bool = False
    is_prerelease: bool = False
    make_latest: MakeLatest | None = None
    seen_at: datetime | None = None


async def create_release(engine: Engine, actor: Actor, repository: RepositoryView, wanted: Wanted) -> int:
    """There is a release as wanted, published unless it is a draft; return its number.

    Errors: NotFound, Unauthenticated, Forbidden; ReleaseInvalid with GitHub's codes; RefNameInvalid, RefReserved,
    RefRefused for a tag that a rule refuses; TagGone; the engine's.
    """
    require(actor, Action.REPOSITORY_PUSH, repository.scope)
    _check(wanted)
    tagged_at = None
    if not wanted.is_draft:
        await _require_free(engine, repository, wanted.tag, but=0)
        tagged_at = await ensure_tag(engine, actor, repository, wanted.tag, wanted.target)
    authorize = make_authorize(actor, repository.id)

    async def write(session: AsyncSession) -> int:
        now_actor = await _hold(session, authorize, repository.id)
        await _require_tag(session, repository, wanted)
        at = await database_now(session)
        release = Release(
            repository_id=repository.id,
            author_id=now_actor.account_id,
            is_latest=False,
            may_be_latest=wanted.make_latest is not MakeLatest.FALSE,
            created_at=tagged_at or at,
            published_at=None,
            updated_at=at,
        )
        _fill(release, wanted, at)
        session.add(release)
        await session.flush()
        if not wanted.is_draft:
            await choose_latest(session, release, wanted.make_latest or MakeLatest.TRUE)
        event = written_event(release, now_actor)
        emit(session, event)
        verb = "release.draft" if wanted.is_draft else "release.publish"
        record(session, now_actor, verb, show(wanted.tag), repository_id=repository.id)
        return release.id

    return await _write(engine, write)


async def update_release(
    engine: Engine, actor: Actor, repository: RepositoryView, release_id: int, wanted: Wanted
) -> None:
    """The release is as wanted; a draft that is none any more is published. Errors: as create_release's,
    ReleaseMissing, ReleaseMoved."""
    require(actor, Action.REPOSITORY_PUSH, repository.scope)
    _check(wanted)
    tagged_at = None
    if not wanted.is_draft:
        await _require_free(engine, repository, wanted.tag, but=release_id)
        tagged_at = await ensure_tag(engine, actor, repository, wanted.tag, wanted.target)
    authorize = make_authorize(actor, repository.id)

    async def write(session: AsyncSession) -> int:
        now_actor = await _hold(session, authorize, repository.id)
        release = await _find(session, repository.id, release_id)
        if wanted.seen_at is not None and release.updated_at != wanted.seen_at:
            raise ReleaseMoved
        await _require_tag(session, repository, wanted)
        before = _facts(release)
        was_draft, at = release.is_draft, await database_now(session)
        _fill(release, wanted, at)
        if tagged_at is not None and (was_draft or before["tag"] != show(release.tag)):
            release.created_at = tagged_at
        release.updated_at = at
        await session.flush()
        is_new = was_draft and not wanted.is_draft
        await choose_latest(
            session, release, wanted.make_latest or (MakeLatest.TRUE if is_new and release.may_be_latest else None)
        )
        after = _facts(release)
        changes = {name: (before[name], after[name]) for name in after if before[name] != after[name]}
        if is_new or (not was_draft and wanted.is_draft):
            emit(session, written_event(release, now_actor))
        elif changes:
            edited = ReleaseEdited(
                repository_id=repository.id,
                release_id=release.id,
                tag=show(release.tag),
                changes=tuple(changes),
                actor_id=now_actor.account_id,
            )
            emit(session, edited)
        verb = "release.publish" if is_new else "release.edit"
        record(session, now_actor, verb, show(wanted.tag), repository_id=repository.id, changes=changes)
        return release.id

    await _write(engine, write)


async def delete_release(
    engine: Engine, actor: Actor, repository: RepositoryView, release_id: int, *, with_tag: bool = False
) -> None:
    """The release and its files are gone; the tag too if that is wanted, by the rules of a push.

    Errors: ReleaseMissing; NotFound, Unauthenticated, Forbidden; RefRefused if a rule keeps the tag: then the release
    stays as well.
    """
    require(actor, Action.REPOSITORY_PUSH, repository.scope)
    authorize = make_authorize(actor, repository.id)
    if with_tag:
        async with engine.database.read() as session:
            tag = bytes((await _find(session, repository.id, release_id)).tag)
        with suppress(RefMissing):
            await delete_ref(engine, actor, repository, TAG_PREFIX + tag)

    async def write(session: AsyncSession) -> int:
        now_actor = await _hold(session, authorize, repository.id)
        release = await _find(session, repository.id, release_id)
        tag = show(release.tag)
        await session.delete(release)
        await session.flush()
        await choose_latest_without(session, repository.id)
        gone = ReleaseDeleted(
            repository_id=repository.id, release_id=release_id, tag=tag, actor_id=now_actor.account_id
        )
        emit(session, gone)
        record(session, now_actor, "release.delete", tag, repository_id=repository.id)
        return release_id

    await _write(engine, write)


async def ensure_tag(engine: Engine, actor: Actor, repository: RepositoryView, tag: bytes, target: str) -> datetime:
    """The tag exists, made at ``target`` (a branch, a commit; empty: the default branch) if it did not.

    Return when its commit was made. A tag that is there stays as it is. Errors: ReleaseInvalid, those of create_ref.
    """
    name = TAG_PREFIX + tag
    require_writable(engine, name)
    async with open_code(engine, repository.store_id) as code:
        ref = code.snapshot.find(name)
        if ref is not None:
            return await _tagged_at(engine, code, ref.peeled or ref.oid)
        try:
            revision = await code.revision(target.encode()) if target else await code.default_revision()
        except RevisionNotFound:
            revision = None
        if revision is None:
            raise _invalid("target_commitish", "There is no such branch or commit to tag.")
        tagged_at = await _tagged_at(engine, code, revision.commit_oid)
    try:
        await create_ref(engine, actor, repository, name, revision.commit_oid)
    except RefExists:
        # Somebody else made it meanwhile: as good as ours.
        return await ensure_tag(engine, actor, repository, tag, target)
    return tagged_at


async def _tagged_at(engine: Engine, code: Code, oid: Oid) -> datetime:
    if (await code.kinds([oid]))[0] is ObjectKind.COMMIT:
        return (await code.commit(oid)).committer.at
    return await engine.database.now()


async def _hold(session: AsyncSession, authorize: Authorize, repository_id: int) -> Actor:
    """Lock the repository and return the actor as they are now, who may still push there."""
    await lock_repository(session, repository_id)
    return await authorize(session, Action.REPOSITORY_PUSH)


async def _require_tag(session: AsyncSession, repository: RepositoryView, wanted: Wanted) -> None:
    """Return if what is to be published has its tag, in a transaction that holds the store; TagGone."""
    # Primary key of git_ref.
    found = exists().where(Ref.store_id == repository.store_id, Ref.name == TAG_PREFIX + wanted.tag)
    if not wanted.is_draft and not await session.scalar(select(found)):
        raise TagGone(wanted.tag)


async def _find(session: AsyncSession, repository_id: int, release_id: int) -> Release:
    found = await session.get(Release, release_id, populate_existing=True)
    if found is None or found.repository_id != repository_id:
        raise ReleaseMissing
    return found


async def _require_free(engine: Engine, repository: RepositoryView, tag: bytes, *, but: int) -> None:
    """Refuse before a tag is made what the unique key would refuse afterwards."""
    taken = exists().where(Release.repository_id == repository.id, Release.published_tag == tag, Release.id != but)
    async with engine.database.read() as session:
        if await session.scalar(select(taken)):
            raise _taken()


async def _write(engine: Engine, write: Callable[[AsyncSession], Awaitable[int]]) -> int:
    try:
        return await engine.database.write_retrying(write)
    except IntegrityError:
        raise _taken() from None


def _fill(release: Release, wanted: Wanted, at: datetime) -> None:
    release.tag, release.target, release.name, release.notes = wanted.tag, wanted.target, wanted.name, wanted.notes
    release.search_text = f"{show(wanted.tag)} {wanted.name}".lower()[:SEARCH_LENGTH_MAX]
    release.is_prerelease = wanted.is_prerelease
    release.published_tag = None if wanted.is_draft else wanted.tag
    release.published_at = None if wanted.is_draft else (release.published_at or at)


def _facts(release: Release) -> dict[str, str]:
    return {
        "tag": show(release.tag),
        "name": release.name,
        "notes": release.notes,
        "target": release.target,
        "state": "draft" if release.is_draft else "published",
        "prerelease": str(release.is_prerelease).lower(),
    }


def _check(wanted: Wanted) -> None:
    if not wanted.tag:
        raise ReleaseInvalid("Validation Failed", FieldProblem("tag_name", "missing_field", "Name a tag.", "Release"))
    if len(wanted.tag) > REF_NAME_BYTES_MAX:
        # Of a draft nothing else is asked: its tag need not exist.
        raise _invalid("tag_name", f"A tag's name has at most {REF_NAME_BYTES_MAX:,} bytes.")
    for field, value, most in (
        ("name", wanted.name, NAME_LENGTH_MAX),
        ("body", wanted.notes, NOTES_LENGTH_MAX),
        ("target_commitish", wanted.target, NAME_LENGTH_MAX),
    ):
        if len(value) > most:
            raise _invalid(field, f"Write at most {most:,} characters.")
        if "\0" in value:
            raise _invalid(field, "A character is not allowed.")


def _invalid(field: str, message: str) -> ReleaseInvalid:
    return ReleaseInvalid("Validation Failed", FieldProblem(field, "invalid", message, "Release"))


def _taken() -> ReleaseInvalid:
    message = "A release is published under this tag already."
    return ReleaseInvalid("Validation Failed", FieldProblem("tag_name", "already_exists", message, "Release"))
