"""Accounts, addresses and keys as GitHub's API writes them, and as it reads them.

Everything its schema requires is there: what Cairn has no word for is null, empty or zero, as on GitHub for somebody
who never used it.
"""

from typing import Protocol

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import FieldProblem, Invalid
from cairn.identity.models import AccountKind
from cairn.identity.profile import ProfileChange
from cairn.identity.public_keys import PublicKeyRow
from cairn.identity.queries import Email, Profile, RepositoryCounts
from cairn.identity.ssh_keys import SshKeyRow
from cairn.web.api import api_time
from cairn.web.node_ids import make_node_id
from cairn.web.urls import path_join


class SimpleUser(msgspec.Struct, kw_only=True):
    """An account where another thing mentions it."""

    login: str
    id: int
    node_id: str
    avatar_url: str
    gravatar_id: str
    url: str
    html_url: str
    followers_url: str
    following_url: str
    gists_url: str
    starred_url: str
    subscriptions_url: str
    organizations_url: str
    repos_url: str
    events_url: str
    received_events_url: str
    type: str
    user_view_type: str
    site_admin: bool


class PublicUser(SimpleUser, kw_only=True):
    """An account on its own, as everybody sees it."""

    name: str | None
    company: str | None = None
    blog: str = ""
    location: str | None = None
    email: str | None = None
    hireable: bool | None = None
    bio: str | None
    twitter_username: str | None = None
    public_repos: int
    public_gists: int = 0
    followers: int = 0
    following: int = 0
    created_at: str | None
    updated_at: str | None


class PrivateUser(PublicUser, kw_only=True):
    """An account as it sees itself."""

    private_gists: int = 0
    total_private_repos: int
    owned_private_repos: int
    disk_usage: int
    collaborators: int = 0
    two_factor_authentication: bool = False


class EmailJson(msgspec.Struct, kw_only=True):
    """An address as its owner sees it."""

    email: str
    primary: bool
    verified: bool
    visibility: str | None


class SshKeyJson(msgspec.Struct, kw_only=True):
    """An SSH key as its owner sees it."""

    id: int
    key: str
    url: str
    title: str
    created_at: str | None
    verified: bool
    read_only: bool
    added_by: str | None
    last_used: str | None


class PublicKeyJson(msgspec.Struct, kw_only=True):
    """An SSH key as everybody sees it."""

    id: int
    key: str
    created_at: str | None


class ProfileBody(msgspec.Struct, kw_only=True):
    """The body of PATCH /user; what is absent or null stays as it is."""

    name: str | None = None
    bio: str | None = None
    email: str | None = None
    blog: str | None = None
    company: str | None = None
    location: str | None = None
    twitter_username: str | None = None
    hireable: bool | None = None

    def require_kept(self) -> None:
        """Return if everything that was sent can be kept; Invalid names the fields Cairn does not have."""
        unkept = [name for name in _UNKEPT if getattr(self, name)]
        problems = [FieldProblem(name, "unprocessable", f"{name} is not kept here.", "User") for name in unkept]
        if problems:
            raise Invalid(f"Cairn keeps no {' and no '.join(unkept)}.", *problems)

    def change(self) -> ProfileChange:
        """Return the part that is the profile's; ``email`` is for the addresses."""
        return ProfileChange(
            name=self.name,
            bio=self.bio,
            website=self.blog,
            company=self.company,
            location=self.location,
        )


_UNKEPT = ("twitter_username", "hireable")


class NewKey(msgspec.Struct, kw_only=True):
    """The body of POST /user/keys."""

    key: str
    title: str = ""


class CountRepositories(Protocol):
    """Counts what an account owns; ``programs`` hands it in, for repositories stand above accounts."""

    async def __call__(self, session: AsyncSession, account_id: int) -> RepositoryCounts:
        """Return the counts."""
        ...


def user_node_id(account_id: int, kind: AccountKind = AccountKind.USER) -> str:
    """Return the node id of an account."""
    return make_node_id("O" if kind is AccountKind.ORGANIZATION else "U", account_id)


def avatar_url(origin: str, login: str) -> str:
    """Return where the picture of a name is."""
    return f"{origin}/-/avatar/{login}"


def simple_user(
    origin: str, *, account_id: int, login: str, kind: AccountKind = AccountKind.USER, is_site_admin: bool = False
) -> SimpleUser:
    """Return an account as other things mention it."""
    url = f"{origin}/api/v3/users/{login}"
    return SimpleUser(
        login=login,
        id=account_id,
        node_id=user_node_id(account_id, kind),
        avatar_url=avatar_url(origin, login),
        gravatar_id="",
        url=url,
        html_url=origin + path_join(login),
        followers_url=f"{url}/followers",
        following_url=f"{url}/following{{/other_user}}",
        gists_url=f"{url}/gists{{/gist_id}}",
        starred_url=f"{url}/starred{{/owner}}{{/repo}}",
        subscriptions_url=f"{url}/subscriptions",
        organizations_url=f"{url}/orgs",
        repos_url=f"{url}/repos",
        events_url=f"{url}/events{{/privacy}}",
        received_events_url=f"{url}/received_events",
        type=kind.value.capitalize(),
        user_view_type="public",
        site_admin=is_site_admin,
    )


def public_user(origin: str, profile: Profile, counts: RepositoryCounts) -> PublicUser:
    """Return an account as everybody sees it."""
    mention = simple_user(
        origin,
        account_id=profile.id,
        login=profile.login,
        kind=profile.kind,
        is_site_admin=profile.is_site_admin,
    )
    return PublicUser(
        **msgspec.structs.asdict(mention),
        name=profile.name or None,
        bio=profile.bio or None,
        blog=profile.website,
        company=profile.company or None,
        location=profile.location or None,
        email=profile.public_email or None,
        public_repos=counts.public,
        created_at=api_time(profile.created_at),
        updated_at=api_time(profile.updated_at),
    )


def private_user(origin: str, profile: Profile, counts: RepositoryCounts, *, email: str | None) -> PrivateUser:
    """Return an account as it sees itself."""
    common = msgspec.structs.asdict(public_user(origin, profile, counts))
    return PrivateUser(
        **common | {"user_view_type": "private", "email": email},
        total_private_repos=counts.private,
        owned_private_repos=counts.private,
        disk_usage=counts.disk_kib,
    )


def email_json(email: Email) -> EmailJson:
    """Return an address as its owner sees it."""
    return EmailJson(
        email=email.email,
        primary=email.is_primary,
        verified=email.is_verified,
        visibility="public" if email.is_public else "private" if email.is_primary else None,
    )


def ssh_key_json(origin: str, key: SshKeyRow) -> SshKeyJson:
    """Return a key as its owner sees it."""
    return SshKeyJson(
        id=key.id,
        key=key.text,
        url=f"{origin}/api/v3/user/keys/{key.id}",
        title=key.title,
        created_at=api_time(key.created_at),
        verified=True,
        read_only=False,
        added_by=None,
        last_used=api_time(key.last_used_at),
    )


def public_key_json(key: PublicKeyRow) -> PublicKeyJson:
    """Return a key as everybody sees it."""
    return PublicKeyJson(id=key.id, key=key.text, created_at=api_time(key.created_at))
