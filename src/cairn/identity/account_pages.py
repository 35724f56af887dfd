"""The account as a whole: its name, and its end."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, FieldProblem, Invalid, RateLimited
from cairn.db.database import Database
from cairn.identity.deletion import DeleteRepository, ListRepositories, delete_account, sole_organizations
from cairn.identity.rename import PERIOD, RENAMES_MAX, rename_account
from cairn.identity.reserved_logins import PROTECTED
from cairn.identity.session_cookies import end_session
from cairn.identity.settings_frame import own_account, show_settings
from cairn.mail.outbox import Outbox
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect
from cairn.web.routing import page

PATH = "/settings/account"
REPOSITORIES_SHOWN = 20


class NameForm(msgspec.Struct):
    """Another name."""

    login: Annotated[str, Meta(min_length=1)]


class DeleteForm(msgspec.Struct):
    """The name, typed, so that nobody deletes by a slip; and whether the repositories go along."""

    typed: str = ""
    with_repositories: bool = False


def make_route_handlers(
    outbox: Outbox, list_repositories: ListRepositories, delete_repository: DeleteRepository
) -> list[HTTPRouteHandler]:
    """Return these pages; what they know of repositories comes from above."""

    @page.get(PATH, action=Action.ACCOUNT_DELETE, resource="none")
    async def account_page(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[Any]:
        """Show the name and the way out."""
        return await show(context, session, actor)

    @page.post(f"{PATH}/name", action=Action.ACCOUNT_DELETE, resource="none", sudo=True)
    async def rename(
        context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
    ) -> Response[Any]:
        """Give the account another name."""
        account_id = own_account(actor)
        form = await read_form(request, NameForm)
        try:
            renamed = await rename_account(session, actor, account_id, form.require().login)
        except Invalid as error:
            await session.rollback()
            return await show(context, session, actor, status=422, name=form.reject(error))
        except RateLimited as error:
            await session.rollback()
            form.summary = error.message
            return await show(context, session, actor, status=429, name=form)
        context.flash(f"You are {renamed.login} from now on. The old addresses lead here.")
        return redirect(PATH)

    @page.post(f"{PATH}/delete", action=Action.ACCOUNT_DELETE, resource="none", sudo=True)
    async def delete(context: RequestContext, request: WebRequest, database: Database, actor: Actor) -> Response[Any]:
        """Delete the account once its name was typed."""
        account_id = own_account(actor)
        form = await read_form(request, DeleteForm)
        try:
            wanted = form.require()
            _require_typed(actor, wanted.typed)
            await delete_account(
                database,
                outbox,
                actor,
                account_id,
                list_repositories=list_repositories,
                delete_repository=delete_repository if wanted.with_repositories else None,
            )
        except (Invalid, Conflict) as error:
            form.reject(error if isinstance(error, Invalid) else Invalid(error.message))
            async with database.read() as session:
                return await show(context, session, actor, status=422, deletion=form)
        end_session(context)
        context.flash("Your account is deleted.")
        return redirect("/")

    async def show(
        context: RequestContext,
        session: AsyncSession,
        actor: Actor,
        *,
        status: int = 200,
        name: Form[NameForm] | None = None,
        deletion: Form[DeleteForm] | None = None,
    ) -> Response[str]:
        account_id = own_account(actor)
        repositories = [name for _, name in await list_repositories(session, account_id)]
        return show_settings(
            context,
            "account.html",
            "account",
            status=status,
            name=name or blank_form(NameForm, login=actor.label),
            deletion=deletion or blank_form(DeleteForm),
            repositories=repositories[:REPOSITORIES_SHOWN],
            repository_count=len(repositories),
            organizations=await sole_organizations(session, account_id),
            renames_max=RENAMES_MAX,
            period_days=PERIOD.days,
            protected_days=PROTECTED.days,
        )

    return [account_page, rename, delete]


def _require_typed(actor: Actor, typed: str) -> None:
    if typed != actor.login:
        message = "Type the name exactly as it is written above."
        raise Invalid(message, FieldProblem("typed", "invalid", message))
