"""Permissions of fine-grained tokens, by GitHub's names: what can be chosen, for what, at which level.

A token carries ``contents:write``; an action names the one it needs (``ActionFacts.permission``). The levels are
ordered, each brings the weaker ones along.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class PermissionKind(StrEnum):
    """Whose things a permission is about; account permissions need a token whose resource owner is its own person."""

    REPOSITORY = "repository"
    ORGANIZATION = "organization"
    ACCOUNT = "account"


class Level(StrEnum):
    """How far a permission goes."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class PermissionFacts:
    """What is fixed about a permission."""

    kind: PermissionKind
    meaning: str
    levels: tuple[Level, ...] = (Level.READ, Level.WRITE)


_REPOSITORY, _ORGANIZATION, _ACCOUNT = PermissionKind.REPOSITORY, PermissionKind.ORGANIZATION, PermissionKind.ACCOUNT

PERMISSIONS: dict[str, PermissionFacts] = {
    "metadata": PermissionFacts(_REPOSITORY, "Find repositories and see what they are called.", (Level.READ,)),
    "contents": PermissionFacts(_REPOSITORY, "Code, commits, branches, tags, releases; cloning and pushing."),
    "administration": PermissionFacts(_REPOSITORY, "Settings, collaborators, teams, deploy keys; making and deleting."),
    "issues": PermissionFacts(_REPOSITORY, "Issues, labels, milestones, assignees."),
    "pull_requests": PermissionFacts(_REPOSITORY, "Pull requests and reviews."),
    "statuses": PermissionFacts(_REPOSITORY, "Commit statuses."),
    "checks": PermissionFacts(_REPOSITORY, "Checks of commits."),
    "discussions": PermissionFacts(_REPOSITORY, "Discussions."),
    "actions": PermissionFacts(_REPOSITORY, "Workflow runs, logs and artifacts."),
    "workflows": PermissionFacts(_REPOSITORY, "Changing workflow files.", (Level.WRITE,)),
    "secrets": PermissionFacts(_REPOSITORY, "Names of secrets, and setting them."),
    "variables": PermissionFacts(_REPOSITORY, "Variables of workflows."),
    "deployments": PermissionFacts(_REPOSITORY, "Deployments and their statuses."),
    "repository_hooks": PermissionFacts(_REPOSITORY, "Webhooks of repositories."),
    "members": PermissionFacts(_ORGANIZATION, "Members and teams of the organization."),
    "organization_administration": PermissionFacts(_ORGANIZATION, "Settings of the organization."),
    "organization_hooks": PermissionFacts(_ORGANIZATION, "Webhooks of the organization."),
    "organization_secrets": PermissionFacts(_ORGANIZATION, "Secrets shared by the organization's repositories."),
    "email_addresses": PermissionFacts(_ACCOUNT, "The e-mail addresses of the account."),
    "profile": PermissionFacts(_ACCOUNT, "The profile of the account.", (Level.WRITE,)),
    "starring": PermissionFacts(_ACCOUNT, "What the account stars and watches.", (Level.WRITE,)),
    "git_ssh_keys": PermissionFacts(_ACCOUNT, "The SSH keys of the account."),
    "ssh_signing_keys": PermissionFacts(_ACCOUNT, "The SSH keys that sign for the account."),
    "gpg_keys": PermissionFacts(_ACCOUNT, "The GPG keys of the account."),
    "notifications": PermissionFacts(_ACCOUNT, "The notifications of the account."),
}
"""Every permission a token may carry."""

ALWAYS = "metadata:read"
"""What every fine-grained token has on the repositories it reaches: without it nothing else would make sense."""


def expand(chosen: Mapping[str, str]) -> frozenset[str]:
    """Return the permissions a token has, as an actor carries them: with the weaker levels and ``metadata:read``."""
    found = {ALWAYS}
    for name, level in chosen.items():
        found.add(f"{name}:{level}")
        if level == Level.WRITE and Level.READ in PERMISSIONS[name].levels:
            found.add(f"{name}:{Level.READ}")
    return frozenset(found)
