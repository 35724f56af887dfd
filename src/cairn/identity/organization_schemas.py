"""Organizations, memberships and teams as GitHub's API writes them, and as it reads them.

What Cairn has no word for is null, empty or zero, as in ``schemas``.
"""

from typing import Any

import msgspec

from cairn.access.permissions import PERMISSIONS, PermissionKind
from cairn.access.roles import BasePermission, OrganizationRole, TeamPrivacy, TeamRole
from cairn.base.errors import FieldProblem, Invalid
from cairn.identity.invitations import Invitation
from cairn.identity.models import AccountKind
from cairn.identity.organization_members import Membership
from cairn.identity.organization_tokens import OrganizationToken
from cairn.identity.organizations import OrganizationChange, OrganizationView
from cairn.identity.own_invitations import OwnInvitation
from cairn.identity.queries import RepositoryCounts
from cairn.identity.schemas import avatar_url, simple_user, user_node_id
from cairn.identity.teams import TeamView
from cairn.web.api import api_time
from cairn.web.node_ids import make_node_id
from cairn.web.urls import path_join

API = "/api/v3"
Json = dict[str, Any]

ORGANIZATION_ROLES = {"member": OrganizationRole.MEMBER, "admin": OrganizationRole.OWNER}
"""GitHub's words for what somebody is in an organization."""
ROLE_WORDS = {role: word for word, role in ORGANIZATION_ROLES.items()}
INVITED_ROLES = {"direct_member": OrganizationRole.MEMBER, "admin": OrganizationRole.OWNER}
"""GitHub's words for what an invitation offers."""
INVITED_ROLE_WORDS = {role: word for word, role in INVITED_ROLES.items()}
TEAM_ROLES = {role.value: role for role in TeamRole}
PRIVACIES = {privacy.value: privacy for privacy in TeamPrivacy}


class OrganizationBody(msgspec.Struct, kw_only=True):
    """The body of PATCH /orgs/{org}; what is absent or null stays as it is."""

    name: str | None = None
    description: str | None = None
    blog: str | None = None
    location: str | None = None
    default_repository_permission: str | None = None
    members_can_create_repositories: bool | None = None
    members_can_create_teams: bool | None = None

    def change(self) -> OrganizationChange:
        """Return what is to be different. Errors: Invalid for a permission that is none."""
        base = self.default_repository_permission
        return OrganizationChange(
            name=self.name,
            description=self.description,
            website=self.blog,
            location=self.location,
            base_permission=None if base is None else BasePermission(_one_of("default_repository_permission", base)),
            members_can_create_repositories=self.members_can_create_repositories,
            members_can_create_teams=self.members_can_create_teams,
        )


def _one_of(field: str, word: str) -> str:
    allowed = [permission.value for permission in BasePermission]
    if word not in allowed:
        raise unknown_word(field, allowed)
    return word


def unknown_word(field: str, allowed: list[str]) -> Invalid:
    """Return the error for a field of a body that has none of its words."""
    message = f"{field} must be one of: {', '.join(allowed)}."
    return Invalid(f"Invalid request.\n\n{message}", FieldProblem(field, "invalid", message))


def organization_mention(origin: str, organization_id: int, login: str, description: str = "") -> Json:
    """Return an organization where another thing mentions it."""
    url = f"{origin}{API}/orgs/{login}"
    return {
        "login": login,
        "id": organization_id,
        "node_id": user_node_id(organization_id, AccountKind.ORGANIZATION),
        "url": url,
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events",
        "hooks_url": f"{url}/hooks",
        "issues_url": f"{url}/issues",
        "members_url": f"{url}/members{{/member}}",
        "public_members_url": f"{url}/public_members{{/member}}",
        "avatar_url": avatar_url(origin, login),
        "description": description,
    }


def organization_json(origin: str, found: OrganizationView, counts: RepositoryCounts, *, with_policies: bool) -> Json:
    """Return an organization on its own; ``with_policies`` adds what only its members should see."""
    body = organization_mention(origin, found.id, found.login, found.description) | {
        "name": found.name or None,
        "company": None,
        "blog": found.website,
        "location": found.location or None,
        "email": None,
        "twitter_username": None,
        "is_verified": False,
        "has_organization_projects": False,
        "has_repository_projects": False,
        "public_repos": counts.public,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "html_url": origin + path_join(found.login),
        "created_at": api_time(found.created_at),
        "updated_at": api_time(found.updated_at),
        "archived_at": None,
        "type": "Organization",
    }
    if with_policies:
        body |= {
            "total_private_repos": counts.private,
            "owned_private_repos": counts.private,
            "private_gists": 0,
            "disk_usage": counts.disk_kib,
            "default_repository_permission": found.base_permission.value,
            "members_can_create_repositories": found.members_can_create_repositories,
            "members_can_create_public_repositories": found.members_can_create_repositories,
            "members_can_create_private_repositories": found.members_can_create_repositories,
            "members_can_create_internal_repositories": found.members_can_create_repositories,
            "members_can_create_teams": found.members_can_create_teams,
            "two_factor_requirement_enabled": False,
        }
    return body


