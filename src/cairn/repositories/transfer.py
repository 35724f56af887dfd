"""Giving a repository to another owner: the name moves, the old address redirects, who got in by the old owner is out.

Only the actor's own account, or an organization in which the actor may make repositories, can be the new owner at once;
nobody is given a repository without being asked (``transfer_offers``).
"""

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.models import Grant, TeamGrant
from cairn.access.roles import Role
from cairn.access.scopes import RepositoryScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.models import Account, AccountKind
from cairn.identity.queries import find_account
from cairn.repositories.create import admit_creator, authorize_new, name_taken, require_fitting
from cairn.repositories.events import RepositoryTransferred, TransferClosed
from cairn.repositories.models import Repository, RepositoryRename, RepositoryTransfer
from cairn.repositories.names import check_repository_name
from cairn.repositories.network import require_reader_of_parent
from cairn.repositories.queries import RepositoryView, find_repository_by_id, load_scope, lock_repository


class TransferInvalid(Invalid):
    """The repository cannot go there: nobody has the name, or it is there already."""


async def transfer_repository(
    session: AsyncSession, actor: Actor, repository_id: int, *, new_owner: str, new_name: str | None = None
) -> RepositoryView:
    """Give a repository to an owner for whom the actor may take it, and return it as it is then.

    That is the actor's own account, or an organization in which they may make repositories; other people are asked
    (``transfer_offers``). It gets another name if one is given. What moves along: ``hand_over``.
    Errors: NotFound, Unauthenticated; Forbidden here or at the new owner; TransferInvalid, RepositoryExists,
    RepositoryNameInvalid, InternalNotPossible, NoReaderOfParent.
    """
    repository = await lock_for_transfer(session, actor, repository_id)
    target = await find_new_owner(session, repository, new_owner)
    return await hand_over(session, actor, repository, target, new_name)


async def lock_for_transfer(session: AsyncSession, actor: Actor, repository_id: int) -> Repository:
    """Return a repository that the actor may give away, locked until the transaction ends. Errors: as authorize's."""
    repository, _ = await lock_repository(session, repository_id)

    async def load(session: AsyncSession, actor: Actor) -> RepositoryScope | None:
        return await load_scope(session, actor, repository_id)

    await authorize(session, actor, Action.REPOSITORY_TRANSFER, load)
    return repository


async def find_new_owner(session: AsyncSession, repository: Repository, login: str) -> Account:
    """Return the account of a name that does not own the repository yet. Errors: TransferInvalid."""
    target = await find_account(session, login)
    if target is None or target.deleted_at is not None:
        raise transfer_invalid(f"There is no account {login[:60]!r}.")
    if target.id == repository.owner_id:
        raise transfer_invalid(f"{target.login} owns this repository already.")
    return target


async def hand_over(
    session: AsyncSession, actor: Actor, repository: Repository, target: Account, new_name: str | None = None
) -> RepositoryView:
    """Move a locked repository, which its side lets go, to an account for which the actor may take it; return it.

    Teams lose their roles on it; collaborators and deploy keys stay. A person who owned it is a collaborator from then
    on: an administrator where an organization has it, with the write role where a person has, as on GitHub. Addresses
    it had redirect; an offer to somebody else is void. Errors: as ``transfer_repository``, of the new owner's side.
    """
    if new_name is not None:
        check_repository_name(new_name)
    await authorize_new(session, actor, target)
    require_fitting(target, repository.visibility)
    if target.kind is AccountKind.USER:
        await require_reader_of_parent(session, repository, target)
    old_owner = await session.get_one(Account, repository.owner_id)
    old_full_name = f"{old_owner.login}/{repository.name}"
    await _move(session, repository, target, new_name or repository.name)
    await _adjust_grants(session, actor, repository, old_owner, target)
    await admit_creator(session, actor, repository)
    await close_offer(session, actor, repository.id, "cancelled")
    _note(session, actor, repository, old_owner, target, old_full_name)
    await session.flush()
    return await find_repository_by_id(session, actor, repository.id, Action.REPOSITORY_SEE)


async def close_offer(session: AsyncSession, actor: Actor, repository_id: int, outcome: str) -> None:
    """Nothing offers a locked repository to anybody any more; if something did, an event says how that ended."""
    offer = await session.get(RepositoryTransfer, repository_id, populate_existing=True)
    if offer is None:
        return
    await session.delete(offer)
    await session.flush()
    emit(
        session,
        TransferClosed(
            repository_id=repository_id,
            new_owner_id=offer.new_owner_id,
            outcome=outcome,
            actor_id=actor.account_id,
        ),
    )


async def _move(session: AsyncSession, repository: Repository, target: Account, name: str) -> None:
    old_owner_id, old_key, new_key = repository.owner_id, repository.name_key, name.lower()
    taken = select(Repository.id).where(Repository.owner_id == target.id, Repository.name_key == new_key)
    if await session.scalar(taken) is not None:
        raise name_taken(name)
    repository.owner_id, repository.name, repository.name_key = target.id, name, new_key
    repository.updated_at = await database_now(session)
    try:
        await session.flush()
    except IntegrityError:
        # Created there at the same moment: the unique key let the other one win.
        raise name_taken(name) from None
    for owner_id, key in ((target.id, new_key), (old_owner_id, old_key)):
        await session.execute(
            delete(RepositoryRename).where(RepositoryRename.owner_id == owner_id, RepositoryRename.name_key == key)
        )
    session.add(RepositoryRename(owner_id=old_owner_id, name_key=old_key, repository_id=repository.id))
    await session.flush()


async def _adjust_grants(
    session: AsyncSession, actor: Actor, repository: Repository, old_owner: Account, target: Account
) -> None:
    # Primary keys of team_grant and access_grant.
    await session.execute(delete(TeamGrant).where(TeamGrant.repository_id == repository.id))
    await session.execute(
        delete(Grant).where(Grant.repository_id == repository.id, Grant.account_id.in_([target.id, old_owner.id]))
    )
    if old_owner.kind is AccountKind.USER:
        moment = await database_now(session)
        session.add(
            Grant(
                repository_id=repository.id,
                account_id=old_owner.id,
                # A person took it as their own: nobody else gives it away, deletes it or lets people in.
                role=Role.ADMIN if target.kind is AccountKind.ORGANIZATION else Role.WRITE,
                granted_at=moment,
                granted_by_id=actor.account_id,
            )
        )
    await session.flush()


def _note(
    session: AsyncSession,
    actor: Actor,
    repository: Repository,
    old_owner: Account,
    target: Account,
    old_full_name: str,
) -> None:
    new_full_name = f"{target.login}/{repository.name}"
    emit(
        session,
        RepositoryTransferred(
            repository_id=repository.id,
            old_owner_id=old_owner.id,
            new_owner_id=target.id,
            old_full_name=old_full_name,
            new_full_name=new_full_name,
            actor_id=actor.account_id,
        ),
    )
    changes = {"full_name": (old_full_name, new_full_name)}
    # In the logs of both owners: what went away, and what came.
    for owner, name in ((old_owner, old_full_name), (target, new_full_name)):
        record(
            session,
            actor,
            "repository.transfer",
            name,
            account_id=owner.id,
            organization_id=owner.id if owner.kind is AccountKind.ORGANIZATION else None,
            repository_id=repository.id if owner is target else None,
            changes=changes,
        )


def transfer_invalid(message: str) -> TransferInvalid:
    """Return the error for a new owner who cannot be it."""
    return TransferInvalid(message, FieldProblem("new_owner", "invalid", message, "Repository"))
