"""Giving a repository to another owner: the name moves, the old address redirects, who got in by the old owner is out.

Only the actor's own account, or an organization in which the actor may make repositories, can be the new owner;
nobody is given a repository they did not ask for.
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
from cairn.repositories.events import RepositoryTransferred
from cairn.repositories.models import Repository, RepositoryRename
from cairn.repositories.names import check_repository_name
from cairn.repositories.network import require_reader_of_parent
from cairn.repositories.queries import RepositoryView, find_repository_by_id, load_scope, lock_repository


class TransferInvalid(Invalid):
    """The repository cannot go there: nobody has the name, or it is there already."""


async def transfer_repository(
    session: AsyncSession, actor: Actor, repository_id: int, *, new_owner: str, new_name: str | None = None
) -> RepositoryView:
    """Give a repository to another owner, under another name if one is given, and return it as it is then.

    Teams lose their roles on it; collaborators and deploy keys stay. A person who owned it, and who brings it into an
    organization, is its administrator as a collaborator from then on. Addresses it had redirect.
    Errors: NotFound, Unauthenticated; Forbidden here or at the new owner; TransferInvalid, RepositoryExists,
    RepositoryNameInvalid, InternalNotPossible, NoReaderOfParent.
    """
    if new_name is not None:
        check_repository_name(new_name)
    repository, _ = await lock_repository(session, repository_id)

    async def load(session: AsyncSession, actor: Actor) -> RepositoryScope | None:
        return await load_scope(session, actor, repository_id)

    await authorize(session, actor, Action.REPOSITORY_TRANSFER, load)
    target = await find_account(session, new_owner)
    if target is None:
        raise _invalid(f"There is no account {new_owner[:60]!r}.")
    if target.id == repository.owner_id:
        raise _invalid(f"{target.login} owns this repository already.")
    await authorize_new(session, actor, target)
    require_fitting(target, repository.visibility)
    if target.kind is AccountKind.USER:
        await require_reader_of_parent(session, repository, target)
    old_owner = await session.get_one(Account, repository.owner_id)
    old_full_name = f"{old_owner.login}/{repository.name}"
    await _move(session, repository, target, new_name or repository.name)
    await _adjust_grants(session, actor, repository, old_owner, target)
    await admit_creator(session, actor, repository)
    _note(session, actor, repository, old_owner, target, old_full_name)
    await session.flush()
    return await find_repository_by_id(session, actor, repository_id, Action.REPOSITORY_SEE)


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
                role=Role.ADMIN,
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


def _invalid(message: str) -> TransferInvalid:
    return TransferInvalid(message, FieldProblem("new_owner", "invalid", message, "Repository"))
