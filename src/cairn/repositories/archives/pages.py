"""The address of an archive: ``/{owner}/{repo}/archive/main.zip``, for browsers and package managers."""

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.git.engine import Engine
from cairn.repositories.archives.answers import answer_archive, parse_address
from cairn.repositories.archives.links import actor_of_link
from cairn.repositories.code.renamed_branches import renamed_revision
from cairn.repositories.code.revisions import RevisionNotFound
from cairn.repositories.page_frame import address_of, open_repository_page
from cairn.repositories.page_versions import read_versions
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.render import redirect
from cairn.web.routing import page
from cairn.web.urls import path_join


@page.get(
    "/{owner:str}/{repo:str}/archive/{address:path}",
    action=Action.REPOSITORY_READ,
    resource="repository",
    cost=Cost.CONTENT,
)
async def archive(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, token: str = ""
) -> Response[bytes] | Stream:
    """Answer a revision's files as one file; ``token`` is that of a link the API gave out.

    A branch's old name sends on to the new one.
    """
    address = address_of(context)
    if token and actor.is_anonymous:
        versions = await read_versions(context.site.database, owner, repo)
        if versions is None:
            raise NotFound("Not Found")
        actor = await actor_of_link(context, token, versions.scope.repository_id, address)
    # Paid only where git has something to do: what is kept is had for nothing.
    repository = await open_repository_page(context, actor, owner, repo, pays=False)
    if isinstance(repository, Response):
        return repository
    wanted = parse_address(address)
    try:
        return await answer_archive(context, engine, repository, wanted)
    except RevisionNotFound:
        present = await renamed_revision(context, repository, wanted.revision)
        if present is None:
            raise
        # Not for good: a new branch may take the old name.
        file = present + f".{wanted.form.value}".encode()
        return redirect(path_join(repository.owner, repository.name, "archive", file), status=302)


route_handlers: list[HTTPRouteHandler] = [archive]
