"""Searching over REST in GitHub's shape: repositories, people, and code within named repositories."""

from collections.abc import Sequence
from typing import Any, TypeVar

from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, NotFound
from cairn.git.blob_search import FoundFile, Stopped
from cairn.git.engine import Engine
from cairn.identity.account_search import AccountSearch, FoundAccount, search_accounts
from cairn.identity.models import AccountKind
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.code_search import CodeQuery, FoundCode, read_api_query, search_code
from cairn.repositories.code.revisions import Revision
from cairn.repositories.queries import RepositoryView, find_repository
from cairn.repositories.search import SearchOrder, read_search, refused, search_repositories
from cairn.repositories.search_words import split_query
from cairn.repositories.serializers import API, Json, links_of, repositories_json, repository_json, user_json
from cairn.repositories.topics import list_topics
from cairn.web.api import Page, PageRequest, media_format, read_page
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.routing import PUBLIC, api

RESULTS_MAX = 1000
REPOSITORIES_MAX = 5
"""Repositories one search through code may name."""

_FRAGMENTS_MAX = 3
T = TypeVar("T")


def _query(context: RequestContext) -> str:
    typed: str = context.request.query_params.get("q", "")
    if not typed.strip():
        raise Invalid("Validation Failed", FieldProblem("q", "missing", "q is what to search for.", "Search"))
    return typed


def _asked(context: RequestContext) -> PageRequest:
    asked = read_page(context)
    if asked.offset >= RESULTS_MAX:
        raise refused(f"Only the first {RESULTS_MAX} search results are available")
    return asked


def _chosen(context: RequestContext, name: str, allowed: dict[str, T], default: T) -> T:
    """Return what a parameter chooses; what is not offered is refused with the words that are."""
    value = context.request.query_params.get(name, "")
    if not value:
        return default
    if value not in allowed:
        message = f"{name} must be one of: {', '.join(allowed)}."
        raise Invalid(f"Validation Failed: {message}", FieldProblem(name, "invalid", message, "Search"))
    return allowed[value]


def _found(items: Sequence[Json], asked: PageRequest, total: int, *, is_incomplete: bool = False) -> Page[Json]:
    body = {"total_count": total, "incomplete_results": is_incomplete, "items": list(items)}
    return Page(items, asked, total=min(total, RESULTS_MAX), body=body)


@api.get(f"{API}/search/repositories", action=PUBLIC, resource="none")
async def repositories(context: RequestContext, session: AsyncSession, actor: Actor) -> Page[Json]:
    """Answer the repositories that match, of those the caller may see."""
    wanted, asked = read_search(_query(context)), _asked(context)
    order = _chosen(context, "sort", {"updated": SearchOrder.UPDATED, "stars": SearchOrder.STARS}, SearchOrder.BEST)
    descending = _chosen(context, "order", {"desc": True, "asc": False}, default=True)
    found = await search_repositories(
        session, actor, wanted, order=order, descending=descending, page=asked.page, per_page=asked.per_page
    )
    items = [body | {"score": 1.0} for body in await repositories_json(context, session, found.items)]
    return _found(items, asked, found.total)


@api.get(f"{API}/search/users", action=PUBLIC, resource="none")
async def users(context: RequestContext, session: AsyncSession, actor: Actor) -> Page[Json]:
    """Answer the people and organizations whose login or name has every word; ``type:`` and ``in:`` narrow it."""
    wanted, asked = _account_search(_query(context)), _asked(context)
    by_joining = _chosen(context, "sort", {"joined": True}, default=False)
    descending = by_joining and _chosen(context, "order", {"desc": True, "asc": False}, default=True)
    found = await search_accounts(
        session, actor, wanted, by_joining=by_joining, descending=descending, page=asked.page, per_page=asked.per_page
    )
    return _found([_account_json(context, one) for one in found.items], asked, found.total)


_USER_QUALIFIERS = frozenset(
    {"type", "in", "user", "org", "repos", "location", "language", "created", "followers", "is"}
)


def _account_search(typed: str) -> AccountSearch:
    words = split_query(typed, _USER_QUALIFIERS)
    kinds = {"user": AccountKind.USER, "org": AccountKind.ORGANIZATION}
    kind, fields = None, {"login", "name"}
    for one in words.qualifiers:
        value = one.value.lower()
        if one.is_negated or one.name not in {"type", "in"}:
            raise refused(f"{'-' * one.is_negated}{one.name}: is not offered here.")
        if one.name == "type" and value in kinds:
            kind = kinds[value]
        elif one.name == "in" and set(value.split(",")) <= {"login", "name", "email"}:
            fields = set(value.split(","))
        else:
            raise refused("type: takes user or org; in: takes login and name.")
    if "email" in fields:
        raise refused("in:email is not offered here: addresses are searched by nobody.")
    return AccountSearch(words=words.words, kind=kind, in_login="login" in fields, in_name="name" in fields)


def _account_json(context: RequestContext, account: FoundAccount) -> Json:
    body = user_json(context, account.id, account.login, kind=account.kind, is_site_admin=account.is_site_admin)
    return body | {"score": 1.0}


