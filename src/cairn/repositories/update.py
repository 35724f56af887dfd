"""Changing a repository's settings: texts, name, visibility, archive, default branch."""

from dataclasses import dataclass, fields, replace

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.roles import Visibility
from cairn.access.scopes import RepositoryScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, NotFound
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.git.engine import Engine
from cairn.git.models import Ref, Store
from cairn.git.types import show
from cairn.identity.models import Account
from cairn.repositories.create import check_texts, name_taken, require_fitting, require_reach
from cairn.repositories.events import RepositoryEdited, RepositoryRenamed
from cairn.repositories.languages.recorded import ask_for_count
from cairn.repositories.models import Repository, RepositoryRename
from cairn.repositories.names import check_repository_name
from cairn.repositories.network import OPENNESS, after_narrowing, require_parent_allows
from cairn.repositories.queries import (
    BRANCH_PREFIX,
    RepositoryView,
    branch_ref,
    find_repository_by_id,
    load_scope,
    lock_repository,
)
from cairn.repositories.rules.kept_names import require_free_name

_SWITCHES = ("is_archived", "is_template", "has_wiki", "is_wiki_open", "has_lfs_in_archives", "allows_lost_lfs")
_ADMINISTRATORS_FIELDS = frozenset({"name", "visibility", "is_archived"})


