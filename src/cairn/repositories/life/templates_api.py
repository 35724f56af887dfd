"""What new repositories begin with, over REST in GitHub's shape: templates, lists for git to ignore, licences."""

from typing import Annotated

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from cairn.access.actions import Action
from cairn.access.roles import Visibility
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.types import ObjectKind
from cairn.repositories.api_routes import REPOSITORY, follows_renames, plain, read_repository
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.git_serializers import file_content_json
from cairn.repositories.code.revisions import Place
from cairn.repositories.create import NewRepository
from cairn.repositories.fork_api import require_creation, whole_repository
from cairn.repositories.life.gitignores import NAMES, find_gitignore
from cairn.repositories.life.licence_of import licence_name
from cairn.repositories.life.licences import TEXT_BYTES_MAX, find_licence, list_licences
from cairn.repositories.life.templates import create_from_template
from cairn.repositories.queries import find_repository
from cairn.repositories.serializers import API, Json, licence_json, links_of
from cairn.web.api import Page, media_format, read_page
from cairn.web.context import RequestContext
from cairn.web.routing import PUBLIC, api


class FromTemplate(msgspec.Struct, kw_only=True):
    """The body of creating a repository from a template."""

    name: Annotated[str, Meta(min_length=1)]
    owner: str | None = None
    description: str | None = None
    include_all_branches: bool = False
    private: bool = False


@api.post(f"{REPOSITORY}/generate", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def generate(
    context: RequestContext, database: Database, engine: Engine, actor: Actor, owner: str, repo: str, body: FromTemplate
) -> Json:
    """Create a repository with the files of a template."""
    async with database.read() as session:
        template = await find_repository(session, actor, owner, repo)
    require_creation(actor)
    wanted = NewRepository(
        name=body.name,
        owner=body.owner or None,
        description=body.description or "",
        visibility=Visibility.PRIVATE if body.private else Visibility.PUBLIC,
    )
    made = await create_from_template(database, engine, actor, template, wanted, all_branches=body.include_all_branches)
    async with database.read() as session:
        return await whole_repository(context, session, made)


@api.get(f"{API}/gitignore/templates", action=PUBLIC, resource="none")
async def gitignores() -> list[str]:
    """Answer what there are lists for."""
    return list(NAMES)


@api.get(f"{API}/gitignore/templates/{{name:str}}", action=PUBLIC, resource="none")
async def gitignore(context: RequestContext, name: str) -> Json | Response[bytes]:
    """Answer one list, raw if that is asked for."""
    found = find_gitignore(name)
    if found is None:
        raise NotFound("Not Found")
    if media_format(context.request.headers.get("accept", "")) == "raw":
        return plain(found[1].encode(), "raw")
    return {"name": found[0], "source": found[1]}


@api.get(f"{API}/licenses", action=PUBLIC, resource="none")
async def licences(context: RequestContext) -> Page[Json]:
    """Answer the licences there are texts of."""
    asked = read_page(context)
    each = [licence_json(context.settings.origin, one.spdx_id) or {} for one in list_licences()]
    return Page(each[asked.offset : asked.offset + asked.per_page], asked, total=len(each))


@api.get(f"{API}/licenses/{{key:str}}", action=PUBLIC, resource="none")
async def licence(context: RequestContext, key: str) -> Json:
    """Answer one licence with its text."""
    found = find_licence(key)
    if found is None:
        raise NotFound("Not Found")
    short = licence_json(context.settings.origin, found.spdx_id) or {}
    return short | {
        "html_url": f"https://spdx.org/licenses/{found.spdx_id}.html",
        "description": "",
        "implementation": "",
        "permissions": [],
        "conditions": [],
        "limitations": [],
        "body": found.body,
        "featured": False,
    }


@api.get(f"{REPOSITORY}/license", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def licence_file(context: RequestContext, engine: Engine, owner: str, repo: str) -> Json | Response[bytes]:
    """Answer the file that holds the repository's licence, and which one it is."""
    repository = await read_repository(context, owner, repo)
    async with open_code(engine, repository.store_id) as code:
        root = await code.place(b"")
        listed = await code.listing((await code.entry(root)).oid)
        name = licence_name(one.path for one in listed.entries if one.kind is ObjectKind.BLOB)
        if name is None:
            raise NotFound("Not Found")
        content = await code.file(await code.entry(Place(root.revision, name)), max_bytes=TEXT_BYTES_MAX)
    if content.data is not None and media_format(context.request.headers.get("accept", "")) == "raw":
        return plain(content.data, "raw")
    links = links_of(context, repository.owner, repository.name)
    body = file_content_json(links, root.revision.name, name, content)
    return body | {"license": licence_json(context.settings.origin, repository.license)}


route_handlers: list[HTTPRouteHandler] = [
    generate,
    gitignores,
    gitignore,
    licences,
    licence,
    licence_file,
]
