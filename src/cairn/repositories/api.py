"""Repositories over REST in GitHub's shape: one, by name and by number; lists; create, change, delete.

What lies below a repository has files of its own: contents, commits, git data, collaborators.
"""

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, UnsetType
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.roles import Visibility
from cairn.base.actor import Actor
from cairn.base.errors import Unauthenticated
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.identity.organizations import find_organization
from cairn.identity.queries import read_profile
from cairn.repositories import (
    collaborators_api,
    deploy_keys_api,
    fork_api,
    organizations_api,
    topics_api,
)
from cairn.repositories.api_routes import BY_ID, REPOSITORY, choose, follows_renames, refuse_parameters, refused
from cairn.repositories.create import NewRepository, create_repository
from cairn.repositories.delete import delete_repository
from cairn.repositories.fork_api import whole_repository
from cairn.repositories.lists import Affiliation, RepositoryFilter, RepositorySort, list_repositories
from cairn.repositories.queries import RepositoryView, find_repository, find_repository_by_id
from cairn.repositories.serializers import API, Json, repositories_json
from cairn.repositories.update import RepositoryChange, update_repository
from cairn.web.api import Page, read_page
from cairn.web.context import RequestContext
from cairn.web.routing import api

_SORTS = {sort.value: sort for sort in RepositorySort}
_ALL = frozenset(Affiliation)
_PRIVATE = frozenset({Visibility.PRIVATE, Visibility.INTERNAL})
_PUBLIC = frozenset({Visibility.PUBLIC})


class RepositoryToBe(msgspec.Struct, kw_only=True):
    """The body of creating a repository. What Cairn has no word for is passed over, as GitHub does."""

    name: str
    description: str | None = None
    homepage: str | None = None
    private: bool = False
    visibility: Visibility | None = None
    auto_init: bool = False
    has_wiki: bool = True
    gitignore_template: str | None = None
    license_template: str | None = None
    is_template: bool = False


class RepositoryEdit(msgspec.Struct, kw_only=True):
    """The body of changing a repository; what is not sent stays."""

    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    homepage: str | UnsetType | None = UNSET
    private: bool | UnsetType = UNSET
    visibility: Visibility | UnsetType = UNSET
    default_branch: str | UnsetType = UNSET
    archived: bool | UnsetType = UNSET
    is_template: bool | UnsetType = UNSET
    has_wiki: bool | UnsetType = UNSET


