"""Authentication: from a credential to an actor, reading only. What the actor may do is ``access``'s question.

Sessions, tokens and keys are found by one point query on a unique index. A password costs 50 ms of argon2id, so git
clients that send one with every request are remembered for some minutes, in this process.
"""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.permissions import expand
from cairn.base.actor import Actor, ActorKind, DeployKey, TokenLimits
from cairn.base.errors import Forbidden, RateLimited, Unauthenticated
from cairn.db.clock import as_utc, now
from cairn.db.database import Database, PointQuery
from cairn.identity.credentials import Credential, KeyCredential, PasswordCredential, TokenCredential
from cairn.identity.failed_sign_ins import FailedSignIns, Refusal
from cairn.identity.last_used import LastUsed, Used
from cairn.identity.models import Account, SshKey, Token
from cairn.identity.passwords import Passwords
from cairn.identity.sign_in_limits import SignInLimits
from cairn.identity.token_format import hash_secret, is_well_formed_token
from cairn.identity.token_policy import require_short

REMEMBERED_SECONDS = 300
REMEMBERED_MAX = 10_000

ACCOUNT_COLUMNS = (
    "a.id AS account_id, a.login AS login, a.is_site_admin AS is_site_admin, "
    "CASE WHEN a.suspended_at IS NULL THEN 0 ELSE 1 END AS is_suspended"
)
"""What a statement must read of ``account a`` for ``actor_from_row``."""

NARROWING_COLUMNS = (
    "t.id AS token_id, t.scopes AS scopes, t.repository_ids AS repository_ids, t.owner_id AS token_owner_id, "
    "t.permissions AS permissions, t.expires_at AS token_expires_at, t.created_at AS token_created_at, "
    "t.access_revoked_at AS access_revoked_at, "
    # Primary key of organization.
    "(SELECT p.token_lifetime_max_days FROM organization p WHERE p.account_id = t.owner_id) AS organization_days, "
    # The database's clock; a text of whole seconds on SQLite, which sorts before any fraction of the same second.
    "CASE WHEN t.expires_at IS NULL OR t.expires_at > CURRENT_TIMESTAMP THEN 1 ELSE 0 END AS token_is_valid"
)
"""What a statement must read of ``account_token t``, besides."""

KEY_COLUMNS = "k.id AS key_id, k.repository_id AS key_repository_id, k.can_write AS key_can_write"
"""What a statement must read of ``account_ssh_key k``, besides."""


DeviceOf = Callable[[int], str]
"""Names the browser that asks if it has signed in to an account before; empty if it has not."""


class BadCredentials(Unauthenticated):
    """The token, password or key is not one that signs anybody in."""


class AccountSuspended(Forbidden):
    """The credential is right but an administrator shut the account out."""


