"""Releases and their files as GitHub's API writes them."""

from collections.abc import Sequence
from urllib.parse import quote

from cairn.identity.models import AccountKind
from cairn.repositories.queries import RepositoryView
from cairn.repositories.releases.queries import AssetView, Person, ReleaseView
from cairn.repositories.serializers import API, Json, user_json
from cairn.web.api import api_time
from cairn.web.context import RequestContext
from cairn.web.node_ids import make_node_id
from cairn.web.urls import path_join

UPLOADS = "/api/uploads"
"""Where files are sent: below ``/api/``, as clients ask it of a server of one's own."""


def release_json(context: RequestContext, repository: RepositoryView, release: ReleaseView) -> Json:
    """Return a release in full."""
    origin, path = context.settings.origin, path_join(repository.owner, repository.name)
    api = f"{origin}{API}/repos{path}"
    url = f"{api}/releases/{release.id}"
    ball = quote(f"refs/tags/{release.tag_name}", safe="/")
    return {
        "url": url,
        "assets_url": f"{url}/assets",
        "upload_url": f"{origin}{UPLOADS}/repos{path}/releases/{release.id}/assets{{?name,label}}",
        "html_url": origin + release_path(repository, release),
        "id": release.id,
        "author": _person_json(context, release.author),
        "node_id": make_node_id("RE", release.id),
        "tag_name": release.tag_name,
        "target_commitish": release.target or repository.default_branch,
        "name": release.name or None,
        "draft": release.is_draft,
        "immutable": False,
        "prerelease": release.is_prerelease,
        "created_at": api_time(release.created_at),
        "updated_at": api_time(release.updated_at),
        "published_at": api_time(release.published_at),
        "assets": assets_json(context, repository, release, release.assets),
        "tarball_url": None if release.is_draft else f"{api}/tarball/{ball}",
        "zipball_url": None if release.is_draft else f"{api}/zipball/{ball}",
        "body": release.notes or None,
        "discussion_url": None,
        "mentions_count": 0,
    }


def assets_json(
    context: RequestContext, repository: RepositoryView, release: ReleaseView, assets: Sequence[AssetView]
) -> list[Json]:
    """Return files of a release."""
    return [asset_json(context, repository, asset, tag=release.tag) for asset in assets]


def asset_json(context: RequestContext, repository: RepositoryView, asset: AssetView, *, tag: bytes) -> Json:
    """Return one file."""
    origin, path = context.settings.origin, path_join(repository.owner, repository.name)
    return {
        "url": f"{origin}{API}/repos{path}/releases/assets/{asset.id}",
        "browser_download_url": f"{origin}{path}{path_join('releases', 'download', tag, asset.name)}",
        "id": asset.id,
        "node_id": make_node_id("RA", asset.id),
        "name": asset.name,
        "label": asset.label,
        "state": "uploaded",
        "content_type": asset.content_type,
        "size": asset.size,
        "digest": f"sha256:{asset.sha256}",
        "download_count": asset.download_count,
        "created_at": api_time(asset.created_at),
        "updated_at": api_time(asset.updated_at),
        "uploader": _person_json(context, asset.uploader),
    }


def release_path(repository: RepositoryView, release: ReleaseView) -> str:
    """Return the address of a release's page: its tag's, or of a draft its number's."""
    if release.is_draft:
        return path_join(repository.owner, repository.name, "releases", str(release.id))
    return path_join(repository.owner, repository.name, "releases", "tag", release.tag)


def _person_json(context: RequestContext, person: Person | None) -> Json:
    if person is None:
        return user_json(context, 0, "ghost", kind=AccountKind.USER)
    return user_json(context, person.id, person.login, kind=person.kind, is_site_admin=person.is_site_admin)
