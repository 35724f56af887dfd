"""What was deleted: who may restore it and until when, and its end.

The owner, owners of the owning organization and site administrators restore; for everybody else it is absent. A
repository comes back with everything it had, under its name or, if somebody took that, under another. Forks it had
stay where deletion left them (``network.leave_network``): they may be open to more people by now.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from cairn.access.actions import Action
from cairn.access.authorize import authorize, authorize_organization
from cairn.access.decide import has_site_power
from cairn.access.models import Grant
from cairn.access.roles import Visibility
from cairn.access.scopes import SITE, AccountScope
from cairn.audit.record import record
from cairn.base.actor import Actor, ActorKind
from cairn.base.errors import Conflict, FieldProblem, Forbidden, Invalid, NotFound, Unauthenticated
from cairn.db.clock import database_now, now
from cairn.db.database import Database
from cairn.events.emit import emit
from cairn.git.engine import Engine
from cairn.git.models import Store
from cairn.identity.models import Account, AccountKind
from cairn.identity.organizations import hold_organization
from cairn.identity.queries import find_account, hold_account
from cairn.lfs.objects import forget_repository
from cairn.repositories.create import name_taken, require_fitting
from cairn.repositories.events import RepositoryErased, RepositoryRestored
from cairn.repositories.life.models import RepositoryDeletion
from cairn.repositories.models import Repository, RepositoryRename
from cairn.repositories.names import check_repository_name
from cairn.repositories.network import guard_private_fork
from cairn.repositories.queries import RepositoryView, find_repository_by_id, lock_repository

LISTED_MAX = 100
_ERASED_AT_ONCE = 20


class OwnerGone(Conflict):
    """The account that owned a deleted repository is deleted too: it comes back only under another."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """A repository that can be restored until ``erase_at``; ``bytes`` are its packs'."""

    id: int
    owner: str
    name: str
    visibility: Visibility
    description: str
    deleted_by: str
    deleted_at: datetime
    erase_at: datetime
    bytes: int

    @property
    def full_name(self) -> str:
        """Owner and name it had."""
        return f"{self.owner}/{self.name}"


async def list_deleted(
    session: AsyncSession, actor: Actor, owner_id: int, *, page: int = 1, per_page: int = LISTED_MAX
) -> list[Deleted]:
    """Return what an account can restore, the latest deletion first. Errors: Unauthenticated, NotFound, Forbidden."""
    await authorize_restoring(session, actor, owner_id)
    # ix_repository_deletion_owner_id_deleted_at
    return await _list(session, RepositoryDeletion.owner_id == owner_id, page=page, per_page=per_page)


