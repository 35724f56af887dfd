"""History over REST: commits, one commit with what it changed, branches and tags."""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from cairn.access.actions import Action
from cairn.base.errors import NotFound
from cairn.git.diff import DiffBounds
from cairn.git.engine import Engine
from cairn.repositories.api_routes import (
    REPOSITORY,
    RepositoryEmpty,
    choose,
    follows_renames,
    media_type_of,
    moved_permanently,
    plain,
    query_bytes,
    query_text,
    read_moment,
    read_repository,
    refuse_parameters,
    rest_of_path,
    revision_named,
)
from cairn.repositories.code.browse import Code, open_code
from cairn.repositories.code.git_serializers import branch_json, commit_json, full_branch_json, tag_ref_json
from cairn.repositories.code.history_filter import author_texts
from cairn.repositories.code.history_lists import authors_of
from cairn.repositories.code.patch_answer import FORMS, answer_text, commit_text
from cairn.repositories.code.renamed_branches import renamed_address
from cairn.repositories.code.revisions import Place
from cairn.repositories.code.signatures import signatures_of
from cairn.repositories.queries import BRANCH_PREFIX, RepositoryView, branch_ref
from cairn.repositories.rules.protected_branches import RefRules, read_ref_rules
from cairn.repositories.rules.protection_api import read_protection, split_protection
from cairn.repositories.serializers import Json, links_of
from cairn.web.api import Page, PageRequest, media_format, read_page
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.routing import api
from cairn.web.urls import path_join

FILES_PER_PAGE = 300
_WHERE_HEAD = b"/branches-where-head"

T = TypeVar("T")


@api.get(f"{REPOSITORY}/commits", action=Action.REPOSITORY_READ, resource="repository", cost=Cost.HISTORY)
@follows_renames
async def list_commits(context: RequestContext, engine: Engine, owner: str, repo: str) -> Page[Json]:
    """Answer a page of history, newest first: of ``sha`` (any revision), of ``path``, by ``author``, in a span of time.

    An author is a login or an address.
    """
    refuse_parameters(context, "committer")
    since, until = read_moment(context, "since"), read_moment(context, "until")
    asked = read_page(context)
    repository = await read_repository(context, owner, repo)
    links = links_of(context, repository.owner, repository.name)
    authors_wanted = await author_texts(context, query_text(context, "author"))
    async with open_code(engine, repository.store_id) as code:
        if not code.snapshot.refs:
            raise RepositoryEmpty
        revision = await revision_named(code, query_bytes(context, "sha"))
        place = Place(revision, query_bytes(context, "path"))
        found = await code.history(
            place, page=asked.page, per_page=asked.per_page, since=since, until=until, authors=authors_wanted
        )
        signatures = await signatures_of(context, code, [commit.oid for commit in found.commits])
    authors = await authors_of(context, found.commits)
    return Page(
        [commit_json(links, commit, authors, signatures) for commit in found.commits], asked, has_next=found.has_more
    )


@api.get(
    f"{REPOSITORY}/commits/{{address:path}}",
    action=Action.REPOSITORY_READ,
    resource="repository",
    cost=Cost.HISTORY,
)
@follows_renames
async def get_commit(
    context: RequestContext, engine: Engine, owner: str, repo: str
) -> Page[Json] | Response[bytes] | Stream:
    """Answer one commit with a page of the files it changed; or its diff, its patch, its id alone.

    ``/branches-where-head`` after it asks for the branches that end with it.
    """
    if rest_of_path(context, "commits").endswith(_WHERE_HEAD):
        return await _branches_where_head(context, engine, owner, repo)
    repository = await read_repository(context, owner, repo)
    links = links_of(context, repository.owner, repository.name)
    wanted = media_format(context.request.headers.get("accept", ""))
    async with open_code(engine, repository.store_id) as code:
        if not code.snapshot.refs:
            raise RepositoryEmpty
        revision = await revision_named(code, rest_of_path(context, "commits"))
        if wanted == "sha":
            return plain(revision.commit_oid.encode("ascii"), "sha")
        commit = await code.commit(revision.commit_oid)
        if wanted in FORMS:
            text = commit_text(code, commit, wanted)
            return await answer_text(context, text, media_type=media_type_of(wanted))
        asked = read_page(context)
        if "per_page" not in context.request.query_params:
            asked = PageRequest(asked.page, FILES_PER_PAGE)
        diff = await code.diff(commit, skip_files=asked.offset, bounds=DiffBounds(files=asked.per_page))
        signatures = await signatures_of(context, code, [commit.oid])
    body = commit_json(links, commit, await authors_of(context, [commit]), signatures, diff)
    return Page(body["files"], asked, total=diff.total_files, body=body)


