"""Personal tokens: made once, shown once, revoked at any time.

A classic token has scopes and reaches what its owner reaches; a fine-grained one has permissions on the repositories of
one resource owner, the person or an organization they belong to.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import KNOWN_SCOPES, Action
from cairn.access.authorize import authorize
from cairn.access.models import OrganizationMember
from cairn.access.permissions import PERMISSIONS, PermissionKind
from cairn.access.scopes import AccountScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, NotFound
from cairn.base.text import problem_of_text
from cairn.db.changes import count_changed
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.events import TokenCreated, TokenEdited, TokenRegenerated, TokenRevoked
from cairn.identity.models import Token
from cairn.identity.token_format import hash_secret, make_token
from cairn.identity.token_policy import exceeds, lifetime_days_of

TOKENS_MAX = 200
NAME_LENGTH_MAX = 255
REPOSITORIES_MAX = 100
_SHOWN_CHARACTERS = 4


class TokenInvalid(Invalid):
    """The wanted token cannot be made: an unknown scope, no name, an expiry in the past, too many."""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token as its owner sees it later: never the token itself."""

    id: int
    name: str
    last_characters: str
    scopes: tuple[str, ...]
    repository_ids: frozenset[int] | None
    owner_id: int | None
    """The resource owner of a fine-grained token; None for a classic one."""
    permissions: dict[str, str] | None
    """What a fine-grained token may, name to level, as chosen; None for a classic one."""
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    access_revoked_at: datetime | None = None
    """When an owner of the organization it is for took its access away."""

    @property
    def is_fine_grained(self) -> bool:
        """True if it has permissions instead of scopes."""
        return self.permissions is not None


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made; ``secret`` is shown this once."""

    secret: str
    row: TokenRow


def check_scopes(scopes: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """Return the scopes sorted, each once; TokenInvalid names the unknown ones."""
    unknown = sorted(set(scopes) - KNOWN_SCOPES)
    if unknown:
        known = ", ".join(sorted(KNOWN_SCOPES))
        names = ", ".join(repr(name[:60]) for name in unknown[:10])
        raise _invalid("scopes", f"{names} is no scope; known are: {known}.")
    return tuple(sorted(set(scopes)))


async def create_token(
    session: AsyncSession,
    actor: Actor,
    account_id: int,
    *,
    name: str,
    scopes: list[str] | tuple[str, ...],
    repository_ids: frozenset[int] | None = None,
    expires_at: datetime | None = None,
    lifetime_max_days: int = 0,
) -> NewToken:
    """Make a classic token for an account and return it with its secret.

    ``repository_ids`` None reaches every repository its owner reaches. ``lifetime_max_days`` is the setting
    ``token_lifetime_max_days``; 0 sets no bound. Errors: TokenInvalid; Forbidden for an actor that is itself a token.
    """
    if repository_ids is not None and not 0 < len(repository_ids) <= REPOSITORIES_MAX:
        raise _invalid("repository_ids", f"Name 1 to {REPOSITORIES_MAX} repositories, or none for all.")
    token = Token(
        scopes=list(check_scopes(scopes)),
        repository_ids=None if repository_ids is None else sorted(repository_ids),
        owner_id=None,
        permissions=None,
    )
    details = {"scopes": ",".join(token.scopes)}
    return await _insert(session, actor, account_id, token, name, expires_at, lifetime_max_days, details)


async def create_fine_grained_token(
    session: AsyncSession,
    actor: Actor,
    account_id: int,
    *,
    name: str,
    owner_id: int,
    permissions: Mapping[str, str],
    repository_ids: frozenset[int] | None = None,
    expires_at: datetime | None = None,
    lifetime_max_days: int = 0,
) -> NewToken:
    """Make a fine-grained token for an account and return it with its secret.

    ``owner_id`` is the resource owner: the account itself, or an organization it belongs to. ``permissions`` are names
    of ``access.permissions.PERMISSIONS`` with a level each. ``repository_ids`` None reaches all repositories of the
    owner, an empty set only what is public; ids that are no repositories of the owner reach nothing.
    Errors: TokenInvalid; Forbidden for an actor that is itself a token.
    """
    if repository_ids is not None and len(repository_ids) > REPOSITORIES_MAX:
        raise _invalid("repository_ids", f"Name at most {REPOSITORIES_MAX} repositories, or all.")
    await _require_resource_owner(session, account_id, owner_id)
    chosen = check_permissions(permissions, is_own=owner_id == account_id)
    token = Token(
        scopes=[],
        repository_ids=None if repository_ids is None else sorted(repository_ids),
        owner_id=owner_id,
        permissions=chosen,
    )
    details = {"permissions": _permissions_text(chosen), "owner": str(owner_id)}
    return await _insert(session, actor, account_id, token, name, expires_at, lifetime_max_days, details)


def check_permissions(permissions: Mapping[str, str], *, is_own: bool) -> dict[str, str]:
    """Return the permissions in the order of their names; TokenInvalid names the first that cannot be chosen.

    ``is_own``: the resource owner is the person, so account permissions may be chosen, else those of organizations.
    """
    chosen: dict[str, str] = {}
    for name, level in sorted(permissions.items()):
        facts = PERMISSIONS.get(name)
        if facts is None or level not in facts.levels:
            raise _invalid("permissions", f"{name[:60]}:{level[:20]} is no permission a token can carry.")
        wrong = PermissionKind.ORGANIZATION if is_own else PermissionKind.ACCOUNT
        if facts.kind is wrong:
            whose = "an organization" if is_own else "the person"
            raise _invalid("permissions", f"{name!r} is only for tokens whose resource owner is {whose}.")
        chosen[name] = str(level)
    return chosen


async def _require_resource_owner(session: AsyncSession, account_id: int, owner_id: int) -> None:
    # Primary key of organization_member.
    if owner_id != account_id and await session.get(OrganizationMember, (owner_id, account_id)) is None:
        raise _invalid("owner_id", "The resource owner is the person, or an organization the person belongs to.")


async def _insert(
    session: AsyncSession,
    actor: Actor,
    account_id: int,
    token: Token,
    name: str,
    expires_at: datetime | None,
    lifetime_max_days: int,
    details: Mapping[str, str],
) -> NewToken:
    await authorize(session, actor, Action.ACCOUNT_EDIT_TOKENS, AccountScope(account_id))
    moment = await database_now(session)
    name = name.strip()
    if not name:
        raise _invalid("name", "The token needs a name.")
    if problem := problem_of_text(name, max_length=NAME_LENGTH_MAX):
        raise _invalid("name", f"The name {problem}")
    await _check_expiry(session, token, expires_at, moment, lifetime_max_days)
    held = await session.scalar(select(func.count()).select_from(Token).where(Token.account_id == account_id))
    if held is not None and held >= TOKENS_MAX:
        raise _invalid("name", f"An account holds at most {TOKENS_MAX} tokens; revoke one first.")
    secret = make_token()
    token.account_id = account_id
    token.token_sha256 = hash_secret(secret)
    token.name = name
    token.last_characters = secret[-_SHOWN_CHARACTERS:]
    token.created_at, token.expires_at, token.last_used_at = moment, expires_at, None
    session.add(token)
    await session.flush()
    emit(session, TokenCreated(account_id=account_id, token_id=token.id, name=name))
    details = {"name": name, **details}
    record(session, actor, "token.create", str(token.id), account_id=account_id, details=details)
    return NewToken(secret, _row(token))


async def _check_expiry(
    session: AsyncSession, token: Token, expires_at: datetime | None, moment: datetime, lifetime_max_days: int
) -> None:
    if expires_at is not None and expires_at <= moment:
        raise _invalid("expires_at", "The token would expire in the past.")
    for days, whose in (
        (lifetime_max_days, "A token of this installation"),
        (await lifetime_days_of(session, token.owner_id), "A token for this organization"),
    ):
        if exceeds(moment, expires_at, days):
            raise _invalid("expires_at", f"{whose} lives at most {days} days.")


async def list_tokens(session: AsyncSession, actor: Actor, account_id: int) -> list[TokenRow]:
    """Return an account's tokens, the newest first, expired ones too."""
    await authorize(session, actor, Action.ACCOUNT_EDIT_TOKENS, AccountScope(account_id))
    # ix_account_token_account_id
    rows = await session.scalars(
        select(Token).where(Token.account_id == account_id).order_by(Token.id.desc()).limit(TOKENS_MAX)
    )
    return [_row(row) for row in rows]


