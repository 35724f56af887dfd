"""Pages that show code: repository home, folder, file, raw file, history, one commit, branches and tags."""

import asyncio
import mimetypes
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from markupsafe import Markup

from cairn.access.actions import Action
from cairn.access.decide import decide
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.git.engine import Engine
from cairn.git.types import ObjectKind, show
from cairn.repositories.browse import FileContent, open_code
from cairn.repositories.diff_page import files_changed, first_file
from cairn.repositories.folder_page import MARKDOWN, branch_links, code_url, crumbs, read_markdown, show_folder
from cairn.repositories.fork_progress import show_empty, sync_banner
from cairn.repositories.history_lists import authors_of, by_day
from cairn.repositories.queries import RepositoryMoved, RepositoryView, find_repository
from cairn.repositories.raw_answer import WHOLE_BYTES_MAX, answer_raw
from cairn.repositories.revisions import Place, Revision, RevisionKind
from cairn.web.context import RequestContext
from cairn.web.highlight import decode_text, highlight_lines
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

_REPOSITORY_PARTS = 2
_ADDRESS_PARTS = 3
_INLINE_TYPES = re.compile(
    r"image/(png|jpeg|gif|webp|avif|x-icon|vnd\.microsoft\.icon)|audio/\w+|video/\w+|application/pdf"
)


@dataclass(frozen=True, slots=True)
class RefRow:
    """A branch or tag with the commit it means."""

    name: str
    href: str
    subject: str
    commit_href: str
    at: datetime
    is_default: bool
    compare_href: str


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


@page.get("/{owner:str}/{repo:str}/blob/{address:path}", action=Action.REPOSITORY_READ, resource="repository")
async def file(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    owner: str,
    repo: str,
    address: str,
    plain: int = 0,
) -> Response[Any]:
    """Show a file with line numbers; Markdown rendered unless ``plain=1``; a folder's address is sent on."""
    del address  # read from the raw path, as bytes
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "code")
    base = header["base"]
    async with open_code(engine, repository.store_id) as code:
        place = await code.place(address_of(context))
        entry = await code.entry(place)
        if entry.kind is ObjectKind.TREE:
            return redirect(code_url(base, "tree", place.revision, place.path))
        content = await code.file(entry)
        commits = await code.history(place, page=1, per_page=1)
    is_markdown = content.name.lower().endswith(MARKDOWN)
    rendered = None
    lines: list[Markup] | None = None
    if content.data is not None and not content.is_binary:
        if is_markdown and not plain and not content.is_symlink:
            rendered = await read_markdown(context, base, place.revision, place.path.rpartition(b"/")[0], content)
        else:
            # Pygments takes a quarter of a second for 100 KiB; other requests go on meanwhile.
            lines = await asyncio.to_thread(highlight_lines, content.data, show(content.name))
    return render(
        context,
        "repositories/file.html",
        **header,
        revision=place.revision,
        crumbs=crumbs(repository, base, place),
        content=content,
        lines=lines,
        rendered=rendered,
        is_markdown=is_markdown,
        is_image=(mimetypes.guess_type(show(content.name))[0] or "").startswith("image/"),
        link_target=decode_text(content.data) if content.is_symlink and content.data else "",
        latest=commits.commits[0] if commits.commits else None,
        authors=await authors_of(context, commits.commits),
        raw_href=code_url(base, "raw", place.revision, place.path),
        history_href=code_url(base, "commits", place.revision, place.path),
        blame_href=code_url(base, "blame", place.revision, place.path),
        permalink=path_join(repository.owner, repository.name, "blob", place.revision.commit_oid, place.path),
    )


@page.get("/{owner:str}/{repo:str}/raw/{address:path}", action=Action.REPOSITORY_READ, resource="repository")
async def raw(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, address: str
) -> Response[Any]:
    """Answer a file's bytes: as text, or as a picture; never as something a browser would run."""
    del address  # read from the raw path, as bytes
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    async with open_code(engine, repository.store_id) as code:
        place = await code.place(address_of(context))
        content = await code.file(await code.entry(place), max_bytes=WHOLE_BYTES_MAX)
        headers = {
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            "Cross-Origin-Resource-Policy": "same-site",
            "ETag": f'"{content.oid}"',
        }
        return await answer_raw(context, code, content.oid, media_type=_raw_type(content), headers=headers)


