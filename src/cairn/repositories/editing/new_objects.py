"""Objects that no ref reaches yet: files, folders, commits and tags that a client makes before it moves a ref.

Each lands as a root of 14 days (``ref_names.KEPT_OBJECTS``), as if its maker had pushed a ref and deleted it, which
every writer can: readable by id for who may read the repository, good for what follows, gone with the next collection.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.decide import require
from cairn.access.scopes import RepositoryScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, RateLimited
from cairn.base.ids import random_id
from cairn.db.clock import database_now
from cairn.git.engine import Engine
from cairn.git.models import RefLog
from cairn.git.quarantine import Quarantine
from cairn.git.ref_names import KEPT_OBJECTS, check_ref_name
from cairn.git.ref_queries import RETENTION, retained_roots
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID, ObjectKind, Oid, RefName, Signature
from cairn.git.writing import (
    SUBMODULE_MODE,
    TREE_MODE,
    File,
    Placed,
    encode_text,
    format_signature,
    write_blob,
    write_raw_commit,
    write_tag,
    write_tree,
)
from cairn.identity.authenticate import refresh_actor
from cairn.repositories.editing.changes import CHANGES_MAX, FileTooLarge, TooManyChanges
from cairn.repositories.editing.proving import kinds_of, object_unknown, require_kinds
from cairn.repositories.models import Repository
from cairn.repositories.queries import RepositoryView, load_scope

KEPT_MAX = 20_000
"""Objects without a ref that one repository keeps, made within 14 days."""

PARENTS_MAX = 16
SIGNATURE_BYTES_MAX = 64 << 10
_RETRY_SECONDS = 3600
_HAVE_FOLDERS = {ObjectKind.TREE, ObjectKind.COMMIT}

Make = Callable[[Quarantine], Awaitable[Oid]]


class TooManyKept(RateLimited):
    """A repository keeps as many objects without a ref as it may."""

    def __init__(self) -> None:
        super().__init__(
            f"This repository holds {KEPT_MAX:,} objects that were made over the API within {RETENTION.days} days; "
            "push instead, or commit whole files with PUT contents.",
            retry_after_seconds=_RETRY_SECONDS,
        )


class CommitInvalid(Invalid):
    """A commit that git would not write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCommit:
    """A commit to be made; ``signature`` is kept as it is, in armor, and covers the commit without it."""

    tree: Oid
    parents: Sequence[Oid]
    author: Signature
    committer: Signature
    message: str
    signature: str = ""


async def make_blob(engine: Engine, actor: Actor, repository: RepositoryView, content: bytes) -> Oid:
    """A file of this content can be used by id; FileTooLarge, TooManyKept."""
    limit = engine.settings.max_file_bytes
    if len(content) > limit:
        raise FileTooLarge(f"This file has {len(content):,} bytes, more than {limit:,} (CAIRN_MAX_FILE_BYTES).")

    async def make(quarantine: Quarantine) -> Oid:
        return await write_blob(quarantine, content)

    return await _keep(engine, actor, repository, make)


async def make_tree(
    engine: Engine,
    actor: Actor,
    repository: RepositoryView,
    entries: Mapping[bytes, File | Placed | None],
    *,
    base: Oid | None = None,
) -> Oid:
    """A folder can be used by id: that of ``base`` (a folder or a commit) with what ``entries`` say at their paths.

    None deletes what is there. Errors: ObjectUnknown; PathInvalid; TooManyChanges, FileTooLarge, TooManyKept.
    """
    require(actor, Action.REPOSITORY_PUSH, repository.scope)
    if len(entries) > CHANGES_MAX * 10:
        raise TooManyChanges(f"{len(entries):,} entries are more than {CHANGES_MAX * 10:,}; make the tree in parts.")
    wanted = {
        entry.oid: ObjectKind.TREE if entry.mode == TREE_MODE else ObjectKind.BLOB
        for entry in entries.values()
        if isinstance(entry, Placed) and entry.mode != SUBMODULE_MODE
    }
    await require_kinds(engine, repository, wanted)
    if base is not None and (await kinds_of(engine, repository, [base])).get(base) not in _HAVE_FOLDERS:
        raise object_unknown(base, ObjectKind.TREE, field="base_tree")

    async def make(quarantine: Quarantine) -> Oid:
        return await write_tree(quarantine, base, entries)

    return await _keep(engine, actor, repository, make)


