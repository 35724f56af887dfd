"""Reading repositories as one actor sees them: what is hidden is absent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, Select, and_, bindparam, exists, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from cairn.access.actions import Action
from cairn.access.authorize import authorize, granted_role
from cairn.access.decide import decide, effective_role
from cairn.access.grants import reached_repositories, reaching_owners
from cairn.access.models import Grant, OrganizationMember
from cairn.access.roles import Role, Visibility
from cairn.access.scopes import RepositoryScope
from cairn.access.visible import RepositoryColumns, shape_of, visible
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.git.models import ManifestEntry, Pack, Store
from cairn.git.store_state import lock_stores
from cairn.git.types import RefName, show
from cairn.identity.models import Account, AccountKind, AccountRename
from cairn.identity.names import is_login
from cairn.identity.queries import RepositoryCounts
from cairn.repositories.languages.bar import colour_of
from cairn.repositories.models import ACCESS_COLUMNS, Repository, RepositoryRename
from cairn.repositories.names import is_repository_name

PER_PAGE_MAX = 100
BRANCH_PREFIX = b"refs/heads/"


class RepositoryMoved(NotFound):
    """The repository has another name now, and the actor may read it there: send them on."""

    def __init__(self, *, repository_id: int, owner: str, name: str) -> None:
        super().__init__(f"This repository is now {owner}/{name}.")
        self.repository_id = repository_id
        self.owner = owner
        self.name = name


@dataclass(frozen=True, slots=True)
class RepositoryView:
    """A repository as one actor sees it; ``role`` is what the actor has there before a token narrows it."""

    id: int
    owner_id: int
    owner: str
    name: str
    store_id: int
    head_target: RefName
    visibility: Visibility
    description: str
    homepage: str
    is_archived: bool
    created_at: datetime
    updated_at: datetime
    pushed_at: datetime | None
    role: Role
    scope: RepositoryScope
    parent_id: int | None = None
    source_id: int | None = None
    parent_name: str = ""
    """Owner and name of what this was forked from; empty if there is no such thing for the actor."""
    forks_count: int = 0
    """Its direct forks, as many as the actor may see."""
    is_organizations: bool = False
    """Its owner is an organization."""
    language: str | None = None
    """What most of it is written in; None before that is known, or where there is no code."""
    topics: tuple[str, ...] = ()
    """What it is about, in the order its people gave."""

    @property
    def language_colour(self) -> str:
        """The colour of its language, as a style sheet writes it."""
        return colour_of(self.language or "")

    @property
    def is_fork(self) -> bool:
        """True if it was forked from another repository that still exists."""
        return self.parent_id is not None

    @property
    def full_name(self) -> str:
        """Owner and name."""
        return f"{self.owner}/{self.name}"

    @property
    def is_private(self) -> bool:
        """True unless everybody may read it."""
        return self.visibility is not Visibility.PUBLIC

    @property
    def default_branch(self) -> str:
        """The short name of the branch HEAD points to, born or not."""
        return show(self.head_target.removeprefix(BRANCH_PREFIX))


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


def branch_ref(branch: str) -> RefName:
    """Return the full ref name of a branch that somebody named; what no name can hold becomes ``?``, which none has."""
    return BRANCH_PREFIX + branch.encode("utf-8", "replace")


async def find_repository(
    session: AsyncSession, actor: Actor, owner: str, name: str, action: Action = Action.REPOSITORY_READ
) -> RepositoryView:
    """Return a repository the actor may do ``action`` to.

    Errors: NotFound for what is absent or hidden; RepositoryMoved after a rename; Unauthenticated; Forbidden.
    """
    if is_login(owner) and is_repository_name(name):
        # uq_account_login_key, uq_repository_owner_id_name_key
        found = await _first(session, actor, _BY_NAME, owner_key=owner.lower(), name_key=name.lower())
        if found is not None:
            await authorize(session, actor, action, found.scope)
            return found
        await _raise_if_moved(session, actor, owner, name)
    raise NotFound("Not Found")


async def find_repository_by_id(
    session: AsyncSession, actor: Actor, repository_id: int, action: Action = Action.REPOSITORY_READ
) -> RepositoryView:
    """Return a repository the actor may do ``action`` to. Errors as ``find_repository``."""
    found = await _first(session, actor, _BY_ID, repository_id=repository_id)
    if found is None:
        raise NotFound("Not Found")
    await authorize(session, actor, action, found.scope)
    return found


async def load_scope(session: AsyncSession, actor: Actor, repository_id: int) -> RepositoryScope | None:
    """Return what the rule reads of a repository for an actor, in one statement; None if it is absent."""
    row = (
        await session.execute(
            select(
                Repository.owner_id,
                Repository.visibility,
                Repository.is_archived,
                Repository.is_withheld,
                granted_role(actor, ACCESS_COLUMNS),
            ).where(Repository.id == repository_id)
        )
    ).one_or_none()
    if row is None:
        return None
    owner_id, visibility, is_archived, is_withheld, role = row
    return RepositoryScope(repository_id, owner_id, visibility, role, is_archived, is_withheld)


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
    found = {row[0].id: row for row in await _rows(session, actor, _BY_IDS, repository_ids=list(chosen))}
    views = [_view(actor, found[repository_id]) for repository_id in chosen if repository_id in found]
    return RepositoryPage([view for view in views if view is not None], total)


async def list_owned(session: AsyncSession, account_id: int) -> list[tuple[int, str]]:
    """Return id and name of every repository an account owns, by name. For our own code: it asks nobody."""
    # uq_repository_owner_id_name_key
    rows = await session.execute(
        select(Repository.id, Repository.name).where(Repository.owner_id == account_id).order_by(Repository.name_key)
    )
    return [(repository_id, name) for repository_id, name in rows]


async def count_repositories(session: AsyncSession, account_id: int) -> RepositoryCounts:
    """Return how many repositories an account owns and the KiB their packs take; two statements."""
    is_public = Repository.visibility == Visibility.PUBLIC
    # uq_repository_owner_id_name_key
    counted = await session.execute(
        select(is_public, func.count()).where(Repository.owner_id == account_id).group_by(is_public)
    )
    by_visibility = {bool(public): count for public, count in counted}
    pack_bytes = await session.scalar(
        select(func.coalesce(func.sum(Pack.pack_bytes), 0))
        .join(ManifestEntry, (ManifestEntry.pack_store_id == Pack.store_id) & (ManifestEntry.pack_id == Pack.id))
        .join(Repository, Repository.store_id == ManifestEntry.store_id)
        .where(Repository.owner_id == account_id)
    )
    return RepositoryCounts(
        public=by_visibility.get(True, 0), private=by_visibility.get(False, 0), disk_kib=int(pack_bytes or 0) >> 10
    )


async def lock_repository(session: AsyncSession, repository_id: int) -> tuple[Repository, Store]:
    """Lock a repository and its store until the transaction ends; NotFound if it is gone.

    The store first, as a push does, so that the two never wait for each other.
    """
    store_id = await session.scalar(select(Repository.store_id).where(Repository.id == repository_id))
    if store_id is None:
        raise NotFound("Not Found")
    store = (await lock_stores(session, [store_id]))[store_id]
    repository = await session.scalar(
        select(Repository)
        .where(Repository.id == repository_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if repository is None:
        raise NotFound("Not Found")
    return repository, store


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


_Parent, _ParentOwner, _Fork = aliased(Repository), aliased(Account), aliased(Repository)
_PARENT_COLUMNS = RepositoryColumns(
    _Parent.id, _Parent.owner_id, _Parent.visibility, _Parent.is_archived, _Parent.is_withheld
)
_FORK_COLUMNS = RepositoryColumns(_Fork.id, _Fork.owner_id, _Fork.visibility, _Fork.is_archived, _Fork.is_withheld)


_ASKING = bindparam("asking_account_id", type_=BigInteger)
_BY_NAME = (Account.login_key == bindparam("owner_key"), Repository.name_key == bindparam("name_key"))
_BY_ID = (Repository.id == bindparam("repository_id"),)
_BY_OWNER = (Repository.owner_id == bindparam("owner_id"), Repository.name_key == bindparam("name_key"))
_BY_IDS = (Repository.id.in_(bindparam("repository_ids", expanding=True)),)
_Which = tuple[ColumnElement[bool], ...]
_Statement = Select[Repository, str, bytes, Role | None, str, str, int, AccountKind]
_Row = Row[Repository, str, bytes, Role | None, str, str, int, AccountKind]


def _forks_count(actor: Actor, asking: ColumnElement[int] | None) -> ColumnElement[int]:
    seen = visible(actor, Action.REPOSITORY_READ, _FORK_COLUMNS, account_id=asking)
    # ix_repository_parent_id
    return (
        select(func.count())
        .select_from(_Fork)
        .where(_Fork.parent_id == Repository.id, seen)
        .correlate(Repository)
        .scalar_subquery()
    )


def _select(actor: Actor, which: _Which, *, asking: ColumnElement[int] | None) -> _Statement:
    sees_parent = visible(actor, Action.REPOSITORY_READ, _PARENT_COLUMNS, account_id=asking)
    return (
        select(
            Repository,
            Account.login,
            Store.head_target,
            granted_role(actor, ACCESS_COLUMNS, account_id=asking),
            _ParentOwner.login,
            _Parent.name,
            _forks_count(actor, asking),
            Account.kind,
        )
        .join(Account, Account.id == Repository.owner_id)
        .join(Store, Store.id == Repository.store_id)
        .outerjoin(_Parent, and_(_Parent.id == Repository.parent_id, sees_parent))
        .outerjoin(_ParentOwner, _ParentOwner.id == _Parent.owner_id)
        .where(*which)
    )


@lru_cache(maxsize=256)
def _kept(shape: Actor, which: _Which) -> _Statement:
    """Return the statement for all actors of one shape: to build it costs as much as to run it."""
    return _select(shape, which, asking=_ASKING)


async def _rows(session: AsyncSession, actor: Actor, which: _Which, **values: object) -> Sequence[_Row]:
    """Return what ``_view`` reads of the repositories ``which`` finds, in no order; one statement."""
    shape = shape_of(actor)
    if shape is None:
        return (await session.execute(_select(actor, which, asking=None), values)).all()
    return (await session.execute(_kept(shape, which), values | {"asking_account_id": actor.account_id})).all()


async def _first(session: AsyncSession, actor: Actor, which: _Which, **values: object) -> RepositoryView | None:
    rows = await _rows(session, actor, which, **values)
    assert len(rows) <= 1, "each of these names is unique"
    return _view(actor, rows[0]) if rows else None


def _view(actor: Actor, row: _Row) -> RepositoryView | None:
    """Return the row as a view; None if the actor has no role at all there."""
    repository, owner, head_target, granted, parent_owner, parent_name, forks_count, owner_kind = row
    scope = RepositoryScope(
        repository.id,
        repository.owner_id,
        repository.visibility,
        granted,
        repository.is_archived,
        repository.is_withheld,
    )
    role = effective_role(actor, scope)
    if role is None:
        return None
    return RepositoryView(
        id=repository.id,
        owner_id=repository.owner_id,
        owner=owner,
        name=repository.name,
        store_id=repository.store_id,
        head_target=bytes(head_target),
        visibility=repository.visibility,
        description=repository.description,
        homepage=repository.homepage,
        is_archived=repository.is_archived,
        created_at=repository.created_at,
        updated_at=repository.updated_at,
        pushed_at=repository.pushed_at,
        role=role,
        scope=scope,
        parent_id=repository.parent_id,
        source_id=repository.source_id,
        parent_name=f"{parent_owner}/{parent_name}" if parent_name else "",
        forks_count=forks_count,
        is_organizations=owner_kind is AccountKind.ORGANIZATION,
        language=repository.language,
        topics=tuple(repository.topics.split()),
    )


async def _raise_if_moved(session: AsyncSession, actor: Actor, owner: str, name: str) -> None:
    owner_id = await session.scalar(select(Account.id).where(Account.login_key == owner.lower()))
    if owner_id is None:
        owner_id = await session.scalar(
            select(AccountRename.account_id).where(AccountRename.login_key == owner.lower())
        )
        if owner_id is None:
            return
        # The owner moved with all repositories, under the names they have.
        found = await _first(session, actor, _BY_OWNER, owner_id=owner_id, name_key=name.lower())
        if found is not None and decide(actor, Action.REPOSITORY_READ, found.scope).allowed:
            raise RepositoryMoved(repository_id=found.id, owner=found.owner, name=found.name)
    repository_id = await session.scalar(
        select(RepositoryRename.repository_id).where(
            RepositoryRename.owner_id == owner_id, RepositoryRename.name_key == name.lower()
        )
    )
    if repository_id is None:
        return
    found = await _first(session, actor, _BY_ID, repository_id=repository_id)
    if found is not None and decide(actor, Action.REPOSITORY_READ, found.scope).allowed:
        raise RepositoryMoved(repository_id=found.id, owner=found.owner, name=found.name)
