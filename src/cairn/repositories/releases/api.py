"""Releases over REST, as gh and PyGithub use them."""

from typing import Annotated, Any

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, Meta, UnsetType

from cairn.access.actions import Action
from cairn.git.engine import Engine
from cairn.repositories.api_routes import REPOSITORY, follows_renames, read_repository, rest_of_path
from cairn.repositories.queries import RepositoryView
from cairn.repositories.releases.latest import MakeLatest
from cairn.repositories.releases.models import NAME_LENGTH_MAX, NOTES_LENGTH_MAX
from cairn.repositories.releases.notes import generate_notes
from cairn.repositories.releases.queries import (
    ReleaseMissing,
    ReleaseView,
    find_latest,
    find_release,
    find_release_of_tag,
    list_releases,
)
from cairn.repositories.releases.releases import ReleaseMoved, Wanted, create_release, delete_release, update_release
from cairn.repositories.releases.rendering import render_notes
from cairn.repositories.releases.serializers import release_json
from cairn.repositories.serializers import Json
from cairn.web.api import ApiAnswer, Page, media_format, read_page
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.routing import api

RELEASES = f"{REPOSITORY}/releases"
ONE = f"{RELEASES}/{{release_id:int}}"
_ATTEMPTS_MAX = 5
Text = Annotated[str, Meta(max_length=NOTES_LENGTH_MAX)]
Name = Annotated[str, Meta(max_length=NAME_LENGTH_MAX)]


class NewRelease(msgspec.Struct):
    """What ``POST /releases`` takes."""

    tag_name: Name
    target_commitish: Name | None = None
    name: Name | None = None
    body: Text | None = None
    draft: bool = False
    prerelease: bool = False
    generate_release_notes: bool = False
    make_latest: MakeLatest | None = None


class EditedRelease(msgspec.Struct):
    """What ``PATCH /releases/{id}`` takes: what is absent stays."""

    tag_name: Name | UnsetType = UNSET
    target_commitish: Name | UnsetType | None = UNSET
    name: Name | UnsetType | None = UNSET
    body: Text | UnsetType | None = UNSET
    draft: bool | UnsetType = UNSET
    prerelease: bool | UnsetType = UNSET
    make_latest: MakeLatest | None = None


class WantedNotes(msgspec.Struct):
    """What ``POST /releases/generate-notes`` takes."""

    tag_name: Name
    target_commitish: Name | None = None
    previous_tag_name: Name | None = None


