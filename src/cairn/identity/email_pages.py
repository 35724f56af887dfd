"""A person's e-mail addresses: the settings, and the page a mail's link opens."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, Invalid, Unauthenticated
from cairn.base.settings import Settings
from cairn.identity.email_addresses import (
    VERIFY_PATH,
    add_email,
    make_primary,
    remove_email,
    send_verification,
    set_email_privacy,
    verify_email,
)
from cairn.identity.emails import noreply_address
from cairn.identity.models import Account, LinkPurpose
from cairn.identity.one_time_links import LinkUnusable, find_link
from cairn.identity.queries import list_emails
from cairn.identity.settings_frame import own_account, show_settings
from cairn.mail.outbox import Outbox
from cairn.web.context import RequestContext, WebRequest
from cairn.web.counters import Rule
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page

PATH = "/settings/emails"
MAILS_PER_ACCOUNT = Rule("verification mail", 10, 3600)
"""Mails an account can have sent to addresses it claims, in an hour: nobody's mailbox is filled from here."""
_NO_STORE = {"Cache-Control": "no-store"}

Filled = Annotated[str, Meta(min_length=1)]


class AddressForm(msgspec.Struct):
    """An address to be added, or the one a button stands beside."""

    email: Filled


class PrivacyForm(msgspec.Struct):
    """What others see."""

    keeps_private: bool = False
    public: str = ""


class SecretForm(msgspec.Struct):
    """The secret of a mail's link."""

    secret: Filled


def _link_told(settings: Settings, email: str) -> str:
    """Return where the link that verifies an address is now."""
    if settings.smtp_host:
        return f"A link is on its way to {email}. Open it to verify the address."
    return f"This site sends no mail: ask an administrator for the link that verifies {email}."


def make_route_handlers(outbox: Outbox) -> list[HTTPRouteHandler]:
    """Return these pages; the program's own outbox sends the mails."""

    @page.post(PATH, action=Action.ACCOUNT_EDIT_EMAILS, resource="none", sudo=True)
    async def add(context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor) -> Response[Any]:
        """Add an address and send it a link."""
        account_id = own_account(actor)
        form = await read_form(request, AddressForm)
        try:
            wanted = form.require()
            await _allow_mail(context)
            added = await add_email(session, outbox, context.settings, actor, account_id, wanted.email)
        except Invalid as error:
            await session.rollback()  # a claim that another one beat to it leaves the transaction unusable
            return await _emails(context, session, actor, status=422, form=form.reject(error))
        context.flash(_link_told(context.settings, added.email))
        return redirect(PATH)

    @page.post(f"{PATH}/resend", action=Action.ACCOUNT_EDIT_EMAILS, resource="none")
    async def resend(
        context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
    ) -> Response[Any]:
        """Send the link once more."""
        account_id, chosen = own_account(actor), (await read_form(request, AddressForm)).require()
        await _allow_mail(context)
        return await _done(
            context,
            send_verification(session, outbox, context.settings, actor, account_id, chosen.email),
            _link_told(context.settings, chosen.email),
        )

    @page.post(f"{PATH}/remove", action=Action.ACCOUNT_EDIT_EMAILS, resource="none", sudo=True)
    async def remove(
        context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
    ) -> Response[Any]:
        """Remove an address."""
        account_id, chosen = own_account(actor), (await read_form(request, AddressForm)).require()
        return await _done(
            context, remove_email(session, outbox, actor, account_id, chosen.email), f"{chosen.email} is removed."
        )

    @page.post(f"{PATH}/primary", action=Action.ACCOUNT_EDIT_EMAILS, resource="none", sudo=True)
    async def choose_primary(
        context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
    ) -> Response[Any]:
        """Send the account's mail there."""
        account_id, chosen = own_account(actor), (await read_form(request, AddressForm)).require()
        return await _done(
            context, make_primary(session, outbox, actor, account_id, chosen.email), f"Mail goes to {chosen.email} now."
        )

    return [emails_page, add, resend, remove, choose_primary, save_privacy, verify_page, verify]


async def _allow_mail(context: RequestContext) -> None:
    message = "Too many mails were sent for your account; try again in an hour."
    await context.site.limits.require(MAILS_PER_ACCOUNT, str(context.actor.account_id), message)


async def _done(context: RequestContext, change: Any, said: str) -> Response[Any]:  # noqa: ANN401 (a coroutine)
    try:
        await change
    except Conflict as error:
        context.flash(error.message, "warning")
    else:
        context.flash(said)
    return redirect(PATH)


@page.get(PATH, action=Action.ACCOUNT_EDIT_EMAILS, resource="none")
async def emails_page(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Show the addresses and who sees them."""
    own_account(actor)
    return await _emails(context, session, actor)


async def _emails(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    *,
    status: int = 200,
    form: Form[AddressForm] | None = None,
) -> Response[str]:
    account = await session.get_one(Account, own_account(actor))
    emails = await list_emails(session, actor, account.id)
    privacy = blank_form(PrivacyForm, keeps_private=account.keeps_email_private, public=account.public_email)
    public_choices = [("", "None"), *((one.email, one.email) for one in emails if one.is_verified)]
    return show_settings(
        context,
        "emails.html",
        "emails",
        status=status,
        emails=emails,
        form=form or blank_form(AddressForm),
        privacy=privacy,
        public_choices=public_choices,
        noreply=noreply_address(context.settings.host, account.id, account.login),
    )


@page.post(f"{PATH}/privacy", action=Action.ACCOUNT_EDIT_EMAILS, resource="none")
async def save_privacy(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
) -> Response[Any]:
    """Say what others see."""
    account_id, wanted = own_account(actor), (await read_form(request, PrivacyForm)).require()
    change = set_email_privacy(session, actor, account_id, keeps_private=wanted.keeps_private, public=wanted.public)
    return await _done(context, change, "Saved.")


@page.get(VERIFY_PATH, action=Action.SITE_SIGN_IN, resource="none")
async def verify_page(context: RequestContext, session: AsyncSession, actor: Actor, secret: str = "") -> Response[Any]:
    """Show what a mail's link is for, to be confirmed: opening it changes nothing, since programs open links too."""
    if actor.account_id is None:
        raise Unauthenticated("Sign in to verify the address.")
    try:
        owner = await find_link(session, LinkPurpose.VERIFY_EMAIL, secret)
    except LinkUnusable:
        return _unusable(context)
    if owner.account_id != actor.account_id:
        return _unusable(context)
    return render(context, "identity/verify_email.html", headers=_NO_STORE, email=owner.email, secret=secret)


@page.post(VERIFY_PATH, action=Action.SITE_SIGN_IN, resource="none")
async def verify(context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Note that the address is the account's."""
    own_account(actor)
    sent = (await read_form(request, SecretForm)).require()
    try:
        email = await verify_email(session, actor, sent.secret)
    except LinkUnusable:
        return _unusable(context)
    context.flash(f"{email} is verified. Commits with it are yours from now on.")
    return redirect(PATH)


def _unusable(context: RequestContext) -> Response[str]:
    return render(context, "identity/verify_unusable.html", status=404, headers=_NO_STORE)