@api.get(f"{API}/search/topics", action=PUBLIC, resource="none")
async def topics(context: RequestContext, session: AsyncSession, actor: Actor) -> Page[Json]:
    """Answer the topics that have a word, of repositories the caller may see, the most used first."""
    words, asked = split_query(_query(context), ()).words, _asked(context)
    found = [
        {
            "name": name,
            "display_name": None,
            "short_description": None,
            "description": None,
            "created_by": None,
            "released": None,
            "created_at": None,
            "updated_at": None,
            "featured": False,
            "curated": False,
            "score": 1.0,
        }
        for name, _ in await list_topics(session, actor, containing=[word.lower() for word in words])
    ]
    return _found(found[asked.offset :][: asked.per_page], asked, len(found))


@api.get(f"{API}/search/code", action=PUBLIC, resource="none", cost=Cost.CONTENT)
async def code(context: RequestContext, actor: Actor, engine: Engine) -> Page[Json]:
    """Answer the files of the default branches of the repositories that ``repo:`` names which hold what is searched."""
    names, query = read_api_query(_query(context))
    asked = _asked(context)
    if not 0 < len(names) <= REPOSITORIES_MAX:
        raise refused(f"Name 1 to {REPOSITORIES_MAX} repositories by repo:owner/name: code is not searched everywhere.")
    chosen = [await _named(context, actor, name) for name in names]
    await context.pay(Cost.CONTENT)
    items: list[Json] = []
    is_incomplete = False
    for repository in chosen:
        revision, found = await _search(context, engine, repository, query)
        if revision is None or found is None:
            continue
        is_incomplete = is_incomplete or found.contents.stopped is not Stopped.NOT or found.is_partial
        items += _code_items(context, repository, revision, found)
    return _found(items[asked.offset :][: asked.per_page], asked, len(items), is_incomplete=is_incomplete)


async def _named(context: RequestContext, actor: Actor, full_name: str) -> RepositoryView:
    """Return a repository of a ``repo:``; one that is hidden is refused like one that is not there."""
    owner, _, name = full_name.partition("/")
    try:
        async with context.site.database.read() as session:
            return await find_repository(session, actor, owner, name, Action.REPOSITORY_READ)
    except NotFound:
        raise refused(
            "The listed users and repositories cannot be searched either because the resources do not exist or you do "
            "not have permission to view them."
        ) from None


async def _search(
    context: RequestContext, engine: Engine, repository: RepositoryView, query: CodeQuery
) -> tuple[Revision | None, FoundCode | None]:
    async with open_code(engine, repository.store_id) as opened:
        revision = await opened.default_revision()
        if revision is None:
            return None, None
        tree = (await opened.commit(revision.commit_oid)).tree_oid
        seconds = context.settings.search_seconds / REPOSITORIES_MAX * 2
        return revision, await search_code(engine, opened.parts[1], tree, query, deadline_seconds=seconds)


def _code_items(
    context: RequestContext, repository: RepositoryView, revision: Revision, found: FoundCode
) -> list[Json]:
    with_matches = media_format(context.request.headers.get("accept", "")) == "text-match"
    minimal = repository_json(context, repository, size_bytes=0)
    by_path = {file.path: file for file in found.contents.files}
    oids = {path: file.oid for path, file in by_path.items()} | {name.path: name.oid for name in found.names}
    return [
        _code_item(context, repository, revision, path, oid, minimal, by_path.get(path) if with_matches else None)
        for path, oid in sorted(oids.items())
    ]


def _code_item(
    context: RequestContext,
    repository: RepositoryView,
    revision: Revision,
    path: bytes,
    oid: str,
    minimal: Json,
    matched: FoundFile | None,
) -> Json:
    links = links_of(context, repository.owner, repository.name)
    item: dict[str, Any] = {
        "name": path.rpartition(b"/")[2].decode("utf-8", "replace"),
        "path": path.decode("utf-8", "replace"),
        "sha": oid,
        "url": links.contents(path, revision.commit_oid.encode("ascii")),
        "git_url": links.git("blobs", oid),
        "html_url": links.page("blob", revision.commit_oid.encode("ascii"), path),
        "repository": minimal,
        "score": 1.0,
    }
    if matched is not None:
        item["text_matches"] = [_text_match(item["url"], line.pieces) for line in matched.lines if not line.is_context][
            :_FRAGMENTS_MAX
        ]
    return item


def _text_match(url: str, pieces: Sequence[str]) -> Json:
    """Return one line as GitHub's fragment; indices count characters."""
    matches, place = [], 0
    for index, piece in enumerate(pieces):
        if index % 2:
            matches.append({"text": piece, "indices": [place, place + len(piece)]})
        place += len(piece)
    return {
        "object_url": url,
        "object_type": "FileContent",
        "property": "content",
        "fragment": "".join(pieces),
        "matches": matches,
    }


route_handlers: list[HTTPRouteHandler] = [repositories, users, topics, code]