@api.get(RELEASES, action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def releases(context: RequestContext, owner: str, repo: str) -> Page[Json]:
    """Answer a page of releases, the newest first; drafts are among them for who may push."""
    repository = await read_repository(context, owner, repo)
    asked = read_page(context)
    async with context.site.database.read() as session:
        page = await list_releases(session, context.actor, repository, offset=asked.offset, limit=asked.per_page)
    shown = [await _show(context, repository, release) for release in page.releases]
    return Page(shown, asked, total=page.total)


@api.post(RELEASES, action=Action.REPOSITORY_PUSH, resource="repository")
@follows_renames
async def create(context: RequestContext, engine: Engine, owner: str, repo: str, body: NewRelease) -> ApiAnswer:
    """Write a release, and publish it unless it is a draft."""
    repository = await read_repository(context, owner, repo, Action.REPOSITORY_PUSH)
    tag, target = body.tag_name.encode(), body.target_commitish or ""
    name, text = body.name or "", body.body or ""
    if body.generate_release_notes:
        await context.pay(Cost.HISTORY)
        notes = await generate_notes(context, repository, tag=tag, target=target)
        name, text = name or notes.name, f"{text}\n\n{notes.body}".strip()[:NOTES_LENGTH_MAX]
    wanted = Wanted(
        tag=tag,
        target=target,
        name=name,
        notes=text,
        is_draft=body.draft,
        is_prerelease=body.prerelease,
        make_latest=body.make_latest,
    )
    release_id = await create_release(engine, context.actor, repository, wanted)
    release = await _read(context, repository, release_id)
    answer = await _show(context, repository, release)
    return ApiAnswer(answer, 201, {"Location": answer["url"]})


@api.get(f"{RELEASES}/latest", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def latest(context: RequestContext, owner: str, repo: str) -> Json:
    """Answer the latest release."""
    repository = await read_repository(context, owner, repo)
    async with context.site.database.read() as session:
        release = await find_latest(session, repository)
    if release is None:
        raise ReleaseMissing
    return await _show(context, repository, release)


@api.get(f"{RELEASES}/tags/{{address:path}}", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def by_tag(context: RequestContext, owner: str, repo: str) -> Json:
    """Answer what is published under a tag."""
    repository = await read_repository(context, owner, repo)
    async with context.site.database.read() as session:
        release = await find_release_of_tag(session, repository, rest_of_path(context, "releases/tags"))
    return await _show(context, repository, release)


@api.get(ONE, action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def one(context: RequestContext, owner: str, repo: str, release_id: int) -> Json:
    """Answer one release."""
    repository = await read_repository(context, owner, repo)
    return await _show(context, repository, await _read(context, repository, release_id))


@api.patch(ONE, action=Action.REPOSITORY_PUSH, resource="repository")
@follows_renames
async def edit(
    context: RequestContext, engine: Engine, owner: str, repo: str, release_id: int, body: EditedRelease
) -> Json:
    """Change a release; a draft that is none any more is published."""
    repository = await read_repository(context, owner, repo, Action.REPOSITORY_PUSH)
    for attempt in range(1, _ATTEMPTS_MAX + 1):
        found = await _read(context, repository, release_id)
        try:
            await update_release(engine, context.actor, repository, release_id, _edited(found, body))
            break
        except ReleaseMoved:
            # What the body leaves out is as somebody else made it meanwhile.
            if attempt == _ATTEMPTS_MAX:
                raise
    return await _show(context, repository, await _read(context, repository, release_id))


def _edited(found: ReleaseView, body: EditedRelease) -> Wanted:
    return Wanted(
        tag=found.tag if body.tag_name is UNSET else body.tag_name.encode(),
        target=found.target if body.target_commitish is UNSET else body.target_commitish or "",
        name=found.name if body.name is UNSET else body.name or "",
        notes=found.notes if body.body is UNSET else body.body or "",
        is_draft=found.is_draft if body.draft is UNSET else body.draft,
        is_prerelease=found.is_prerelease if body.prerelease is UNSET else body.prerelease,
        make_latest=body.make_latest,
        seen_at=found.updated_at,
    )


@api.delete(ONE, action=Action.REPOSITORY_PUSH, resource="repository")
@follows_renames
async def remove(context: RequestContext, engine: Engine, owner: str, repo: str, release_id: int) -> None:
    """Delete a release with its files; the tag stays."""
    repository = await read_repository(context, owner, repo, Action.REPOSITORY_PUSH)
    await delete_release(engine, context.actor, repository, release_id)


@api.post(f"{RELEASES}/generate-notes", action=Action.REPOSITORY_PUSH, resource="repository", status=200)
@follows_renames
async def notes(context: RequestContext, owner: str, repo: str, body: WantedNotes) -> Json:
    """Answer notes for a release; nothing is kept."""
    repository = await read_repository(context, owner, repo, Action.REPOSITORY_PUSH)
    await context.pay(Cost.HISTORY)
    found = await generate_notes(
        context,
        repository,
        tag=body.tag_name.encode(),
        target=body.target_commitish or "",
        previous=None if body.previous_tag_name is None else body.previous_tag_name.encode(),
    )
    return {"name": found.name, "body": found.body}


async def _read(context: RequestContext, repository: RepositoryView, release_id: int) -> ReleaseView:
    async with context.site.database.read() as session:
        return await find_release(session, context.actor, repository, release_id)


async def _show(context: RequestContext, repository: RepositoryView, release: ReleaseView) -> Json:
    """Return a release with its notes in the form that is asked for."""
    body = release_json(context, repository, release)
    form = media_format(context.request.headers.get("accept", ""))
    more: dict[str, Any] = {}
    if form in {"html", "text", "full"}:
        rendered = await render_notes(context, repository, release)
        more = {"body_html": str(rendered.html), "body_text": rendered.text}
    if form in {"html", "text"}:
        del body["body"]
        del more["body_text" if form == "html" else "body_html"]
    return body | more


route_handlers: list[HTTPRouteHandler] = [releases, create, latest, by_tag, one, edit, remove, notes]
