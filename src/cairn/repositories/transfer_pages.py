"""Pages of transfers: giving a repository away, what waits for an answer, and answering."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid
from cairn.base.ids import RowId
from cairn.identity.settings_frame import own_account, settings_sections
from cairn.mail.outbox import Outbox
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.repositories.queries import RepositoryView, find_repository
from cairn.repositories.transfer_limits import count_offer
from cairn.repositories.transfer_offers import (
    TransferOver,
    accept_transfer,
    ask_transfer,
    cancel_transfer,
    decline_transfer,
    list_own_offers,
    read_offer,
)
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

_PATH = "/{owner:str}/{repo:str}/settings/transfer"
OFFERS = "/settings/transfers"
_TRANSFER: Any = {"action": Action.REPOSITORY_TRANSFER, "resource": "repository"}


class TransferForm(msgspec.Struct):
    """Who is to own it, under which name; the whole present name, typed, so that nobody does it by a slip."""

    new_owner: Annotated[str, Meta(min_length=1)]
    new_name: str = ""
    full_name: str = ""


class AnswerForm(msgspec.Struct):
    """The repository that is offered, and another name for it where it goes."""

    repository: RowId
    name: str = ""


@page.get(_PATH, **_TRANSFER)
async def transfer_page(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str
) -> Response[Any]:
    """Show the form that gives the repository away, or to whom it is offered."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    return await _show(context, session, actor, repository, blank_form(TransferForm, new_name=repository.name))


async def _show(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    repository: RepositoryView,
    form: Form[TransferForm],
) -> Response[Any]:
    return render(
        context,
        "repositories/transfer.html",
        status=422 if form.has_problems else 200,
        **header_of(context, actor, repository, "settings"),
        offer=await read_offer(session, actor, repository.id),
        form=form,
    )


@page.post(f"{_PATH}/cancel", **_TRANSFER)
async def cancel(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> Response[Any]:
    """Take an offer back."""
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_TRANSFER)
    try:
        await cancel_transfer(session, actor, repository.id)
    except TransferOver as error:
        context.flash(error.message, "warning")
    else:
        context.flash("The transfer is cancelled.")
    return redirect(path_join(repository.owner, repository.name, "settings", "transfer"))


@page.get(OFFERS, action=Action.ACCOUNT_READ_PRIVATE, resource="none")
async def own_offers(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[str]:
    """Show the repositories that somebody is offered."""
    own_account(actor)
    return await _show_offers(context, session, actor)


async def _show_offers(
    context: RequestContext, session: AsyncSession, actor: Actor, wrong: Form[AnswerForm] | None = None
) -> Response[str]:
    return render(
        context,
        "repositories/transfers.html",
        status=200 if wrong is None else 422,
        headers={"Cache-Control": "no-store"},
        sections=settings_sections("transfers"),
        offers=await list_own_offers(session, actor),
        wrong=wrong,
    )


@page.post(f"{OFFERS}/accept", action=Action.REPOSITORY_CREATE, resource="none")
async def accept(context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest) -> Response[Any]:
    """Take the repository and open it; a name in use is told beside it."""
    own_account(actor)
    form = await read_form(request, AnswerForm)
    wanted = form.require()
    try:
        moved = await accept_transfer(session, actor, wanted.repository, new_name=wanted.name.strip() or None)
    except Invalid as error:
        await session.rollback()  # the offer stays
        return await _show_offers(context, session, actor, form.reject(error))
    except TransferOver as error:
        context.flash(error.message, "warning")
        return redirect(OFFERS)
    context.flash(f"{moved.full_name} is yours now. Its old address leads here.")
    return redirect(path_join(moved.owner, moved.name))


@page.post(f"{OFFERS}/decline", action=Action.REPOSITORY_CREATE, resource="none")
async def decline(context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest) -> Response[Any]:
    """Decline the repository."""
    own_account(actor)
    wanted = (await read_form(request, AnswerForm)).require()
    try:
        await decline_transfer(session, actor, wanted.repository)
    except TransferOver as error:
        context.flash(error.message, "warning")
    else:
        context.flash("You declined the repository; it stays where it is.")
    return redirect(OFFERS)


def make_route_handlers(outbox: Outbox) -> list[HTTPRouteHandler]:
    """Return the handlers; ``outbox`` takes the mail to whoever is asked."""

    @page.post(_PATH, **_TRANSFER, sudo=True)
    async def transfer(
        context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest, owner: str, repo: str
    ) -> Response[Any]:
        """Give the repository to an organization or to oneself at once, or offer it to another person."""
        form = await read_form(request, TransferForm)
        repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_TRANSFER)
        try:
            wanted = form.require()
            if wanted.full_name.strip().lower() != repository.full_name.lower():
                problem = FieldProblem("full_name", "invalid", f"Type {repository.full_name} to transfer it.")
                raise Invalid(problem.message, problem)  # noqa: TRY301 (shown like the domain's refusals)
            new_owner = wanted.new_owner.strip().removeprefix("@")
            await count_offer(context, session, new_owner)
            found = await ask_transfer(
                session,
                outbox,
                actor,
                repository.id,
                new_owner=new_owner,
                new_name=wanted.new_name.strip() or None,
            )
        except Invalid as error:
            await session.rollback()  # a name that another one took first leaves the transaction unusable
            return await _show(context, session, actor, repository, form.reject(_named_here(error)))
        if found.owner_id != repository.owner_id:
            context.flash(f"The repository is {found.full_name} now. Its old address leads here.")
            return redirect(path_join(found.owner, found.name))
        context.flash(f"{new_owner} is asked whether they take it. Until then nothing changes.")
        return redirect(path_join(repository.owner, repository.name, "settings", "transfer"))

    return [transfer_page, transfer, cancel, own_offers, accept, decline]


def _named_here(error: Invalid) -> Invalid:
    """Return a refusal with what it says of a name or visibility at the fields that this form has."""
    fields = {"name": "new_name", "visibility": "new_owner", "username": "new_owner"}
    return Invalid(
        error.message,
        *(FieldProblem(fields.get(one.field, one.field), one.code, one.message) for one in error.problems),
    )
