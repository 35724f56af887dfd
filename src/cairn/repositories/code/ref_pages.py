"""Pages that list branches and tags, and the menu that leads from one to another."""

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.git.engine import Engine
from cairn.git.ref_queries import RefValue
from cairn.git.types import show
from cairn.identity.attribution import addresses_of
from cairn.repositories.code.browse import Code, open_code
from cairn.repositories.code.history_lists import authors_of
from cairn.repositories.code.ref_lists import (
    Asked,
    Branch,
    TagRow,
    Which,
    choose_branches,
    choose_tags,
    matching,
    read_branches,
    read_tags,
    short_name,
)
from cairn.repositories.code.signatures import signatures_of
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.repositories.releases.queries import tags_with_releases
from cairn.repositories.rules.protected_branches import RefRules, read_ref_rules
from cairn.web.api import PAGE_MAX
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.render import render
from cairn.web.routing import page
from cairn.web.urls import path_join

_TEXT_CHARACTERS_MAX = 200
_MENU_ROWS = 50
_VERBS = frozenset({"tree", "blob", "blame", "commits", "raw", "find", "search"})
"""Where a menu may lead: pages of a path in a revision."""


@page.get(
    "/{owner:str}/{repo:str}/branches",
    action=Action.REPOSITORY_READ,
    resource="repository",
    cost=Cost.HISTORY,
    is_versioned=True,
)
async def branches(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    owner: str,
    repo: str,
    which: str = "all",
    q: str = "",
    page: int = 1,  # noqa: A002, RUF100 (the parameter's public name)
    wait: int = 0,
) -> Response[Any]:
    """Show branches, the default first, then by last commit: all, the reader's own, active or stale ones."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "branches")
    listed = Which(which) if which in set(Which) else Which.ALL
    asked = Asked(listed, q.strip()[:_TEXT_CHARACTERS_MAX], max(1, min(page, PAGE_MAX)), waits=bool(wait))
    own = await _own_addresses(context) if listed is Which.YOURS else []
    async with context.site.database.read() as session:
        rules = await read_ref_rules(session, repository)
    async with open_code(engine, repository.store_id) as code:
        chosen = await choose_branches(code, asked, own_emails=own, now=context.site.clock())
        rows, knows_distances = await read_branches(code, chosen, waits=asked.waits)
        total = len(code.branches)
        default = await code.default_revision()
    return render(
        context,
        "repositories/branches.html",
        **header,
        asked=asked,
        choices=_choices(context, listed),
        rows=[_branch_row(header["base"], row, rules) for row in rows],
        authors=await authors_of(context, [row.commit for row in rows]),
        chosen=chosen,
        total=total,
        default=default,
        is_waited_for=not (chosen.is_complete and knows_distances),
    )


def _choices(context: RequestContext, which: Which) -> list[Which]:
    return [one for one in Which if one is not Which.YOURS or context.actor.is_signed_in or which is one]


async def _own_addresses(context: RequestContext) -> list[str]:
    if context.actor.login is None:
        return []
    async with context.site.database.read() as session:
        return await addresses_of(session, context.settings.host, context.actor.login)


@dataclass(frozen=True, slots=True)
class BranchRow:
    """A branch as its list shows it."""

    name: str
    href: str
    compare_href: str
    history_href: str
    rules_href: str
    """Where its rules stand; empty where no ruleset in force is about it."""
    branch: Branch


def _branch_row(base: str, branch: Branch, rules: RefRules) -> BranchRow:
    name = short_name(branch.ref)
    compare, history = base + path_join("compare", name), base + path_join("commits", name)
    is_protected = rules.is_protected(branch.ref.name)
    held = f"{base}/rules?ref={quote(branch.ref.name, safe='')}" if is_protected else ""
    return BranchRow(show(name), base + path_join("tree", name), compare, history, held, branch)


@page.get("/{owner:str}/{repo:str}/tags", action=Action.REPOSITORY_READ, resource="repository", is_versioned=True)
async def tags(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    owner: str,
    repo: str,
    q: str = "",
    page: int = 1,  # noqa: A002, RUF100 (the parameter's public name)
    wait: int = 0,
) -> Response[Any]:
    """Show tags, newest first, with what they say and how each differs from the one before."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "tags")
    asked = Asked(text=q.strip()[:_TEXT_CHARACTERS_MAX], page=max(1, min(page, PAGE_MAX)), waits=bool(wait))
    async with open_code(engine, repository.store_id) as code:
        chosen = await choose_tags(code, asked)
        rows = await read_tags(code, chosen)
        total = len(code.tags)
        signatures = await signatures_of(context, code, [row.ref.oid for row in rows])
    async with context.site.database.read() as session:
        found = await tags_with_releases(session, repository, [short_name(row.ref) for row in rows])
    return render(
        context,
        "repositories/tags.html",
        **header,
        asked=asked,
        rows=[_tag_row(header["base"], row) for row in rows],
        signatures=signatures,
        released={b"refs/tags/" + tag for tag in found},
        authors=await authors_of(context, [row.commit for row in rows if row.commit is not None]),
        chosen=chosen,
        total=total,
        is_waited_for=not chosen.is_complete,
    )


