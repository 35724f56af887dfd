"""Two revisions compared over REST."""

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from cairn.access.actions import Action
from cairn.git.diff import DiffBounds
from cairn.git.engine import Engine
from cairn.repositories.api_routes import REPOSITORY, follows_renames, media_type_of, read_repository, rest_of_path
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.commits_api import FILES_PER_PAGE
from cairn.repositories.code.comparing import compare, read_sides
from cairn.repositories.code.git_serializers import commit_json, file_json
from cairn.repositories.code.history_lists import authors_of
from cairn.repositories.code.patch_answer import FORMS, answer_text, comparison_text
from cairn.repositories.code.signatures import signatures_of
from cairn.repositories.serializers import Json, links_of
from cairn.web.api import Page, PageRequest, media_format, read_page
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.routing import api
from cairn.web.urls import path_join

COMMITS_PER_PAGE = 250


@api.get(
    f"{REPOSITORY}/compare/{{address:path}}", action=Action.REPOSITORY_READ, resource="repository", cost=Cost.HISTORY
)
@follows_renames
async def compare_revisions(
    context: RequestContext, engine: Engine, owner: str, repo: str
) -> Page[Json] | Response[bytes] | Stream:
    """Answer ``base...head``: a page of commits, oldest first, with the files on the first one; or diff, or patch."""
    repository = await read_repository(context, owner, repo)
    links = links_of(context, repository.owner, repository.name)
    wanted = media_format(context.request.headers.get("accept", ""))
    asked = read_page(context)
    if "per_page" not in context.request.query_params:
        asked = PageRequest(asked.page, COMMITS_PER_PAGE)
    async with open_code(engine, repository.store_id) as code:
        sides = await read_sides(code, rest_of_path(context, "compare"))
        if wanted in FORMS:
            text = await comparison_text(code, sides, wanted)
            return await answer_text(context, text, media_type=media_type_of(wanted))
        found = await compare(code, sides, bounds=DiffBounds(files=FILES_PER_PAGE if asked.page == 1 else 0))
        # Oldest first: the last of git's order are the first page.
        end = found.ahead - asked.offset
        start = max(0, end - asked.per_page)
        commits = (
            await code.commits_beyond(sides.base.commit_oid, sides.head.commit_oid, skip=start, max_count=end - start)
            if end > start
            else []
        )
        named = [sides.base.commit_oid, *([found.merge_base] if found.merge_base else [])]
        base, *middle = await code.commits(named)
        signatures = await signatures_of(context, code, [commit.oid for commit in (*commits, base, *middle)])
    authors = await authors_of(context, [*commits, base, *middle])
    html = f"{links.html}{path_join('compare', sides.name)}"
    url = f"{links.api}{path_join('compare', sides.name)}"
    permanent = f"{sides.base.commit_oid}{'..' if sides.is_direct else '...'}{sides.head.commit_oid}"
    body: Json = {
        "url": url,
        "html_url": html,
        "permalink_url": f"{links.html}{path_join('compare', permanent)}",
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "base_commit": commit_json(links, base, authors, signatures),
        "merge_base_commit": commit_json(links, middle[0], authors, signatures) if middle else None,
        "status": found.status,
        "ahead_by": found.ahead,
        "behind_by": found.behind,
        "total_commits": found.ahead,
        "commits": [commit_json(links, commit, authors, signatures) for commit in reversed(commits)],
        "files": [file_json(links, file, old=found.old, new=sides.head.commit_oid) for file in found.diff.files],
    }
    return Page(body["commits"], asked, total=found.ahead, body=body)


route_handlers: list[HTTPRouteHandler] = [compare_revisions]
