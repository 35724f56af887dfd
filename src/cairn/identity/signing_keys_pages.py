"""Settings of whoever is signed in: the keys whose signatures count as theirs. All keys are listed on one page."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Invalid
from cairn.identity.gpg_keys import add_gpg_key, delete_gpg_key
from cairn.identity.settings_frame import ChosenKey, own_account, show_settings
from cairn.identity.signing_keys import add_signing_key, delete_signing_key
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import blank_form, read_form
from cairn.web.render import redirect
from cairn.web.routing import page

Filled = Annotated[str, Meta(min_length=1)]

SSH, GPG = "/settings/keys/signing", "/settings/keys/gpg"


class SigningKeyForm(msgspec.Struct):
    """A public SSH key to be added."""

    key: Filled
    title: str = ""


class GpgKeyForm(msgspec.Struct):
    """A public GPG key to be added."""

    armored_public_key: Filled
    name: str = ""


@page.get(f"{SSH}/new", action=Action.ACCOUNT_EDIT_SIGNING_KEYS, resource="none", sudo=True)
async def new_signing_key_page(context: RequestContext, actor: Actor) -> Response[Any]:
    """Show the form that adds an SSH signing key."""
    own_account(actor)
    return show_settings(context, "new_signing_key.html", "keys", form=blank_form(SigningKeyForm))


@page.post(f"{SSH}/new", action=Action.ACCOUNT_EDIT_SIGNING_KEYS, resource="none", sudo=True)
async def save_signing_key(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
) -> Response[Any]:
    """Let signatures by an SSH key count as its owner's."""
    account_id = own_account(actor)
    form = await read_form(request, SigningKeyForm)
    try:
        wanted = form.require()
        added = await add_signing_key(session, actor, account_id, title=wanted.title, text=wanted.key)
    except Invalid as error:
        return show_settings(context, "new_signing_key.html", "keys", status=422, form=form.reject(error))
    context.flash(f"Signatures by the key {added.title!r} count as yours from now on.")
    return redirect("/settings/keys")


@page.post(f"{SSH}/delete", action=Action.ACCOUNT_EDIT_SIGNING_KEYS, resource="none", sudo=True)
async def remove_signing_key(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
) -> Response[Any]:
    """Let signatures by an SSH key no longer count."""
    account_id = own_account(actor)
    chosen = (await read_form(request, ChosenKey)).require()
    await delete_signing_key(session, actor, account_id, chosen.id)
    context.flash("Signatures by the key no longer count as yours.")
    return redirect("/settings/keys")


@page.get(f"{GPG}/new", action=Action.ACCOUNT_EDIT_GPG_KEYS, resource="none", sudo=True)
async def new_gpg_key_page(context: RequestContext, actor: Actor) -> Response[Any]:
    """Show the form that adds a GPG key."""
    own_account(actor)
    return show_settings(context, "new_gpg_key.html", "keys", form=blank_form(GpgKeyForm))


@page.post(f"{GPG}/new", action=Action.ACCOUNT_EDIT_GPG_KEYS, resource="none", sudo=True)
async def save_gpg_key(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
) -> Response[Any]:
    """Let signatures by a GPG key count as its owner's."""
    account_id = own_account(actor)
    form = await read_form(request, GpgKeyForm)
    try:
        wanted = form.require()
        added = await add_gpg_key(session, actor, account_id, title=wanted.name, text=wanted.armored_public_key)
    except Invalid as error:
        return show_settings(context, "new_gpg_key.html", "keys", status=422, form=form.reject(error))
    context.flash(f"Signatures by the key {added.title!r} count as yours from now on.")
    return redirect("/settings/keys")


@page.post(f"{GPG}/delete", action=Action.ACCOUNT_EDIT_GPG_KEYS, resource="none", sudo=True)
async def remove_gpg_key(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
) -> Response[Any]:
    """Let signatures by a GPG key no longer count."""
    account_id = own_account(actor)
    chosen = (await read_form(request, ChosenKey)).require()
    await delete_gpg_key(session, actor, account_id, chosen.id)
    context.flash("Signatures by the key no longer count as yours.")
    return redirect("/settings/keys")


route_handlers: list[HTTPRouteHandler] = [
    new_signing_key_page,
    save_signing_key,
    remove_signing_key,
    new_gpg_key_page,
    save_gpg_key,
    remove_gpg_key,
]