async def read_token(session: AsyncSession, actor: Actor, account_id: int, token_id: int) -> TokenRow:
    """Return one token of an account; NotFound if the account has no such token."""
    return _row(await _own(session, actor, account_id, token_id, for_change=False))


async def regenerate_token(
    session: AsyncSession,
    actor: Actor,
    account_id: int,
    token_id: int,
    *,
    expires_at: datetime | None,
    lifetime_max_days: int = 0,
) -> NewToken:
    """Give a token another secret and lifetime, the rights as they were; the old secret dies with this commit.

    Errors: NotFound if the account has no such token; TokenInvalid for a lifetime that no policy allows.
    """
    token = await _own(session, actor, account_id, token_id)
    moment = await database_now(session)
    await _check_expiry(session, token, expires_at, moment, lifetime_max_days)
    secret = make_token()
    token.token_sha256, token.last_characters = hash_secret(secret), secret[-_SHOWN_CHARACTERS:]
    # A lifetime counts from the secret it is the lifetime of.
    token.created_at, token.expires_at, token.last_used_at = moment, expires_at, None
    await session.flush()
    emit(session, TokenRegenerated(account_id=account_id, token_id=token.id, name=token.name))
    record(session, actor, "token.regenerate", str(token.id), account_id=account_id, details={"name": token.name})
    return NewToken(secret, _row(token))