def person_json(origin: str, account_id: int, login: str) -> Json:
    """Return a person as a list of members has them."""
    return msgspec.structs.asdict(simple_user(origin, account_id=account_id, login=login))


def membership_json(
    origin: str,
    place: Membership | OwnInvitation | OrganizationView,
    *,
    role: OrganizationRole,
    person: tuple[int, str],
    state: str = "active",
) -> Json:
    """Return somebody's place in an organization, or the one they are offered; ``person`` is id, login."""
    organization_id = place.id if isinstance(place, OrganizationView) else place.organization_id
    organization = organization_mention(origin, organization_id, place.login)
    return {
        "url": f"{organization['url']}/memberships/{person[1]}",
        "state": state,
        "role": ROLE_WORDS[role],
        "organization_url": organization["url"],
        "organization": organization,
        "user": person_json(origin, *person),
    }


def invitation_json(origin: str, organization: str, found: Invitation) -> Json:
    """Return an invitation into an organization; GitHub calls the member's role ``direct_member`` here."""
    url = f"{origin}{API}/orgs/{organization}/invitations/{found.id}"
    return {
        "id": found.id,
        "node_id": make_node_id("OI", found.id),
        "login": found.login or None,
        "email": found.email or None,
        "role": INVITED_ROLE_WORDS[found.role],
        "created_at": api_time(found.created_at),
        "failed_at": None if found.is_open else api_time(found.expires_at),
        "failed_reason": None if found.is_open else "Invitation expired. No user accepted the invitation.",
        "inviter": None if found.inviter_id is None else person_json(origin, found.inviter_id, found.inviter),
        "team_count": len(found.teams),
        "invitation_teams_url": f"{url}/teams",
        "invitation_source": "member",
    }


def team_url(origin: str, organization: str, slug: str) -> str:
    """Return where a team is in the API."""
    return f"{origin}{API}/orgs/{organization}/teams/{slug}"


def team_mention(origin: str, organization: str, team: TeamView) -> Json:
    """Return a team where another thing mentions it."""
    url = team_url(origin, organization, team.slug)
    return {
        "id": team.id,
        "node_id": make_node_id("T", team.id),
        "url": url,
        "html_url": f"{origin}{path_join('orgs', organization, 'teams', team.slug)}",
        "name": team.name,
        "slug": team.slug,
        "description": team.description,
        "privacy": team.privacy.value,
        "notification_setting": "notifications_enabled",
        "permission": "pull",
        "members_url": f"{url}/members{{/member}}",
        "repositories_url": f"{url}/repos",
    }


def team_json(origin: str, organization: str, team: TeamView, parent: TeamView | None) -> Json:
    """Return a team of a list."""
    return team_mention(origin, organization, team) | {
        "parent": None if parent is None else team_mention(origin, organization, parent)
    }


def full_team_json(origin: str, organization: OrganizationView, team: TeamView, parent: TeamView | None) -> Json:
    """Return a team on its own."""
    return team_json(origin, organization.login, team, parent) | {
        "members_count": team.members,
        "repos_count": team.repositories,
        "created_at": api_time(team.created_at),
        "updated_at": api_time(team.updated_at),
        "organization": organization_json(origin, organization, RepositoryCounts(0, 0), with_policies=False),
    }


def team_membership_json(
    origin: str, organization: str, slug: str, *, login: str, role: TeamRole, state: str = "active"
) -> Json:
    """Return somebody's place in a team, or (``pending``) the one they are offered."""
    return {
        "url": f"{team_url(origin, organization, slug)}/memberships/{login}",
        "role": role.value,
        "state": state,
    }


_PERMISSION_GROUPS = {
    PermissionKind.ORGANIZATION: "organization",
    PermissionKind.REPOSITORY: "repository",
    PermissionKind.ACCOUNT: "other",
}


def organization_token_json(origin: str, organization: str, token: OrganizationToken) -> Json:
    """Return a token that is for an organization, as its owners see it. GitHub numbers the access apart; we do not."""
    permissions: dict[str, dict[str, str]] = {group: {} for group in _PERMISSION_GROUPS.values()}
    for name, level in sorted({**token.permissions, "metadata": "read"}.items()):
        permissions[_PERMISSION_GROUPS[PERMISSIONS[name].kind]][name] = level
    reached = token.repository_ids
    return {
        "id": token.id,
        "owner": person_json(origin, token.account_id, token.login),
        "repository_selection": "all" if reached is None else "subset" if reached else "none",
        "repositories_url": f"{origin}{API}/orgs/{organization}/personal-access-tokens/{token.id}/repositories",
        "permissions": permissions,
        "access_granted_at": api_time(token.created_at),
        "token_id": token.id,
        "token_name": token.name,
        "token_expired": token.is_expired,
        "token_expires_at": api_time(token.expires_at),
        "token_last_used_at": api_time(token.last_used_at),
    }
