"""Actions: everything an actor can ask for, as data. A route names one, a domain function authorizes it."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class Resource(StrEnum):
    """What an action is done to; each kind has its scope class in ``cairn.access.scopes``."""

    SITE = "site"
    ACCOUNT = "account"
    ORGANIZATION = "organization"
    TEAM = "team"
    REPOSITORY = "repository"


@dataclass(frozen=True, slots=True)
class ActionFacts:
    """What is fixed about an action: its resource, what a token must carry, what it means.

    ``token_scopes`` are GitHub's classic scopes; any one of them suffices. Empty: any valid token will do.
    ``permission`` is what a fine-grained token must carry instead, empty: none gives the right.
    """

    resource: Resource
    token_scopes: frozenset[str]
    meaning: str
    permission: str = ""


class Action(StrEnum):
    """What an actor may do. ``FACTS`` has the resource, token scopes and meaning of each."""

    REPOSITORY_SEE = "repository:see"
    REPOSITORY_READ = "repository:read"
    REPOSITORY_TRIAGE = "repository:triage"
    REPOSITORY_PUSH = "repository:push"
    REPOSITORY_MAINTAIN = "repository:maintain"
    REPOSITORY_ADMINISTER = "repository:administer"
    REPOSITORY_READ_KEYS = "repository:read_keys"
    REPOSITORY_EDIT_KEYS = "repository:edit_keys"
    REPOSITORY_TRANSFER = "repository:transfer"
    REPOSITORY_DELETE = "repository:delete"
    REPOSITORY_CREATE = "repository:create"
    REPOSITORY_RESTORE = "repository:restore"
    ORGANIZATION_CREATE = "organization:create"
    ORGANIZATION_READ = "organization:read"
    ORGANIZATION_READ_PRIVATE = "organization:read_private"
    ORGANIZATION_LEAVE = "organization:leave"
    ORGANIZATION_EDIT_MEMBERS = "organization:edit_members"
    ORGANIZATION_EDIT = "organization:edit"
    ORGANIZATION_DELETE = "organization:delete"
    TEAM_CREATE = "team:create"
    TEAM_READ = "team:read"
    TEAM_EDIT = "team:edit"
    ACCOUNT_READ = "account:read"
    ACCOUNT_READ_PRIVATE = "account:read_private"
    ACCOUNT_EDIT = "account:edit"
    ACCOUNT_STAR = "account:star"
    ACCOUNT_READ_EMAILS = "account:read_emails"
    ACCOUNT_EDIT_EMAILS = "account:edit_emails"
    ACCOUNT_EDIT_SECURITY = "account:edit_security"
    ACCOUNT_DELETE = "account:delete"
    ACCOUNT_READ_KEYS = "account:read_keys"
    ACCOUNT_EDIT_KEYS = "account:edit_keys"
    ACCOUNT_READ_SIGNING_KEYS = "account:read_signing_keys"
    ACCOUNT_EDIT_SIGNING_KEYS = "account:edit_signing_keys"
    ACCOUNT_READ_GPG_KEYS = "account:read_gpg_keys"
    ACCOUNT_EDIT_GPG_KEYS = "account:edit_gpg_keys"
    ACCOUNT_EDIT_TOKENS = "account:edit_tokens"
    ACCOUNT_READ_INVITATIONS = "account:read_invitations"
    ACCOUNT_ANSWER_INVITATIONS = "account:answer_invitations"
    SITE_VISIT = "site:visit"
    SITE_SIGN_IN = "site:sign_in"
    SITE_ADMINISTER = "site:administer"
    SITE_MONITOR = "site:monitor"

    @property
    def facts(self) -> ActionFacts:
        """Return what is fixed about this action."""
        return FACTS[self]


def _facts(resource: Resource, meaning: str, *token_scopes: str, permission: str = "") -> ActionFacts:
    return ActionFacts(resource, frozenset(token_scopes), meaning, permission)


# A public repository is readable with any token (see ``decide``); the scopes here are for private ones and for writing.
FACTS: dict[Action, ActionFacts] = {
    Action.REPOSITORY_SEE: _facts(
        Resource.REPOSITORY,
        "See that a repository is there, and what it is called.",
        "repo",
        permission="metadata:read",
    ),
    Action.REPOSITORY_READ: _facts(
        Resource.REPOSITORY,
        "See a repository: its pages, code and refs; clone it.",
        "repo",
        permission="contents:read",
    ),
    Action.REPOSITORY_TRIAGE: _facts(
        Resource.REPOSITORY,
        "Sort what others wrote: labels, assignees, closing and reopening.",
        "repo",
        "public_repo",
        permission="issues:write",
    ),
    Action.REPOSITORY_PUSH: _facts(
        Resource.REPOSITORY,
        "Change refs: push, edit on the web, create branches and tags.",
        "repo",
        "public_repo",
        permission="contents:write",
    ),
    Action.REPOSITORY_MAINTAIN: _facts(
        Resource.REPOSITORY,
        "Change the description and the default branch.",
        "repo",
        "public_repo",
        permission="administration:write",
    ),
    Action.REPOSITORY_ADMINISTER: _facts(
        Resource.REPOSITORY,
        "Change name, visibility, collaborators and teams.",
        "repo",
        "public_repo",
        permission="administration:write",
    ),
    Action.REPOSITORY_READ_KEYS: _facts(
        Resource.REPOSITORY,
        "List a repository's deploy keys.",
        "repo",
        "public_repo",
        permission="administration:read",
    ),
    Action.REPOSITORY_EDIT_KEYS: _facts(
        Resource.REPOSITORY,
        "Add and remove a repository's deploy keys.",
        "repo",
        "public_repo",
        permission="administration:write",
    ),
    Action.REPOSITORY_TRANSFER: _facts(
        Resource.REPOSITORY,
        "Give a repository to another owner.",
        "repo",
        "public_repo",
        permission="administration:write",
    ),
    Action.REPOSITORY_DELETE: _facts(
        Resource.REPOSITORY, "Delete a repository.", "delete_repo", permission="administration:write"
    ),
    Action.REPOSITORY_CREATE: _facts(
        Resource.ACCOUNT,
        "Create a repository under an account or an organization.",
        "repo",
        "public_repo",
        permission="administration:write",
    ),
    Action.REPOSITORY_RESTORE: _facts(
        Resource.ACCOUNT,
        "List the deleted repositories of an account or an organization; restore and erase them.",
        "repo",
        permission="administration:write",
    ),
    Action.ORGANIZATION_CREATE: _facts(Resource.ACCOUNT, "Found an organization and own it.", "admin:org"),
    Action.ORGANIZATION_READ: _facts(Resource.ORGANIZATION, "See an organization's public profile and public members."),
    Action.ORGANIZATION_READ_PRIVATE: _facts(
        Resource.ORGANIZATION,
        "See all members of an organization, its policies and its teams.",
        "admin:org",
        "write:org",
        "read:org",
        permission="members:read",
    ),
    Action.ORGANIZATION_LEAVE: _facts(
        Resource.ORGANIZATION,
        "Leave an organization; show or hide the own membership.",
        "admin:org",
        "write:org",
        permission="members:write",
    ),
    Action.ORGANIZATION_EDIT_MEMBERS: _facts(
        Resource.ORGANIZATION,
        "Invite, add and remove members and change what they are.",
        "admin:org",
        "write:org",
        permission="members:write",
    ),
    Action.ORGANIZATION_EDIT: _facts(
        Resource.ORGANIZATION,
        "Change an organization's name, profile and policies.",
        "admin:org",
        permission="organization_administration:write",
    ),
    Action.ORGANIZATION_DELETE: _facts(
        Resource.ORGANIZATION,
        "Delete an organization.",
        "admin:org",
        permission="organization_administration:write",
    ),
    Action.TEAM_CREATE: _facts(
        Resource.ORGANIZATION,
        "Create a team in an organization.",
        "admin:org",
        "write:org",
        permission="members:write",
    ),
    Action.TEAM_READ: _facts(
        Resource.TEAM,
        "See a team, its members and its repositories.",
        "admin:org",
        "write:org",
        "read:org",
        permission="members:read",
    ),
    Action.TEAM_EDIT: _facts(
        Resource.TEAM,
        "Change, move and delete a team; add and remove its members.",
        "admin:org",
        "write:org",
        permission="members:write",
    ),
    Action.ACCOUNT_READ: _facts(Resource.ACCOUNT, "See an account's public profile."),
    Action.ACCOUNT_READ_PRIVATE: _facts(
        Resource.ACCOUNT,
        "See an account's own settings, and what it takes part in.",
        "user",
        "read:user",
    ),
    Action.ACCOUNT_EDIT: _facts(
        Resource.ACCOUNT,
        "Change an account's own profile.",
        "user",
        permission="profile:write",
    ),
    Action.ACCOUNT_STAR: _facts(
        Resource.ACCOUNT,
        "Star and watch repositories for an account.",
        "repo",
        "public_repo",
        "notifications",
        "user",
        permission="starring:write",
    ),
    Action.ACCOUNT_READ_EMAILS: _facts(
        Resource.ACCOUNT,
        "List an account's own e-mail addresses.",
        "user",
        "user:email",
        permission="email_addresses:read",
    ),
    Action.ACCOUNT_EDIT_EMAILS: _facts(
        Resource.ACCOUNT,
        "Add and remove an account's own e-mail addresses; choose which one is shown.",
        "user",
        permission="email_addresses:write",
    ),
    # No scope grants this: who holds a token must not be able to keep the account.
    Action.ACCOUNT_EDIT_SECURITY: _facts(
        Resource.ACCOUNT, "Change an account's own password, list and end its sessions; never with a token.", "(none)"
    ),
    # No scope grants this: what takes a name away or ends an account wants its owner.
    Action.ACCOUNT_DELETE: _facts(
        Resource.ACCOUNT, "Change an account's name, or delete it; never with a token.", "(none)"
    ),
    Action.ACCOUNT_READ_KEYS: _facts(
        Resource.ACCOUNT,
        "List an account's own SSH keys.",
        "admin:public_key",
        "write:public_key",
        "read:public_key",
        permission="git_ssh_keys:read",
    ),
    Action.ACCOUNT_EDIT_KEYS: _facts(
        Resource.ACCOUNT,
        "Add and remove an account's own SSH keys.",
        "admin:public_key",
        "write:public_key",
        permission="git_ssh_keys:write",
    ),
    Action.ACCOUNT_READ_SIGNING_KEYS: _facts(
        Resource.ACCOUNT,
        "List the SSH keys whose signatures are an account's own.",
        "admin:ssh_signing_key",
        "write:ssh_signing_key",
        "read:ssh_signing_key",
        permission="ssh_signing_keys:read",
    ),
    Action.ACCOUNT_EDIT_SIGNING_KEYS: _facts(
        Resource.ACCOUNT,
        "Add and remove the SSH keys whose signatures are an account's own.",
        "admin:ssh_signing_key",
        "write:ssh_signing_key",
        permission="ssh_signing_keys:write",
    ),
    Action.ACCOUNT_READ_GPG_KEYS: _facts(
        Resource.ACCOUNT,
        "List an account's own GPG keys.",
        "admin:gpg_key",
        "write:gpg_key",
        "read:gpg_key",
        permission="gpg_keys:read",
    ),
    Action.ACCOUNT_EDIT_GPG_KEYS: _facts(
        Resource.ACCOUNT,
        "Add and remove an account's own GPG keys.",
        "admin:gpg_key",
        "write:gpg_key",
        permission="gpg_keys:write",
    ),
    # No scope grants this: a token must not make tokens.
    Action.ACCOUNT_EDIT_TOKENS: _facts(
        Resource.ACCOUNT, "List, create and revoke an account's own personal tokens; never with a token.", "(none)"
    ),
    Action.ACCOUNT_READ_INVITATIONS: _facts(
        Resource.ACCOUNT,
        "See where an account is invited to.",
        "admin:org",
        "write:org",
        "read:org",
    ),
    Action.ACCOUNT_ANSWER_INVITATIONS: _facts(
        Resource.ACCOUNT, "Accept and decline an account's own invitations.", "admin:org", "write:org"
    ),
    Action.SITE_VISIT: _facts(Resource.SITE, "Open what everybody may open: the front page, sign-in, static files."),
    Action.SITE_SIGN_IN: _facts(
        Resource.SITE, "Sign in, sign out, sign up, use a one-time link; never with a token.", "(none)"
    ),
    Action.SITE_ADMINISTER: _facts(Resource.SITE, "Change anything of the installation.", "site_admin"),
    Action.SITE_MONITOR: _facts(Resource.SITE, "Read health and metrics."),
}

IMPLIED_SCOPES: dict[str, frozenset[str]] = {
    "repo": frozenset({"public_repo", "repo:status", "repo_deployment", "repo:invite", "security_events"}),
    "user": frozenset({"read:user", "user:email", "user:follow"}),
    "admin:public_key": frozenset({"write:public_key", "read:public_key"}),
    "write:public_key": frozenset({"read:public_key"}),
    "admin:org": frozenset({"write:org", "read:org"}),
    "write:org": frozenset({"read:org"}),
    "admin:repo_hook": frozenset({"write:repo_hook", "read:repo_hook"}),
    "write:repo_hook": frozenset({"read:repo_hook"}),
    "admin:gpg_key": frozenset({"write:gpg_key", "read:gpg_key"}),
    "write:gpg_key": frozenset({"read:gpg_key"}),
    "admin:ssh_signing_key": frozenset({"write:ssh_signing_key", "read:ssh_signing_key"}),
    "write:ssh_signing_key": frozenset({"read:ssh_signing_key"}),
    "admin:org_hook": frozenset(),
    "delete_repo": frozenset(),
    "gist": frozenset(),
    "notifications": frozenset(),
    "workflow": frozenset(),
    "site_admin": frozenset(),
}
"""GitHub's classic scopes and what each brings along; keys and values together are all the names a token may carry."""

KNOWN_SCOPES: frozenset[str] = frozenset(IMPLIED_SCOPES).union(*IMPLIED_SCOPES.values())


@lru_cache(maxsize=1024)
def effective_scopes(scopes: frozenset[str]) -> frozenset[str]:
    """Return the scopes with everything they imply."""
    found = set(scopes)
    pending = list(scopes)
    while pending:
        for implied in IMPLIED_SCOPES.get(pending.pop(), frozenset()):
            if implied not in found:
                found.add(implied)
                pending.append(implied)
    return frozenset(found)