async def change_token(
    session: AsyncSession, actor: Actor, account_id: int, token_id: int, *, scopes: list[str]
) -> TokenRow:
    """Let a classic token do something else from its next request on. Errors: NotFound; TokenInvalid."""
    token = await _own(session, actor, account_id, token_id)
    if token.permissions is not None:
        raise _invalid("scopes", "A fine-grained token has permissions, no scopes.")
    before = ",".join(token.scopes)
    token.scopes = list(check_scopes(scopes))
    await _note_change(session, actor, token, {"scopes": (before, ",".join(token.scopes))})
    return _row(token)


async def change_fine_grained_token(
    session: AsyncSession,
    actor: Actor,
    account_id: int,
    token_id: int,
    *,
    permissions: Mapping[str, str],
    repository_ids: frozenset[int] | None,
) -> TokenRow:
    """Let a fine-grained token do or reach something else from its next request on; its resource owner stays.

    An access that the organization's owners revoked stays revoked. Errors: NotFound; TokenInvalid.
    """
    token = await _own(session, actor, account_id, token_id)
    if token.permissions is None:
        raise _invalid("permissions", "A classic token has scopes, no permissions.")
    if repository_ids is not None and len(repository_ids) > REPOSITORIES_MAX:
        raise _invalid("repository_ids", f"Name at most {REPOSITORIES_MAX} repositories, or all.")
    before = (_permissions_text(token.permissions), _ids_text(token.repository_ids))
    token.permissions = check_permissions(permissions, is_own=token.owner_id == account_id)
    token.repository_ids = None if repository_ids is None else sorted(repository_ids)
    after = (_permissions_text(token.permissions), _ids_text(token.repository_ids))
    names = ("permissions", "repository_ids")
    changes = {name: (old, new) for name, old, new in zip(names, before, after, strict=True)}
    await _note_change(session, actor, token, changes)
    return _row(token)


async def _note_change(session: AsyncSession, actor: Actor, token: Token, changes: dict[str, tuple[str, str]]) -> None:
    changes = {name: (old, new) for name, (old, new) in changes.items() if old != new}
    await session.flush()
    if changes:
        emit(session, TokenEdited(account_id=token.account_id, token_id=token.id, changes=changes))
        record(session, actor, "token.update", str(token.id), account_id=token.account_id, changes=changes)


def _permissions_text(permissions: Mapping[str, str]) -> str:
    return ",".join(f"{name}:{level}" for name, level in permissions.items())


def _ids_text(repository_ids: list[int] | None) -> str:
    return "all" if repository_ids is None else ",".join(map(str, repository_ids))


async def _own(
    session: AsyncSession, actor: Actor, account_id: int, token_id: int, *, for_change: bool = True
) -> Token:
    await authorize(session, actor, Action.ACCOUNT_EDIT_TOKENS, AccountScope(account_id))
    token = await session.get(Token, token_id, with_for_update=for_change or None, populate_existing=True)
    if token is None or token.account_id != account_id:
        raise NotFound("Not Found")
    return token


async def revoke_token(session: AsyncSession, actor: Actor, account_id: int, token_id: int) -> None:
    """Delete a token of an account: it stops working with this commit. NotFound if the account has no such token."""
    token = await _own(session, actor, account_id, token_id)
    if await count_changed(session, delete(Token).where(Token.id == token_id)) == 0:
        raise NotFound("Not Found")
    emit(session, TokenRevoked(account_id=account_id, token_id=token_id, name=token.name))
    record(session, actor, "token.revoke", str(token_id), account_id=account_id, details={"name": token.name})


def _row(token: Token) -> TokenRow:
    return TokenRow(
        id=token.id,
        name=token.name,
        last_characters=token.last_characters,
        scopes=tuple(token.scopes),
        repository_ids=None if token.repository_ids is None else frozenset(token.repository_ids),
        owner_id=token.owner_id,
        permissions=None if token.permissions is None else dict(token.permissions),
        created_at=token.created_at,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
        access_revoked_at=token.access_revoked_at,
    )


def _invalid(field: str, message: str) -> TokenInvalid:
    return TokenInvalid(message, FieldProblem(field, "invalid", message, "Token"))
