"""Reading repositories as one actor sees them: what is hidden is absent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    false,
    func,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from cairn.access.actions import Action
from cairn.access.authorize import authorize, granted_role
from cairn.access.decide import decide, effective_role
from cairn.access.roles import Role, Visibility
from cairn.access.scopes import RepositoryScope
from cairn.access.visible import shape_of, visible
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.git.models import Store
from cairn.git.store_state import lock_stores
from cairn.git.types import RefName, show
from cairn.identity.models import Account, AccountKind, AccountRename
from cairn.identity.names import is_login
from cairn.repositories.languages.bar import colour_of
from cairn.repositories.life.models import RepositoryStar, RepositoryWatch, WatchLevel
from cairn.repositories.models import ACCESS_COLUMNS, Repository, RepositoryRename, access_columns
from cairn.repositories.names import is_repository_name

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
    is_template: bool = False
    template_id: int | None = None
    """The repository whose files it began with, if somebody used it as a template."""
    license: str = ""
    """SPDX's name of its licence; empty without any."""
    stars_count: int = 0
    watchers_count: int = 0
    is_starred: bool = False
    """By the actor."""
    watch_level: WatchLevel = WatchLevel.PARTICIPATING
    """The actor's."""
    has_wiki: bool = True
    is_wiki_open: bool = False
    """Everybody who is signed in may edit the wiki, as long as the repository is public."""
    wiki_store_id: int | None = None
    """The store of its wiki; None where nobody wrote one."""
    has_lfs_in_archives: bool = False
    """Its archives have large objects in them, not their pointers."""
    allows_lost_lfs: bool = False
    """Pushes may bring pointers whose large objects are not here."""
    mirror_url: str = ""
    """What it follows as a mirror; empty for others."""
    is_mirror: bool = False
    """All its branches and tags come from there: nobody changes any here."""

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
                Repository.is_deleted,
                granted_role(actor, ACCESS_COLUMNS),
            ).where(Repository.id == repository_id)
        )
    ).one_or_none()
    if row is None:
        return None
    owner_id, visibility, is_archived, is_withheld, is_deleted, role = row
    return RepositoryScope(repository_id, owner_id, visibility, role, is_archived, is_withheld, is_deleted)


async def views_of(session: AsyncSession, actor: Actor, repository_ids: Sequence[int]) -> dict[int, RepositoryView]:
    """Return those of some repositories that the actor may see anything of, by id; one statement."""
    views = [_view(actor, row) for row in await _rows(session, actor, _BY_IDS, repository_ids=list(repository_ids))]
    return {view.id: view for view in views if view is not None}


async def lock_repository(
    session: AsyncSession, repository_id: int, *, is_deleted: bool = False
) -> tuple[Repository, Store]:
    """Lock a repository, its store and its wiki's until the transaction ends; NotFound if it is gone.

    So it is if it was deleted; only who restores or erases it asks for those that are.

    The stores first, as a push does, so that the two never wait for each other.
    """
    stores = select(Repository.store_id, Repository.wiki_store_id).where(Repository.id == repository_id)
    found = (await session.execute(stores)).one_or_none()
    if found is None:
        raise NotFound("Not Found")
    store_id, wiki_store_id = found
    store = (await lock_stores(session, [store_id] if wiki_store_id is None else [store_id, wiki_store_id]))[store_id]
    repository = await session.scalar(
        select(Repository)
        .where(Repository.id == repository_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if repository is None or repository.is_deleted is not is_deleted:
        raise NotFound("Not Found")
    return repository, store


_Parent, _ParentOwner, _Fork = aliased(Repository), aliased(Account), aliased(Repository)
_PARENT_COLUMNS, _FORK_COLUMNS = access_columns(_Parent), access_columns(_Fork)


_ASKING = bindparam("asking_account_id", type_=BigInteger)
_BY_NAME = (Account.login_key == bindparam("owner_key"), Repository.name_key == bindparam("name_key"))
_BY_ID = (Repository.id == bindparam("repository_id"),)
_BY_OWNER = (Repository.owner_id == bindparam("owner_id"), Repository.name_key == bindparam("name_key"))
_BY_IDS = (Repository.id.in_(bindparam("repository_ids", expanding=True)),)
_Which = tuple[ColumnElement[bool], ...]
_Statement = Select[Repository, str, bytes, Role | None, str, str, int, AccountKind, datetime | None, WatchLevel | None]
_Row = Row[Repository, str, bytes, Role | None, str, str, int, AccountKind, datetime | None, WatchLevel | None]


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
            RepositoryStar.starred_at,
            RepositoryWatch.level,
        )
        .join(Account, Account.id == Repository.owner_id)
        .join(Store, Store.id == Repository.store_id)
        .outerjoin(_Parent, and_(_Parent.id == Repository.parent_id, sees_parent))
        .outerjoin(_ParentOwner, _ParentOwner.id == _Parent.owner_id)
        # Primary keys of both.
        .outerjoin(RepositoryStar, _own(RepositoryStar, actor, asking))
        .outerjoin(RepositoryWatch, _own(RepositoryWatch, actor, asking))
        .where(*which)
    )


def _own(
    table: type[RepositoryStar | RepositoryWatch], actor: Actor, asking: ColumnElement[int] | None
) -> ColumnElement[bool]:
    """Return the condition for the actor's own row beside the repository's; nobody has none."""
    if actor.account_id is None:
        return false()
    return and_(
        table.repository_id == Repository.id, table.account_id == (actor.account_id if asking is None else asking)
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
    (
        repository,
        owner,
        head_target,
        granted,
        parent_owner,
        parent_name,
        forks_count,
        owner_kind,
        starred_at,
        watch_level,
    ) = row
    scope = RepositoryScope(
        repository.id,
        repository.owner_id,
        repository.visibility,
        granted,
        repository.is_archived,
        repository.is_withheld,
        repository.is_deleted,
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
        is_template=repository.is_template,
        template_id=repository.template_id,
        license=repository.license,
        stars_count=repository.stars_count,
        watchers_count=repository.watchers_count,
        is_starred=starred_at is not None,
        watch_level=watch_level or WatchLevel.PARTICIPATING,
        has_wiki=repository.has_wiki,
        is_wiki_open=repository.is_wiki_open,
        wiki_store_id=repository.wiki_store_id,
        has_lfs_in_archives=repository.has_lfs_in_archives,
        allows_lost_lfs=repository.allows_lost_lfs,
        mirror_url=repository.mirror_url,
        is_mirror=repository.is_mirror,
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
