"""Settings of whoever is signed in: profile, password, sessions, personal tokens, SSH keys."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Invalid, RateLimited, Unauthenticated
from cairn.db.database import Database
from cairn.identity.accounts import change_password, update_profile
from cairn.identity.authenticate import Authenticator, BadCredentials
from cairn.identity.browsers import describe_browser
from cairn.identity.passwords import Passwords
from cairn.identity.queries import list_emails, read_profile
from cairn.identity.scope_choices import choices_for
from cairn.identity.sessions import SessionRow, list_sessions, revoke_other_sessions, revoke_session
from cairn.identity.ssh_keys import add_key, delete_key, list_keys
from cairn.identity.tokens import NewToken, TokenRow, create_token, list_tokens, revoke_token
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page

_SECTIONS = (
    ("profile", "Profile", "person"),
    ("password", "Password", "lock"),
    ("sessions", "Sessions", "device-desktop"),
    ("tokens", "Tokens", "shield-check"),
    ("keys", "SSH keys", "key"),
)
LIFETIMES = (
    ("7", "7 days"),
    ("30", "30 days"),
    ("90", "90 days"),
    ("365", "A year"),
    ("never", "Never"),
)
"""How long a token can be made to last: days, or for ever."""

Filled = Annotated[str, Meta(min_length=1)]


class ProfileForm(msgspec.Struct):
    """The public profile."""

    name: str = ""
    bio: str = ""


class PasswordForm(msgspec.Struct):
    """The change of a password; ``password`` is the new one."""

    current: Filled
    password: Filled


class TokenForm(msgspec.Struct):
    """A personal token to be made."""

    name: Filled
    lifetime: Annotated[
        str, Meta(pattern="^(7|30|90|365|never)$", extra_json_schema={"message": "Choose one of the options."})
    ] = "30"
    scopes: list[str] = msgspec.field(default_factory=list)


class KeyForm(msgspec.Struct):
    """A public key to be added."""

    key: Filled
    title: str = ""


class ChosenSession(msgspec.Struct):
    """Which session a button stands beside."""

    session_id: Filled


class ChosenNumber(msgspec.Struct):
    """Which token or key a button stands beside."""

    id: int


@dataclass(frozen=True, slots=True)
class ShownSession:
    """A session as the page tells it."""

    row: SessionRow
    browser: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class ShownToken:
    """A token as the page tells it."""

    row: TokenRow
    is_expired: bool


def make_route_handlers(authenticator: Authenticator, passwords: Passwords) -> list[HTTPRouteHandler]:
    """Return these pages; the program's own authenticator and password hasher do the work."""

    @page.post("/settings/password", action=Action.ACCOUNT_EDIT, resource="none")
    async def choose_password(
        context: RequestContext, request: WebRequest, database: Database, actor: Actor
    ) -> Response[Any]:
        """Change the password and end the other sessions."""
        _own_account(actor)
        form = await read_form(request, PasswordForm)
        return await _choose_password(context, database, authenticator, passwords, actor, form)

    return [
        settings_page,
        profile_page,
        save_profile,
        password_page,
        choose_password,
        sessions_page,
        end_session,
        end_other_sessions,
        tokens_page,
        new_token_page,
        make_token,
        end_token,
        keys_page,
        new_key_page,
        save_key,
        remove_key,
    ]


def _own_account(actor: Actor) -> int:
    """Return whose settings these are; Unauthenticated leads a visitor to the sign-in page and back."""
    if actor.account_id is None:
        raise Unauthenticated("Sign in to see your settings.")
    return actor.account_id


def _show(
    context: RequestContext, template: str, section: str, *, status: int = 200, **values: object
) -> Response[str]:
    sections = [(text, f"/settings/{name}", icon, name == section) for name, text, icon in _SECTIONS]
    headers = {"Cache-Control": "no-store"}
    return render(context, f"identity/{template}", status=status, headers=headers, sections=sections, **values)