class ProvenBy(StrEnum):
    """How somebody proved who they are."""

    SESSION = "session"
    TOKEN = "token"  # noqa: S105 (a kind of credential)
    PASSWORD = "password"  # noqa: S105 (a kind of credential)
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Somebody, and how they proved it. ``session_id`` names the session and is no secret."""

    actor: Actor
    by: ProvenBy
    session_id: str = ""
    token_expires_at: datetime | None = None
    password_hash: str | None = field(default=None, repr=False)
    key_id: int | None = None


# Primary key of account_session, primary key of account.
_SESSION = PointQuery(
    f"SELECT s.cookie_sha256 AS session_id, {ACCOUNT_COLUMNS} "  # noqa: S608 (constants)
    "FROM account_session s JOIN account a ON a.id = s.account_id "
    "WHERE s.cookie_sha256 = :cookie AND s.expires_at > CURRENT_TIMESTAMP"
)
# uq_account_token_token_sha256, primary key of account.
_TOKEN = PointQuery(
    f"SELECT {NARROWING_COLUMNS}, {ACCOUNT_COLUMNS} "  # noqa: S608 (constants)
    "FROM account_token t JOIN account a ON a.id = t.account_id WHERE t.token_sha256 = :token"
)
# uq_account_ssh_key_fingerprint, primary key of account.
_KEY = PointQuery(
    f"SELECT {KEY_COLUMNS}, {ACCOUNT_COLUMNS} "  # noqa: S608 (constants)
    "FROM account_ssh_key k LEFT JOIN account a ON a.id = k.account_id WHERE k.fingerprint = :fingerprint"
)
# uq_account_login_key
_LOGIN = PointQuery(
    f"SELECT a.password_hash AS password_hash, {ACCOUNT_COLUMNS} "  # noqa: S608 (constants)
    "FROM account a WHERE a.login_key = :name"
)
# uq_account_email_email_key, primary key of account.
_EMAIL = PointQuery(
    f"SELECT a.password_hash AS password_hash, {ACCOUNT_COLUMNS} "  # noqa: S608 (constants)
    "FROM account_email e JOIN account a ON a.id = e.account_id WHERE e.email_key = :name"
)


class Authenticator:
    """Turns credentials into actors for one program."""

    def __init__(
        self,
        database: Database,
        *,
        passwords: Passwords,
        limits: SignInLimits,
        last_used: LastUsed,
        token_lifetime_max_days: int = 0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._token_lifetime_max_days = token_lifetime_max_days
        self._passwords = passwords
        self._limits = limits
        self._last_used = last_used
        self._remembered = _RememberedPasswords(monotonic)
        self.failed_sign_ins = FailedSignIns()
        """Refusals not written yet; the program flushes them each minute."""

    async def authenticate(self, credential: Credential) -> Authenticated:
        """Return who a credential signs in.

        Errors: BadCredentials; AccountSuspended; RateLimited (passwords only).
        """
        match credential:
            case TokenCredential(token):
                return await self.actor_of_token(token)
            case PasswordCredential(name, password, address):
                return await self.actor_of_password(name, password, address=address)
            case KeyCredential(fingerprint):
                return await self.actor_of_fingerprint(fingerprint)

    async def actor_of_session(self, cookie: str) -> Authenticated | None:
        """Return whose session a cookie opens; None if it is unknown, expired or the account is suspended."""
        row = await self._database.fetch(_SESSION, cookie=hash_secret(cookie))
        if row is None or row["is_suspended"]:
            return None
        session_id = str(row["session_id"])
        self._last_used.note(Used.SESSION, session_id)
        return Authenticated(actor_from_row(row), ProvenBy.SESSION, session_id=session_id)

    async def actor_of_token(self, token: str) -> Authenticated:
        """Return the owner of a token, narrowed by it. Errors: BadCredentials; AccountSuspended; TokenLivesTooLong."""
        if not is_well_formed_token(token):
            raise BadCredentials("Bad credentials")
        row = await self._database.fetch(_TOKEN, token=hash_secret(token))
        if row is None:
            raise BadCredentials("Bad credentials")
        return self.token_from_row(row)

    def token_from_row(self, row: Mapping[str, Any]) -> Authenticated:
        """Return who the token of a row with NARROWING_COLUMNS and ACCOUNT_COLUMNS signs in, and note its use."""
        actor = require_token(row)
        expires_at = None if row["token_expires_at"] is None else as_utc(row["token_expires_at"])
        require_short(
            as_utc(row["token_created_at"]),
            expires_at,
            installation_days=self._token_lifetime_max_days,
            organization_days=int(row["organization_days"] or 0),
        )
        self._last_used.note(Used.TOKEN, int(row["token_id"]))
        return Authenticated(actor, ProvenBy.TOKEN, token_expires_at=expires_at)

    async def actor_of_fingerprint(self, fingerprint: str) -> Authenticated:
        """Return whose SSH key has this fingerprint, and note its use. Errors: BadCredentials; AccountSuspended."""
        found = await self.find_key(fingerprint)
        self.note_key(found)
        return found

    async def find_key(self, fingerprint: str) -> Authenticated:
        """Return who would sign in with the key of a fingerprint: nobody has shown to have it. Errors as above."""
        row = await self._database.fetch(_KEY, fingerprint=fingerprint)
        if row is None:
            raise BadCredentials("Nobody here has this key; add it in your settings.")
        return _key_owner(row)

    def note_key(self, found: Authenticated, *, address: str = "") -> None:
        """Note that a key that ``find_key`` found was used, now that its signature is verified.

        ``address`` is the peer's, for a door that calls before there is a request.
        """
        if found.key_id is not None:
            self._last_used.note(Used.KEY, found.key_id, address=address)

    def key_from_row(self, row: Mapping[str, Any]) -> Authenticated:
        """Return who the SSH key of a row with KEY_COLUMNS and ACCOUNT_COLUMNS signs in, and note its use."""
        found = _key_owner(row)
        self.note_key(found)
        return found

    async def actor_of_password(self, name: str, password: str, *, address: str) -> Authenticated:
        """Return whom a name and password sign in; the same again within 5 minutes costs no hashing.

        The account is read each time: a changed password or a suspension counts at once.
        Errors: BadCredentials; AccountSuspended; RateLimited.
        """
        row = await self._account_named(name)
        if row is not None and row["password_hash"] is not None:
            password_hash = str(row["password_hash"])
            if self._remembered.knows(password_hash, password):
                actor = require_active(actor_from_row(row))
                return Authenticated(actor, ProvenBy.PASSWORD, password_hash=password_hash)
        proven = await self._prove(row, name, password, address)
        assert proven.password_hash is not None
        self._remembered.remember(proven.password_hash, password)
        return proven

    async def prove_password(
        self, name: str, password: str, *, address: str, device_of: DeviceOf | None = None
    ) -> Authenticated:
        """Return whom a name and password sign in, hashing every time: for opening a session. Errors as above.

        ``device_of`` tells whether the browser that asks is one that the account knows; its attempts count apart.
        """
        row = await self._account_named(name)
        device = device_of(int(row["account_id"])) if row is not None and device_of is not None else ""
        return await self._prove(row, name, password, address, device=device)

    async def renewed_hash(self, proven: Authenticated, password: str) -> str | None:
        """Return a new hash of a password just proven if the stored one has outdated parameters; else None."""
        if proven.password_hash is None or not self._passwords.is_outdated(proven.password_hash):
            return None
        return await self._passwords.hash(password)

    async def _prove(
        self, row: Mapping[str, Any] | None, name: str, password: str, address: str, *, device: str = ""
    ) -> Authenticated:
        try:
            await self._limits.attempt(name, address, device=device)
        except RateLimited:
            self._refused(row, address, Refusal.TOO_MANY)
            raise
        password_hash = None if row is None else row["password_hash"]
        if not await self._passwords.verify(password_hash, password):
            await self._limits.failed(address, device=device)
            self._refused(row, address, Refusal.WRONG)
            raise BadCredentials("The name or the password is wrong.")
        assert row is not None
        await self._limits.succeeded(name, address, device=device)
        if row["is_suspended"]:
            self._refused(row, address, Refusal.SUSPENDED)
        actor = require_active(actor_from_row(row))
        return Authenticated(actor, ProvenBy.PASSWORD, password_hash=str(password_hash))

    def _refused(self, row: Mapping[str, Any] | None, address: str, reason: Refusal) -> None:
        account_id, login = (None, "") if row is None else (int(row["account_id"]), str(row["login"]))
        self.failed_sign_ins.note(account_id=account_id, login=login, address=address, reason=reason)

    async def _account_named(self, name: str) -> Mapping[str, Any] | None:
        key = name.strip().lower()
        if not key.isprintable() or len(key) > 254:
            return None
        return await self._database.fetch(_EMAIL if "@" in key else _LOGIN, name=key)


class _RememberedPasswords:
    """Passwords proven lately, as HMACs under a key that this process alone has; the least used go first."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._key = secrets.token_bytes(32)
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def knows(self, password_hash: str, password: str) -> bool:
        proof = self._proof(password_hash, password)
        until = self._until.get(proof)
        if until is None:
            return False
        if until <= self._monotonic():
            del self._until[proof]
            return False
        self._until.move_to_end(proof)
        return True

    def remember(self, password_hash: str, password: str) -> None:
        self._until[self._proof(password_hash, password)] = self._monotonic() + REMEMBERED_SECONDS
        while len(self._until) > REMEMBERED_MAX:
            self._until.popitem(last=False)

    def _proof(self, password_hash: str, password: str) -> bytes:
        # The stored hash has no NUL and is unique by its salt: another account or a new password is another proof.
        message = password_hash.encode() + b"\0" + password.encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, hashlib.sha256)


