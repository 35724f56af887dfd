"""E-mail addresses over REST, in GitHub's shape."""

import msgspec
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, Unauthenticated
from cairn.identity.email_addresses import EMAILS_MAX, add_email, remove_email, show_email
from cairn.identity.email_pages import MAILS_PER_ACCOUNT
from cairn.identity.queries import list_emails, primary_email
from cairn.identity.schemas import EmailJson, email_json
from cairn.mail.outbox import Outbox
from cairn.web.api import Page, read_page
from cairn.web.context import RequestContext
from cairn.web.routing import api

EMAILS = "/api/v3/user/emails"


class EmailsBody(msgspec.Struct, kw_only=True):
    """The addresses to add or remove; GitHub also takes the list alone, without the name around it."""

    emails: list[str]


class VisibilityBody(msgspec.Struct, kw_only=True):
    """Whether everybody sees the primary address."""

    visibility: str


def make_route_handlers(outbox: Outbox) -> list[HTTPRouteHandler]:
    """Return these operations; the program's own outbox sends the mails."""

    @api.post(EMAILS, action=Action.ACCOUNT_EDIT_EMAILS, resource="none", sudo=True)
    async def add_own_emails(
        context: RequestContext, session: AsyncSession, actor: Actor, body: EmailsBody | list[str]
    ) -> list[EmailJson]:
        """Add addresses to the caller's account; each gets a link that verifies it."""
        account_id = _account(actor)
        added = []
        for email in _listed(body):
            message = "Too many mails were sent for your account; try again in an hour."
            await context.site.limits.require(MAILS_PER_ACCOUNT, str(account_id), message)
            added.append(await add_email(session, outbox, context.settings, actor, account_id, email))
        return [email_json(one) for one in added]

    @api.delete(EMAILS, action=Action.ACCOUNT_EDIT_EMAILS, resource="none", sudo=True)
    async def delete_own_emails(session: AsyncSession, actor: Actor, body: EmailsBody | list[str]) -> None:
        """Remove addresses from the caller's account: all of them or none."""
        account_id = _account(actor)
        for email in _listed(body):
            await remove_email(session, outbox, actor, account_id, email)

    return [list_own_emails, list_public_emails, set_visibility, add_own_emails, delete_own_emails]


def _account(actor: Actor) -> int:
    if actor.account_id is None:
        raise Unauthenticated("Requires authentication")
    return actor.account_id


def _listed(body: EmailsBody | list[str]) -> list[str]:
    emails = body if isinstance(body, list) else body.emails
    if not 0 < len(emails) <= EMAILS_MAX:
        message = f"Send 1 to {EMAILS_MAX} addresses."
        raise Invalid(message, FieldProblem("emails", "invalid", message, "UserEmail"))
    return emails


@api.get(EMAILS, action=Action.ACCOUNT_READ_EMAILS, resource="none")
async def list_own_emails(context: RequestContext, session: AsyncSession, actor: Actor) -> Page[EmailJson]:
    """Answer the caller's addresses, the primary one first."""
    return _page(context, [email_json(one) for one in await list_emails(session, actor, _account(actor))])


@api.get("/api/v3/user/public_emails", action=Action.ACCOUNT_READ_EMAILS, resource="none")
async def list_public_emails(context: RequestContext, session: AsyncSession, actor: Actor) -> Page[EmailJson]:
    """Answer the caller's addresses that everybody sees."""
    emails = await list_emails(session, actor, _account(actor))
    return _page(context, [email_json(one) for one in emails if one.is_public])


@api.patch("/api/v3/user/email/visibility", action=Action.ACCOUNT_EDIT_EMAILS, resource="none")
async def set_visibility(session: AsyncSession, actor: Actor, body: VisibilityBody) -> list[EmailJson]:
    """Show the caller's primary address to everybody, or none."""
    account_id = _account(actor)
    if body.visibility not in {"public", "private"}:
        message = "visibility is public or private."
        raise Invalid(message, FieldProblem("visibility", "invalid", message, "UserEmail"))
    public = (await primary_email(session, account_id) or "") if body.visibility == "public" else ""
    await show_email(session, actor, account_id, public)
    return [email_json(one) for one in await list_emails(session, actor, account_id) if one.is_primary]


def _page(context: RequestContext, items: list[EmailJson]) -> Page[EmailJson]:
    asked = read_page(context)
    return Page(items[asked.offset : asked.offset + asked.per_page], asked, total=len(items))
