"""A person's own tokens: listed, made, changed, regenerated and revoked, classic and fine-grained ones."""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.permissions import PERMISSIONS, PermissionFacts, PermissionKind
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, NotFound
from cairn.base.ids import RowId
from cairn.db.clock import database_now
from cairn.identity.organization_members import list_memberships
from cairn.identity.scope_choices import choices_for
from cairn.identity.settings_frame import own_account, show_settings
from cairn.identity.token_policy import exceeds, lifetime_days_of, shortest
from cairn.identity.tokens import (
    NewToken,
    TokenRow,
    change_fine_grained_token,
    change_token,
    create_fine_grained_token,
    create_token,
    list_tokens,
    read_token,
    regenerate_token,
    revoke_token,
)
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect
from cairn.web.routing import page

PATH = "/settings/tokens"
FINE_GRAINED_PATH = f"{PATH}/fine-grained"
LIFETIMES = (
    ("7", "7 days"),
    ("30", "30 days"),
    ("90", "90 days"),
    ("365", "A year"),
    ("never", "Never"),
)
"""How long a token can be made to last: days, or for ever."""

FindRepositories = Callable[[AsyncSession, Actor, int, str, frozenset[int]], Awaitable[list[tuple[int, str]]]]
"""Returns id and name of an owner's repositories: those chosen, and those whose name has a text."""
Filled = Annotated[str, Meta(min_length=1)]
Lifetime = Annotated[
    str, Meta(pattern="^[1-9][0-9]{0,3}$|^never$", extra_json_schema={"message": "Choose one of the options."})
]
_EDIT: Any = {"action": Action.ACCOUNT_EDIT_TOKENS, "resource": "none"}


class TokenForm(msgspec.Struct):
    """A classic token to be made."""

    name: Filled
    lifetime: Lifetime = "30"
    scopes: list[str] = msgspec.field(default_factory=list)


class ScopesForm(msgspec.Struct):
    """What a classic token may do from now on."""

    scopes: list[str] = msgspec.field(default_factory=list)


class FineGrainedForm(msgspec.Struct):
    """A fine-grained token to be made or changed; ``step`` is the button that was pressed."""

    owner: str = ""
    name: str = ""
    lifetime: Lifetime = "30"
    reach: Literal["all", "public", "chosen"] = "public"
    repository_ids: list[RowId] = msgspec.field(default_factory=list)
    search: str = ""
    permissions: list[str] = msgspec.field(default_factory=list)
    """``name:level`` of each permission; an empty text for one that is not given."""
    step: Literal["find", "save"] = "save"


class ChosenToken(msgspec.Struct):
    """Which token a button stands beside."""

    id: RowId


class RegenerateForm(msgspec.Struct):
    """A token that gets another secret, and how long that lives."""

    id: RowId
    lifetime: Lifetime = "30"


@dataclass(frozen=True, slots=True)
class ShownToken:
    """A token as the page tells it."""

    row: TokenRow
    is_expired: bool
    is_too_long: bool
    """It was made to live longer than a policy of today allows, and is refused."""
    owner: str
    """The resource owner's name; empty for a classic one, or if the person left the organization."""
    lifetimes: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Owner:
    """Somebody whose things a token can be for."""

    id: int
    login: str


def lifetimes_within(days: int) -> list[tuple[str, str]]:
    """Return the lifetimes to choose from under a bound in days; 0 is none. The bound itself is always one of them."""
    if not days:
        return list(LIFETIMES)
    within = [(value, text) for value, text in LIFETIMES if value != "never" and int(value) <= days]
    if not any(value == str(days) for value, _ in within):
        within.append((str(days), f"{days} {'day' if days == 1 else 'days'}"))
    return within


async def _owners(session: AsyncSession, actor: Actor) -> list[Owner]:
    account_id = own_account(actor)
    memberships = await list_memberships(session, actor, account_id)
    return [Owner(account_id, actor.label), *(Owner(one.organization_id, one.login) for one in memberships)]


def _owner_named(owners: Iterable[Owner], login: str) -> Owner:
    for owner in owners:
        if owner.login.lower() == login.lower():
            return owner
    raise NotFound("Not Found")


def _expiry(now: datetime, lifetime: str) -> datetime | None:
    return None if lifetime == "never" else now + timedelta(days=int(lifetime))


