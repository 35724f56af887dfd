"""Repositories and people as GitHub's API writes them: one function per object, every address with our own origin.

What Cairn does not have yet is answered as what it is: false, zero, empty or null, never missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.decide import decide
from cairn.access.roles import Role, Visibility
from cairn.base.actor import Actor
from cairn.identity.models import AccountKind
from cairn.identity.schemas import simple_user
from cairn.repositories.life.licences import UNKNOWN, name_of
from cairn.repositories.queries import RepositoryView
from cairn.repositories.sizes import repository_sizes
from cairn.web.api import api_time
from cairn.web.context import RequestContext
from cairn.web.node_ids import make_node_id
from cairn.web.urls import path_join

API = "/api/v3"
Json = dict[str, Any]

GITHUB_PERMISSIONS = {
    Role.READ: "pull",
    Role.TRIAGE: "triage",
    Role.WRITE: "push",
    Role.MAINTAIN: "maintain",
    Role.ADMIN: "admin",
}
"""GitHub's words for roles where permissions are given or asked for."""


@dataclass(frozen=True, slots=True)
class Links:
    """The addresses of one repository: ``api`` is its REST address, ``html`` its page."""

    origin: str
    api: str
    html: str

    def git(self, kind: str, oid: str) -> str:
        """Return the address of an object of the git data API; ``kind`` is commits, trees, blobs or tags."""
        return f"{self.api}/git/{kind}/{oid}"

    def contents(self, path: bytes, ref: bytes) -> str:
        """Return the contents address of a path at a ref."""
        at = path_join(path) if path else ""
        return f"{self.api}/contents{at}?ref={quote(ref, safe='')}"

    def page(self, verb: str, ref: bytes, path: bytes) -> str:
        """Return the page that shows a path at a ref."""
        return self.html + (path_join(verb, ref, path) if path else path_join(verb, ref))


def links_of(context: RequestContext, owner: str, name: str) -> Links:
    """Return a repository's addresses."""
    origin, path = context.settings.origin, path_join(owner, name)
    return Links(origin, f"{origin}{API}/repos{path}", f"{origin}{path}")


def user_json(
    context: RequestContext,
    account_id: int,
    login: str,
    *,
    kind: AccountKind = AccountKind.USER,
    is_site_admin: bool = False,
) -> Json:
    """Return GitHub's simple user, ready to be added to."""
    origin = context.settings.origin
    user = simple_user(origin, account_id=account_id, login=login, kind=kind, is_site_admin=is_site_admin)
    return msgspec.structs.asdict(user)


_TEMPLATES = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}

_NOT_YET: Json = {
    "open_issues": 0,
    "open_issues_count": 0,
    "has_issues": False,
    "has_projects": False,
    "has_pages": False,
    "has_downloads": False,
    "has_discussions": False,
    "web_commit_signoff_required": False,
    "disabled": False,
}
"""Features of GitHub's repository that Cairn does not have (yet), as honest constants."""


def licence_json(origin: str, spdx_id: str) -> Json | None:
    """Return GitHub's short form of a licence by SPDX's name; None for no licence."""
    if not spdx_id:
        return None
    is_known = spdx_id != UNKNOWN
    key = spdx_id.lower() if is_known else "other"
    return {
        "key": key,
        "name": name_of(spdx_id),
        "spdx_id": spdx_id,
        "url": f"{origin}{API}/licenses/{key}" if is_known else None,
        "node_id": f"L_{key}",
    }


def permissions_json(actor: Actor, repository: RepositoryView) -> Json:
    """Return what the actor may do there, a token's limits included."""

    def may(action: Action) -> bool:
        return decide(actor, action, repository.scope).allowed

    return {
        "admin": may(Action.REPOSITORY_ADMINISTER),
        "maintain": may(Action.REPOSITORY_MAINTAIN),
        "push": may(Action.REPOSITORY_PUSH),
        "triage": may(Action.REPOSITORY_TRIAGE),
        "pull": may(Action.REPOSITORY_READ),
    }


def role_permissions_json(role: Role) -> Json:
    """Return a role as GitHub's five flags."""
    order = list(Role)
    return {GITHUB_PERMISSIONS[each]: order.index(role) >= order.index(each) for each in reversed(order)}


async def repositories_json(
    context: RequestContext, session: AsyncSession, repositories: Sequence[RepositoryView]
) -> list[Json]:
    """Return repositories as GitHub's, in the order given; one statement for all their sizes."""
    sizes = await repository_sizes(session, repositories)
    return [repository_json(context, one, size_bytes=sizes[one.id]) for one in repositories]


def repository_json(context: RequestContext, repository: RepositoryView, *, size_bytes: int) -> Json:
    """Return a repository in GitHub's full form, which contains the smaller ones."""
    links = links_of(context, repository.owner, repository.name)
    path = path_join(repository.owner, repository.name)
    host = context.settings.origin.split("://", 1)[1]
    kind = AccountKind.ORGANIZATION if repository.is_organizations else AccountKind.USER
    owner = user_json(context, repository.owner_id, repository.owner, kind=kind)
    body: Json = {
        "id": repository.id,
        "node_id": make_node_id("R", repository.id),
        "name": repository.name,
        "full_name": repository.full_name,
        "owner": owner,
        "private": repository.visibility is not Visibility.PUBLIC,
        "html_url": links.html,
        "description": repository.description or None,
        "url": links.api,
        **{name: links.api + rest for name, rest in _TEMPLATES.items()},
        "git_url": f"git://{host}{path}.git",
        "ssh_url": f"{context.settings.ssh_origin}{path}.git",
        "clone_url": f"{links.html}.git",
        "svn_url": links.html,
        "homepage": repository.homepage or None,
        # GitHub counts in KiB.
        "size": -(-size_bytes // 1024),
        "default_branch": repository.default_branch,
        "language": repository.language,
        "license": licence_json(context.settings.origin, repository.license),
        "topics": list(repository.topics),
        "archived": repository.is_archived,
        "has_wiki": repository.has_wiki,
        "visibility": repository.visibility.value,
        "pushed_at": api_time(repository.pushed_at),
        "created_at": api_time(repository.created_at),
        "updated_at": api_time(repository.updated_at),
        "fork": repository.is_fork,
        "forks": repository.forks_count,
        "forks_count": repository.forks_count,
        "network_count": repository.forks_count,
        # GitHub's watchers are those who starred.
        "stargazers_count": repository.stars_count,
        "watchers": repository.stars_count,
        "watchers_count": repository.stars_count,
        "subscribers_count": repository.watchers_count,
        "is_template": repository.is_template,
        "mirror_url": repository.mirror_url or None,
        "allow_forking": True,
        **_NOT_YET,
    }
    if repository.is_organizations:
        body["organization"] = owner
    if context.actor.is_signed_in:
        body["permissions"] = permissions_json(context.actor, repository)
    return body