def actor_from_row(row: Mapping[str, Any], limits: TokenLimits | None = None) -> Actor:
    """Return the actor of a row with ACCOUNT_COLUMNS."""
    return Actor(
        ActorKind.USER,
        account_id=int(row["account_id"]),
        login=str(row["login"]),
        is_site_admin=bool(row["is_site_admin"]),
        is_suspended=bool(row["is_suspended"]),
        limits=limits,
    )


def _key_owner(row: Mapping[str, Any]) -> Authenticated:
    """Return who the SSH key of a row with KEY_COLUMNS and ACCOUNT_COLUMNS belongs to: a person or a repository."""
    key_id = int(row["key_id"])
    if row["key_repository_id"] is None:
        return Authenticated(require_active(actor_from_row(row)), ProvenBy.KEY, key_id=key_id)
    key = DeployKey(key_id, int(row["key_repository_id"]), bool(row["key_can_write"]))
    return Authenticated(Actor(ActorKind.DEPLOY_KEY, deploy_key=key), ProvenBy.KEY, key_id=key_id)


def require_token(row: Mapping[str, Any]) -> Actor:
    """Return the actor of a row with NARROWING_COLUMNS and ACCOUNT_COLUMNS.

    Errors: BadCredentials; AccountSuspended.
    """
    if not row["token_is_valid"]:
        raise BadCredentials("Bad credentials")
    limits = _limits(
        token_id=int(row["token_id"]),
        scopes=_json_list(row["scopes"], str) or [],
        repository_ids=_json_list(row["repository_ids"], int),
        owner_id=None if row["token_owner_id"] is None else int(row["token_owner_id"]),
        permissions=_permissions(row["permissions"]),
        is_revoked=row["access_revoked_at"] is not None,
    )
    return require_active(actor_from_row(row, limits))