@api.get(REPOSITORY, action=Action.REPOSITORY_SEE, resource="repository")
@follows_renames
async def get(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> Json:
    """Answer a repository by its name."""
    found = await find_repository(session, actor, owner, repo, Action.REPOSITORY_SEE)
    return await whole_repository(context, session, found)


@api.get(BY_ID, action=Action.REPOSITORY_SEE, resource="repository")
async def get_by_id(context: RequestContext, session: AsyncSession, actor: Actor, repository_id: int) -> Json:
    """Answer a repository by its number, which survives renames."""
    found = await find_repository_by_id(session, actor, repository_id, Action.REPOSITORY_SEE)
    return await whole_repository(context, session, found)


@api.patch(REPOSITORY, action=Action.REPOSITORY_MAINTAIN, resource="repository")
@follows_renames
async def edit(
    context: RequestContext,
    session: AsyncSession,
    engine: Engine,
    actor: Actor,
    owner: str,
    repo: str,
    body: RepositoryEdit,
) -> Json:
    """Change what is sent and answer the repository as it is then."""
    repository = await find_repository(session, actor, owner, repo)
    return await _edit(context, session, engine, actor, repository, body)


@api.patch(BY_ID, action=Action.REPOSITORY_MAINTAIN, resource="repository")
async def edit_by_id(
    context: RequestContext,
    session: AsyncSession,
    engine: Engine,
    actor: Actor,
    repository_id: int,
    body: RepositoryEdit,
) -> Json:
    """Change a repository named by its number: where a redirected change arrives."""
    repository = await find_repository_by_id(session, actor, repository_id)
    return await _edit(context, session, engine, actor, repository, body)


async def _edit(
    context: RequestContext,
    session: AsyncSession,
    engine: Engine,
    actor: Actor,
    repository: RepositoryView,
    body: RepositoryEdit,
) -> Json:
    changed = await update_repository(session, engine, actor, repository.id, _change(body))
    return await whole_repository(context, session, changed)


def _change(body: RepositoryEdit) -> RepositoryChange:
    visibility = None if body.visibility is UNSET else body.visibility
    if visibility is None and body.private is not UNSET:
        visibility = Visibility.PRIVATE if body.private else Visibility.PUBLIC
    return RepositoryChange(
        name=None if body.name is UNSET else body.name,
        # GitHub clears a text by null.
        description=None if body.description is UNSET else body.description or "",
        homepage=None if body.homepage is UNSET else body.homepage or "",
        visibility=visibility,
        is_archived=None if body.archived is UNSET else body.archived,
        is_template=None if body.is_template is UNSET else body.is_template,
        default_branch=None if body.default_branch is UNSET else body.default_branch,
        has_wiki=None if body.has_wiki is UNSET else body.has_wiki,
    )


@api.delete(REPOSITORY, action=Action.REPOSITORY_DELETE, resource="repository", sudo=True)
@follows_renames
async def delete(
    context: RequestContext, session: AsyncSession, engine: Engine, actor: Actor, owner: str, repo: str
) -> None:
    """Delete a repository; for some days it can be restored (``life.deleted_api``)."""
    del context  # for renames
    repository = await find_repository(session, actor, owner, repo)
    await delete_repository(session, engine, actor, repository.id)


@api.delete(BY_ID, action=Action.REPOSITORY_DELETE, resource="repository", sudo=True)
async def delete_by_id(session: AsyncSession, engine: Engine, actor: Actor, repository_id: int) -> None:
    """Delete a repository named by its number."""
    repository = await find_repository_by_id(session, actor, repository_id)
    await delete_repository(session, engine, actor, repository.id)


@api.post(f"{API}/user/repos", action=Action.REPOSITORY_CREATE, resource="none")
async def create(
    context: RequestContext, database: Database, engine: Engine, actor: Actor, body: RepositoryToBe
) -> Json:
    """Create a repository under the caller's account; ``auto_init`` gives it a README, others more files."""
    return await _create(context, database, engine, actor, body)


@api.post(f"{API}/orgs/{{org:str}}/repos", action=Action.REPOSITORY_CREATE, resource="account")
async def create_in_organization(
    context: RequestContext, database: Database, engine: Engine, actor: Actor, org: str, body: RepositoryToBe
) -> Json:
    """Create a repository in an organization that lets the caller."""
    async with database.read() as session:
        organization = await find_organization(session, actor, org)
    return await _create(context, database, engine, actor, body, owner=organization.login)


async def _create(
    context: RequestContext,
    database: Database,
    engine: Engine,
    actor: Actor,
    body: RepositoryToBe,
    *,
    owner: str | None = None,
) -> Json:
    wanted = NewRepository(
        name=body.name,
        owner=owner,
        description=body.description or "",
        homepage=body.homepage or "",
        visibility=body.visibility or (Visibility.PRIVATE if body.private else Visibility.PUBLIC),
        with_readme=body.auto_init,
        gitignore=body.gitignore_template or "",
        license=body.license_template or "",
        is_template=body.is_template,
        has_wiki=body.has_wiki,
    )
    repository = await create_repository(database, engine, actor, wanted)
    async with database.read() as session:
        return await whole_repository(context, session, repository)


@api.get(f"{API}/user/repos", action=Action.ACCOUNT_READ, resource="none")
async def list_own(context: RequestContext, session: AsyncSession, actor: Actor) -> Page[Json]:
    """Answer the repositories the caller owns or works on."""
    if not actor.is_signed_in:
        raise Unauthenticated("Requires authentication")
    refuse_parameters(context, "since", "before")
    return await _list(context, session, actor, _own_filter(context))


def _own_filter(context: RequestContext) -> RepositoryFilter:
    query = context.request.query_params
    if "type" in query and ("visibility" in query or "affiliation" in query):
        raise refused("type", "If you specify visibility or affiliation, you cannot specify type.")
    if "type" in query:
        ties, visibilities = choose(
            context,
            "type",
            {
                "all": (_ALL, None),
                "owner": (frozenset({Affiliation.OWNER}), None),
                "member": (_ALL - {Affiliation.OWNER}, None),
                "public": (_ALL, _PUBLIC),
                "private": (_ALL, _PRIVATE),
            },
            "all",
        )
        return RepositoryFilter(affiliations=ties, visibilities=visibilities)
    visibilities = choose(context, "visibility", {"all": None, "public": _PUBLIC, "private": _PRIVATE}, "all")
    return RepositoryFilter(affiliations=_affiliations(query.get("affiliation")), visibilities=visibilities)


def _affiliations(value: str | None) -> frozenset[Affiliation]:
    """Return the ties a comma list names, all of them for none."""
    if not value:
        return _ALL
    known = {tie.value: tie for tie in Affiliation}
    words = {word.strip() for word in value.split(",")}
    if not words <= known.keys():
        raise refused("affiliation", f"affiliation is a list of {', '.join(known)}.")
    return frozenset(known[word] for word in words)


@api.get(f"{API}/users/{{username:str}}/repos", action=Action.ACCOUNT_READ, resource="account")
async def list_of_user(context: RequestContext, session: AsyncSession, actor: Actor, username: str) -> Page[Json]:
    """Answer those of a person's repositories that the caller may see."""
    choose(context, "type", {"owner": None, "all": None}, "owner")
    profile = await read_profile(session, actor, username)
    return await _list(context, session, actor, RepositoryFilter(owner_id=profile.id))


async def _list(context: RequestContext, session: AsyncSession, actor: Actor, wanted: RepositoryFilter) -> Page[Json]:
    sort: RepositorySort = choose(context, "sort", _SORTS, RepositorySort.FULL_NAME.value)
    usual = "asc" if sort is RepositorySort.FULL_NAME else "desc"
    descending: bool = choose(context, "direction", {"asc": False, "desc": True}, usual)
    asked = read_page(context)
    found = await list_repositories(
        session, actor, wanted, sort=sort, descending=descending, page=asked.page, per_page=asked.per_page
    )
    return Page(await repositories_json(context, session, found.items), asked, total=found.total)


route_handlers: list[HTTPRouteHandler] = [
    get,
    get_by_id,
    edit,
    edit_by_id,
    delete,
    delete_by_id,
    create,
    create_in_organization,
    list_own,
    list_of_user,
    *collaborators_api.route_handlers,
    *deploy_keys_api.route_handlers,
    *fork_api.route_handlers,
    *organizations_api.route_handlers,
    *topics_api.route_handlers,
]
