"""Lists of repositories as one actor sees them: filters, orders, pages, and what an account owns."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.grants import reached_repositories, reaching_owners
from cairn.access.models import Grant, OrganizationMember
from cairn.access.roles import Role, Visibility
from cairn.access.visible import visible
from cairn.base.actor import Actor
from cairn.git.models import ManifestEntry, Pack
from cairn.identity.models import Account
from cairn.identity.queries import RepositoryCounts
from cairn.repositories.models import ACCESS_COLUMNS, Repository
from cairn.repositories.queries import RepositoryView, views_of

PER_PAGE_MAX = 100


@dataclass(frozen=True, slots=True)
class RepositoryPage:
    """Some repositories of a list, and how many the whole list has."""

    items: list[RepositoryView]
    total: int


class RepositorySort(StrEnum):
    """What a list is ordered by; GitHub's words."""

    FULL_NAME = "full_name"
    CREATED = "created"
    UPDATED = "updated"
    PUSHED = "pushed"
    STARS = "stars"


class Affiliation(StrEnum):
    """How an actor is tied to a repository; GitHub's words."""

    OWNER = "owner"
    COLLABORATOR = "collaborator"
    """By name, as a person: not through a team."""
    ORGANIZATION_MEMBER = "organization_member"
    """By membership of the organization it belongs to: its base permission, a team there, owning it all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFilter:
    """Which repositories a list holds, of those the actor may see; everything left out matches all."""

    owner_id: int | None = None
    affiliations: frozenset[Affiliation] | None = None
    """Ties to the actor who asks; None for no such wish."""
    visibilities: frozenset[Visibility] | None = None
    text: str = ""
    """Part of the name, the description or a topic, without case."""
    parent_id: int | None = None
    """Forks of it."""
    ids: frozenset[int] | None = None
    """These, at most as many as a statement takes parameters."""


async def list_repositories(
    session: AsyncSession,
    actor: Actor,
    wanted: RepositoryFilter,
    *,
    sort: RepositorySort = RepositorySort.FULL_NAME,
    descending: bool = False,
    page: int = 1,
    per_page: int = 30,
) -> RepositoryPage:
    """Return one page of the repositories the actor may see; three statements at most."""
    orders: dict[RepositorySort, list[Any]] = {
        # Not the bare column: PostgreSQL would go through all accounts in its index's order, and through the whole list
        # for each of them, as if the count below let it stop early.
        RepositorySort.FULL_NAME: [func.coalesce(Account.login_key, ""), Repository.name_key],
        RepositorySort.CREATED: [Repository.created_at],
        RepositorySort.UPDATED: [Repository.updated_at],
        RepositorySort.STARS: [Repository.stars_count],
        RepositorySort.PUSHED: [func.coalesce(Repository.pushed_at, Repository.created_at)],
    }
    return await page_of_visible(
        session,
        actor,
        _conditions(actor, wanted),
        order=[column.desc() if descending else column for column in [*orders[sort], Repository.id]],
        page=page,
        per_page=per_page,
        leads=wanted.owner_id is None,
        names_owner=sort is RepositorySort.FULL_NAME,
    )


async def page_of_visible(
    session: AsyncSession,
    actor: Actor,
    conditions: Sequence[ColumnElement[bool]],
    *,
    order: Sequence[Any],
    page: int,
    per_page: int,
    leads: bool = True,
    names_owner: bool = False,
) -> RepositoryPage:
    """Return one page of the repositories of which the conditions hold, of those the actor may see, in an order.

    ``leads``: nothing narrows the list to one owner's. ``names_owner``: the order names the owner's ``Account``.
    """
    # Of an owner: uq_repository_owner_id_name_key; else the indexes that visible() names.
    wanted = [visible(actor, Action.REPOSITORY_SEE, ACCESS_COLUMNS, leads=leads), *conditions]
    limit = max(1, min(per_page, PER_PAGE_MAX))
    offset = (max(page, 1) - 1) * limit
    # The page is chosen first: what a row shows besides (roles, counts) is worked out for its rows only. The whole is
    # counted by itself: to count it by the way, a database would keep and sort all of it.
    ids = select(Repository.id)
    if names_owner:
        ids = ids.join(Account, Account.id == Repository.owner_id)
    chosen = (await session.scalars(ids.where(*wanted).order_by(*order).limit(limit).offset(offset))).all()
    total = offset + len(chosen)
    if len(chosen) == limit or (offset and not chosen):
        total = await session.scalar(select(func.count()).select_from(Repository).where(*wanted)) or 0
    if not chosen:
        return RepositoryPage([], total)
    views = await views_of(session, actor, chosen)
    return RepositoryPage([views[repository_id] for repository_id in chosen if repository_id in views], total)


async def list_owned(session: AsyncSession, account_id: int) -> list[tuple[int, str]]:
    """Return id and name of every repository an account owns, by name. For our own code: it asks nobody."""
    # uq_repository_owner_id_name_key
    rows = await session.execute(
        select(Repository.id, Repository.name)
        .where(Repository.owner_id == account_id, Repository.is_deleted.is_(False))
        .order_by(Repository.name_key)
    )
    return [(repository_id, name) for repository_id, name in rows]


async def count_repositories(session: AsyncSession, account_id: int) -> RepositoryCounts:
    """Return how many repositories an account owns and the KiB their packs take, wikis included; three statements.

    Deleted ones that can be restored still take their place.
    """
    is_public = Repository.visibility == Visibility.PUBLIC
    # uq_repository_owner_id_name_key
    counted = await session.execute(
        select(is_public, func.count())
        .where(Repository.owner_id == account_id, Repository.is_deleted.is_(False))
        .group_by(is_public)
    )
    by_visibility = {bool(public): count for public, count in counted}
    pack_bytes = 0
    for store_id in (Repository.store_id, Repository.wiki_store_id):
        summed = await session.scalar(
            select(func.coalesce(func.sum(Pack.pack_bytes), 0))
            .join(ManifestEntry, (ManifestEntry.pack_store_id == Pack.store_id) & (ManifestEntry.pack_id == Pack.id))
            .join(Repository, store_id == ManifestEntry.store_id)
            .where(Repository.owner_id == account_id)
        )
        pack_bytes += int(summed or 0)
    return RepositoryCounts(
        public=by_visibility.get(True, 0), private=by_visibility.get(False, 0), disk_kib=pack_bytes >> 10
    )


def _conditions(actor: Actor, wanted: RepositoryFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.owner_id is not None:
        found.append(Repository.owner_id == wanted.owner_id)
    if wanted.parent_id is not None:
        found.append(Repository.parent_id == wanted.parent_id)
    if wanted.ids is not None:
        found.append(Repository.id.in_(sorted(wanted.ids)))
    if wanted.visibilities is not None:
        found.append(Repository.visibility.in_(sorted(wanted.visibilities)))
    if wanted.affiliations is not None:
        ties: list[ColumnElement[bool]] = [literal(value=False)]
        if Affiliation.OWNER in wanted.affiliations:
            ties.append(Repository.owner_id == actor.account_id)
        if Affiliation.COLLABORATOR in wanted.affiliations:
            ties.append(
                exists(
                    select(literal(1)).where(Grant.account_id == actor.account_id, Grant.repository_id == Repository.id)
                )
            )
        if Affiliation.ORGANIZATION_MEMBER in wanted.affiliations and actor.account_id is not None:
            ties.append(and_(*_by_membership(actor.account_id)))
        found.append(or_(*ties))
    if wanted.text and not wanted.text.isprintable():
        found.append(literal(value=False))
    elif wanted.text:
        found.append(Repository.search_text.contains(wanted.text.lower(), autoescape=True))
    return found


def _by_membership(account_id: int) -> list[ColumnElement[bool]]:
    """Return what holds of the repositories an account reaches as a member of the organization that owns them."""
    # ix_organization_member_account_id_organization_id
    member = select(OrganizationMember.organization_id).where(OrganizationMember.account_id == account_id)
    ways = (
        Repository.owner_id.in_(reaching_owners(account_id, Role)),
        Repository.id.in_(reached_repositories(account_id, Role)),
    )
    return [Repository.owner_id.in_(member), or_(*ways)]
