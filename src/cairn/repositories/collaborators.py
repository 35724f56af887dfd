"""Collaborators: who has which role on a repository besides its owner."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.decide import token_allows
from cairn.access.models import Grant
from cairn.access.roles import Role
from cairn.access.scopes import RepositoryScope
from cairn.audit.record import record
from cairn.base.actor import Actor, ActorKind
from cairn.base.errors import FieldProblem, Forbidden, Invalid, NotFound
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.models import Account, AccountKind
from cairn.identity.queries import find_account
from cairn.repositories.events import CollaboratorChanged
from cairn.repositories.network import guard_private_fork, private_forks_of, require_reader_of_parent
from cairn.repositories.queries import load_scope, lock_repository

COLLABORATORS_MAX = 1000


class CollaboratorInvalid(Invalid):
    """This account cannot be a collaborator here."""


@dataclass(frozen=True, slots=True)
class Collaborator:
    """Somebody with a role on a repository."""

    account_id: int
    login: str
    name: str
    role: Role
    granted_at: datetime


async def put_collaborator(
    session: AsyncSession, actor: Actor, repository_id: int, *, login: str, role: Role
) -> Collaborator:
    """Give an account a role on a repository, instead of the one it had, and return it.

    Errors: NotFound, Forbidden; CollaboratorInvalid for the owner, an organization, a name nobody has, or one too many.
    """
    # The lock keeps two changes of one grant apart, and a deletion of the repository.
    repository, _ = await lock_repository(session, repository_id)
    await _authorize(session, actor, Action.REPOSITORY_ADMINISTER, repository_id)
    account = await find_account(session, login)
    if account is None:
        raise _invalid(f"There is no account {login[:60]!r}.")
    if account.id == repository.owner_id:
        raise _invalid(f"{account.login} owns this repository and needs no role on it.")
    if account.kind is not AccountKind.USER:
        raise _invalid(f"{account.login} is an organization; only people can be collaborators.")
    await require_reader_of_parent(session, repository, account)
    grant = await session.get(Grant, (repository_id, account.id), populate_existing=True)
    old_role = "" if grant is None else grant.role.value
    moment = await database_now(session)
    if grant is None:
        held = await session.scalar(select(func.count()).select_from(Grant).where(Grant.repository_id == repository_id))
        if held is not None and held >= COLLABORATORS_MAX:
            raise _invalid(f"A repository has at most {COLLABORATORS_MAX:,} collaborators; remove one first.")
        grant = Grant(repository_id=repository_id, account_id=account.id)
        session.add(grant)
    if old_role != role.value:
        grant.role = role
        grant.granted_at = moment
        grant.granted_by_id = actor.account_id
        await session.flush()
        _changed(session, actor, repository_id, account, old_role=old_role, new_role=role.value)
    return Collaborator(account.id, account.login, account.name, role, grant.granted_at)


async def remove_collaborator(session: AsyncSession, actor: Actor, repository_id: int, *, login: str) -> None:
    """Take an account's role on a repository away; people may always leave by themselves.

    With a token only if it carries what administering takes: reading is none of it. Errors: NotFound (also if the
    account has no role there), Forbidden.
    """
    await lock_repository(session, repository_id)
    account = await find_account(session, login)
    leaves = account is not None and actor.account_id == account.id
    action = Action.REPOSITORY_READ if leaves else Action.REPOSITORY_ADMINISTER
    scope = await _authorize(session, actor, action, repository_id)
    if leaves and not token_allows(actor, Action.REPOSITORY_ADMINISTER, scope):
        raise Forbidden("This token may not change who has a role here.")
    grant = None if account is None else await session.get(Grant, (repository_id, account.id))
    if account is None or grant is None:
        raise NotFound(f"{login[:60]!r} is no collaborator here.")
    old_role = grant.role.value
    await session.execute(delete(Grant).where(Grant.repository_id == repository_id, Grant.account_id == account.id))
    _changed(session, actor, repository_id, account, old_role=old_role, new_role="")
    for fork_id in await private_forks_of(session, repository_id):
        await guard_private_fork(session, fork_id)


async def role_of(session: AsyncSession, actor: Actor, repository_id: int, *, login: str) -> Role | None:
    """Return the role somebody was given on a repository: by name, a team, its organization, or by owning it.

    None for who has none but what everybody has. Errors: NotFound, Forbidden.
    """
    await _authorize(session, actor, Action.REPOSITORY_ADMINISTER, repository_id)
    account = await find_account(session, login)
    if account is None or account.kind is not AccountKind.USER:
        return None
    scope = await load_scope(session, Actor(ActorKind.USER, account.id, account.login), repository_id)
    assert scope is not None, "it was authorized in this transaction"
    return Role.ADMIN if scope.owner_id == account.id else scope.role


async def _authorize(session: AsyncSession, actor: Actor, action: Action, repository_id: int) -> RepositoryScope:
    async def load(session: AsyncSession, actor: Actor) -> RepositoryScope | None:
        return await load_scope(session, actor, repository_id)

    return await authorize(session, actor, action, load)


def _changed(
    session: AsyncSession, actor: Actor, repository_id: int, account: Account, *, old_role: str, new_role: str
) -> None:
    emit(
        session,
        CollaboratorChanged(
            repository_id=repository_id,
            account_id=account.id,
            old_role=old_role,
            new_role=new_role,
            actor_id=actor.account_id,
        ),
    )
    record(
        session,
        actor,
        "repository.collaborator",
        account.login,
        account_id=account.id,
        repository_id=repository_id,
        changes={"role": (old_role, new_role)},
    )


def _invalid(message: str) -> CollaboratorInvalid:
    return CollaboratorInvalid(message, FieldProblem("username", "invalid", message, "Collaborator"))