async def make_commit(engine: Engine, actor: Actor, repository: RepositoryView, wanted: NewCommit) -> Oid:
    """A commit can be used by id; ObjectUnknown, CommitInvalid, SignatureInvalid, PackRefused, TooManyKept."""
    require(actor, Action.REPOSITORY_PUSH, repository.scope)
    if len(wanted.parents) > PARENTS_MAX or len(set(wanted.parents)) != len(wanted.parents):
        message = f"A commit has up to {PARENTS_MAX} parents, each of them once."
        raise CommitInvalid(message, FieldProblem("parents", "invalid", message))
    kinds = dict.fromkeys(wanted.parents, ObjectKind.COMMIT) | {wanted.tree: ObjectKind.TREE}
    await require_kinds(engine, repository, kinds)
    raw = _commit_bytes(wanted)

    async def make(quarantine: Quarantine) -> Oid:
        return await write_raw_commit(quarantine, raw)

    return await _keep(engine, actor, repository, make)


async def make_tag(
    engine: Engine,
    actor: Actor,
    repository: RepositoryView,
    *,
    name: str,
    target: Oid,
    kind: ObjectKind,
    tagger: Signature,
    message: str,
) -> Oid:
    """An annotated tag can be used by id; no ref names it yet. ObjectUnknown, RefNameInvalid, TooManyKept."""
    require(actor, Action.REPOSITORY_PUSH, repository.scope)
    check_ref_name(b"refs/tags/" + name.encode("utf-8", "replace"), max_bytes=engine.settings.max_ref_name_bytes)
    await require_kinds(engine, repository, {target: kind})

    async def make(quarantine: Quarantine) -> Oid:
        return await write_tag(quarantine, target=target, kind=kind, name=name, tagger=tagger, message=message)

    return await _keep(engine, actor, repository, make)


async def _keep(engine: Engine, actor: Actor, repository: RepositoryView, make: Make) -> Oid:
    require(actor, Action.REPOSITORY_PUSH, repository.scope)
    state = await engine.state(repository.store_id)
    snapshot = await engine.snapshot(state)
    async with engine.database.read() as session:
        # What was made a moment ago is there: it need not be packed again.
        based_on = await retained_roots(session, snapshot.fresher(state), snapshot.tips)

    async def write(quarantine: Quarantine) -> Sequence[RefUpdate]:
        return [RefUpdate(KEPT_OBJECTS, ZERO_OID, await make(quarantine))]

    staged = await engine.stager.stage_written(state, write, based_on=based_on)
    [outcome] = await engine.land(staged, push_id=random_id(), actor=actor.label, within=_within(actor, repository.id))
    assert outcome.moved, "nothing stands in the way of a ref that is never there"
    return outcome.new


def _within(
    actor: Actor, repository_id: int
) -> Callable[[AsyncSession, Sequence[RefUpdate]], Awaitable[dict[RefName, str]]]:
    async def within(session: AsyncSession, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
        now_actor = await refresh_actor(session, actor)

        async def load(session: AsyncSession, actor: Actor) -> RepositoryScope | None:
            return await load_scope(session, actor, repository_id)

        await authorize(session, now_actor, Action.REPOSITORY_PUSH, load)
        repository = await session.get_one(Repository, repository_id, populate_existing=True)
        since = await database_now(session, plus=-RETENTION)
        # ix_git_ref_log_store_id_is_rewind_at
        kept = select(func.count()).where(
            RefLog.store_id == repository.store_id,
            RefLog.is_rewind.is_(True),
            RefLog.at >= since,
            RefLog.name == KEPT_OBJECTS,
        )
        if (await session.scalar(kept) or 0) >= KEPT_MAX:
            raise TooManyKept
        details = {"object": updates[0].new}
        record(
            session, now_actor, "repository.make_object", repository.name, repository_id=repository.id, details=details
        )
        return {}

    return within


def _commit_bytes(wanted: NewCommit) -> bytes:
    """Return a commit as it is stored. The message stays as it came: a signature covers every byte of it."""
    lines = [f"tree {wanted.tree}", *(f"parent {parent}" for parent in wanted.parents)]
    lines += [f"author {format_signature(wanted.author)}", f"committer {format_signature(wanted.committer)}"]
    if wanted.signature:
        lines.append("gpgsig " + _folded(wanted.signature))
    if "\0" in wanted.message:
        message = "A message holds no NUL."
        raise CommitInvalid(message, FieldProblem("message", "invalid", message))
    return encode_text("\n".join(lines) + "\n\n" + wanted.message)


def _folded(signature: str) -> str:
    """Return an armored signature as a commit's header holds it: every line after the first begins with a blank."""
    text = signature.replace("\r\n", "\n").strip("\n")
    is_armored = text.startswith("-----BEGIN ") and text.endswith("-----")
    if not is_armored or "\0" in text or len(text) > SIGNATURE_BYTES_MAX:
        message = "A signature is given in armor (-----BEGIN PGP SIGNATURE----- or SSH SIGNATURE), up to 64 KiB."
        raise CommitInvalid(message, FieldProblem("signature", "invalid", message))
    return text.replace("\n", "\n ")