@page.get("/settings", action=Action.ACCOUNT_EDIT, resource="none")
async def settings_page(actor: Actor) -> Response[Any]:
    """Go to the first of the settings."""
    _own_account(actor)
    return redirect("/settings/profile")


@page.get("/settings/profile", action=Action.ACCOUNT_EDIT, resource="none")
async def profile_page(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Show the public profile, to be changed, and the addresses."""
    _own_account(actor)
    profile = await read_profile(session, actor, actor.label)
    return await _profile(context, session, actor, blank_form(ProfileForm, name=profile.name, bio=profile.bio))


async def _profile(
    context: RequestContext, session: AsyncSession, actor: Actor, form: Form[ProfileForm], *, status: int = 200
) -> Response[str]:
    emails = await list_emails(session, actor, _own_account(actor))
    return _show(context, "profile.html", "profile", status=status, form=form, emails=emails)


@page.post("/settings/profile", action=Action.ACCOUNT_EDIT, resource="none")
async def save_profile(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
) -> Response[Any]:
    """Keep the public profile."""
    account_id = _own_account(actor)
    form = await read_form(request, ProfileForm)
    try:
        wanted = form.require()
        await update_profile(session, actor, account_id, name=wanted.name, bio=wanted.bio)
    except Invalid as error:
        return await _profile(context, session, actor, form.reject(error), status=422)
    context.flash("Your profile is saved.")
    return redirect("/settings/profile")


@page.get("/settings/password", action=Action.ACCOUNT_EDIT, resource="none")
async def password_page(context: RequestContext, actor: Actor) -> Response[Any]:
    """Show the form that changes the password."""
    _own_account(actor)
    return _show(context, "password.html", "password", form=blank_form(PasswordForm))


async def _choose_password(
    context: RequestContext,
    database: Database,
    authenticator: Authenticator,
    passwords: Passwords,
    actor: Actor,
    form: Form[PasswordForm],
) -> Response[Any]:
    try:
        wanted = form.require()
        # A stolen session must not be a place to guess the password: this counts as an attempt to sign in.
        await authenticator.prove_password(actor.label, wanted.current, address=context.client_address)
        await change_password(
            database,
            passwords,
            actor,
            current=wanted.current,
            new=wanted.password,
            keep_session_id=context.authentication.session_key,
        )
    except Invalid as error:
        return _show(context, "password.html", "password", status=422, form=form.reject(error))
    except BadCredentials:
        form.problems["current"] = "This is not your current password."
        return _show(context, "password.html", "password", status=422, form=form)
    except RateLimited as error:
        form.summary = error.message
        return _show(context, "password.html", "password", status=429, form=form)
    context.flash("Your password is changed, and your other sessions have ended.")
    return redirect("/settings/password")


@page.get("/settings/sessions", action=Action.ACCOUNT_EDIT, resource="none")
async def sessions_page(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Show every signed-in browser."""
    rows = await list_sessions(session, actor, _own_account(actor))
    current = context.authentication.session_key
    shown = [ShownSession(row, describe_browser(row.user_agent), row.id == current) for row in rows]
    shown.sort(key=lambda one: not one.is_current)
    return _show(context, "sessions.html", "sessions", sessions=shown)


@page.post("/settings/sessions/revoke", action=Action.ACCOUNT_EDIT, resource="none")
async def end_session(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
) -> Response[Any]:
    """Sign one browser out."""
    account_id = _own_account(actor)
    chosen = (await read_form(request, ChosenSession)).require()
    await revoke_session(session, actor, account_id, chosen.session_id)
    context.flash("That session has ended.")
    return redirect("/settings/sessions")


@page.post("/settings/sessions/revoke-others", action=Action.ACCOUNT_EDIT, resource="none")
async def end_other_sessions(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Sign out every browser but this one."""
    account_id = _own_account(actor)
    current = context.authentication.session_key
    ended = await revoke_other_sessions(session, actor, account_id, keep_session_id=current)
    context.flash(f"{ended} other session{'' if ended == 1 else 's'} ended.")
    return redirect("/settings/sessions")


@page.get("/settings/tokens", action=Action.ACCOUNT_EDIT_TOKENS, resource="none")
async def tokens_page(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Show every personal token, never the secret of one."""
    return await _tokens(context, session, actor)


async def _tokens(
    context: RequestContext, session: AsyncSession, actor: Actor, created: NewToken | None = None
) -> Response[str]:
    now = context.site.clock()
    rows = await list_tokens(session, actor, _own_account(actor))
    shown = [ShownToken(row, row.expires_at is not None and row.expires_at <= now) for row in rows]
    return _show(context, "tokens.html", "tokens", tokens=shown, created=created)


@page.get("/settings/tokens/new", action=Action.ACCOUNT_EDIT_TOKENS, resource="none")
async def new_token_page(context: RequestContext, actor: Actor) -> Response[Any]:
    """Show the form that makes a token."""
    _own_account(actor)
    return _token_form(context, blank_form(TokenForm, scopes=[]))


def _token_form(context: RequestContext, form: Form[TokenForm], *, status: int = 200) -> Response[str]:
    choices = choices_for(is_site_admin=context.actor.is_site_admin)
    return _show(
        context, "new_token.html", "tokens", status=status, form=form, choices=choices, lifetimes=list(LIFETIMES)
    )


@page.post("/settings/tokens/new", action=Action.ACCOUNT_EDIT_TOKENS, resource="none")
async def make_token(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
) -> Response[Any]:
    """Make a token and show it in this very answer: it stands in no address and no cookie, and never comes back."""
    account_id = _own_account(actor)
    form = await read_form(request, TokenForm)
    try:
        wanted = form.require()
        created = await create_token(
            session,
            actor,
            account_id,
            name=wanted.name,
            scopes=wanted.scopes,
            expires_at=_expiry(context.site.clock(), wanted.lifetime),
        )
    except Invalid as error:
        return _token_form(context, form.reject(error), status=422)
    return await _tokens(context, session, actor, created)


def _expiry(now: datetime, lifetime: str) -> datetime | None:
    return None if lifetime == "never" else now + timedelta(days=int(lifetime))


@page.post("/settings/tokens/revoke", action=Action.ACCOUNT_EDIT_TOKENS, resource="none")
async def end_token(context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Make a token stop working."""
    account_id = _own_account(actor)
    chosen = (await read_form(request, ChosenNumber)).require()
    await revoke_token(session, actor, account_id, chosen.id)
    context.flash("The token no longer works.")
    return redirect("/settings/tokens")


@page.get("/settings/keys", action=Action.ACCOUNT_READ_KEYS, resource="none")
async def keys_page(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Show every SSH key."""
    keys = await list_keys(session, actor, _own_account(actor))
    return _show(context, "keys.html", "keys", keys=keys)


@page.get("/settings/keys/new", action=Action.ACCOUNT_EDIT_KEYS, resource="none")
async def new_key_page(context: RequestContext, actor: Actor) -> Response[Any]:
    """Show the form that adds a key."""
    _own_account(actor)
    return _show(context, "new_key.html", "keys", form=blank_form(KeyForm))


@page.post("/settings/keys/new", action=Action.ACCOUNT_EDIT_KEYS, resource="none")
async def save_key(context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Let a key sign its owner in."""
    account_id = _own_account(actor)
    form = await read_form(request, KeyForm)
    try:
        wanted = form.require()
        added = await add_key(session, actor, account_id, title=wanted.title, text=wanted.key)
    except Invalid as error:
        return _show(context, "new_key.html", "keys", status=422, form=form.reject(error))
    context.flash(f"The key {added.title!r} signs you in from now on.")
    return redirect("/settings/keys")


@page.post("/settings/keys/delete", action=Action.ACCOUNT_EDIT_KEYS, resource="none")
async def remove_key(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
) -> Response[Any]:
    """Make a key stop signing its owner in."""
    account_id = _own_account(actor)
    chosen = (await read_form(request, ChosenNumber)).require()
    await delete_key(session, actor, account_id, chosen.id)
    context.flash("The key no longer signs you in.")
    return redirect("/settings/keys")
