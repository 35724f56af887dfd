"""Files of releases over REST: sent to ``/api/uploads``, had as JSON or as their bytes."""

from typing import Annotated, Any

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, Meta, UnsetType

from cairn.access.actions import Action
from cairn.base.errors import FieldProblem
from cairn.git.engine import Engine
from cairn.repositories.api_routes import REPOSITORY, follows_renames, read_repository
from cairn.repositories.queries import RepositoryView
from cairn.repositories.releases.assets import AssetInvalid, NewAsset, delete_asset, edit_asset, receive_asset
from cairn.repositories.releases.downloads import answer_asset
from cairn.repositories.releases.models import NAME_LENGTH_MAX
from cairn.repositories.releases.queries import find_asset, find_release
from cairn.repositories.releases.serializers import UPLOADS, asset_json, assets_json
from cairn.repositories.serializers import Json
from cairn.storage.storage import OBJECT_BYTES_MAX
from cairn.web.api import ApiAnswer, Page, media_format, read_page
from cairn.web.context import RequestContext, WebRequest
from cairn.web.routing import api

ASSET = f"{REPOSITORY}/releases/assets/{{asset_id:int}}"
OF_RELEASE = f"{REPOSITORY}/releases/{{release_id:int}}/assets"
UPLOAD = f"{UPLOADS}/repos/{{owner:str}}/{{repo:str}}/releases/{{release_id:int}}/assets"
Name = Annotated[str, Meta(max_length=NAME_LENGTH_MAX)]


class EditedAsset(msgspec.Struct):
    """What ``PATCH`` takes; the bytes of a file never change."""

    name: Name | UnsetType = UNSET
    label: Name | UnsetType | None = UNSET


@api.get(OF_RELEASE, action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def assets(context: RequestContext, owner: str, repo: str, release_id: int) -> Page[Json]:
    """Answer a page of a release's files, by name."""
    repository = await read_repository(context, owner, repo)
    async with context.site.database.read() as session:
        release = await find_release(session, context.actor, repository, release_id)
    asked = read_page(context)
    part = release.assets[asked.offset : asked.offset + asked.per_page]
    return Page(assets_json(context, repository, release, part), asked, total=len(release.assets))


@api.get(ASSET, action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def asset(context: RequestContext, owner: str, repo: str, asset_id: int) -> Any:  # noqa: ANN401 (object or bytes)
    """Answer a file as JSON, or for ``Accept: application/octet-stream`` its bytes or where they are."""
    repository = await read_repository(context, owner, repo)
    async with context.site.database.read() as session:
        found = await find_asset(session, context.actor, repository, asset_id)
    if media_format(context.request.headers.get("accept", "")) == "octet-stream":
        return await answer_asset(context, found)
    return await _show(context, repository, asset_id)


@api.post(
    UPLOAD,
    action=Action.REPOSITORY_PUSH,
    resource="repository",
    max_body_bytes=OBJECT_BYTES_MAX,
    streams_body=True,
)
@follows_renames
async def upload(
    context: RequestContext,
    engine: Engine,
    request: WebRequest,
    owner: str,
    repo: str,
    release_id: int,
    name: str = "",
    label: str = "",
) -> ApiAnswer:
    """Give a release one more file: the body, as it comes."""
    repository = await read_repository(context, owner, repo, Action.REPOSITORY_PUSH)
    if not name:
        problem = FieldProblem("name", "missing_field", "A file wants a name.", "ReleaseAsset")
        raise AssetInvalid("Validation Failed", problem)
    declared = request.headers.get("content-length", "")
    new = NewAsset(
        name=name,
        label=label,
        content_type=request.headers.get("content-type", ""),
        size=int(declared) if declared.isdigit() and declared.isascii() and len(declared) < 19 else None,
    )
    asset_id = await receive_asset(engine, context.actor, repository, release_id, new, request.stream())
    shown = await _show(context, repository, asset_id)
    return ApiAnswer(shown, 201, {"Location": shown["url"]})


@api.patch(ASSET, action=Action.REPOSITORY_PUSH, resource="repository")
@follows_renames
async def edit(context: RequestContext, owner: str, repo: str, asset_id: int, body: EditedAsset) -> Json:
    """Give a file another name or label."""
    repository = await read_repository(context, owner, repo, Action.REPOSITORY_PUSH)
    async with context.site.database.write() as session:
        await edit_asset(
            session,
            context.actor,
            repository,
            asset_id,
            name=None if body.name is UNSET else body.name,
            label=None if body.label is UNSET else body.label or "",
        )
    return await _show(context, repository, asset_id)


@api.delete(ASSET, action=Action.REPOSITORY_PUSH, resource="repository")
@follows_renames
async def remove(context: RequestContext, owner: str, repo: str, asset_id: int) -> None:
    """Delete a file."""
    repository = await read_repository(context, owner, repo, Action.REPOSITORY_PUSH)
    async with context.site.database.write() as session:
        await delete_asset(session, context.actor, repository, asset_id)


async def _show(context: RequestContext, repository: RepositoryView, asset_id: int) -> Json:
    async with context.site.database.read() as session:
        found = await find_asset(session, context.actor, repository, asset_id)
        release = await find_release(session, context.actor, repository, found.release_id)
    return asset_json(context, repository, found, tag=release.tag)


route_handlers: list[HTTPRouteHandler] = [assets, asset, upload, edit, remove]
