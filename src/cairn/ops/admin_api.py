"""GitHub's site administration over REST: accounts made, suspended, promoted, deleted; the installation in numbers."""

from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Forbidden
from cairn.base.ids import random_secret
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.identity.accounts import create_account, suspend, unsuspend
from cairn.identity.administration import find_person, rename_person, set_site_admin
from cairn.identity.deletion import delete_account
from cairn.identity.passwords import Passwords
from cairn.mail.outbox import Outbox
from cairn.ops.admin_queries import read_totals
from cairn.repositories.delete import delete_repository
from cairn.repositories.lists import list_owned
from cairn.web.api import ApiAnswer
from cairn.web.routing import api

_SITE: Any = {"action": Action.SITE_ADMINISTER, "resource": "site"}
_PERSON: Any = {"action": Action.SITE_ADMINISTER, "resource": "account", "sudo": True}
API = "/api/v3"


class NewUser(msgspec.Struct, kw_only=True):
    """The body that makes an account. Nobody knows its password: its owner asks for a link to choose one."""

    login: str
    email: str
    suspended: bool = False


class NewLogin(msgspec.Struct, kw_only=True):
    """The body that gives an account another name."""

    login: str


class Why(msgspec.Struct, kw_only=True):
    """The optional body of a suspension."""

    reason: str | None = None


def make_route_handlers(passwords: Passwords, outbox: Outbox) -> list[HTTPRouteHandler]:
    """Return these operations; the program's own password hasher and outbox do the work."""

    @api.post(API + "/admin/users", **_SITE, sudo=True)
    async def create(database: Database, settings: Settings, actor: Actor, body: NewUser) -> dict[str, Any]:
        """Make an account."""
        made = await create_account(
            database, passwords, actor, login=body.login, email=body.email, password=random_secret()
        )
        if body.suspended:
            async with database.write() as session:
                await suspend(session, actor, body.login)
        return {"login": made.login, "id": made.account_id, "type": "User", "site_admin": False} | _urls(settings, body)

    @api.delete(API + "/admin/users/{username:str}", **_PERSON)
    async def delete(database: Database, engine: Engine, actor: Actor, username: str) -> None:
        """Delete an account with its repositories, for good; a token needs ``delete_repo`` for those, too."""
        async with database.read() as session:
            account, _ = await find_person(session, actor, username)
        if account.id == actor.account_id:
            raise Forbidden("You cannot delete your own account here; its settings can.")

        async def delete_one(actor: Actor, repository_id: int) -> None:
            async with database.write() as session:
                await delete_repository(session, engine, actor, repository_id)

        await delete_account(
            database, outbox, actor, account.id, list_repositories=list_owned, delete_repository=delete_one
        )

    return [create, delete, rename, suspend_user, unsuspend_user, promote, demote, stats]


def _urls(settings: Settings, body: NewUser) -> dict[str, str]:
    return {
        "url": f"{settings.origin}{API}/users/{body.login}",
        "html_url": f"{settings.origin}/{body.login}",
    }


@api.patch(API + "/admin/users/{username:str}", status=202, **_PERSON)
async def rename(
    session: AsyncSession, settings: Settings, actor: Actor, username: str, body: NewLogin
) -> dict[str, str]:
    """Give an account another name; the old one leads to it."""
    account = await rename_person(session, actor, username, body.login)
    return {"message": "The name is changed.", "url": f"{settings.origin}{API}/user/{account.id}"}


@api.put(API + "/users/{username:str}/suspended", status=204, **_PERSON)
async def suspend_user(session: AsyncSession, actor: Actor, username: str, body: Why) -> None:
    """Shut somebody out."""
    await find_person(session, actor, username)
    await suspend(session, actor, username, reason=body.reason or "")


@api.delete(API + "/users/{username:str}/suspended", **_PERSON)
async def unsuspend_user(session: AsyncSession, actor: Actor, username: str, body: Why) -> None:
    """Let somebody in again."""
    await find_person(session, actor, username)
    await unsuspend(session, actor, username, reason=body.reason or "")


@api.put(API + "/users/{username:str}/site_admin", status=204, **_PERSON)
async def promote(session: AsyncSession, actor: Actor, username: str) -> None:
    """Make somebody an administrator."""
    await set_site_admin(session, actor, username, is_site_admin=True)


@api.delete(API + "/users/{username:str}/site_admin", **_PERSON)
async def demote(session: AsyncSession, actor: Actor, username: str) -> None:
    """Take somebody's administration away."""
    await set_site_admin(session, actor, username, is_site_admin=False)


@api.get(API + "/enterprise/stats/all", **_SITE)
async def stats(session: AsyncSession, actor: Actor) -> ApiAnswer:
    """Answer the installation in numbers; what Cairn does not count is left out."""
    totals = await read_totals(session, actor)
    return ApiAnswer(
        {
            "repos": {"total_repos": totals.repositories},
            "users": {
                "total_users": totals.users,
                "admin_users": totals.administrators,
                "suspended_users": totals.suspended,
            },
            "orgs": {"total_orgs": totals.organizations},
        }
    )
