"""Statistics of a repository's default branch over REST, in GitHub's shape: 202 while they are being counted."""

from collections.abc import Callable, Iterable

import msgspec
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.clock import utc_now
from cairn.git.activity import Activity
from cairn.git.engine import Engine
from cairn.identity.schemas import simple_user
from cairn.repositories.api_routes import REPOSITORY, follows_renames, read_repository
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.history_lists import authors_of_emails
from cairn.repositories.life.activity import activity_of, authors_of, last_weeks
from cairn.repositories.queries import RepositoryView
from cairn.repositories.serializers import Json
from cairn.web.api import ApiAnswer
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.routing import api

_STATS = f"{REPOSITORY}/stats"
_NOT_YET = ApiAnswer({}, 202)
_DAYS, _HOURS = 7, 24


async def _read(
    context: RequestContext, engine: Engine, owner: str, repo: str
) -> tuple[RepositoryView, Activity | None]:
    """Return the repository and its activity: empty before the first commit, None while it is counted."""
    repository = await read_repository(context, owner, repo)
    async with open_code(engine, repository.store_id) as code:
        revision = await code.default_revision()
        if revision is None:
            return repository, Activity([], [], [0] * _DAYS * _HOURS, has_lines=True)
        return repository, await activity_of(code, revision.commit_oid)


async def _answer(
    context: RequestContext, engine: Engine, owner: str, repo: str, make: Callable[[Activity], object]
) -> ApiAnswer:
    _, found = await _read(context, engine, owner, repo)
    return _NOT_YET if found is None else ApiAnswer(make(found))


def _recent(found: Activity) -> list[tuple[int, int]]:
    weeks = found.by_week()
    return [(start, weeks.get(start, (0, 0, 0))[0]) for start in last_weeks(int(utc_now().timestamp()))]


@api.get(f"{_STATS}/commit_activity", action=Action.REPOSITORY_READ, resource="repository", cost=Cost.HISTORY)
@follows_renames
async def commit_activity(context: RequestContext, engine: Engine, owner: str, repo: str) -> ApiAnswer:
    """Answer the commits of each of the last 52 weeks. Days within them are not kept: all stand on the first."""

    def make(found: Activity) -> list[Json]:
        return [{"total": total, "week": start, "days": [total, *[0] * (_DAYS - 1)]} for start, total in _recent(found)]

    return await _answer(context, engine, owner, repo, make)


@api.get(f"{_STATS}/code_frequency", action=Action.REPOSITORY_READ, resource="repository", cost=Cost.HISTORY)
@follows_renames
async def code_frequency(context: RequestContext, engine: Engine, owner: str, repo: str) -> ApiAnswer:
    """Answer the lines added and deleted in each week; 422 where there are too many commits to look at."""
    _, found = await _read(context, engine, owner, repo)
    if found is None:
        return _NOT_YET
    if not found.has_lines:
        return ApiAnswer({"message": "This history is too long for its lines to be counted."}, 422)
    return ApiAnswer([[start, added, -deleted] for start, (_, added, deleted) in found.by_week().items()])


@api.get(f"{_STATS}/participation", action=Action.REPOSITORY_READ, resource="repository", cost=Cost.HISTORY)
@follows_renames
async def participation(context: RequestContext, engine: Engine, owner: str, repo: str) -> ApiAnswer:
    """Answer the commits of each of the last 52 weeks: of all, and of the owner's addresses."""
    repository, found = await _read(context, engine, owner, repo)
    if found is None:
        return _NOT_YET
    authors = authors_of(found)
    people = await authors_of_emails(context, [one.email for one in authors])
    own = [one for one in authors if _is_owner(people.of(one.email), repository.owner_id)]
    weeks = last_weeks(int(utc_now().timestamp()))
    return ApiAnswer(
        {
            "all": [total for _, total in _recent(found)],
            "owner": [sum(one.weeks.get(start, (0, 0, 0))[0] for one in own) for start in weeks],
        }
    )


def _is_owner(author: object, owner_id: int) -> bool:
    return getattr(author, "account_id", None) == owner_id


@api.get(f"{_STATS}/punch_card", action=Action.REPOSITORY_READ, resource="repository", cost=Cost.HISTORY)
@follows_renames
async def punch_card(context: RequestContext, engine: Engine, owner: str, repo: str) -> ApiAnswer:
    """Answer the commits of each hour of the week: day from Sunday as 0, hour, commits."""

    def make(found: Activity) -> list[list[int]]:
        return [[place // _HOURS, place % _HOURS, value] for place, value in enumerate(found.hours)]

    return await _answer(context, engine, owner, repo, make)


@api.get(f"{_STATS}/contributors", action=Action.REPOSITORY_READ, resource="repository", cost=Cost.HISTORY)
@follows_renames
async def contributors(context: RequestContext, engine: Engine, owner: str, repo: str) -> ApiAnswer:
    """Answer the hundred busiest authors with their weeks, the least busy of them first, as GitHub does."""
    _, found = await _read(context, engine, owner, repo)
    if found is None:
        return _NOT_YET
    authors = authors_of(found)
    people = await authors_of_emails(context, [one.email for one in authors])
    bodies = []
    for one in reversed(authors):
        account = people.of(one.email)
        user = None
        if account is not None:
            user = msgspec.structs.asdict(
                simple_user(
                    context.settings.origin,
                    account_id=account.account_id,
                    login=account.login,
                    kind=account.kind,
                    is_site_admin=account.is_site_admin,
                )
            )
        bodies.append({"author": user, "total": one.commits, "weeks": list(_weeks(one.weeks.items()))})
    return ApiAnswer(bodies)


def _weeks(weeks: Iterable[tuple[int, tuple[int, int, int]]]) -> Iterable[Json]:
    for start, (commits, additions, deletions) in weeks:
        yield {"w": start, "a": additions, "d": deletions, "c": commits}


route_handlers: list[HTTPRouteHandler] = [commit_activity, code_frequency, participation, punch_card, contributors]