async def list_all_deleted(session: AsyncSession, actor: Actor, *, page: int = 1) -> list[Deleted]:
    """Return what can be restored on this installation, for its administrators. Errors: NotFound, Forbidden."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    return await _list(session, RepositoryDeletion.repository_id > 0, page=page, per_page=LISTED_MAX)


async def restore_repository(
    session: AsyncSession, actor: Actor, repository_id: int, *, name: str = "", owner: str = ""
) -> RepositoryView:
    """Bring back a deleted repository and return it; under ``name``, and for administrators ``owner``, if given.

    Errors: NotFound for what is not deleted, erased, or none of the actor's business; RepositoryNameInvalid,
    RepositoryExists if the name is in use; OwnerGone; InternalNotPossible.
    """
    if name:
        check_repository_name(name)
    deletion = await _open(session, actor, repository_id)
    target = await _hold_owner(session, actor, deletion, owner)
    repository, store = await lock_repository(session, repository_id, is_deleted=True)
    require_fitting(target, repository.visibility)
    before = f"{target.login}/{repository.name}"
    repository.owner_id, repository.name = target.id, name or repository.name
    repository.name_key = repository.name.lower()
    repository.is_deleted = False
    taken = select(Repository.id).where(
        Repository.owner_id == target.id, Repository.name_key == repository.name_key, Repository.id != repository_id
    )
    with session.no_autoflush:
        if await session.scalar(taken) is not None:
            raise name_taken(repository.name)
    repository.updated_at = await database_now(session)
    store.ref_version += 1
    try:
        await session.flush()
    except IntegrityError:
        raise name_taken(repository.name) from None
    await session.execute(
        delete(RepositoryRename).where(
            RepositoryRename.owner_id == target.id, RepositoryRename.name_key == repository.name_key
        )
    )
    await session.delete(deletion)
    await session.flush()
    if repository.parent_id is not None and repository.visibility is Visibility.PRIVATE:
        # Who may read its parent may have changed meanwhile.
        await guard_private_fork(session, repository_id)
    full_name = f"{target.login}/{repository.name}"
    emit(
        session,
        RepositoryRestored(
            repository_id=repository_id, owner_id=target.id, full_name=full_name, actor_id=actor.account_id
        ),
    )
    details = {} if full_name == before else {"old_name": before}
    record(session, actor, "repository.restore", full_name, repository_id=repository_id, details=details)
    await session.flush()
    return await find_repository_by_id(session, actor, repository_id, Action.REPOSITORY_SEE)


async def erase_repository(
    session: AsyncSession, engine: Engine, actor: Actor, repository_id: int, *, typed: str
) -> None:
    """A deleted repository is gone for good, before its time, if ``typed`` is its whole name.

    Its git data goes when collection comes by. Errors: NotFound for what is not deleted or none of the actor's
    business; Invalid.
    """
    await _open(session, actor, repository_id)
    repository = await session.get_one(Repository, repository_id)
    owner = await session.get_one(Account, repository.owner_id)
    full_name = f"{owner.login}/{repository.name}"
    if typed.lower() != full_name.lower():
        message = f"Type {full_name} to erase it."
        raise Invalid(message, FieldProblem("name", "invalid", message, "Repository"))
    await _erase(session, engine, actor, repository_id)


async def erase_due(database: Database, engine: Engine, actor: Actor) -> int:
    """Every deleted repository whose time is over is gone for good; return how many. One transaction each."""
    erased = 0
    while True:
        async with database.read() as session:
            # ix_repository_deletion_erase_at
            due = select(RepositoryDeletion.repository_id).where(RepositoryDeletion.erase_at <= now())
            ids = (await session.scalars(due.order_by(RepositoryDeletion.erase_at).limit(_ERASED_AT_ONCE))).all()
        for repository_id in ids:
            async with database.write() as session:
                try:
                    await _erase(session, engine, actor, repository_id, only_due=True)
                    erased += 1
                except NotFound:
                    continue  # restored or erased by another meanwhile
        if len(ids) < _ERASED_AT_ONCE:
            return erased


async def _erase(
    session: AsyncSession, engine: Engine, actor: Actor, repository_id: int, *, only_due: bool = False
) -> None:
    repository, _ = await lock_repository(session, repository_id, is_deleted=True)
    deletion = await session.get_one(RepositoryDeletion, repository_id, populate_existing=True)
    if only_due and deletion.erase_at > await database_now(session):
        raise NotFound("Not Found")
    owner = await session.get_one(Account, repository.owner_id)
    full_name, owner_id = f"{owner.login}/{repository.name}", owner.id
    stores = [repository.store_id] + ([repository.wiki_store_id] if repository.wiki_store_id is not None else [])
    await forget_repository(session, repository_id)
    await session.execute(delete(Grant).where(Grant.repository_id == repository_id))
    await session.execute(delete(Repository).where(Repository.id == repository_id))
    for store_id in stores:
        await engine.delete_store(session, store_id)
    emit(
        session,
        RepositoryErased(
            repository_id=repository_id, owner_id=owner_id, full_name=full_name, actor_id=actor.account_id
        ),
    )
    # The repository's row is gone: the owner says in whose log this belongs.
    record(session, actor, "repository.erase", full_name, account_id=owner_id, repository_id=repository_id)


async def _open(session: AsyncSession, actor: Actor, repository_id: int) -> RepositoryDeletion:
    """Return the row of a deletion that the actor may end; NotFound for everything else: others learn nothing."""
    deletion = await session.get(RepositoryDeletion, repository_id, populate_existing=True)
    if deletion is None:
        raise NotFound("Not Found")
    try:
        await authorize_restoring(session, actor, deletion.owner_id)
    except (Forbidden, Unauthenticated):
        raise NotFound("Not Found") from None
    return deletion


async def authorize_restoring(session: AsyncSession, actor: Actor, owner_id: int) -> None:
    """The actor may restore and erase what the account deleted. Errors: Unauthenticated, NotFound, Forbidden."""
    owner = await session.get(Account, owner_id)
    if owner is not None and owner.kind is AccountKind.ORGANIZATION:
        await authorize_organization(session, actor, Action.REPOSITORY_RESTORE, owner_id)
    else:
        await authorize(session, actor, Action.REPOSITORY_RESTORE, AccountScope(owner_id))


async def _hold_owner(session: AsyncSession, actor: Actor, deletion: RepositoryDeletion, owner: str) -> Account:
    """Return the account the repository comes back to; nobody deletes it before the transaction ends."""
    target = await session.get_one(Account, deletion.owner_id)
    if owner and owner.lower() != target.login_key:
        if actor.kind is not ActorKind.SYSTEM and not has_site_power(actor):
            raise Forbidden("Only a site administrator gives a deleted repository to another account.")
        found = await find_account(session, owner)
        if found is None:
            raise NotFound(f"There is no account {owner[:60]!r}.")
        target = found
    if target.deleted_at is not None:
        raise OwnerGone("The account that owned it is deleted: an administrator restores it under another one.")
    if target.kind is AccountKind.ORGANIZATION:
        await hold_organization(session, target.id)
    await hold_account(session, target.id)
    return target


async def _list(session: AsyncSession, condition: ColumnElement[bool], *, page: int, per_page: int) -> list[Deleted]:
    by = aliased(Account)
    limit = max(1, min(per_page, LISTED_MAX))
    # Primary keys of repository, account and git_store.
    rows = await session.execute(
        select(RepositoryDeletion, Repository, Account.login, by.login, Store.pack_bytes)
        .join(Repository, Repository.id == RepositoryDeletion.repository_id)
        .join(Account, Account.id == Repository.owner_id)
        .join(Store, Store.id == Repository.store_id)
        .outerjoin(by, by.id == RepositoryDeletion.deleted_by_id)
        .where(condition)
        .order_by(RepositoryDeletion.deleted_at.desc(), RepositoryDeletion.repository_id.desc())
        .limit(limit)
        .offset((max(page, 1) - 1) * limit)
    )
    return [_deleted(*row) for row in rows]


def _deleted(
    deletion: RepositoryDeletion, repository: Repository, owner: str, deleted_by: str | None, size: int
) -> Deleted:
    return Deleted(
        repository.id,
        owner,
        repository.name,
        repository.visibility,
        repository.description,
        deleted_by or "",
        deletion.deleted_at,
        deletion.erase_at,
        size,
    )
