"""Sessions: signing in and out in a browser. The cookie is random, stored as a hash, and new at every sign-in."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import AccountScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import NotFound, Unauthenticated
from cairn.base.ids import random_secret
from cairn.base.origin import Origin, current_origin
from cairn.base.settings import Settings
from cairn.db.changes import count_changed
from cairn.db.clock import database_now, now
from cairn.db.database import Database
from cairn.identity.authenticate import Authenticator, BadCredentials, DeviceOf
from cairn.identity.models import Account, OneTimeLink, Session
from cairn.identity.token_format import hash_secret

SESSIONS_MAX = 100
"""Open sessions of one account; the longest unused ends when one more begins."""
USER_AGENT_LENGTH_MAX = 255
ADDRESS_LENGTH_MAX = 64


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A fresh session: ``cookie`` goes to the browser and nowhere else."""

    cookie: str
    actor: Actor
    session_id: str


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as its owner sees it; ``id`` names it in forms and is no secret."""

    id: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    address: str
    user_agent: str


async def sign_in(
    database: Database,
    authenticator: Authenticator,
    settings: Settings,
    *,
    name: str,
    password: str,
    address: str,
    user_agent: str,
    old_cookie: str = "",
    device_of: DeviceOf | None = None,
) -> SignedIn:
    """Prove a password and open a session; ``name`` is the login or an e-mail address.

    ``old_cookie``'s session ends: a sign-in always changes the cookie. The hash is renewed if its parameters aged.
    Errors: Unauthenticated for a wrong name or password alike; Forbidden if suspended; RateLimited.
    """
    # Once more if another sign-in renewed the hash meanwhile; a new password is refused by the proof then.
    for _ in range(2):
        proven = await authenticator.prove_password(name, password, address=address, device_of=device_of)
        renewed = await authenticator.renewed_hash(proven, password)
        async with database.write() as session:
            # Locked: a new password or a suspension ends all sessions, and this one must not come after that.
            account = await session.get_one(Account, proven.actor.account_id, with_for_update=True)
            if account.password_hash == proven.password_hash and account.suspended_at is None:
                account.password_hash = renewed or account.password_hash
                if old_cookie:
                    await session.execute(delete(Session).where(Session.cookie_sha256 == hash_secret(old_cookie)))
                origin = replace(current_origin(), address=address, user_agent=user_agent)
                return await _open(session, proven.actor, settings, origin)
    raise BadCredentials("The name or the password is wrong.")


async def _open(session: AsyncSession, actor: Actor, settings: Settings, origin: Origin) -> SignedIn:
    assert actor.account_id is not None
    cookie, moment = random_secret(), await database_now(session)
    await _make_room(session, actor.account_id)
    session.add(
        Session(
            cookie_sha256=hash_secret(cookie),
            account_id=actor.account_id,
            created_at=moment,
            last_used_at=moment,
            proved_at=moment,
            expires_at=moment + timedelta(days=settings.session_days),
            address=origin.address[:ADDRESS_LENGTH_MAX],
            user_agent="".join(filter(str.isprintable, origin.user_agent[:USER_AGENT_LENGTH_MAX])),
        )
    )
    record(session, actor, "session.create", actor.label, account_id=actor.account_id, origin=origin)
    return SignedIn(cookie, actor, hash_secret(cookie))


async def is_proved_lately(session: AsyncSession, session_id: str, *, within: timedelta) -> bool:
    """Tell whether the person proved within that time that the session is theirs; False for one that is gone."""
    row = (
        await session.execute(select(Session.proved_at, now()).where(Session.cookie_sha256 == session_id))
    ).one_or_none()
    return row is not None and row[0] is not None and row[0] + within > row[1]


async def rotate_session(session: AsyncSession, actor: Actor, session_id: str, *, is_proof: bool = False) -> SignedIn:
    """Give a session another cookie; the one it had opens nothing any more. ``is_proof`` notes a fresh proof too.

    Whoever knew the cookie from before (a fixed one, a copied one) is out. Errors: Unauthenticated if it has ended.
    """
    cookie = random_secret()
    values = {"cookie_sha256": hash_secret(cookie)} | ({"proved_at": now()} if is_proof else {})
    # The key itself changes, so of two at once one finds the row gone.
    changed = await count_changed(session, update(Session).where(Session.cookie_sha256 == session_id).values(values))
    if changed != 1:
        raise Unauthenticated("This session has ended; sign in again.")
    if is_proof:
        record(session, actor, "session.prove", actor.label, account_id=actor.account_id)
    return SignedIn(cookie, actor, hash_secret(cookie))


async def end_sessions(session: AsyncSession, account_id: int, *, keep_session_id: str = "") -> int:
    """End an account's sessions, all or all but one, and return how many: its rights or its password changed.

    For our own code: it asks nobody and records nothing.
    """
    ending = delete(Session).where(Session.account_id == account_id, Session.cookie_sha256 != keep_session_id)
    return await count_changed(session, ending)


async def sign_out(session: AsyncSession, actor: Actor, cookie: str) -> None:
    """End the session of a cookie; nothing happens if it is not there."""
    ended = await count_changed(session, delete(Session).where(Session.cookie_sha256 == hash_secret(cookie)))
    if ended and actor.account_id is not None:
        record(session, actor, "session.end", actor.label, account_id=actor.account_id)


async def list_sessions(session: AsyncSession, actor: Actor, account_id: int) -> list[SessionRow]:
    """Return an account's open sessions, the last used first."""
    await authorize(session, actor, Action.ACCOUNT_EDIT_SECURITY, AccountScope(account_id))
    # ix_account_session_account_id
    rows = await session.scalars(
        select(Session)
        .where(Session.account_id == account_id, Session.expires_at > now())
        .order_by(Session.last_used_at.desc())
        .limit(SESSIONS_MAX)
    )
    return [
        SessionRow(row.cookie_sha256, row.created_at, row.last_used_at, row.expires_at, row.address, row.user_agent)
        for row in rows
    ]


