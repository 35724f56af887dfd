"""What every page of a repository begins with: the repository by its name, its tabs, how to clone it."""

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from litestar import Response

from cairn.access.actions import Action
from cairn.access.decide import decide
from cairn.access.scopes import RepositoryScope
from cairn.base.actor import Actor
from cairn.repositories.page_versions import PageVersions, read_versions
from cairn.repositories.queries import RepositoryMoved, RepositoryView, find_repository
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.freshness import answer_unchanged
from cairn.web.render import redirect
from cairn.web.routing import Declaration, declaration_of
from cairn.web.urls import path_join

_OF_A_COMMIT = re.compile(r"/[^/]+/[^/]+/[a-z]+/[0-9a-f]{7,40}(?:/|$)")
_REPOSITORY_PARTS = 2
_ADDRESS_PARTS = 3


async def open_repository_page(
    context: RequestContext, actor: Actor, owner: str, repo: str, *, pays: bool = True
) -> RepositoryView | Response[bytes]:
    """Return the repository, or the answer if there is one already: what the route declares of itself is done here.

    That is the redirect to its present name with the rest of the address kept; of a versioned page also "unchanged" and
    the page as it was kept, once it is known that the actor may see it. What costs is paid before this returns,
    unless the handler pays for itself (``pays`` False), because it may have nothing to do.
    Its transaction is over when this returns: reading git may want a connection of its own.
    """
    declared = declaration_of(context.request.scope)
    assert declared is not None, "every page declares itself"
    versions = await read_versions(context.site.database, owner, repo) if declared.is_versioned else None
    if actor.is_anonymous and versions is not None and _may_read(actor, versions.scope):
        # The hot path of crawlers: what everybody may read needs no further query.
        known = _answer_known(context, versions, "")
        if known is not None:
            return known
    try:
        async with context.site.database.read() as session:
            repository = await find_repository(session, actor, owner, repo)
    except RepositoryMoved as moved:
        rest = context.path.split("/")[1 + _REPOSITORY_PARTS :]
        target = path_join(moved.owner, moved.name) + "".join(f"/{part}" for part in rest)
        _, mark, query = context.path_and_query.partition("?")
        return redirect(target + mark + query, status=301)
    if not actor.is_anonymous and versions is not None:
        known = _answer_known(context, versions, repr(repository))
        if known is not None:
            return known
    context.robots = _robots(context, declared, repository)
    if pays:
        await context.pay(declared.cost)
    return repository


def _may_read(actor: Actor, scope: RepositoryScope) -> bool:
    return decide(actor, Action.REPOSITORY_READ, scope).allowed


def _answer_known(context: RequestContext, versions: PageVersions, seen: str) -> Response[bytes] | None:
    # Before the first push a page tells how a fork is being filled, which has no version.
    return answer_unchanged(context, f"{versions.text}\0{seen}") if versions.has_refs else None


def _robots(context: RequestContext, declared: Declaration, repository: RepositoryView) -> str:
    """Return what a search engine is told: nothing of a public page that is not one of endlessly many.

    Each page of a branch is there once more for every commit.
    """
    is_endless = declared.cost is not Cost.LIGHT or bool(context.request.url.query)
    if repository.is_private or is_endless or _OF_A_COMMIT.match(context.path):
        return "noindex, nofollow"
    return ""


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
        ("Activity", f"{base}/activity", "graph", None, tab == "activity"),
        ("Releases", f"{base}/releases", "download", None, tab == "releases"),
    ]
    if repository.has_wiki:
        tabs.append(("Wiki", f"{base}/wiki", "book", None, tab == "wiki"))
    if has_settings:
        tabs.append(("Settings", f"{base}/settings", "gear", None, tab == "settings"))
    return {
        "repository": repository,
        "base": base,
        "tabs": tabs,
        # What would be refused is not offered.
        "may_push": not repository.is_mirror and decide(actor, Action.REPOSITORY_PUSH, repository.scope).allowed,
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
