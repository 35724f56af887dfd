"""The page and the operation that compare two versions of a series: which commit became which, and how."""

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any
from urllib.parse import unquote_to_bytes

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import NotFoundHere, TooLarge
from cairn.git.engine import Engine
from cairn.git.range_diff import Pair, PairStatus, Part, PatchLine, RangeDiff, Side
from cairn.git.runner import GitTimedOut
from cairn.git.types import show
from cairn.repositories.api_routes import read_repository
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.versions import Version, Versions, compare_versions, read_versions
from cairn.repositories.page_frame import address_of, header_of, open_repository_page
from cairn.repositories.queries import RepositoryMoved
from cairn.repositories.serializers import Json, links_of
from cairn.web.api import ApiAnswer
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.highlight import decode_text
from cairn.web.render import redirect, render
from cairn.web.routing import api, page
from cairn.web.urls import path_join

API_PATH = "/api/cairn/v1/repos/{owner:str}/{repo:str}/range-diff/{address:path}"
_API_PARTS = 7
"""``/api/cairn/v1/repos/owner/name/range-diff`` has this many parts before the address, the empty one included."""
_NAMES_OFFERED_MAX = 200

SIDES = {Side.BOTH: "both", Side.OLD: "old", Side.NEW: "new", Side.GAP: "gap"}
PARTS = {
    Part.TEXT: "text",
    Part.CONTEXT: "context",
    Part.ADDED: "added",
    Part.REMOVED: "removed",
    Part.HUNK: "hunk",
    Part.HEADING: "heading",
}
STATUSES = {
    PairStatus.EQUAL: "equal",
    PairStatus.CHANGED: "changed",
    PairStatus.ADDED: "added",
    PairStatus.DROPPED: "dropped",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a pair's table; words as in SIDES and PARTS."""

    side: str
    part: str
    text: str
    cut_bytes: int


@dataclass(frozen=True, slots=True)
class ShownPair:
    """A pair as ``repositories/_range_diff.html`` shows it."""

    pair: Pair
    status: str
    subject: str
    rows: list[Row]


def shown_pairs(found: RangeDiff) -> list[ShownPair]:
    """Return what ``repositories/_range_diff.html`` wants; other pages that compare versions include it, too."""
    return [
        ShownPair(
            pair,
            STATUSES[pair.status],
            decode_text(pair.subject),
            [
                Row(SIDES[line.side], PARTS[line.part], decode_text(line.content), line.cut_bytes)
                for line, following in zip_longest(pair.lines, pair.lines[1:])
                if not _is_empty_gap(line, following)
            ],
        )
        for pair in found.pairs
    ]


def _is_empty_gap(line: PatchLine, following: PatchLine | None) -> bool:
    """Tell whether a line says only what the heading after it says better."""
    return line.side is Side.GAP and following is not None and following.part is Part.HEADING


@page.get("/{owner:str}/{repo:str}/range-diff", action=Action.REPOSITORY_READ, resource="repository")
async def choose_versions(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    owner: str,
    repo: str,
    base: str = "",
    old: str = "",
    new_base: str = "",
    new: str = "",
) -> Response[Any]:
    """Ask which two versions to compare; with both named, lead to their comparison."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "commits")
    chosen = {"base": base.strip(), "old": old.strip(), "new_base": new_base.strip(), "new": new.strip()}
    if chosen["old"] and chosen["new"]:
        left = f"{chosen['base']}..{chosen['old']}" if chosen["base"] else chosen["old"]
        right = f"{chosen['new_base']}..{chosen['new']}" if chosen["new_base"] else chosen["new"]
        return redirect(header["base"] + path_join("range-diff", f"{left}...{right}"))
    return await _form(context, header, engine, chosen)


async def _form(
    context: RequestContext, header: dict[str, Any], engine: Engine, chosen: dict[str, str], problem: str = ""
) -> Response[Any]:
    async with open_code(engine, header["repository"].store_id) as code:
        names = [show(ref.name.split(b"/", 2)[2]) for ref in [*code.branches, *code.tags][:_NAMES_OFFERED_MAX]]
    status = 404 if problem else 200
    template = "repositories/range_diff_form.html"
    return render(context, template, status=status, **header, names=names, chosen=chosen, problem=problem)


@page.get(
    "/{owner:str}/{repo:str}/range-diff/{address:path}",
    action=Action.REPOSITORY_READ,
    resource="repository",
    cost=Cost.CONTENT,
    is_versioned=True,
)
async def range_diff(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, address: str
) -> Response[Any]:
    """Show how the commits of ``BASE..OLD`` became those of ``BASE..NEW``."""
    del address  # read from the raw path, as bytes
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "commits")
    found: RangeDiff | None = None
    problem = ""
    async with open_code(engine, repository.store_id) as code:
        try:
            versions = await read_versions(code, address_of(context))
        except NotFoundHere as error:
            return await _form(context, header, engine, _typed(address_of(context)), problem=error.message)
        try:
            found = await compare_versions(code, versions)
        except (TooLarge, GitTimedOut) as error:
            problem = error.message
    return render(
        context,
        "repositories/range_diff.html",
        status=422 if problem else 200,
        **header,
        versions=versions,
        found=found,
        pairs=shown_pairs(found) if found is not None else [],
        counts=[(STATUSES[status], found.count(status)) for status in PairStatus] if found is not None else [],
        problem=problem,
        permanent_href=f"{header['base']}/range-diff/{versions.permanent_name}",
        swapped_href=header["base"] + path_join("range-diff", _swapped(versions)),
    )


def _typed(address: bytes) -> dict[str, str]:
    """Return what somebody named, for the form that shows what was wrong with it."""
    left, _, right = show(address).partition("...")
    base, _, old = left.rpartition("..")
    new_base, _, new = right.rpartition("..")
    return {"base": base, "old": old, "new_base": new_base, "new": new}


def _swapped(versions: Versions) -> bytes:
    def name(version: Version) -> bytes:
        return version.tip.name if version.base is None else version.base.name + b".." + version.tip.name

    return name(versions.new) + b"..." + name(versions.old)


@api.get(API_PATH, action=Action.REPOSITORY_READ, resource="repository", cost=Cost.CONTENT)
async def get_range_diff(context: RequestContext, engine: Engine, owner: str, repo: str) -> Json | ApiAnswer:
    """Answer how the commits of one version of a series became those of another: Cairn's own operation."""
    parts = context.path.split("/")
    wanted = b"/".join(unquote_to_bytes(part) for part in parts[_API_PARTS + 1 :])
    try:
        repository = await read_repository(context, owner, repo)
    except RepositoryMoved as moved:
        rest = "/".join(parts[_API_PARTS:])
        target = f"{context.settings.origin}/api/cairn/v1/repos{path_join(moved.owner, moved.name)}/{rest}"
        return ApiAnswer({"message": "Moved Permanently", "url": target}, 301, {"Location": target})
    async with open_code(engine, repository.store_id) as code:
        versions = await read_versions(code, wanted)
        found = await compare_versions(code, versions)
    links = links_of(context, repository.owner, repository.name)
    name = versions.permanent_name
    return {
        "url": f"{context.settings.origin}/api/cairn/v1/repos/{repository.full_name}/range-diff/{name}",
        "html_url": f"{links.html}/range-diff/{name}",
        "old": {"base_sha": versions.old.series.base, "sha": versions.old.series.tip, "merges": found.old_merges},
        "new": {"base_sha": versions.new.series.base, "sha": versions.new.series.tip, "merges": found.new_merges},
        "identical": found.is_equal,
        "counts": {STATUSES[status]: found.count(status) for status in PairStatus},
        "pairs": [_pair_json(shown) for shown in shown_pairs(found)],
    }


def _pair_json(shown: ShownPair) -> Json:
    pair = shown.pair
    return {
        "status": shown.status,
        "subject": shown.subject,
        "old": None if pair.old_oid is None else {"position": pair.old_number, "sha": pair.old_oid},
        "new": None if pair.new_oid is None else {"position": pair.new_number, "sha": pair.new_oid},
        "lines": [
            {"side": row.side, "kind": row.part, "content": row.text, "cut_bytes": row.cut_bytes} for row in shown.rows
        ],
        "truncated": pair.is_truncated,
    }


route_handlers: list[HTTPRouteHandler] = [choose_versions, range_diff, get_range_diff]
