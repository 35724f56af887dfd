"""The API's root: what there is, what this server is, how many requests are left."""

from litestar.handlers import HTTPRouteHandler

from cairn.home import search_api
from cairn.repositories.serializers import API, Json
from cairn.web.api import ENTERPRISE_VERSION
from cairn.web.context import RequestContext
from cairn.web.rate_limits import SEARCH, RateState
from cairn.web.routing import PUBLIC, api

_ADDRESSES = {
    "current_user_url": "/user",
    "authorizations_url": "/authorizations",
    "code_search_url": "/search/code?q={query}{&page,per_page,sort,order}",
    "commit_search_url": "/search/commits?q={query}{&page,per_page,sort,order}",
    "emails_url": "/user/emails",
    "emojis_url": "/emojis",
    "events_url": "/events",
    "feeds_url": "/feeds",
    "followers_url": "/user/followers",
    "following_url": "/user/following{/target}",
    "gists_url": "/gists{/gist_id}",
    "hub_url": "/hub",
    "issue_search_url": "/search/issues?q={query}{&page,per_page,sort,order}",
    "issues_url": "/issues",
    "keys_url": "/user/keys",
    "label_search_url": "/search/labels?q={query}&repository_id={repository_id}{&page,per_page}",
    "notifications_url": "/notifications",
    "organization_url": "/orgs/{org}",
    "organization_repositories_url": "/orgs/{org}/repos{?type,page,per_page,sort}",
    "organization_teams_url": "/orgs/{org}/teams",
    "public_gists_url": "/gists/public",
    "rate_limit_url": "/rate_limit",
    "repository_url": "/repos/{owner}/{repo}",
    "repository_search_url": "/search/repositories?q={query}{&page,per_page,sort,order}",
    "current_user_repositories_url": "/user/repos{?type,page,per_page,sort}",
    "starred_url": "/user/starred{/owner}{/repo}",
    "starred_gists_url": "/gists/starred",
    "user_url": "/users/{user}",
    "user_organizations_url": "/user/orgs",
    "user_repositories_url": "/users/{user}/repos{?type,page,per_page,sort}",
    "user_search_url": "/search/users?q={query}{&page,per_page,sort,order}",
}
"""GitHub's map of addresses. It is a vocabulary for clients: some name what is not served yet (404)."""

_RESOURCES = ("core", "search", "graphql", "integration_manifest", "source_import", "code_search")


@api.get(API, action=PUBLIC, resource="none")
async def root(context: RequestContext) -> Json:
    """Answer the map of the API; clients look here whether there is one."""
    base = context.settings.origin + API
    found = {name: base + rest for name, rest in _ADDRESSES.items()}
    found["current_user_authorizations_html_url"] = (
        f"{context.settings.origin}/settings/connections/applications{{/client_id}}"
    )
    return found


@api.get(f"{API}/meta", action=PUBLIC, resource="none")
async def meta(context: RequestContext) -> Json:
    """Answer what this server is. No client may turn a password into a token here."""
    del context  # the same for everybody
    return {"verifiable_password_authentication": False, "installed_version": ENTERPRISE_VERSION}


@api.get(f"{API}/rate_limit", action=PUBLIC, resource="none")
async def rate_limit(context: RequestContext) -> Json:
    """Answer the caller's budget, without using any of it."""
    limits = context.site.limits
    budget, searching = _budget(limits.look(context)), _budget(limits.look(context, resource=SEARCH))
    # Two windows count all; clients look for theirs by name.
    resources = {name: dict(searching if "search" in name else budget) for name in _RESOURCES}
    return {"resources": resources, "rate": budget}


def _budget(state: RateState) -> Json:
    return {
        "limit": state.limit,
        "remaining": state.remaining,
        "used": state.used,
        "reset": state.reset_at,
        "resource": state.resource,
    }


route_handlers: list[HTTPRouteHandler] = [root, meta, rate_limit, *search_api.route_handlers]
