"""Pins: up to six repositories that a person or an organization shows first."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize, authorize_organization
from cairn.access.scopes import AccountScope
from cairn.access.visible import visible
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, NotFound
from cairn.identity.models import Account, AccountKind
from cairn.repositories.life.models import AccountPin
from cairn.repositories.models import ACCESS_COLUMNS, Repository
from cairn.repositories.queries import RepositoryView, views_of

PINS_MAX = 6


class PinsInvalid(Invalid):
    """These cannot be pinned: too many, or none of the actor's to show."""


async def authorize_pins(session: AsyncSession, actor: Actor, account_id: int) -> Account:
    """Return the account whose pins the actor may choose: its own, an organization's it may edit."""
    account = await session.get(Account, account_id)
    if account is None:
        raise NotFound("Not Found")
    if account.kind is AccountKind.ORGANIZATION:
        await authorize_organization(session, actor, Action.ORGANIZATION_EDIT, account_id)
    else:
        await authorize(session, actor, Action.ACCOUNT_EDIT, AccountScope(account_id))
    return account


async def set_pins(session: AsyncSession, actor: Actor, account_id: int, repository_ids: Sequence[int]) -> None:
    """These repositories, in this order, are what the account shows first.

    An organization pins its own; a person what they may see. Errors: NotFound, Forbidden; PinsInvalid.
    """
    account = await authorize_pins(session, actor, account_id)
    await session.scalar(select(Account.id).where(Account.id == account_id).with_for_update())
    chosen = list(dict.fromkeys(repository_ids))
    if len(chosen) > PINS_MAX:
        raise _invalid(f"At most {PINS_MAX} repositories can be pinned; these are {len(chosen)}.")
    views = await views_of(session, actor, chosen)
    is_organizations = account.kind is AccountKind.ORGANIZATION
    for one in chosen:
        if one not in views or (is_organizations and views[one].owner_id != account_id):
            raise _invalid("One of these repositories is not there to be pinned.")
    await session.execute(delete(AccountPin).where(AccountPin.account_id == account_id))
    for position, repository_id in enumerate(chosen):
        session.add(AccountPin(account_id=account_id, repository_id=repository_id, position=position))
    await session.flush()
    details = {"repositories": " ".join(views[one].full_name for one in chosen)}
    record(session, actor, "account.pin", account.login, account_id=account_id, details=details)


async def list_pins(session: AsyncSession, actor: Actor, account_id: int) -> list[RepositoryView]:
    """Return what an account pinned and the actor may see, in its order."""
    # Primary keys of account_pin and repository.
    found = await session.scalars(
        select(AccountPin.repository_id)
        .join(Repository, Repository.id == AccountPin.repository_id)
        .where(AccountPin.account_id == account_id, visible(actor, Action.REPOSITORY_SEE, ACCESS_COLUMNS))
        .order_by(AccountPin.position)
        .limit(PINS_MAX)
    )
    ids = list(found)
    if not ids:
        return []
    views = await views_of(session, actor, ids)
    return [views[one] for one in ids if one in views]


async def forget_pins(session: AsyncSession, account_id: int) -> None:
    """An account that is gone pins nothing."""
    await session.execute(delete(AccountPin).where(AccountPin.account_id == account_id))


def _invalid(message: str) -> PinsInvalid:
    return PinsInvalid(message, FieldProblem("repositories", "invalid", message))
