"""Pages that show releases, and the addresses of their files."""

from typing import Any
from urllib.parse import unquote

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.repositories.page_frame import address_of, header_of, open_repository_page
from cairn.repositories.queries import RepositoryView
from cairn.repositories.releases.downloads import answer_asset
from cairn.repositories.releases.queries import (
    ReleaseMissing,
    ReleaseView,
    find_latest,
    find_release,
    find_release_of_tag,
    list_releases,
    sees_drafts,
)
from cairn.repositories.releases.rendering import notes_for_page
from cairn.repositories.releases.serializers import release_path
from cairn.web.api import PAGE_MAX, http_date
from cairn.web.context import RequestContext
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

BASE = "/{owner:str}/{repo:str}/releases"
PER_PAGE = 10
FEED_ENTRIES = 20
_TEXT_CHARACTERS_MAX = 200


async def shown(context: RequestContext, repository: RepositoryView, release: ReleaseView) -> dict[str, Any]:
    """Return a release as ``_release.html`` wants it."""
    base = path_join(repository.owner, repository.name)
    return {
        "release": release,
        "notes": await notes_for_page(context, repository, release.notes, release.tag),
        "href": release_path(repository, release),
        "tree_href": base + path_join("tree", release.tag),
        "archives": [
            (f"Source code ({form})", f"{base}{path_join('archive', 'refs/tags')}/{path_join(release.tag)[1:]}.{form}")
            for form in ("zip", "tar.gz")
        ],
        "assets": [
            (asset, base + path_join("releases", "download", release.tag, asset.name)) for asset in release.assets
        ],
    }


@page.get(BASE, action=Action.REPOSITORY_READ, resource="repository")
async def releases(
    context: RequestContext,
    actor: Actor,
    owner: str,
    repo: str,
    q: str = "",
    page: int = 1,  # noqa: A002, RUF100 (the parameter's public name)
) -> Response[Any]:
    """Show releases with their notes and files, the newest first."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    number, text = max(1, min(page, PAGE_MAX)), q.strip()[:_TEXT_CHARACTERS_MAX].replace("\0", "")
    async with context.site.database.read() as session:
        found = await list_releases(
            session, actor, repository, offset=(number - 1) * PER_PAGE, limit=PER_PAGE, text=text
        )
    return render(
        context,
        "repositories/releases/list.html",
        **header_of(context, actor, repository, "releases"),
        rows=[await shown(context, repository, release) for release in found.releases],
        total=found.total,
        text=text,
        number=number,
        has_more=number * PER_PAGE < found.total,
        may_write=sees_drafts(actor, repository),
    )


@page.get(f"{BASE}/latest", action=Action.REPOSITORY_READ, resource="repository")
async def latest(context: RequestContext, actor: Actor, owner: str, repo: str) -> Response[Any]:
    """Lead to the latest release; to the list where there is none."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    async with context.site.database.read() as session:
        found = await find_latest(session, repository)
    if found is None:
        return redirect(path_join(repository.owner, repository.name, "releases"), status=302)
    return redirect(release_path(repository, found), status=302)


@page.get(f"{BASE}/latest/download/{{name:str}}", action=Action.REPOSITORY_READ, resource="repository")
async def latest_file(context: RequestContext, actor: Actor, owner: str, repo: str, name: str) -> Response[Any]:
    """Lead to a file of the latest release."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    async with context.site.database.read() as session:
        found = await find_latest(session, repository)
    if found is None or found.asset_named(name) is None:
        raise ReleaseMissing
    base = path_join(repository.owner, repository.name)
    return redirect(base + path_join("releases", "download", found.tag, name), status=302)


@page.get(f"{BASE}/tag/{{address:path}}", action=Action.REPOSITORY_READ, resource="repository")
async def of_tag(context: RequestContext, actor: Actor, owner: str, repo: str) -> Response[Any]:
    """Show what is published under a tag."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    async with context.site.database.read() as session:
        release = await find_release_of_tag(session, repository, _below(context, "tag"))
    return await _show(context, actor, repository, release)


@page.get(f"{BASE}/{{release_id:int}}", action=Action.REPOSITORY_READ, resource="repository")
async def by_number(context: RequestContext, actor: Actor, owner: str, repo: str, release_id: int) -> Response[Any]:
    """Show a draft; what is published has its tag's address."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    async with context.site.database.read() as session:
        release = await find_release(session, actor, repository, release_id)
    if not release.is_draft:
        return redirect(release_path(repository, release), status=302)
    return await _show(context, actor, repository, release)


async def _show(
    context: RequestContext, actor: Actor, repository: RepositoryView, release: ReleaseView
) -> Response[Any]:
    return render(
        context,
        "repositories/releases/one.html",
        **header_of(context, actor, repository, "releases"),
        row=await shown(context, repository, release),
        may_write=sees_drafts(actor, repository),
    )


@page.get(f"{BASE}/download/{{address:path}}", action=Action.REPOSITORY_READ, resource="repository")
async def download(context: RequestContext, actor: Actor, owner: str, repo: str) -> Response[Any] | Stream:
    """Answer a file of a published release, by its tag and its name."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    tag, _, name = _below(context, "download").rpartition(b"/")
    async with context.site.database.read() as session:
        release = await find_release_of_tag(session, repository, tag)
    asset = release.asset_named(name.decode("utf-8", "replace"))
    if asset is None:
        raise ReleaseMissing
    return await answer_asset(context, asset)


@page.get(f"{BASE}.atom", action=Action.REPOSITORY_READ, resource="repository")
async def feed(context: RequestContext, actor: Actor, owner: str, repo: str) -> Response[Any]:
    """Answer the newest published releases as a feed (RFC 4287)."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    async with context.site.database.read() as session:
        found = await list_releases(session, actor, repository, offset=0, limit=FEED_ENTRIES)
    published = [release for release in found.releases if not release.is_draft]
    entries = [await shown(context, repository, release) for release in published]
    answer: Response[Any] = render(
        context,
        "repositories/releases/feed.xml",
        repository=repository,
        origin=context.settings.origin,
        base=path_join(repository.owner, repository.name),
        entries=entries,
        updated_at=max((release.updated_at for release in published), default=repository.created_at),
    )
    answer.media_type = "application/atom+xml; charset=utf-8"
    if published:
        answer.headers["Last-Modified"] = http_date(max(release.updated_at for release in published))
    return answer


def _below(context: RequestContext, verb: str) -> bytes:
    """Return what follows ``/releases/{verb}/`` as bytes: tags have no encoding."""
    return address_of(context).removeprefix(unquote(verb).encode() + b"/")


route_handlers: list[HTTPRouteHandler] = [
    releases,
    latest,
    latest_file,
    of_tag,
    by_number,
    download,
    feed,
]