def _limits(
    *,
    token_id: int,
    scopes: Iterable[str],
    repository_ids: Iterable[int] | None,
    owner_id: int | None,
    permissions: Mapping[str, str] | None,
    is_revoked: bool,
) -> TokenLimits:
    """Return what a token leaves of its owner's rights; one whose access was revoked reads what is public."""
    if is_revoked:
        repository_ids, permissions = (), {}
    return TokenLimits(
        scopes=frozenset(scopes),
        repository_ids=None if repository_ids is None else frozenset(repository_ids),
        token_id=token_id,
        owner_id=owner_id,
        permissions=None if permissions is None else expand(permissions),
    )


def require_active(actor: Actor) -> Actor:
    """Return the actor unless an administrator shut the account out; AccountSuspended then."""
    if actor.is_suspended:
        raise AccountSuspended(f"The account {actor.login!r} is suspended; ask an administrator of this site.")
    return actor


async def refresh_actor(session: AsyncSession, actor: Actor) -> Actor:
    """Return the actor as it is in this transaction, for decisions that come long after authentication.

    One statement. What a token may do is read anew. One that went or ran out meanwhile, or a deploy key that did,
    raises BadCredentials, a suspension AccountSuspended; an administrator who no longer is one comes back as a plain
    user.
    """
    if actor.deploy_key is not None:
        return await _refresh_deploy_key(session, actor, actor.deploy_key)
    if not actor.is_signed_in:
        return actor
    token_id = None if actor.limits is None else actor.limits.token_id
    # Primary keys of account and account_token.
    is_valid = and_(Token.id == token_id, or_(Token.expires_at.is_(None), Token.expires_at > now()))
    found = (
        await session.execute(
            select(Account.login, Account.is_site_admin, Account.suspended_at, Token)
            .outerjoin(Token, is_valid)
            .where(Account.id == actor.account_id)
            .execution_options(populate_existing=True)
        )
    ).one_or_none()
    if found is None or (token_id is not None and found[3] is None):
        raise BadCredentials("Bad credentials")
    login, is_site_admin, suspended_at, token = found
    limits = actor.limits
    if token is not None:
        limits = _limits(
            token_id=token.id,
            scopes=token.scopes,
            repository_ids=token.repository_ids,
            owner_id=token.owner_id,
            permissions=token.permissions,
            is_revoked=token.access_revoked_at is not None,
        )
    return require_active(
        replace(actor, login=login, is_site_admin=is_site_admin, is_suspended=suspended_at is not None, limits=limits)
    )


async def _refresh_deploy_key(session: AsyncSession, actor: Actor, key: DeployKey) -> Actor:
    can_write = await session.scalar(
        # Primary key of account_ssh_key.
        select(SshKey.can_write).where(SshKey.id == key.key_id, SshKey.repository_id == key.repository_id)
    )
    if can_write is None:
        raise BadCredentials("Bad credentials")
    return replace(actor, deploy_key=replace(key, can_write=can_write))


def _permissions(raw: str | bytes | None) -> dict[str, str] | None:
    return None if raw is None else msgspec.json.decode(raw, type=dict[str, str])


def _json_list(raw: str | bytes | None, kind: type) -> list[Any] | None:
    """Read a JSON column as the drivers give it to a point query: text, or NULL."""
    return None if raw is None else msgspec.json.decode(raw, type=list[kind])  # type: ignore[valid-type]  # a parameter
