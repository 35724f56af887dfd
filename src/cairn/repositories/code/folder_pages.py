"""Pages of a repository's home and of its folders."""

from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.git.engine import Engine
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.folder_page import show_folder
from cairn.repositories.code.revisions import Place
from cairn.repositories.fork_progress import show_empty, sync_banner
from cairn.repositories.page_frame import address_of, header_of, open_repository_page
from cairn.web.context import RequestContext
from cairn.web.routing import page


@page.get("/{owner:str}/{repo:str}", action=Action.REPOSITORY_READ, resource="repository")
async def home(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, wait: int = 0
) -> Response[Any]:
    """Show the default branch's root, its README and how to clone; how to begin while there is nothing."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "code") | await sync_banner(context, actor, engine, repository)
    async with open_code(engine, repository.store_id) as code:
        revision = await code.default_revision()
        if revision is None:
            return await show_empty(context, header, has_refs=bool(code.snapshot.refs))
        return await show_folder(context, header, code, Place(revision, b""), is_home=True, waits=bool(wait))


@page.get("/{owner:str}/{repo:str}/tree/{address:path}", action=Action.REPOSITORY_READ, resource="repository")
async def folder(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, address: str, wait: int = 0
) -> Response[Any]:
    """Show a folder of a revision; a file's address is sent on to the file."""
    del address  # read from the raw path, as bytes
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "code")
    async with open_code(engine, repository.store_id) as code:
        place = await code.place(address_of(context))
        return await show_folder(context, header, code, place, is_home=False, waits=bool(wait))


route_handlers: list[HTTPRouteHandler] = [home, folder]