async def _branches_where_head(context: RequestContext, engine: Engine, owner: str, repo: str) -> Page[Json]:
    """Answer the branches whose last commit this is; a router cannot tell the word at the end from a ref's name."""
    repository = await read_repository(context, owner, repo)
    links = links_of(context, repository.owner, repository.name)
    rules = await _rules_of(context, repository)
    name = rest_of_path(context, "commits").removesuffix(_WHERE_HEAD)
    async with open_code(engine, repository.store_id) as code:
        revision = await revision_named(code, name)
        found = [branch_json(links, ref, rules) for ref in code.branches if ref.oid == revision.commit_oid]
    return Page(found, PageRequest(1, max(1, len(found))))


@api.get(f"{REPOSITORY}/branches", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def list_branches(context: RequestContext, engine: Engine, owner: str, repo: str) -> Page[Json]:
    """Answer a page of branches by name; ``protected`` keeps those a ruleset in force is about, or the others."""
    wanted = choose(context, "protected", {"": None, "false": False, "true": True}, "")
    repository = await read_repository(context, owner, repo)
    links = links_of(context, repository.owner, repository.name)
    state = await engine.state(repository.store_id)
    snapshot = await engine.snapshot(state)
    rules = await _rules_of(context, repository)
    found = [ref for ref in snapshot.refs if ref.name.startswith(BRANCH_PREFIX)]
    if wanted is not None:
        # Every branch against every ruleset: for some repositories that takes a while.
        found = await asyncio.to_thread(lambda: [ref for ref in found if rules.is_protected(ref.name) is wanted])
    shown, asked = _slice(context, found)
    return Page([branch_json(links, ref, rules) for ref in shown], asked, total=len(found))


async def _rules_of(context: RequestContext, repository: RepositoryView) -> RefRules:
    async with context.site.database.read() as session:
        return await read_ref_rules(session, repository)


@api.get(f"{REPOSITORY}/branches/{{address:path}}", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def get_branch(context: RequestContext, engine: Engine, owner: str, repo: str) -> object:
    """Answer one branch with its last commit; ``/protection`` after it asks how it is protected.

    A branch that was renamed is answered with a redirect.
    """
    repository = await read_repository(context, owner, repo)
    links = links_of(context, repository.owner, repository.name)
    address = rest_of_path(context, "branches")
    async with open_code(engine, repository.store_id) as code:
        ref = code.snapshot.find(BRANCH_PREFIX + address)
        if ref is None:
            try:
                return await _protection_of(context, code, repository, address)
            except NotFound:
                present = await renamed_address(context, repository, address)
                if present is None:
                    raise
                return moved_permanently(f"{links.api}/branches{path_join(present)}")
        commit = await code.commit(ref.oid)
        signatures = await signatures_of(context, code, [commit.oid])
    rules = await _rules_of(context, repository)
    return full_branch_json(links, ref, commit, await authors_of(context, [commit]), signatures, rules)


async def _protection_of(context: RequestContext, code: Code, repository: RepositoryView, address: bytes) -> object:
    """Answer how a branch is protected; a router cannot tell the words at the end from a ref's name."""
    found = split_protection(address.decode("utf-8", "replace"))
    if found is None or code.snapshot.find(branch_ref(found[0])) is None:
        raise NotFound("Not Found")
    async with context.site.database.read() as session:
        return await read_protection(context, session, context.actor, repository, *found)


@api.get(f"{REPOSITORY}/tags", action=Action.REPOSITORY_READ, resource="repository")
@follows_renames
async def list_tags(context: RequestContext, engine: Engine, owner: str, repo: str) -> Page[Json]:
    """Answer a page of tags, the last by name first."""
    repository = await read_repository(context, owner, repo)
    links = links_of(context, repository.owner, repository.name)
    snapshot = await engine.snapshot(await engine.state(repository.store_id))
    found = [ref for ref in reversed(snapshot.refs) if ref.name.startswith(b"refs/tags/")]
    shown, asked = _slice(context, found)
    return Page([tag_ref_json(links, ref) for ref in shown], asked, total=len(found))


def _slice(context: RequestContext, items: Sequence[T]) -> tuple[Sequence[T], PageRequest]:
    asked = read_page(context)
    return items[asked.offset : asked.offset + asked.per_page], asked


route_handlers: list[HTTPRouteHandler] = [
    list_commits,
    get_commit,
    list_branches,
    get_branch,
    list_tags,
]
