"""Transfers with consent: a person who is to own a repository is asked, and may take a week to answer.

Asking needs the right to give the repository away, and so does the moment of acceptance: an offer of somebody who lost
that right meanwhile is worth nothing. Every change takes the repository's lock first, so that of accepting, cancelling
and deleting at once one comes first and the others find nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.decide import decide
from cairn.access.roles import Role
from cairn.access.scopes import AccountScope
from cairn.audit.record import record
from cairn.base.actor import SYSTEM, Actor, ActorKind
from cairn.base.errors import NotFound, Unauthenticated
from cairn.db.clock import database_now, now
from cairn.events.emit import emit
from cairn.identity.models import Account, AccountKind
from cairn.identity.queries import hold_account, primary_email
from cairn.mail.outbox import Outbox
from cairn.repositories.create import require_fitting
from cairn.repositories.events import TransferOffered
from cairn.repositories.models import Repository, RepositoryTransfer
from cairn.repositories.names import check_repository_name
from cairn.repositories.network import require_reader_of_parent
from cairn.repositories.queries import RepositoryView, find_repository_by_id, load_scope, lock_repository
from cairn.repositories.team_grants import put_team_grant
from cairn.repositories.transfer import (
    close_offer,
    find_new_owner,
    hand_over,
    lock_for_transfer,
    transfer_invalid,
    transfer_repository,
)

LIFETIME = timedelta(days=7)
RECEIVED_MAX = 100
"""Offers that wait for one person."""
_BATCH_ROWS = 200


class TransferOver(NotFound):
    """There is no such offer any more, or there never was one for who asks."""


@dataclass(frozen=True, slots=True)
class TransferOffer:
    """A repository offered to a person; ``new_name`` is what it would be called."""

    repository_id: int
    owner: str
    name: str
    description: str
    new_owner: str
    new_name: str
    asked_by: str
    created_at: datetime
    expires_at: datetime

    @property
    def full_name(self) -> str:
        """Owner and name as they are now."""
        return f"{self.owner}/{self.name}"


async def ask_transfer(
    session: AsyncSession,
    outbox: Outbox,
    actor: Actor,
    repository_id: int,
    *,
    new_owner: str,
    new_name: str | None = None,
    team_ids: Sequence[int] = (),
) -> RepositoryView:
    """Give a repository to an organization or to oneself at once, or offer it to another person; return it as it is.

    ``team_ids`` are of the new organization and read the repository from then on. A mail tells the person; the offer
    is good for 7 days. Errors: as ``transfer_repository``; TransferInvalid if it is offered to somebody already, or
    that person has too many offers.
    """
    repository = await lock_for_transfer(session, actor, repository_id)
    target = await find_new_owner(session, repository, new_owner)
    if target.kind is AccountKind.USER and target.id != actor.account_id:
        if team_ids:
            raise transfer_invalid(f"{target.login} is a person; only organizations have teams.")
        await _offer(session, outbox, actor, repository, target, new_name)
        return await find_repository_by_id(session, actor, repository_id, Action.REPOSITORY_SEE)
    moved = await transfer_repository(session, actor, repository_id, new_owner=new_owner, new_name=new_name)
    for team_id in team_ids:
        await put_team_grant(session, actor, repository_id, team_id=team_id, role=Role.READ)
    return moved


async def accept_transfer(
    session: AsyncSession, actor: Actor, repository_id: int, *, new_name: str | None = None
) -> RepositoryView:
    """Take a repository that was offered to the actor, under another name if one is given, and return it.

    Errors: TransferOver, also for the second of two at once and if who offered it may not any more; RepositoryExists
    for a name the actor uses already; as ``transfer_repository``.
    """
    account_id = await _authorize_own(session, actor)
    repository, offer = await _lock_own(session, account_id, repository_id)
    asker = await session.get(Account, offer.asked_by_id)
    if asker is None or not await _may_still_give(session, asker, repository_id):
        raise TransferOver("Whoever offered this repository may not give it away any more.")
    wanted = new_name or offer.new_name or None
    await close_offer(session, actor, repository_id, "accepted")
    target = await session.get_one(Account, account_id)
    full_name = await _full_name(session, repository)
    record(session, actor, "repository.accept_transfer", full_name, account_id=account_id,
           repository_id=repository_id, details={"asked_by": asker.login})  # fmt: skip
    return await hand_over(session, actor, repository, target, wanted)


async def decline_transfer(session: AsyncSession, actor: Actor, repository_id: int) -> None:
    """Decline a repository that was offered to the actor. Errors: TransferOver; Unauthenticated, Forbidden."""
    account_id = await _authorize_own(session, actor)
    repository, _ = await _lock_own(session, account_id, repository_id)
    full_name = await _full_name(session, repository)
    record(session, actor, "repository.decline_transfer", full_name, repository_id=repository_id)
    await close_offer(session, actor, repository_id, "declined")


async def cancel_transfer(session: AsyncSession, actor: Actor, repository_id: int) -> None:
    """Take an offer back. Errors: NotFound, Forbidden; TransferOver."""
    repository = await lock_for_transfer(session, actor, repository_id)
    if await _open_offer(session, repository_id) is None:
        raise _over()
    full_name = await _full_name(session, repository)
    record(session, actor, "repository.cancel_transfer", full_name, repository_id=repository_id)
    await close_offer(session, actor, repository_id, "cancelled")


async def read_offer(session: AsyncSession, actor: Actor, repository_id: int) -> TransferOffer | None:
    """Return to whom a repository is offered; None if to nobody. Errors: NotFound, Forbidden."""
    scope = await load_scope(session, actor, repository_id)
    if scope is None:
        raise NotFound("Not Found")
    await authorize(session, actor, Action.REPOSITORY_TRANSFER, scope)
    # Primary key of repository_transfer.
    found = await _offers(session, RepositoryTransfer.repository_id == repository_id)
    return found[0] if found else None


async def list_own_offers(session: AsyncSession, actor: Actor) -> list[TransferOffer]:
    """Return what the actor is offered, the newest first; nothing for who has no account."""
    if actor.account_id is None:
        return []
    # ix_repository_transfer_new_owner_id
    return await _offers(session, RepositoryTransfer.new_owner_id == actor.account_id)


async def delete_expired_offers(session: AsyncSession) -> int:
    """Delete offers that nobody answered in time, some hundreds of them, and return how many. For the worker."""
    moment = await database_now(session)
    # ix_repository_transfer_expires_at
    expired = select(RepositoryTransfer.repository_id).where(RepositoryTransfer.expires_at <= moment)
    ids = (await session.scalars(expired.order_by(RepositoryTransfer.repository_id).limit(_BATCH_ROWS))).all()
    deleted = 0
    for repository_id in ids:
        try:
            await lock_repository(session, repository_id)
        except NotFound:
            continue  # deleted meanwhile, and the offer with it
        offer = await session.get(RepositoryTransfer, repository_id, populate_existing=True)
        if offer is not None and offer.expires_at <= moment:
            await close_offer(session, SYSTEM, repository_id, "expired")
            deleted += 1
    return deleted


async def _offer(
    session: AsyncSession, outbox: Outbox, actor: Actor, repository: Repository, target: Account, new_name: str | None
) -> None:
    if actor.account_id is None:
        raise Unauthenticated("Sign in to give a repository to somebody.")
    if new_name is not None:
        check_repository_name(new_name)
    await hold_account(session, target.id)
    require_fitting(target, repository.visibility)
    await require_reader_of_parent(session, repository, target)
    if await _open_offer(session, repository.id) is not None:
        raise transfer_invalid("This repository is offered to somebody already; cancel that first.")
    # What nobody answered in time makes way.
    await close_offer(session, actor, repository.id, "expired")
    # ix_repository_transfer_new_owner_id
    waiting = select(func.count()).select_from(RepositoryTransfer).where(
        RepositoryTransfer.new_owner_id == target.id, RepositoryTransfer.expires_at > now()
    )  # fmt: skip
    if (await session.scalar(waiting) or 0) >= RECEIVED_MAX:
        raise transfer_invalid(f"{target.login} has {RECEIVED_MAX} offers to answer; try again when they did.")
    moment = await database_now(session)
    session.add(
        RepositoryTransfer(
            repository_id=repository.id,
            new_owner_id=target.id,
            new_name=new_name or "",
            asked_by_id=actor.account_id,
            created_at=moment,
            expires_at=moment + LIFETIME,
        )
    )
    await session.flush()
    full_name = await _full_name(session, repository)
    to = await primary_email(session, target.id)
    if to is not None:
        await outbox.post(session, "repositories/mail/transfer_offer", to=to, asker=actor.label, repository=full_name)
    emit(
        session,
        TransferOffered(repository_id=repository.id, new_owner_id=target.id, actor_id=actor.account_id),
    )
    details = {"new_owner": target.login} | ({"new_name": new_name} if new_name else {})
    record(session, actor, "repository.offer_transfer", full_name, repository_id=repository.id, details=details)


async def _authorize_own(session: AsyncSession, actor: Actor) -> int:
    if actor.account_id is None:
        raise Unauthenticated("Sign in to see what you are offered.")
    await authorize(session, actor, Action.REPOSITORY_CREATE, AccountScope(actor.account_id))
    return actor.account_id


async def _lock_own(
    session: AsyncSession, account_id: int, repository_id: int
) -> tuple[Repository, RepositoryTransfer]:
    """Return a locked repository with the offer that waits for an account. Errors: TransferOver."""
    try:
        repository, _ = await lock_repository(session, repository_id)
    except NotFound:
        raise _over() from None
    offer = await _open_offer(session, repository_id)
    if offer is None or offer.new_owner_id != account_id:
        raise _over()
    return repository, offer


async def _open_offer(session: AsyncSession, repository_id: int) -> RepositoryTransfer | None:
    wanted = select(RepositoryTransfer).where(
        RepositoryTransfer.repository_id == repository_id, RepositoryTransfer.expires_at > now()
    )
    return (await session.scalars(wanted.execution_options(populate_existing=True))).one_or_none()


async def _may_still_give(session: AsyncSession, asker: Account, repository_id: int) -> bool:
    person = Actor(
        ActorKind.USER,
        asker.id,
        asker.login,
        is_site_admin=asker.is_site_admin,
        is_suspended=asker.suspended_at is not None,
    )
    scope = await load_scope(session, person, repository_id)
    return scope is not None and decide(person, Action.REPOSITORY_TRANSFER, scope).allowed


async def _offers(session: AsyncSession, condition: ColumnElement[bool]) -> list[TransferOffer]:
    owner, target, asker = aliased(Account), aliased(Account), aliased(Account)
    # Primary keys of repository and account.
    rows = await session.execute(
        select(RepositoryTransfer, Repository, owner.login, target.login, asker.login)
        .join(Repository, Repository.id == RepositoryTransfer.repository_id)
        .join(owner, owner.id == Repository.owner_id)
        .join(target, target.id == RepositoryTransfer.new_owner_id)
        .outerjoin(asker, asker.id == RepositoryTransfer.asked_by_id)
        .where(condition, RepositoryTransfer.expires_at > now(), Repository.is_deleted.is_(False))
        .order_by(RepositoryTransfer.created_at.desc(), RepositoryTransfer.repository_id.desc())
        .limit(RECEIVED_MAX)
    )
    return [
        TransferOffer(
            repository.id,
            owner_login,
            repository.name,
            repository.description,
            target_login,
            offer.new_name or repository.name,
            asker_login or "",
            offer.created_at,
            offer.expires_at,
        )
        for offer, repository, owner_login, target_login, asker_login in rows
    ]


async def _full_name(session: AsyncSession, repository: Repository) -> str:
    owner = await session.get_one(Account, repository.owner_id)
    return f"{owner.login}/{repository.name}"


def _over() -> TransferOver:
    return TransferOver("This transfer is over: it was answered, taken back, or is older than 7 days.")
