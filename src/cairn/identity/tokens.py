"""Personal tokens: made once, shown once, revoked at any time."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import KNOWN_SCOPES, Action
from cairn.access.authorize import authorize
from cairn.access.scopes import AccountScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, NotFound
from cairn.base.text import problem_of_text
from cairn.db.changes import count_changed
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.events import TokenCreated, TokenRevoked
from cairn.identity.models import Token
from cairn.identity.token_format import hash_secret, make_token

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
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


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
) -> NewToken:
    """Make a token for an account and return it with its secret.

    ``repository_ids`` None reaches every repository its owner reaches. Errors: TokenInvalid; Forbidden for an actor
    that is itself a token.
    """
    await authorize(session, actor, Action.ACCOUNT_EDIT_TOKENS, AccountScope(account_id))
    moment = await database_now(session)
    name = name.strip()
    if not name:
        raise _invalid("name", "The token needs a name.")
    if problem := problem_of_text(name, max_length=NAME_LENGTH_MAX):
        raise _invalid("name", f"The name {problem}")
    if expires_at is not None and expires_at <= moment:
        raise _invalid("expires_at", "The token would expire in the past.")
    if repository_ids is not None and not 0 < len(repository_ids) <= REPOSITORIES_MAX:
        raise _invalid("repository_ids", f"Name 1 to {REPOSITORIES_MAX} repositories, or none for all.")
    checked = check_scopes(scopes)
    held = await session.scalar(select(func.count()).select_from(Token).where(Token.account_id == account_id))
    if held is not None and held >= TOKENS_MAX:
        raise _invalid("name", f"An account holds at most {TOKENS_MAX} tokens; revoke one first.")
    secret = make_token()
    token = Token(
        account_id=account_id,
        token_sha256=hash_secret(secret),
        name=name,
        last_characters=secret[-_SHOWN_CHARACTERS:],
        scopes=list(checked),
        repository_ids=None if repository_ids is None else sorted(repository_ids),
        created_at=moment,
        expires_at=expires_at,
        last_used_at=None,
    )
    session.add(token)
    await session.flush()
    emit(session, TokenCreated(account_id=account_id, token_id=token.id, name=name))
    details = {"name": name, "scopes": ",".join(checked)}
    record(session, actor, "token.create", str(token.id), account_id=account_id, details=details)
    return NewToken(secret, _row(token))


async def list_tokens(session: AsyncSession, actor: Actor, account_id: int) -> list[TokenRow]:
    """Return an account's tokens, the newest first, expired ones too."""
    await authorize(session, actor, Action.ACCOUNT_EDIT_TOKENS, AccountScope(account_id))
    # ix_account_token_account_id
    rows = await session.scalars(
        select(Token).where(Token.account_id == account_id).order_by(Token.id.desc()).limit(TOKENS_MAX)
    )
    return [_row(row) for row in rows]


async def revoke_token(session: AsyncSession, actor: Actor, account_id: int, token_id: int) -> None:
    """Delete a token of an account: it stops working with this commit. NotFound if the account has no such token."""
    await authorize(session, actor, Action.ACCOUNT_EDIT_TOKENS, AccountScope(account_id))
    token = await session.get(Token, token_id)
    if token is None or token.account_id != account_id:
        raise NotFound("Not Found")
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
        created_at=token.created_at,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
    )


def _invalid(field: str, message: str) -> TokenInvalid:
    return TokenInvalid(message, FieldProblem(field, "invalid", message, "Token"))