@page.get(PATH, **_EDIT)
async def tokens_page(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Show every personal token, never the secret of one."""
    return await _tokens(context, session, actor)


async def _tokens(
    context: RequestContext, session: AsyncSession, actor: Actor, created: NewToken | None = None
) -> Response[str]:
    now, policy = await database_now(session), context.settings.token_lifetime_max_days
    names = {owner.id: owner.login for owner in await _owners(session, actor)}
    shown = []
    for row in await list_tokens(session, actor, own_account(actor)):
        days = shortest(policy, await lifetime_days_of(session, row.owner_id))
        shown.append(
            ShownToken(
                row,
                is_expired=row.expires_at is not None and row.expires_at <= now,
                is_too_long=exceeds(row.created_at, row.expires_at, days),
                owner=names.get(row.owner_id or 0, ""),
                lifetimes=lifetimes_within(days),
            )
        )
    return show_settings(context, "tokens.html", "tokens", tokens=shown, created=created)


@page.get(f"{PATH}/new", **_EDIT, sudo=True)
async def new_token_page(context: RequestContext, actor: Actor) -> Response[Any]:
    """Show the form that makes a classic token."""
    own_account(actor)
    return _token_form(context, blank_form(TokenForm, scopes=[]))


def _token_form(
    context: RequestContext, form: Form[Any], *, status: int = 200, token: TokenRow | None = None
) -> Response[str]:
    choices = choices_for(is_site_admin=context.actor.is_site_admin)
    lifetimes = lifetimes_within(context.settings.token_lifetime_max_days)
    return show_settings(
        context, "new_token.html", "tokens", status=status, form=form, choices=choices, lifetimes=lifetimes, token=token
    )


@page.post(f"{PATH}/new", **_EDIT, sudo=True)
async def make_token(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
) -> Response[Any]:
    """Make a token and show it in this very answer: it stands in no address and no cookie, and never comes back."""
    account_id = own_account(actor)
    form = await read_form(request, TokenForm)
    try:
        wanted = form.require()
        created = await create_token(
            session,
            actor,
            account_id,
            name=wanted.name,
            scopes=wanted.scopes,
            expires_at=_expiry(await database_now(session), wanted.lifetime),
            lifetime_max_days=context.settings.token_lifetime_max_days,
        )
    except Invalid as error:
        return _token_form(context, form.reject(error), status=422)
    return await _tokens(context, session, actor, created)


@page.post(f"{PATH}/regenerate", **_EDIT, sudo=True)
async def renew_token(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
) -> Response[Any]:
    """Give a token another secret and show it in this very answer."""
    account_id = own_account(actor)
    wanted = (await read_form(request, RegenerateForm)).require()
    created = await regenerate_token(
        session,
        actor,
        account_id,
        wanted.id,
        expires_at=_expiry(await database_now(session), wanted.lifetime),
        lifetime_max_days=context.settings.token_lifetime_max_days,
    )
    return await _tokens(context, session, actor, created)


@page.post(f"{PATH}/revoke", **_EDIT)
async def end_token(context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Make a token stop working."""
    account_id = own_account(actor)
    chosen = (await read_form(request, ChosenToken)).require()
    await revoke_token(session, actor, account_id, chosen.id)
    context.flash("The token no longer works.")
    return redirect(PATH)


def make_route_handlers(find_repositories: FindRepositories) -> list[HTTPRouteHandler]:
    """Return these pages; what they know of repositories comes from above."""

    async def show(
        context: RequestContext,
        session: AsyncSession,
        actor: Actor,
        form: Form[FineGrainedForm],
        owner: Owner,
        token: TokenRow | None = None,
    ) -> Response[str]:
        chosen = _typed_numbers(form)
        days = shortest(context.settings.token_lifetime_max_days, await lifetime_days_of(session, owner.id))
        return show_settings(
            context,
            "fine_grained_token.html",
            "tokens",
            status=422 if form.has_problems else 200,
            form=form,
            token=token,
            owner=owner,
            owners=await _owners(session, actor),
            lifetimes=lifetimes_within(days),
            chosen=chosen,
            repositories=await find_repositories(
                session, actor, owner.id, str(form.values.get("search") or ""), chosen
            ),
            groups=_permission_groups(is_own=owner.id == own_account(actor)),
        )

    @page.get(f"{FINE_GRAINED_PATH}/new", **_EDIT, sudo=True)
    async def new_page(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[Any]:
        """Show the form that makes a fine-grained token for one resource owner."""
        asked = context.request.query_params.get("owner", "") or actor.label
        owner = _owner_named(await _owners(session, actor), asked)
        return await show(context, session, actor, blank_form(FineGrainedForm, owner=owner.login), owner)

    @page.post(f"{FINE_GRAINED_PATH}/new", **_EDIT, sudo=True)
    async def make(context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor) -> Response[Any]:
        """Make a fine-grained token and show it in this very answer; or look for repositories, the rest kept."""
        account_id = own_account(actor)
        form = await read_form(request, FineGrainedForm)
        owner = _owner_named(await _owners(session, actor), str(form.values.get("owner") or actor.label))
        try:
            wanted = form.require()
            if wanted.step == "find":
                return await show(context, session, actor, form, owner)
            created = await create_fine_grained_token(
                session,
                actor,
                account_id,
                name=wanted.name,
                owner_id=owner.id,
                permissions=_chosen_permissions(wanted),
                repository_ids=_chosen_repositories(wanted),
                expires_at=_expiry(await database_now(session), wanted.lifetime),
                lifetime_max_days=context.settings.token_lifetime_max_days,
            )
        except Invalid as error:
            return await show(context, session, actor, form.reject(error), owner)
        return await _tokens(context, session, actor, created)

    async def owner_of(session: AsyncSession, actor: Actor, token: TokenRow) -> Owner:
        for owner in await _owners(session, actor):
            if owner.id == token.owner_id:
                return owner
        raise NotFound("Not Found")

    @page.get(f"{PATH}/{{token_id:int}}", **_EDIT, sudo=True)
    async def rights_page(context: RequestContext, session: AsyncSession, actor: Actor, token_id: int) -> Response[Any]:
        """Show what a token may do, to be changed."""
        token = await read_token(session, actor, own_account(actor), token_id)
        if token.permissions is None:
            return _token_form(context, blank_form(ScopesForm, scopes=list(token.scopes)), token=token)
        ids = token.repository_ids
        form = blank_form(
            FineGrainedForm,
            reach="all" if ids is None else "chosen" if ids else "public",
            repository_ids=sorted(ids or ()),
            permissions=[f"{name}:{level}" for name, level in token.permissions.items()],
        )
        return await show(context, session, actor, form, await owner_of(session, actor, token), token)

    @page.post(f"{PATH}/{{token_id:int}}", **_EDIT, sudo=True)
    async def save_rights(
        context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor, token_id: int
    ) -> Response[Any]:
        """Change what a token may do; its secret stays."""
        account_id = own_account(actor)
        token = await read_token(session, actor, account_id, token_id)
        if token.permissions is None:
            scopes = await read_form(request, ScopesForm)
            try:
                await change_token(session, actor, account_id, token_id, scopes=scopes.require().scopes)
            except Invalid as error:
                return _token_form(context, scopes.reject(error), status=422, token=token)
        else:
            form = await read_form(request, FineGrainedForm)
            owner = await owner_of(session, actor, token)
            try:
                wanted = form.require()
                if wanted.step == "find":
                    return await show(context, session, actor, form, owner, token)
                await change_fine_grained_token(
                    session,
                    actor,
                    account_id,
                    token_id,
                    permissions=_chosen_permissions(wanted),
                    repository_ids=_chosen_repositories(wanted),
                )
            except Invalid as error:
                return await show(context, session, actor, form.reject(error), owner, token)
        context.flash(f"What {token.name} may do is changed.")
        return redirect(PATH)

    return [
        tokens_page,
        new_token_page,
        make_token,
        renew_token,
        end_token,
        new_page,
        make,
        rights_page,
        save_rights,
    ]


def _permission_groups(*, is_own: bool) -> list[tuple[str, list[tuple[str, PermissionFacts]]]]:
    """Return the permissions to choose from, by what they are about: those of accounts only for one's own things."""
    second = PermissionKind.ACCOUNT if is_own else PermissionKind.ORGANIZATION
    titles = {
        PermissionKind.REPOSITORY: "In repositories",
        second: "In your account" if is_own else "In the organization",
    }
    return [
        (title, [(name, facts) for name, facts in PERMISSIONS.items() if facts.kind is kind and name != "metadata"])
        for kind, title in titles.items()
    ]


def _typed_numbers(form: Form[FineGrainedForm]) -> frozenset[int]:
    """Return the repositories chosen so far, also of a form that is refused; without what is no row's number."""
    sent = form.values.get("repository_ids") or []
    return frozenset(int(one) for one in sent if re.fullmatch(r"[0-9]{1,18}", str(one)))


def _chosen_permissions(form: FineGrainedForm) -> dict[str, str]:
    return {name: level for name, _, level in (one.partition(":") for one in form.permissions if one)}


def _chosen_repositories(form: FineGrainedForm) -> frozenset[int] | None:
    """Return the repositories a token reaches: None for all, none for only what is public."""
    if form.reach == "chosen" and not form.repository_ids:
        message = "Choose at least one repository, or another reach."
        raise Invalid(message, FieldProblem("reach", "invalid", message, "Token"))
    return {"all": None, "public": frozenset[int]()}.get(form.reach, frozenset(form.repository_ids))
