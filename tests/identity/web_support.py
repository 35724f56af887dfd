"""Cairn's web program with the identity pages and API, on a test's database, with real authentication."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import actor_of, make_account
from tests.factories.authentication import PASSWORD, Authentication, make_authentication
from tests.web.support import Browser, Running, open_app

from cairn.base.actor import Actor
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity import api, pages, settings_pages, sudo
from cairn.identity.schemas import RepositoryCounts
from cairn.identity.tokens import create_token
from cairn.identity.web_authentication import WebAuthentication

COUNTS = RepositoryCounts(public=2, private=3, disk_kib=40)


async def count_repositories(session: AsyncSession, account_id: int) -> RepositoryCounts:
    """Stand for the counting that ``repositories`` does."""
    assert account_id
    assert session.is_active
    return COUNTS


class People:
    """The running program, and people who use it."""

    def __init__(self, running: Running, parts: Authentication) -> None:
        self.running = running
        self.parts = parts
        self.database = running.database

    async def account(self, login: str, *, is_site_admin: bool = False, is_suspended: bool = False) -> Actor:
        """Return a new account with ``PASSWORD``."""
        password_hash = await self.parts.passwords.hash(PASSWORD)
        async with self.database.write() as session:
            at = await database_now(session) if is_suspended else None
            account = await make_account(
                session, login, is_site_admin=is_site_admin, password_hash=password_hash, suspended_at=at
            )
            return actor_of(account)

    async def token(self, owner: Actor, *scopes: str) -> str:
        """Return a new token of somebody."""
        assert owner.account_id is not None
        async with self.database.write() as session:
            made = await create_token(session, owner, owner.account_id, name="test", scopes=scopes)
        return made.secret

    def browser(self) -> Browser:
        """Return a browser of a stranger."""
        return self.running.browser()

    async def signed_in(self, login: str, **headers: str) -> Browser:
        """Return a browser in which somebody has signed in through the page."""
        browser = Browser(self.running.client(**headers), self.running.settings.origin)
        answer = await browser.submit("/login", {"name": login, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return browser

    def program(self, token: str = "") -> httpx2.AsyncClient:
        """Return an API client with a token, or without any credential."""
        return self.running.client(**({"authorization": f"token {token}"} if token else {}))


@asynccontextmanager
async def open_people(
    folder: Path, database: Database, *, handlers: Sequence[HTTPRouteHandler] = (), **settings: Any
) -> AsyncIterator[People]:
    """Yield the program with the identity package in it, and ``handlers`` besides."""
    parts = make_authentication(database)
    all_handlers = [
        *handlers,
        *pages.make_route_handlers(parts.authenticator, parts.passwords),
        *settings_pages.make_route_handlers(parts.authenticator, parts.passwords),
        *sudo.make_route_handlers(parts.authenticator),
        *api.make_route_handlers(count_repositories),
    ]
    async with open_app(
        folder,
        all_handlers,
        packages=("cairn.identity",),
        authenticate=WebAuthentication(parts.authenticator),
        database=database,
        settings=settings,
    ) as running:
        yield People(running, parts)
