"""What every page of a repository begins with: the repository by its name, its tabs, how to clone it."""

from typing import Any
from urllib.parse import unquote_to_bytes

from litestar import Response

from cairn.access.actions import Action
from cairn.access.decide import decide
from cairn.base.actor import Actor
from cairn.repositories.queries import RepositoryMoved, RepositoryView, find_repository
from cairn.web.context import RequestContext
from cairn.web.render import redirect
from cairn.web.urls import path_join

_REPOSITORY_PARTS = 2
_ADDRESS_PARTS = 3


async def open_repository_page(
    context: RequestContext, actor: Actor, owner: str, repo: str
) -> RepositoryView | Response[bytes]:
    """Return the repository, or the redirect to its present name with the rest of the address kept.

    Its transaction is over when this returns: reading git may want a connection of its own.
    """
    try:
        async with context.site.database.read() as session:
            return await find_repository(session, actor, owner, repo)
    except RepositoryMoved as moved:
        rest = context.path.split("/")[1 + _REPOSITORY_PARTS :]
        target = path_join(moved.owner, moved.name) + "".join(f"/{part}" for part in rest)
        _, mark, query = context.path_and_query.partition("?")
        return redirect(target + mark + query, status=301)


def header_of(context: RequestContext, actor: Actor, repository: RepositoryView, tab: str) -> dict[str, Any]:
    """Return what ``repositories/frame.html`` wants: the repository, its tabs, and what the actor may do."""
    base = path_join(repository.owner, repository.name)
    # An archived repository has settings for its administrators only: they may open it again.
    has_settings = any(
        decide(actor, action, repository.scope).allowed
        for action in (Action.REPOSITORY_MAINTAIN, Action.REPOSITORY_ADMINISTER)
    )
    tabs = [
        ("Code", base, "code", None, tab == "code"),
        ("Commits", f"{base}/commits", "history", None, tab == "commits"),
        ("Branches", f"{base}/branches", "git-branch", None, tab == "branches"),
        ("Tags", f"{base}/tags", "tag", None, tab == "tags"),
    ]
    if has_settings:
        tabs.append(("Settings", f"{base}/settings", "gear", None, tab == "settings"))
    return {
        "repository": repository,
        "base": base,
        "tabs": tabs,
        "may_push": decide(actor, Action.REPOSITORY_PUSH, repository.scope).allowed,
        "clone_urls": clone_urls(context, repository),
    }


def clone_urls(context: RequestContext, repository: RepositoryView) -> list[tuple[str, str]]:
    """Return the addresses to clone from, HTTP first."""
    settings = context.settings
    path = path_join(repository.owner, repository.name)
    return [("HTTP", f"{settings.origin}{path}.git"), ("SSH", f"{settings.ssh_origin}{path}.git")]


def address_of(context: RequestContext) -> bytes:
    """Return what follows ``/{owner}/{repo}/{verb}/`` as bytes: paths and ref names have no encoding."""
    parts = context.path.split("/")[1 + _ADDRESS_PARTS :]
    return b"/".join(unquote_to_bytes(part) for part in parts)
