"""Actions: everything an actor can ask for, as data. A route names one, a domain function authorizes it."""

from dataclasses import dataclass
from enum import StrEnum


class Resource(StrEnum):
    """What an action is done to; each kind has its scope class in ``cairn.access.scopes``."""

    SITE = "site"
    ACCOUNT = "account"
    REPOSITORY = "repository"


@dataclass(frozen=True, slots=True)
class ActionFacts:
    """What is fixed about an action: its resource, what a token must carry, what it means.

    ``token_scopes`` are GitHub's classic scopes; any one of them suffices. Empty: any valid token will do.
    """

    resource: Resource
    token_scopes: frozenset[str]
    meaning: str


class Action(StrEnum):
    """What an actor may do. ``FACTS`` has the resource, token scopes and meaning of each."""

    REPOSITORY_READ = "repository:read"
    REPOSITORY_PUSH = "repository:push"
    REPOSITORY_MAINTAIN = "repository:maintain"
    REPOSITORY_ADMINISTER = "repository:administer"
    REPOSITORY_DELETE = "repository:delete"
    REPOSITORY_CREATE = "repository:create"
    ACCOUNT_READ = "account:read"
    ACCOUNT_READ_PRIVATE = "account:read_private"
    ACCOUNT_EDIT = "account:edit"
    ACCOUNT_READ_KEYS = "account:read_keys"
    ACCOUNT_EDIT_KEYS = "account:edit_keys"
    ACCOUNT_EDIT_TOKENS = "account:edit_tokens"
    SITE_VISIT = "site:visit"
    SITE_SIGN_IN = "site:sign_in"
    SITE_ADMINISTER = "site:administer"
    SITE_MONITOR = "site:monitor"

    @property
    def facts(self) -> ActionFacts:
        """Return what is fixed about this action."""
        return FACTS[self]


def _facts(resource: Resource, meaning: str, *token_scopes: str) -> ActionFacts:
    return ActionFacts(resource, frozenset(token_scopes), meaning)


# A public repository is readable with any token (see ``decide``); the scopes here are for private ones and for writing.
FACTS: dict[Action, ActionFacts] = {
    Action.REPOSITORY_READ: _facts(
        Resource.REPOSITORY, "See a repository: its pages, code and refs; clone it.", "repo"
    ),
    Action.REPOSITORY_PUSH: _facts(
        Resource.REPOSITORY, "Change refs: push, edit on the web, create branches and tags.", "repo", "public_repo"
    ),
    Action.REPOSITORY_MAINTAIN: _facts(
        Resource.REPOSITORY, "Change the description and the default branch.", "repo", "public_repo"
    ),
    Action.REPOSITORY_ADMINISTER: _facts(
        Resource.REPOSITORY, "Change name, visibility and collaborators.", "repo", "public_repo"
    ),
    Action.REPOSITORY_DELETE: _facts(Resource.REPOSITORY, "Delete a repository.", "delete_repo"),
    Action.REPOSITORY_CREATE: _facts(Resource.ACCOUNT, "Create a repository under an account.", "repo", "public_repo"),
    Action.ACCOUNT_READ: _facts(Resource.ACCOUNT, "See an account's public profile."),
    Action.ACCOUNT_READ_PRIVATE: _facts(
        Resource.ACCOUNT, "See an account's own e-mail addresses and settings.", "user", "read:user", "user:email"
    ),
    Action.ACCOUNT_EDIT: _facts(Resource.ACCOUNT, "Change an account's own profile, password and sessions.", "user"),
    Action.ACCOUNT_READ_KEYS: _facts(
        Resource.ACCOUNT,
        "List an account's own SSH keys.",
        "admin:public_key",
        "write:public_key",
        "read:public_key",
    ),
    Action.ACCOUNT_EDIT_KEYS: _facts(
        Resource.ACCOUNT, "Add and remove an account's own SSH keys.", "admin:public_key", "write:public_key"
    ),
    # No scope grants this: a token must not make tokens.
    Action.ACCOUNT_EDIT_TOKENS: _facts(
        Resource.ACCOUNT, "List, create and revoke an account's own personal tokens; never with a token.", "(none)"
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
    "admin:org_hook": frozenset(),
    "delete_repo": frozenset(),
    "gist": frozenset(),
    "notifications": frozenset(),
    "workflow": frozenset(),
    "site_admin": frozenset(),
}
"""GitHub's classic scopes and what each brings along; keys and values together are all the names a token may carry."""

KNOWN_SCOPES: frozenset[str] = frozenset(IMPLIED_SCOPES).union(*IMPLIED_SCOPES.values())


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