class BranchUnknown(Invalid):
    """The wanted default branch does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryChange:
    """What is to be different; None leaves a field as it is."""

    name: str | None = None
    description: str | None = None
    homepage: str | None = None
    visibility: Visibility | None = None
    is_archived: bool | None = None
    is_template: bool | None = None
    default_branch: str | None = None
    has_wiki: bool | None = None
    is_wiki_open: bool | None = None
    """Everybody who is signed in may edit the wiki while the repository is public."""
    has_lfs_in_archives: bool | None = None
    allows_lost_lfs: bool | None = None
    """Pushes may bring pointers whose large objects are not here."""

    @property
    def given(self) -> frozenset[str]:
        """The names of the fields to change."""
        return frozenset(field.name for field in fields(self) if getattr(self, field.name) is not None)


async def update_repository(
    session: AsyncSession, engine: Engine, actor: Actor, repository_id: int, change: RepositoryChange
) -> RepositoryView:
    """Apply a change to a repository and return it as it is then.

    Name, visibility and archive want the admin role, the rest maintain. An archived repository must be unarchived,
    in the same change or before, to change anything else. The old name redirects until something takes it.
    Errors: NotFound, Forbidden; RepositoryNameInvalid, RepositoryExists, NameKept, InternalNotPossible, BranchUnknown,
    Invalid.
    """
    if change.name is not None:
        check_repository_name(change.name)
    check_texts(description=change.description, homepage=change.homepage)
    repository, store = await lock_repository(session, repository_id)
    scope = await _authorize(session, actor, repository_id, change)
    before = _values(repository, store)
    if change.visibility is not None:
        require_reach(actor, replace(scope, visibility=change.visibility))
        await _set_visibility(session, actor, repository, store, change.visibility)
    for name in _SWITCHES:
        if name in change.given:
            setattr(repository, name, getattr(change, name))
    if change.description is not None:
        repository.description = change.description.strip()
    if change.homepage is not None:
        repository.homepage = change.homepage.strip()
    if change.default_branch is not None:
        await _set_default_branch(session, engine, store, change.default_branch)
        await ask_for_count(session, repository_id)
    if change.name is not None and change.name != repository.name:
        await _rename(session, actor, repository, change.name)
    _note(session, actor, repository, before, _values(repository, store))
    repository.updated_at = await database_now(session)
    await session.flush()
    return await find_repository_by_id(session, actor, repository_id)


async def _authorize(
    session: AsyncSession, actor: Actor, repository_id: int, change: RepositoryChange
) -> RepositoryScope:
    scope = await load_scope(session, actor, repository_id)
    if scope is None:
        raise NotFound("Not Found")
    wants_administrator = bool(change.given & _ADMINISTRATORS_FIELDS)
    action = Action.REPOSITORY_ADMINISTER if wants_administrator else Action.REPOSITORY_MAINTAIN
    await authorize(session, actor, action, scope)
    if change.given - {"is_archived"}:
        still_archived = scope.is_archived if change.is_archived is None else scope.is_archived and change.is_archived
        await authorize(session, actor, Action.REPOSITORY_MAINTAIN, replace(scope, is_archived=still_archived))
    return scope


async def _set_visibility(
    session: AsyncSession, actor: Actor, repository: Repository, store: Store, visibility: Visibility
) -> None:
    if visibility is not repository.visibility:
        require_fitting(await session.get_one(Account, repository.owner_id), visibility)
    await require_parent_allows(session, repository, visibility)
    is_narrowing = OPENNESS[visibility] < OPENNESS[repository.visibility]
    repository.visibility = visibility
    if is_narrowing:
        # Answers that were cached for a wider audience are not found any more.
        store.cache_epoch += 1
        if repository.wiki_store_id is not None:
            (await session.get_one(Store, repository.wiki_store_id)).cache_epoch += 1
        await after_narrowing(session, actor, repository)


async def _set_default_branch(session: AsyncSession, engine: Engine, store: Store, branch: str) -> None:
    target = branch_ref(branch)
    if target == bytes(store.head_target):
        return
    # Primary key of git_ref.
    exists = await session.scalar(select(Ref.oid).where(Ref.store_id == store.id, Ref.name == target))
    is_empty = await session.scalar(select(Ref.oid).where(Ref.store_id == store.id).limit(1)) is None
    if exists is None and not is_empty:
        message = f"There is no branch {branch[:100]!r} to be the default one; push it first."
        raise BranchUnknown(message, FieldProblem("default_branch", "invalid", message, "Repository"))
    await engine.set_head(session, store.id, target)


async def _rename(session: AsyncSession, actor: Actor, repository: Repository, name: str) -> None:
    await require_free_name(session, actor, repository)
    owner = await session.get_one(Account, repository.owner_id)
    old_name, old_key, new_key = repository.name, repository.name_key, name.lower()
    if new_key != old_key:
        taken = select(Repository.id).where(Repository.owner_id == repository.owner_id, Repository.name_key == new_key)
        if await session.scalar(taken) is not None:
            raise name_taken(name)
    repository.name, repository.name_key = name, new_key
    try:
        await session.flush()
    except IntegrityError:
        raise name_taken(name) from None
    await session.execute(
        delete(RepositoryRename).where(
            RepositoryRename.owner_id == repository.owner_id, RepositoryRename.name_key.in_([old_key, new_key])
        )
    )
    if new_key != old_key:
        session.add(RepositoryRename(owner_id=repository.owner_id, name_key=old_key, repository_id=repository.id))
        await session.flush()
    emit(
        session,
        RepositoryRenamed(
            repository_id=repository.id,
            old_full_name=f"{owner.login}/{old_name}",
            new_full_name=f"{owner.login}/{name}",
            actor_id=actor.account_id,
        ),
    )


def _values(repository: Repository, store: Store) -> dict[str, str]:
    return {
        "name": repository.name,
        "description": repository.description,
        "homepage": repository.homepage,
        "visibility": repository.visibility.value,
        "default_branch": show(bytes(store.head_target).removeprefix(BRANCH_PREFIX)),
    } | {name: "yes" if getattr(repository, name) else "no" for name in _SWITCHES}


def _note(
    session: AsyncSession, actor: Actor, repository: Repository, before: dict[str, str], after: dict[str, str]
) -> None:
    changes = {field: (before[field], after[field]) for field in before if before[field] != after[field]}
    if not changes:
        return
    emit(session, RepositoryEdited(repository_id=repository.id, changes=changes, actor_id=actor.account_id))
    record(session, actor, "repository.update", before["name"], repository_id=repository.id, changes=changes)