def _raw_type(content: FileContent) -> str:
    """Return a type no browser runs: a picture's or a film's own, text, or mere bytes; by name where it is large."""
    guessed = mimetypes.guess_type(show(content.name))[0] or ""
    if _INLINE_TYPES.fullmatch(guessed):
        return guessed
    is_text = guessed.startswith("text/") if content.data is None else not content.is_binary
    return "text/plain" if is_text else "application/octet-stream"


@page.get(
    "/{owner:str}/{repo:str}/commits",
    "/{owner:str}/{repo:str}/commits/{address:path}",
    action=Action.REPOSITORY_READ,
    resource="repository",
)
async def commits(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    owner: str,
    repo: str,
    page: int = 1,  # noqa: A002, RUF100 (the parameter's public name)
) -> Response[Any]:
    """Show the history of a revision, or of one path in it, newest first."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "commits")
    async with open_code(engine, repository.store_id) as code:
        if not code.snapshot.refs:
            return render(context, "repositories/empty.html", **header, has_refs=False)
        place = await code.place(address_of(context))
        found = await code.history(place, page=max(page, 1))
        branches = branch_links(code, header["base"], "commits")
    return render(
        context,
        "repositories/commits.html",
        **header,
        revision=place.revision,
        path=show(place.path),
        crumbs=crumbs(repository, header["base"], place),
        days=by_day(found.commits),
        authors=await authors_of(context, found.commits),
        branches=branches,
        number=max(page, 1),
        has_more=found.has_more,
    )


@page.get("/{owner:str}/{repo:str}/commit/{oid:str}", action=Action.REPOSITORY_READ, resource="repository")
async def commit(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, oid: str, skip: int = 0
) -> Response[Any]:
    """Show one commit: who, when, why, and what it changed, from the file after ``skip`` on."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "commits")
    async with open_code(engine, repository.store_id) as code:
        revision = await code.revision(oid.encode())
        found = await code.commit(revision.commit_oid)
        diff = await code.diff(found, skip_files=first_file(skip))
    return render(
        context,
        "repositories/commit.html",
        **header,
        commit=found,
        authors=await authors_of(context, [found]),
        body=found.message.strip("\n").partition("\n\n")[2],
        **files_changed(context, diff, skip),
    )


@page.get("/{owner:str}/{repo:str}/branches", action=Action.REPOSITORY_READ, resource="repository")
async def branches(context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str) -> Response[Any]:
    """Show every branch, the default first, then by last commit."""
    return await _show_refs(context, actor, engine, owner, repo, "branches")


@page.get("/{owner:str}/{repo:str}/tags", action=Action.REPOSITORY_READ, resource="repository")
async def tags(context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str) -> Response[Any]:
    """Show every tag, newest first."""
    return await _show_refs(context, actor, engine, owner, repo, "tags")


_REFS_SHOWN_MAX = 1000


async def _show_refs(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    owner: str,
    repo: str,
    what: Literal["branches", "tags"],
) -> Response[Any]:
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, what)
    base = header["base"]
    async with open_code(engine, repository.store_id) as code:
        refs = code.branches if what == "branches" else code.tags
        prefix = b"refs/heads/" if what == "branches" else b"refs/tags/"
        kind = RevisionKind.BRANCH if what == "branches" else RevisionKind.TAG
        rows: list[RefRow] = []
        for ref in refs[:_REFS_SHOWN_MAX]:
            name = ref.name.removeprefix(prefix)
            try:
                found = await code.commit(ref.peeled or ref.oid)
            except NotFound:
                continue  # a tag may name a tree or a file, which has no page of its own
            revision = Revision(kind, name, found.oid)
            rows.append(
                RefRow(
                    show(name),
                    code_url(base, "tree", revision, b""),
                    found.subject,
                    f"{base}/commit/{found.oid}",
                    found.committer.at,
                    ref.name == repository.head_target,
                    base + path_join("compare", name),
                )
            )
    rows.sort(key=lambda row: (row.is_default, row.at), reverse=True)
    return render(context, "repositories/refs.html", **header, what=what, rows=rows, total=len(refs))


route_handlers: list[HTTPRouteHandler] = [home, folder, file, raw, commits, commit, branches, tags]
