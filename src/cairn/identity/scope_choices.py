"""The scopes a person can give to a token, in their order on the page, each in words."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScopeChoice:
    """One checkbox. ``parent`` names the scope above it that brings it along."""

    name: str
    meaning: str
    parent: str = ""
    for_administrators: bool = False


SCOPE_CHOICES = (
    ScopeChoice("repo", "Use every repository you reach, private ones too: read, push, settings."),
    ScopeChoice("public_repo", "The same for public repositories only.", parent="repo"),
    ScopeChoice("delete_repo", "Delete repositories you administer."),
    ScopeChoice("notifications", "Watch repositories, and read what you watch."),
    ScopeChoice("user", "Change your profile and your addresses."),
    ScopeChoice("read:user", "See your private profile.", parent="user"),
    ScopeChoice("user:email", "See your e-mail addresses.", parent="user"),
    ScopeChoice("admin:public_key", "Add and delete your SSH keys."),
    ScopeChoice("write:public_key", "Add and delete your SSH keys.", parent="admin:public_key"),
    ScopeChoice("read:public_key", "List your SSH keys.", parent="admin:public_key"),
    ScopeChoice("admin:ssh_signing_key", "Add and delete the SSH keys that sign for you."),
    ScopeChoice(
        "write:ssh_signing_key", "Add and delete the SSH keys that sign for you.", parent="admin:ssh_signing_key"
    ),
    ScopeChoice("read:ssh_signing_key", "List the SSH keys that sign for you.", parent="admin:ssh_signing_key"),
    ScopeChoice("admin:gpg_key", "Add and delete your GPG keys."),
    ScopeChoice("write:gpg_key", "Add and delete your GPG keys.", parent="admin:gpg_key"),
    ScopeChoice("read:gpg_key", "List your GPG keys.", parent="admin:gpg_key"),
    ScopeChoice("admin:org", "Run the organizations you own: profile, policies, members, teams."),
    ScopeChoice("write:org", "Change members and teams where you may.", parent="admin:org"),
    ScopeChoice("read:org", "See your organizations; the gh command asks for it when you sign in.", parent="admin:org"),
    ScopeChoice("site_admin", "Act as an administrator of this site.", for_administrators=True),
)
"""What has an effect today; the API takes every name in ``KNOWN_SCOPES``."""


def choices_for(*, is_site_admin: bool) -> list[ScopeChoice]:
    """Return the scopes that mean something to this person."""
    return [choice for choice in SCOPE_CHOICES if is_site_admin or not choice.for_administrators]
