"""Finding releases and their files: always through the repository, and drafts only for who may push there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from cairn.access.actions import Action
from cairn.access.decide import decide
from cairn.base.actor import Actor
from cairn.base.errors import NotFoundHere
from cairn.git.types import show
from cairn.identity.models import Account, AccountKind
from cairn.repositories.queries import RepositoryView
from cairn.repositories.releases.models import Release, ReleaseAsset, ReleaseFile

_Author, _Uploader = aliased(Account), aliased(Account)


class ReleaseMissing(NotFoundHere):
    """The repository has no such release, or no such file of one, for this caller."""

    def __init__(self) -> None:
        super().__init__("Not Found")


@dataclass(frozen=True, slots=True)
class Person:
    """An account as releases mention it."""

    id: int
    login: str
    kind: AccountKind
    is_site_admin: bool


@dataclass(frozen=True, slots=True)
class AssetView:
    """A file of a release; ``key`` is where its bytes are."""

    id: int
    release_id: int
    name: str
    label: str
    content_type: str
    size: int
    sha256: str
    download_count: int
    created_at: datetime
    updated_at: datetime
    uploader: Person | None
    key: str


@dataclass(frozen=True, slots=True)
class ReleaseView:
    """A release with its files, by name."""

    id: int
    repository_id: int
    tag: bytes
    target: str
    name: str
    notes: str
    is_prerelease: bool
    is_latest: bool
    may_be_latest: bool
    created_at: datetime
    published_at: datetime | None
    updated_at: datetime
    author: Person | None
    assets: tuple[AssetView, ...]

    @property
    def is_draft(self) -> bool:
        """True while only those see it who may push."""
        return self.published_at is None

    @property
    def tag_name(self) -> str:
        """The tag for people."""
        return show(self.tag)

    @property
    def title(self) -> str:
        """What it is called: its name, else its tag."""
        return self.name or self.tag_name

    def asset_named(self, name: str) -> AssetView | None:
        """Return the file of this name."""
        return next((asset for asset in self.assets if asset.name == name), None)


@dataclass(frozen=True, slots=True)
class ReleasePage:
    """Some releases, newest first, and how many there are in all."""

    releases: list[ReleaseView]
    total: int


def sees_drafts(actor: Actor, repository: RepositoryView) -> bool:
    """Tell whether drafts exist for this actor: for who may push, or could if the repository were not archived."""
    return decide(actor, Action.REPOSITORY_PUSH, replace(repository.scope, is_archived=False)).allowed


def _visible(actor: Actor, repository: RepositoryView) -> list[ColumnElement[bool]]:
    conditions = [Release.repository_id == repository.id]
    if not sees_drafts(actor, repository):
        conditions.append(Release.published_at.is_not(None))
    return conditions


async def list_releases(
    session: AsyncSession, actor: Actor, repository: RepositoryView, *, offset: int, limit: int, text: str = ""
) -> ReleasePage:
    """Return a page of the releases the actor may see, whose name or tag has ``text`` in it; three statements."""
    conditions = _visible(actor, repository)
    if text:
        conditions.append(Release.search_text.contains(text.lower(), autoescape=True))
    total = await session.scalar(select(func.count()).select_from(Release).where(*conditions))
    # ix_repository_release_repository_id_created_at
    found = _select().where(*conditions).order_by(Release.created_at.desc(), Release.id.desc())
    return ReleasePage(await _views(session, found.offset(offset).limit(limit)), total or 0)


async def count_releases(session: AsyncSession, actor: Actor, repository: RepositoryView) -> int:
    """Return how many releases the actor may see."""
    return await session.scalar(select(func.count(Release.id)).where(*_visible(actor, repository))) or 0


async def find_release(session: AsyncSession, actor: Actor, repository: RepositoryView, release_id: int) -> ReleaseView:
    """Return one release by its number. Errors: ReleaseMissing."""
    return await _one(session, [*_visible(actor, repository), Release.id == release_id])


async def find_release_of_tag(session: AsyncSession, repository: RepositoryView, tag: bytes) -> ReleaseView:
    """Return what is published under a tag. Errors: ReleaseMissing."""
    # uq_repository_release_repository_id_published_tag
    return await _one(session, [Release.repository_id == repository.id, Release.published_tag == tag])


async def find_latest(session: AsyncSession, repository: RepositoryView) -> ReleaseView | None:
    """Return the latest release, None where nothing is."""
    conditions = [Release.repository_id == repository.id, Release.is_latest.is_(True)]
    return next(iter(await _views(session, _select().where(*conditions).limit(1))), None)


async def tags_with_releases(
    session: AsyncSession, repository: RepositoryView, tags: Sequence[bytes]
) -> frozenset[bytes]:
    """Return those of the tags under which something is published."""
    if not tags:
        return frozenset()
    found = select(Release.tag).where(Release.repository_id == repository.id, Release.published_tag.in_(tags))
    return frozenset(bytes(tag) for tag in await session.scalars(found))


async def find_asset(session: AsyncSession, actor: Actor, repository: RepositoryView, asset_id: int) -> AssetView:
    """Return one file by its number, if the actor may see its release. Errors: ReleaseMissing."""
    conditions = [*_visible(actor, repository), ReleaseAsset.id == asset_id]
    row = (
        await session.execute(_select_assets().join(Release, Release.id == ReleaseAsset.release_id).where(*conditions))
    ).one_or_none()
    if row is None:
        raise ReleaseMissing
    asset, key, uploader = row
    return _asset(asset, key, uploader)


def _select() -> Select[Release, Account]:
    return select(Release, _Author).outerjoin(_Author, _Author.id == Release.author_id)


def _select_assets() -> Select[ReleaseAsset, str | None, Account]:
    # pk_release_file
    return (
        select(ReleaseAsset, ReleaseFile.key, _Uploader)
        .join(
            ReleaseFile,
            (ReleaseFile.repository_id == ReleaseAsset.repository_id) & (ReleaseFile.id == ReleaseAsset.file_id),
        )
        .outerjoin(_Uploader, _Uploader.id == ReleaseAsset.uploader_id)
    )


async def _one(session: AsyncSession, conditions: Sequence[ColumnElement[bool]]) -> ReleaseView:
    found = await _views(session, _select().where(*conditions).limit(1))
    if not found:
        raise ReleaseMissing
    return found[0]


async def _views(session: AsyncSession, found: Select[Release, Account]) -> list[ReleaseView]:
    rows = (await session.execute(found.execution_options(populate_existing=True))).all()
    ids = [release.id for release, _ in rows]
    assets: dict[int, list[AssetView]] = {}
    if ids:
        # uq_repository_release_asset_release_id_name
        each = _select_assets().where(ReleaseAsset.release_id.in_(ids)).order_by(ReleaseAsset.name)
        for asset, key, uploader in await session.execute(each.execution_options(populate_existing=True)):
            assets.setdefault(asset.release_id, []).append(_asset(asset, key, uploader))
    return [_view(release, author, assets.get(release.id, [])) for release, author in rows]


def _view(release: Release, author: Account | None, assets: Sequence[AssetView]) -> ReleaseView:
    return ReleaseView(
        id=release.id,
        repository_id=release.repository_id,
        tag=bytes(release.tag),
        target=release.target,
        name=release.name,
        notes=release.notes,
        is_prerelease=release.is_prerelease,
        is_latest=release.is_latest,
        may_be_latest=release.may_be_latest,
        created_at=release.created_at,
        published_at=release.published_at,
        updated_at=release.updated_at,
        author=_person(author),
        assets=tuple(assets),
    )


def _asset(asset: ReleaseAsset, key: str | None, uploader: Account | None) -> AssetView:
    return AssetView(
        id=asset.id,
        release_id=asset.release_id,
        name=asset.name,
        label=asset.label,
        content_type=asset.content_type,
        size=asset.size,
        sha256=asset.sha256,
        download_count=asset.download_count,
        created_at=asset.created_at,
        updated_at=asset.updated_at,
        uploader=_person(uploader),
        key=key or "",
    )


def _person(account: Account | None) -> Person | None:
    if account is None:
        return None
    return Person(account.id, account.login, account.kind, account.is_site_admin)
