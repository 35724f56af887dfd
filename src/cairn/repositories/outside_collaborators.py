"""Outside collaborators with what they work on. Who they are is ``identity``'s to say; the repositories are ours."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.models import Grant
from cairn.access.roles import Role
from cairn.base.actor import Actor
from cairn.identity.organization_members import list_outside_collaborators
from cairn.repositories.models import Repository

REPOSITORIES_SHOWN = 20
"""Of one person; the page says how many there are besides."""


@dataclass(frozen=True, slots=True)
class Outsider:
    """Somebody who is no member but has a role on ``total`` repositories, of which these are the first by name."""

    account_id: int
    login: str
    name: str
    total: int
    repositories: tuple[tuple[str, Role], ...]


@dataclass(frozen=True, slots=True)
class OutsiderPage:
    """Some outside collaborators of a list, and how many the whole list has."""

    items: list[Outsider]
    total: int


async def list_outsiders(
    session: AsyncSession, actor: Actor, organization_id: int, *, page: int = 1, per_page: int = 50
) -> OutsiderPage:
    """Return one page of an organization's outside collaborators by name; for owners. Errors: NotFound, Forbidden."""
    people = await list_outside_collaborators(session, actor, organization_id)
    shown = people[(max(page, 1) - 1) * per_page :][:per_page]
    # uq_repository_owner_id_name_key, primary key of access_grant.
    rows = await session.execute(
        select(Grant.account_id, Repository.name, Grant.role)
        .join(Repository, Repository.id == Grant.repository_id)
        .where(
            Repository.owner_id == organization_id,
            Repository.is_deleted.is_(False),
            Grant.account_id.in_([one.account_id for one in shown]),
        )
        .order_by(Repository.name_key)
    )
    found: dict[int, list[tuple[str, Role]]] = {one.account_id: [] for one in shown}
    for account_id, name, role in rows:
        if len(found[account_id]) < REPOSITORIES_SHOWN:
            found[account_id].append((name, role))
    items = [
        Outsider(one.account_id, one.login, one.name, one.repositories, tuple(found[one.account_id])) for one in shown
    ]
    return OutsiderPage(items, len(people))