@dataclass(frozen=True, slots=True)
class ShownTag:
    """A tag as its list shows it; ``compare_href`` is empty where nothing came before it."""

    name: str
    href: str
    compare_href: str
    previous: str
    row: TagRow


def _tag_row(base: str, row: TagRow) -> ShownTag:
    name = short_name(row.ref)
    previous = short_name(row.previous) if row.previous is not None else b""
    compare = base + path_join("compare", previous + b"..." + name) if previous and row.commit else ""
    href = base + path_join("tree", name) if row.commit else ""
    return ShownTag(show(name), href, compare, show(previous), row)


@page.get("/{owner:str}/{repo:str}/refs", action=Action.REPOSITORY_READ, resource="repository", is_versioned=True)
async def switch(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    owner: str,
    repo: str,
    what: Literal["branches", "tags"] = "branches",
    verb: str = "tree",
    path: str = "",
    at: str = "",
    q: str = "",
    page: int = 1,  # noqa: A002, RUF100 (the parameter's public name)
) -> Response[Any]:
    """Show branches or tags by name, each leading to the same path there: the page behind the menu of revisions.

    The menu asks for this page and shows its list.
    """
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "code")
    text, number = q.strip()[:_TEXT_CHARACTERS_MAX], max(1, min(page, PAGE_MAX))
    async with open_code(engine, repository.store_id) as code:
        found = _default_first(code, matching(code.branches if what == "branches" else code.tags, text))
        totals = {"branches": len(code.branches), "tags": len(code.tags)}
    start = (number - 1) * _MENU_ROWS
    target = (verb if verb in _VERBS else "tree", *([path] if path else []))
    return render(
        context,
        "repositories/refs.html",
        **header,
        what=what,
        totals=totals,
        matching=len(found),
        links=[_menu_link(header["base"], ref, target, at) for ref in found[start : start + _MENU_ROWS]],
        text=text,
        kept={"verb": target[0], "path": path, "at": at},
        number=number,
        has_more=start + _MENU_ROWS < len(found),
    )


def _default_first(code: Code, refs: Any) -> list[RefValue]:  # noqa: ANN401 (any sequence of refs)
    head = code.parts[1].head_target
    return sorted(refs, key=lambda ref: (ref.name != head, ref.name))


def _menu_link(base: str, ref: RefValue, target: tuple[str, ...], at: str) -> tuple[str, str, bool]:
    """Return name and address of a ref in the menu, and whether the reader is there already."""
    name = short_name(ref)
    verb, *path = target
    return show(name), base + path_join(verb, name, *path), show(name) == at


route_handlers: list[HTTPRouteHandler] = [branches, tags, switch]