async def revoke_session(session: AsyncSession, actor: Actor, account_id: int, session_id: str) -> None:
    """End one session of an account; NotFound if the account has no such session."""
    await authorize(session, actor, Action.ACCOUNT_EDIT_SECURITY, AccountScope(account_id))
    known = session_id.isascii() and session_id.isalnum()
    mine = delete(Session).where(Session.cookie_sha256 == session_id, Session.account_id == account_id)
    if not known or await count_changed(session, mine) == 0:
        raise NotFound("This session has already ended.")
    record(session, actor, "session.revoke", actor.label, account_id=account_id)


async def revoke_other_sessions(session: AsyncSession, actor: Actor, account_id: int, *, keep_session_id: str) -> int:
    """End all sessions of an account but one; return how many ended."""
    await authorize(session, actor, Action.ACCOUNT_EDIT_SECURITY, AccountScope(account_id))
    ended = await end_sessions(session, account_id, keep_session_id=keep_session_id)
    if ended:
        record(session, actor, "session.revoke", actor.label, account_id=account_id)
    return ended


async def delete_expired(session: AsyncSession) -> int:
    """Delete sessions and one-time links that no longer work, and return how many. For the worker, once a day."""
    sessions = await count_changed(session, delete(Session).where(Session.expires_at <= now()))
    links = await count_changed(session, delete(OneTimeLink).where(OneTimeLink.expires_at <= now()))
    return sessions + links


async def _make_room(session: AsyncSession, account_id: int) -> None:
    kept = await session.scalars(
        select(Session.cookie_sha256)
        .where(Session.account_id == account_id)
        .order_by(Session.last_used_at.desc())
        .limit(SESSIONS_MAX * 2)
        .offset(SESSIONS_MAX - 1)
    )
    surplus = list(kept)
    if surplus:
        await session.execute(delete(Session).where(Session.cookie_sha256.in_(surplus)))
